//! A process that is forked while it holds a lock, and one whose first thread has ended.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::panic;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use argus_registry::{
    try_lock_exclusive, try_lock_shared, update_registry, Error, LockOptions, RegistryLock,
    UpdateOptions, WatcherRecord,
};

use crate::support::altered_calls::{touch, AlteredCalls};
use crate::support::processes::{print_skipped, this_test, PART};
use crate::support::registries::watcher;

/// The forked process has a copy of the lock, which is its parent's.
#[test]
fn a_forked_process_does_not_release_the_lock_of_its_parent() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["FORKED_AFTER_RENAME"]).again(this_test!());
    };
    let parent = process::id();
    // In the child it ends, too. The parent looks meanwhile whether its lockfile is there.
    update_registry(Path::new(&path), &UpdateOptions::default(), |registry| {
        registry.set_watcher(watcher("app"));
        Ok::<_, Error>(())
    })
    .unwrap();
    if process::id() != parent {
        process::exit(0);
    }
}

/// Runs this in a forked process: it ends with it, and its status says whether it has panicked.
fn in_forked_process(part: impl FnOnce()) -> ! {
    let part = panic::catch_unwind(panic::AssertUnwindSafe(part));
    process::exit(i32::from(part.is_err()));
}

/// Its copies of locks are its parent's. It has its own start, which its parent's record had, and no thread that
/// renews its lockfiles, which counted as there.
#[test]
fn a_forked_process_leaves_the_kernel_locks_of_its_parent_and_holds_locks_of_its_own() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["FORKED_AFTER_RENAME"]).again(this_test!());
    };
    let parent = process::id();
    let (lock_file, own) = (format!("{path}.x"), format!("{path}.own"));
    let lock = try_lock_exclusive(&lock_file).unwrap();
    touch(path.as_ref()).unwrap();
    if process::id() != parent {
        in_forked_process(|| {
            drop(lock);
            let options =
                LockOptions { stale_after: Duration::from_millis(100), ..LockOptions::default() };
            let _held = RegistryLock::acquire(&own, &options).unwrap();
            let lockfile = format!("{own}.lock");
            let record: serde_json::Value =
                serde_json::from_str(&fs::read_to_string(&lockfile).unwrap()).unwrap();
            let stat = fs::read_to_string("/proc/self/stat").unwrap();
            let started = stat[stat.rfind(')').unwrap()..].split(' ').nth(20).unwrap();
            assert_eq!(record["started"].to_string(), started);
            let modified = || fs::metadata(&lockfile).unwrap().modified().unwrap();
            let (before, since) = (modified(), Instant::now());
            while modified() == before {
                assert!(since.elapsed() < Duration::from_secs(30), "its lockfile is not renewed");
                thread::yield_now();
            }
        });
    }
    assert_eq!(try_lock_shared(&lock_file).unwrap_err().code(), "LOCK_BUSY");
    drop(lock);
    drop(try_lock_shared(&lock_file).unwrap());
}

/// Its records had its parent's pid namespace, in which its pid is no process, or another one.
#[test]
fn a_process_that_is_forked_into_a_pid_namespace_has_that_one_in_its_records() {
    let Ok(path) = env::var(PART) else {
        if !rustix::process::geteuid().is_root() {
            return print_skipped(this_test!(), "only root can make a pid namespace");
        }
        let changes = ["FORKED_AFTER_RENAME", "INTO_A_PID_NAMESPACE"];
        return AlteredCalls::new(&changes).again(this_test!());
    };
    let parent = process::id();
    touch(path.as_ref()).unwrap();
    if process::id() != parent {
        in_forked_process(|| {
            let own = format!("{path}.own");
            let _held = RegistryLock::acquire(&own, &LockOptions::default()).unwrap();
            let record = fs::read_to_string(format!("{own}.lock")).unwrap();
            let record: serde_json::Value = serde_json::from_str(&record).unwrap();
            let namespace = fs::metadata("/proc/self/ns/pid").unwrap().ino();
            assert_eq!(record["pidNamespace"], namespace);
        });
    }
}

/// The system calls it a zombie, and its other threads go on.
#[test]
fn a_process_whose_first_thread_has_ended_lives() {
    let altered = AlteredCalls::new(&["FIRST_THREAD_ENDS"]);
    let mut command = Command::new("sleep");
    command.arg("60").stdin(Stdio::null());
    altered.load_into(&mut command);
    let mut child = command.spawn().unwrap();
    let stat = format!("/proc/{}/stat", child.id());
    while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
        thread::yield_now();
    }
    assert!(child.try_wait().unwrap().is_none(), "it has ended");
    let mut record = WatcherRecord::new("app", "127.0.0.1", 9222);
    record.pid = child.id();
    let is_alive = record.is_alive();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(is_alive, Some(true));
}
