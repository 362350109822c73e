//! A process that is forked while it holds a lock, and one whose first thread has ended.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use argus_registry::{update_registry, Error, UpdateOptions, WatcherRecord};

use crate::support::altered_calls::AlteredCalls;
use crate::support::processes::{this_test, PART};
use crate::support::registries::watcher;

/// The forked process has a copy of the lock, which is its parent's.
#[test]
fn a_forked_process_does_not_release_the_lock_of_its_parent() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["FORKED_AFTER_RENAME"]).again(this_test!());
    };
    let parent = std::process::id();
    // In the child it ends, too. The parent looks meanwhile whether its lockfile is there.
    update_registry(Path::new(&path), &UpdateOptions::default(), |registry| {
        registry.set_watcher(watcher("app"));
        Ok::<_, Error>(())
    })
    .unwrap();
    if std::process::id() != parent {
        std::process::exit(0);
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
        std::thread::yield_now();
    }
    assert!(child.try_wait().unwrap().is_none(), "it has ended");
    let mut record = WatcherRecord::new("app", "127.0.0.1", 9222);
    record.pid = child.id();
    let is_alive = record.is_alive();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(is_alive, Some(true));
}
