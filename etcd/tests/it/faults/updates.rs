//! Updaters that take their time.

use std::thread;
use std::time::{Duration, Instant};

use argus_registry::{update_store, Error, LockOptions, RegistryStore, UpdateOptions};

use super::{count, count_up};
use crate::support::registries::{options, patient, watcher};
use crate::support::servers::shared;

const TIMEOUT: Duration = Duration::from_millis(500);

/// The time of the call was over before the commit, so that each such update failed.
#[test]
fn an_updater_that_takes_longer_than_the_timeout_is_committed() {
    let store = shared().store("/slow-updater");
    let slow = |options: &UpdateOptions| {
        update_store(&store, options, |found| {
            thread::sleep(2 * TIMEOUT);
            found.set_watcher(watcher("slow"));
            Ok::<_, Error>(())
        })
    };
    slow(&options(TIMEOUT)).unwrap();
    assert!(store.read().unwrap().0.watcher("slow").is_some());
    store
        .with_lock(&patient().lock, |lock| {
            lock.update(
                &LockOptions { timeout: Some(TIMEOUT), ..LockOptions::default() },
                |found| {
                    thread::sleep(2 * TIMEOUT);
                    found.set_watcher(watcher("under-lock"));
                    Ok::<_, Error>(())
                },
            )
        })
        .unwrap();
    assert!(store.read().unwrap().0.watcher("under-lock").is_some());
}

#[test]
fn an_update_that_is_refused_each_time_ends_with_its_timeout() {
    let (store, other) = (shared().store("/refused"), shared().store("/refused"));
    let (started, mut runs) = (Instant::now(), 0_u16);
    let failed = update_store(&store, &options(TIMEOUT), |found| {
        runs += 1;
        // On a thread of its own: this one is inside an update.
        thread::scope(|scope| {
            scope.spawn(|| count_up(&other, &patient()).unwrap());
        });
        found.set_watcher(watcher("app"));
        // A commit has time for an answer. That is no time for a further run.
        assert!(started.elapsed() < Duration::from_secs(30));
        Ok::<_, Error>(())
    });
    assert_eq!(failed.unwrap_err().code(), "LOCK_TIMEOUT");
    assert_eq!(count(&other), runs);
}
