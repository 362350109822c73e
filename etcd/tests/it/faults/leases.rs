//! Watchers that are frozen past their lease, and those that renew it.

use std::sync::mpsc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use argus_registry::{start_heartbeat, ClaimOptions, HeartbeatOptions, OnError, RegistryStore};
use argus_registry_etcd::EtcdStore;

use crate::support::registries::{patient, watcher};
use crate::support::servers::{shared, until};

fn with_short_lease(prefix: &str) -> EtcdStore {
    let mut options = shared().options(prefix);
    options.lease = Duration::from_secs(2);
    EtcdStore::open(options).unwrap()
}

fn is_there(store: &EtcdStore, id: &str) -> bool {
    store.read().unwrap().0.watcher(id).is_some()
}

/// Two processes in containers have one pid, and may have one start time: only etcd can tell their entries apart.
#[test]
fn a_watcher_frozen_past_its_lease_does_not_renew_the_entry_of_its_successor() {
    let frozen = with_short_lease("/frozen");
    let record = watcher("app");
    let own = frozen.claim(record.clone(), &ClaimOptions::default(), &patient()).unwrap();
    until("the lease has ended", || !is_there(&frozen, "app"));
    let successor = shared().store("/frozen");
    let next = successor.claim(record, &ClaimOptions::default(), &patient()).unwrap();
    assert_eq!(next.claim(), own.claim());
    let text = || successor.read().unwrap().0.to_json();
    let before = text();
    assert!(!frozen.heartbeat(own.claim().into(), &patient()).unwrap());
    assert_eq!(text(), before);
    assert!(successor.heartbeat(next.claim().into(), &patient()).unwrap());
}

#[test]
fn a_watcher_whose_entry_went_with_its_lease_is_told_and_does_not_restore_it() {
    let store = Arc::new(with_short_lease("/expired"));
    let own = store.claim(watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    until("the lease has ended", || !is_there(&store, "app"));
    assert!(!store.heartbeat(own.clone().into(), &patient()).unwrap());
    let (failed, failures) = mpsc::channel();
    let options = HeartbeatOptions {
        interval: Duration::from_millis(20),
        update: patient(),
        on_error: OnError::new(move |error| _ = failed.send(error.code())),
    };
    let heartbeat = start_heartbeat(store.clone(), move || own.clone(), options).unwrap();
    assert_eq!(failures.recv().unwrap(), "ENTRY_LOST");
    heartbeat.stop();
    assert!(!is_there(&store, "app"));
}

#[test]
fn heartbeats_keep_an_entry_longer_than_its_lease_and_without_them_it_goes() {
    let store = with_short_lease("/renewed");
    let own = store.claim(watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    store.claim(watcher("silent"), &ClaimOptions::default(), &patient()).unwrap();
    assert_eq!(store.is_alive("silent", &own), Some(true));
    let started = Instant::now();
    while is_there(&store, "silent") || started.elapsed() < Duration::from_secs(4) {
        assert!(store.heartbeat(own.claim().into(), &patient()).unwrap());
        thread::sleep(Duration::from_millis(200));
    }
    assert!(is_there(&store, "app"));
    // The id of a dead watcher is free.
    assert_eq!(
        store.claim(watcher("silent"), &ClaimOptions::default(), &patient()).unwrap().id,
        "silent"
    );
}

/// An entry that was moved here by `migrate` has no lease until its watcher renews it.
#[test]
fn the_first_heartbeat_of_an_entry_without_a_lease_gives_it_one() {
    let store = with_short_lease("/adopted");
    let own = watcher("app");
    argus_registry::update_store(&store, &patient(), |found| {
        found.set_watcher(own.clone());
        Ok::<_, argus_registry::Error>(())
    })
    .unwrap();
    assert!(store.heartbeat(own.claim().into(), &patient()).unwrap());
    until("the lease has ended", || !is_there(&store, "app"));
}
