//! A lockfile that an older argus takes away, or makes, at the worst moment.

use std::env;
use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::support::altered_calls::{touch, AlteredCalls};
use crate::support::files::put;
use crate::support::processes::{this_test, PART};

#[test]
fn the_new_lockfile_of_an_older_argus_is_never_removed() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["LOCKFILE_REPLACED_AFTER_LINK"]).again(this_test!());
    };
    assert_eq!(touch(path.as_ref()).unwrap_err().code(), "LOCK_BUSY");
    let lockfile = Path::new(&path).with_extension("json.lock");
    assert_eq!(fs::metadata(lockfile).unwrap().len(), 0, "the older argus's is there");
    assert!(!Path::new(&path).exists());
}

/// Writing and syncing the new content takes time. What counts is which process holds the lock after
/// that.
#[test]
fn a_lock_that_is_lost_while_the_new_content_is_written_replaces_nothing() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["LOCKFILE_REPLACED_AT_FSYNC"]).again(this_test!());
    };
    assert_eq!(touch(path.as_ref()).unwrap_err().code(), "LOCK_LOST");
    assert!(!Path::new(&path).exists());
    let lockfile = Path::new(&path).with_extension("json.lock");
    assert_eq!(fs::metadata(lockfile).unwrap().len(), 0, "the older argus's is there");
}

/// The lockfile of every holder is the guard: only the record in it tells them apart.
#[test]
fn a_kernel_lock_that_was_lost_to_another_process_replaces_nothing() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["LOCK_LOST_AND_TAKEN_AT_FSYNC"]).again(this_test!());
    };
    assert_eq!(touch(path.as_ref()).unwrap_err().code(), "LOCK_LOST");
    assert!(!Path::new(&path).exists());
    let lockfile = fs::read_to_string(Path::new(&path).with_extension("json.lock")).unwrap();
    assert!(lockfile.contains(&"f".repeat(32)), "the other process's lockfile is there");
}

#[test]
fn a_lockfile_of_an_older_argus_that_was_moved_aside_by_mistake_is_put_back() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["LOCKFILE_REPLACED_BEFORE_MOVE"]).again(this_test!());
    };
    let lockfile = Path::new(&path).with_extension("json.lock");
    let abandoned = fs::File::create(&lockfile).unwrap();
    abandoned.set_modified(UNIX_EPOCH).unwrap();
    assert_eq!(touch(path.as_ref()).unwrap_err().code(), "LOCK_BUSY");
    assert!(fs::metadata(&lockfile).unwrap().modified().unwrap() > UNIX_EPOCH);
}

/// The lockfile stayed, and older argus versions waited for ten seconds.
#[test]
fn a_look_at_a_lockfile_that_fails_for_a_moment_leaves_no_lockfile() {
    let Ok(path) = env::var(PART) else {
        // After the link, twice before the rename, and before the release.
        for number in ["1", "2", "3", "4"] {
            let mut altered = AlteredCalls::new(&["LOOKS_AT_THE_LOCKFILE_FAIL_ONCE"]);
            altered.set_variable("FAILS_AT", number);
            altered.again(this_test!());
            assert_eq!(altered.names(), ["registry.json", "registry.json.guard"], "{number}");
        }
        return;
    };
    touch(path.as_ref()).unwrap();
}

/// The call failed, and its lockfile stayed.
#[test]
fn a_link_to_the_lockfile_that_is_made_and_reported_as_failed_is_a_lock() {
    let Ok(path) = env::var(PART) else {
        for error in ["LINK_TAKES_EFFECT_AND_FAILS=EIO", "LINK_TAKES_EFFECT_AND_FAILS=EINTR"] {
            let altered = AlteredCalls::new(&[error]);
            // A guard is made under another name, by a link of its own.
            put(&altered.path().with_extension("json.guard"), "");
            altered.again(this_test!());
            assert_eq!(altered.names(), ["registry.json", "registry.json.guard"]);
        }
        return;
    };
    touch(path.as_ref()).unwrap();
}
