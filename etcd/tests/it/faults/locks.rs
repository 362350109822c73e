//! The registry's lock: one holder, and no write of a holder that has lost it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use argus_registry::{ClaimOptions, Error, LockOptions, LockState, RegistryStore};
use argus_registry_etcd::EtcdStore;
use rustix::process::Signal;

use super::{count, count_up};
use crate::support::registries::{one_try, patient, watcher};
use crate::support::servers::{shared, until, Servers};

#[test]
fn while_a_process_has_the_lock_no_other_one_changes_the_registry() {
    let (store, other) = (shared().store("/lock"), shared().store("/lock"));
    let own = other.claim(watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    store
        .with_lock(&patient().lock, |lock| {
            let refused = thread::scope(|scope| {
                let refused = scope.spawn(|| {
                    let claim = ClaimOptions::default();
                    [
                        count_up(&other, &one_try()).unwrap_err(),
                        other.claim(watcher("next"), &claim, &one_try()).unwrap_err(),
                        other.remove("app".into(), &one_try()).unwrap_err(),
                        other.heartbeat(own.claim().into(), &one_try()).unwrap_err(),
                        other.with_lock(&LockOptions::one_try(), |_| Ok(())).unwrap_err(),
                    ]
                });
                refused.join().unwrap()
            });
            assert_eq!(refused.map(|error| error.code()), ["LOCK_BUSY"; 5]);
            assert_eq!(count_up(&store, &one_try()).unwrap_err().code(), "RE_ENTRANT");
            let (mut registry, _) = lock.read()?;
            assert_eq!(registry.len(), 1);
            registry.set_watcher(watcher("under-lock"));
            lock.write(&registry, &patient().lock)
        })
        .unwrap();
    assert!(store.read().unwrap().0.watcher("under-lock").is_some());
    count_up(&other, &patient()).unwrap();
    assert!(other.heartbeat(own.claim().into(), &patient()).unwrap());
}

#[test]
fn a_lock_has_one_holder_at_a_time() {
    let holders = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let store = shared().store("/holders");
                for _ in 0..5 {
                    let body = |lock: &argus_registry_etcd::EtcdLock| {
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        let (mut registry, _) = lock.read()?;
                        let mut counter = registry.watcher("counter").unwrap_or_else(|| {
                            argus_registry::WatcherRecord::new("counter", "", 0)
                        });
                        counter.port += 1;
                        registry.set_watcher(counter);
                        lock.write(&registry, &patient().lock)?;
                        holders.fetch_sub(1, Ordering::SeqCst);
                        Ok::<_, Error>(())
                    };
                    store.with_lock(&patient().lock, body).unwrap();
                }
            });
        }
    });
    assert_eq!(count(&shared().store("/holders")), 20);
}

/// As after the holder was frozen for longer than its lease: another process has the lock by now.
#[test]
fn a_holder_that_has_lost_the_lock_writes_nothing() {
    let store = shared().store("/fence");
    let lost = store.with_lock(&patient().lock, |lock| {
        lock.update(&patient().lock, |found| {
            found.set_watcher(watcher("before"));
            Ok::<_, Error>(())
        })?;
        assert_eq!(shared().ctl(&["del", "/fence/lock/", "--prefix"]).trim(), "1");
        lock.update(&patient().lock, |found| {
            found.set_watcher(watcher("after"));
            Ok::<_, Error>(())
        })
    });
    assert!(matches!(lost, Err(Error::LockLost { written: true, .. })), "{lost:?}");
    let (found, _) = store.read().unwrap();
    assert!(found.watcher("before").is_some() && found.watcher("after").is_none());
    let lost = store.with_lock(&patient().lock, |_| {
        shared().ctl(&["del", "/fence/lock/", "--prefix"]);
        Ok::<_, Error>(())
    });
    assert!(matches!(lost, Err(Error::LockLost { written: false, .. })), "{lost:?}");
}

/// The error said that nothing was written.
#[test]
fn a_lock_whose_release_no_server_answers_was_held_as_far_as_is_known() {
    let mut servers = Servers::start(1);
    let mut options = servers.options("/unreleased");
    options.read_within = Duration::from_millis(1500);
    let store = EtcdStore::open(options).unwrap();
    let held = store.with_lock(&patient().lock, |lock| {
        lock.update(&patient().lock, |found| {
            found.set_watcher(watcher("app"));
            Ok::<_, Error>(())
        })?;
        servers.servers[0].signal(Signal::KILL);
        Ok::<_, Error>(())
    });
    let unknown = held.unwrap_err();
    assert_eq!(unknown.code(), "OUTCOME_UNKNOWN", "{unknown}");
    let text = unknown.to_string();
    assert!(
        text.contains("has run, and what it has written is written")
            && !text.contains("nothing was written"),
        "{text}"
    );
    servers.servers[0].restart();
    assert!(servers.store("/unreleased").read().unwrap().0.watcher("app").is_some());
}

/// As after the process was stopped for longer than its lease: it failed, and said that a lease was not found.
#[test]
fn a_process_whose_lease_ends_while_it_waits_for_the_lock_waits_on() {
    let (store, other) = (shared().store("/requeued"), shared().store("/requeued"));
    let waiters = || {
        let keys = shared().ctl(&["get", "/requeued/lock/", "--prefix", "--keys-only"]);
        let keys = keys.lines().filter_map(|key| key.strip_prefix("/requeued/lock/"));
        keys.map(str::to_owned).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let mut waiting = None;
        store
            .with_lock(&patient().lock, |_| {
                let held = waiters();
                waiting = Some(scope.spawn(|| other.with_lock(&patient().lock, |_| Ok(()))));
                let is_new = |lease: &String| !held.contains(lease);
                until("the other one waits", || waiters().iter().any(is_new));
                let ended = waiters().into_iter().find(is_new).unwrap();
                shared().ctl(&["lease", "revoke", ended.trim_start_matches('0')]);
                until("it waits with another lease", || {
                    let mut waiters = waiters().into_iter().filter(is_new);
                    waiters.any(|lease| lease != ended)
                });
                Ok::<_, Error>(())
            })
            .unwrap();
        waiting.unwrap().join().unwrap().map_err(|error: Error| error.to_string()).unwrap();
    });
}

/// Its release was left to a thread of its own, which a program that ended at once did not wait for.
#[test]
fn a_lock_is_released_when_its_function_has_failed() {
    let store = shared().store("/failed");
    for _ in 0..20 {
        let failed = store.with_lock(&patient().lock, |lock| {
            let path = lock.read().map(|_| "x".into())?;
            Err::<(), _>(Error::Aborted { path })
        });
        assert_eq!(failed.unwrap_err().code(), "ABORTED");
        assert_eq!(store.inspect_lock(Duration::ZERO).unwrap().state, LockState::Free);
    }
}
