//! Answers that are lost after the server has made the change.

use std::sync::atomic::Ordering;
use std::time::Duration;

use argus_registry::{update_store, ClaimOptions, Error, RegistryStore, WatcherRecord};
use argus_registry_etcd::{EtcdOptions, EtcdStore};

use super::{count, count_up};
use crate::support::processes::dead_pid;
use crate::support::proxy::Proxy;
use crate::support::registries::{of_process, options, patient, watcher};
use crate::support::servers::shared;

/// A store behind a proxy. It has its marker already, so that the next answer to lose is that of a change.
fn behind_proxy(prefix: &str) -> (Proxy, EtcdStore) {
    let proxy = Proxy::start(&shared().servers[0].endpoint);
    let mut options = EtcdOptions::new([&proxy.endpoint], prefix);
    options.read_within = Duration::from_secs(60);
    let store = EtcdStore::open(options).unwrap();
    store.announce(watcher("first"), &patient()).unwrap();
    (proxy, store)
}

#[test]
fn a_change_whose_answer_was_lost_is_made_once() {
    let (proxy, store) = behind_proxy("/lost-answer");
    for _ in 0..30 {
        update_store(&store, &patient(), |found| {
            let mut counter =
                found.watcher("counter").unwrap_or(WatcherRecord::new("counter", "", 0));
            counter.port += 1;
            found.set_watcher(counter);
            proxy.faults.lost_answers.store(1, Ordering::SeqCst);
            Ok::<_, Error>(())
        })
        .unwrap();
    }
    assert!(proxy.faults.lost.load(Ordering::SeqCst) >= 30, "each change's answer was lost");
    assert_eq!(count(&store), 30);
}

#[test]
fn answers_that_are_lost_at_random_change_no_outcome() {
    let (proxy, store) = behind_proxy("/lost-answers");
    for round in 0..20 {
        proxy.faults.lost_answers.store(round % 4, Ordering::SeqCst);
        count_up(&store, &patient()).unwrap();
        proxy.faults.lost_answers.store(round % 3, Ordering::SeqCst);
        let claimed = store.claim(watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
        assert_eq!(claimed.id, "app", "no entry of an earlier try is left");
        proxy.faults.lost_answers.store(round % 4, Ordering::SeqCst);
        assert!(store.heartbeat(claimed.claim().into(), &patient()).unwrap());
        proxy.faults.lost_answers.store(round % 3, Ordering::SeqCst);
        assert!(store.remove(claimed.claim().into(), &patient()).unwrap());
        proxy.faults.lost_answers.store(0, Ordering::SeqCst);
    }
    assert_eq!((count(&store), store.read().unwrap().0.len()), (20, 2));
    assert!(proxy.faults.lost.load(Ordering::SeqCst) >= 20);
}

#[test]
fn an_outcome_that_can_t_be_asked_in_time_is_unknown() {
    let (proxy, _) = behind_proxy("/unknown");
    let mut quick_reads = EtcdOptions::new([&proxy.endpoint], "/unknown");
    quick_reads.read_within = Duration::from_millis(1500);
    let store = EtcdStore::open(quick_reads).unwrap();
    store.announce(watcher("second"), &patient()).unwrap();
    let quick = options(Duration::from_millis(1500));
    let failed = update_store(&store, &quick, |found| {
        found.set_watcher(watcher("app"));
        proxy.faults.is_silent_after_loss.store(true, Ordering::SeqCst);
        proxy.faults.lost_answers.store(1, Ordering::SeqCst);
        Ok::<_, Error>(())
    });
    assert_eq!(failed.unwrap_err().code(), "OUTCOME_UNKNOWN");
    // It was made, as another client sees.
    let other = shared().store("/unknown");
    assert!(other.read().unwrap().0.watcher("app").is_some());
    // The next change does not depend on it.
    proxy.faults.is_silent_after_loss.store(false, Ordering::SeqCst);
    proxy.faults.is_silent.store(false, Ordering::SeqCst);
    count_up(&store, &patient()).unwrap();
    assert_eq!(count(&other), 1);
}

/// A transaction that lies in the socket of a stopped server is made when that server goes on. By then the client has
/// asked another one.
#[test]
fn a_change_that_arrives_late_is_not_made_a_second_time() {
    let (proxy, _) = behind_proxy("/late");
    let endpoints = [proxy.endpoint.clone(), shared().servers[0].endpoint.clone()];
    let mut options = EtcdOptions::new(endpoints, "/late");
    options.read_within = Duration::from_secs(60);
    let store = EtcdStore::open(options).unwrap();
    store.announce(watcher("second"), &patient()).unwrap();
    // An entry for another process: there is no lease to ask for first.
    let late = of_process(dead_pid(), watcher("late"));
    proxy.faults.holds_requests.store(true, Ordering::SeqCst);
    store.announce(late, &patient()).unwrap();
    assert!(store.remove("late".into(), &patient()).unwrap());
    assert_eq!(proxy.faults.held.load(Ordering::SeqCst), 1, "the request was held");
    proxy.faults.holds_requests.store(false, Ordering::SeqCst);
    // By itself, the request that was held adds an entry if there is none.
    std::thread::sleep(Duration::from_millis(300));
    assert!(store.read().unwrap().0.watcher("late").is_none());
}
