//! Lockfiles that no process holds any more, and those that only look so.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

#[cfg(unix)]
use argus_registry::{inspect_lock, LockState};
use argus_registry::{LockOptions, RegistryLock};

use crate::support::files::{names_in, put, put_bytes, registry_path};
use crate::support::registries::{add, one_try};

#[cfg(unix)]
const STALE: Duration = Duration::from_secs(10);

// On Windows the lockfile is not a hard link of the guard.
#[cfg(unix)]
#[test]
fn the_lockfile_of_a_killed_holder_is_cleared_with_its_temp_file() {
    let (dir, path) = registry_path();
    add(&path, "a", &one_try()).unwrap();
    // What a kill leaves between the temp file and the rename.
    let temp = format!(".registry.json.{}.tmp", "0".repeat(32));
    put(&dir.path().join(&temp), "half");
    put(&dir.path().join(".registry.json.mine.tmp"), "not ours");
    let guard = dir.path().join("registry.json.guard");
    #[allow(clippy::disallowed_methods, reason = "a crash's leftover is made by hand")]
    fs::hard_link(&guard, dir.path().join("registry.json.lock")).unwrap();
    assert_eq!(inspect_lock(&path, STALE).unwrap().state, LockState::Stale);
    let lock = RegistryLock::acquire(&path, &one_try().lock).unwrap();
    assert!(lock.took_over());
    drop(lock);
    assert_eq!(
        names_in(dir.path()),
        [".registry.json.mine.tmp", "registry.json", "registry.json.guard"]
    );
}

#[test]
fn an_abandoned_lockfile_of_an_older_argus_is_taken_over_and_the_caller_is_told() {
    let (dir, path) = registry_path();
    let temp = dir.path().join(format!(".registry.json.{}.tmp", "0".repeat(32)));
    put(&temp, "half");
    let lockfile = fs::File::create(dir.path().join("registry.json.lock")).unwrap();
    lockfile.set_modified(UNIX_EPOCH).unwrap();
    // On Windows the name of a deleted file may stay as long as the file is open.
    drop(lockfile);
    let lock = RegistryLock::acquire(&path, &one_try().lock).unwrap();
    assert!(lock.took_over());
    drop(lock);
    assert_eq!(names_in(dir.path()), ["registry.json.guard"], "the litter is swept");
}

/// The waiting process mostly looks whether the lockfile is still there, and judges it only now and
/// then.
#[test]
fn a_lockfile_of_an_older_argus_becomes_stale_while_a_process_waits_for_it() {
    let (_dir, path) = registry_path();
    fs::File::create(path.with_extension("json.lock")).unwrap();
    let lock = LockOptions {
        timeout: Some(Duration::from_secs(20)),
        stale_after: Duration::from_millis(400),
        ..LockOptions::default()
    };
    assert!(RegistryLock::acquire(&path, &lock).unwrap().took_over());
}

/// An older argus locks nothing. A lockfile without an owner record that carries a kernel lock is the
/// lock file of a document. When it looked old, it was taken over and deleted while it was held.
#[cfg(unix)]
#[test]
fn a_lockfile_without_an_owner_that_carries_a_kernel_lock_is_held() {
    let (_dir, path) = registry_path();
    let lockfile = path.with_extension("json.lock");
    let held = argus_registry::try_lock_exclusive(&lockfile).unwrap();
    let opened = fs::File::options().write(true).open(&lockfile).unwrap();
    opened.set_modified(UNIX_EPOCH).unwrap();
    assert_eq!(add(&path, "app", &one_try()).unwrap_err().code(), "LOCK_BUSY");
    assert_eq!(inspect_lock(&path, STALE).unwrap().state, LockState::Held);
    assert!(lockfile.exists());
    drop(held);
    add(&path, "app", &one_try()).unwrap();
}

/// A process was killed, or had no space, in the middle of its record. Such a lockfile was waited for
/// until it was stale by age.
#[test]
fn a_lockfile_that_was_written_in_part_is_taken_over_at_once() {
    let (_dir, path) = registry_path();
    let lockfile = path.with_extension("json.lock");
    add(&path, "app", &one_try()).unwrap();
    let record = fs::read(path.with_extension("json.guard")).unwrap();
    for length in [1, 5, 21, 22, 100, record.len() - 1] {
        put_bytes(&lockfile, &record[..length]);
        assert!(RegistryLock::acquire(&path, &one_try().lock).unwrap().took_over(), "{length}");
    }
    put_bytes(&lockfile, &[0; 1024]);
    assert!(RegistryLock::acquire(&path, &one_try().lock).unwrap().took_over());
    // What an older argus, or a person, may have made.
    for other in ["", "1234", "{\"pid\":1}"] {
        put(&lockfile, other);
        let refused = RegistryLock::acquire(&path, &one_try().lock).unwrap_err();
        assert_eq!(refused.code(), "LOCK_BUSY", "{other:?}");
    }
}

/// A lockfile that is the guard's second name is known by that, and needs no record.
#[cfg(unix)]
#[test]
fn a_guards_second_name_with_a_part_of_a_record_is_stale_when_the_guard_is_free() {
    let (_dir, path) = registry_path();
    let guard = path.with_extension("json.guard");
    put(&guard, "{\"argus");
    #[allow(clippy::disallowed_methods, reason = "a crash's leftover is made by hand")]
    fs::hard_link(&guard, path.with_extension("json.lock")).unwrap();
    assert_eq!(inspect_lock(&path, STALE).unwrap().state, LockState::Stale);
    assert!(RegistryLock::acquire(&path, &one_try().lock).unwrap().took_over());
}
