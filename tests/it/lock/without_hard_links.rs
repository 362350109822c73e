//! File systems that have no hard links.

use std::env;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use argus_registry::{inspect_lock, Guarantee, LockOptions, LockState, RegistryLock};

use crate::support::altered_calls::{durable_one_try, touch, AlteredCalls};
use crate::support::files::put;
use crate::support::processes::{this_test, PART};

#[test]
fn processes_count_exactly_without_hard_links() {
    AlteredCalls::new(&["NO_HARD_LINKS"]).four_processes_count_exactly();
}

#[test]
fn a_dead_holder_costs_no_waiting_without_hard_links() {
    let Ok(path) = env::var(PART) else {
        let altered = AlteredCalls::new(&["NO_HARD_LINKS"]);
        altered.leave_a_dead_holders_lockfile();
        return altered.again(this_test!());
    };
    // The lockfile of a holder that was killed between creating and filling it looks like an older
    // argus's. That is the one place where a dead holder costs the stale threshold, and only on such
    // file systems.
    let lockfile = Path::new(&path).with_extension("json.lock");
    if fs::metadata(&lockfile).unwrap().len() > 0 {
        let status = inspect_lock(&path, Duration::from_secs(10)).unwrap();
        assert_eq!(status.guarantee, Guarantee::KernelLock);
        assert_eq!(status.state, LockState::Stale);
        touch(path.as_ref()).unwrap();
    }
}

/// The process that holds the guard knows that no other process does. So a lockfile that was made
/// under that guard is a leftover, whatever may be known of the process that made it.
#[test]
fn a_lockfile_left_under_our_guard_is_not_judged_by_its_owner_without_hard_links() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["NO_HARD_LINKS"]).again(this_test!());
    };
    let lockfile = Path::new(&path).with_extension("json.lock");
    let lock = RegistryLock::acquire(&path, &durable_one_try().lock).unwrap();
    let record = fs::read_to_string(&lockfile).unwrap();
    drop(lock);
    let (before, after) = record.split_once("\"host\":\"").unwrap();
    put(&lockfile, &format!("{before}\"host\":\"not-{after}"));
    touch(path.as_ref()).unwrap();
}

/// The model of the protocol found this one: a process that waited for an older argus's lockfile did not
/// notice that its guard was deleted meanwhile. It took the lock beside the holder of the next guard.
#[test]
fn a_process_whose_guard_is_deleted_while_it_waits_locks_the_next_one_without_hard_links() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["NO_HARD_LINKS"]).again(this_test!());
    };
    let path = Path::new(&path);
    let (lockfile, guard) = (path.with_extension("json.lock"), path.with_extension("json.guard"));
    touch(path).unwrap();
    let written = || fs::metadata(&guard).unwrap().modified().unwrap();
    let before = written();
    put(&lockfile, "");
    thread::scope(|scope| {
        let options = LockOptions::within(Duration::from_secs(20));
        let waiting = scope.spawn(move || RegistryLock::acquire(path, &options).unwrap());
        while written() == before {
            thread::yield_now();
        }
        fs::remove_file(&guard).unwrap();
        #[allow(clippy::disallowed_methods, reason = "until it waits for the lockfile")]
        thread::sleep(Duration::from_millis(300));
        fs::remove_file(&lockfile).unwrap();
        let lock = waiting.join().unwrap();
        assert!(guard.exists());
        lock.release().unwrap();
    });
}
