//! Documents that other processes delete at the worst moment, and file systems without kernel locks.

use std::env;
use std::fs;
use std::path::Path;

use argus_registry::{Document, Error, LockOptions, UnlockedReason};

use crate::support::altered_calls::AlteredCalls;
use crate::support::files::put;
use crate::support::processes::{this_test, PART};

#[test]
fn a_document_that_is_deleted_while_its_lock_is_taken_is_not_found() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["DOCUMENT_DELETED_AT_LOCK"]).again(this_test!());
    };
    let path = Path::new(&path);
    let document = Document::<u32>::json(path);
    put(path, "7");
    let missing = document.load().unwrap_err();
    assert_eq!((missing.code(), missing.path()), ("NOT_FOUND", path));
    assert!(path.with_extension("lock").exists(), "it was seen, and then locked");
    put(path, "7");
    let changed = document.update(&LockOptions::default(), |number| {
        *number = 8;
        Ok::<_, Error>(())
    });
    assert_eq!(changed.unwrap_err().code(), "NOT_FOUND");
}

/// The error said "not a regular file".
#[test]
fn a_document_that_is_deleted_before_it_is_locked_is_not_found() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["DOCUMENT_DELETED_AFTER_REALPATH"]).again(this_test!());
    };
    let path = Path::new(&path);
    put(path, "7");
    // A path with a symbolic link in it is resolved by `realpath`.
    let link = path.with_file_name("link.json");
    std::os::unix::fs::symlink(path, &link).unwrap();
    let missing = Document::<u32>::json(&link).load().unwrap_err();
    assert_eq!((missing.code(), missing.path()), ("NOT_FOUND", &*link));
    assert!(!path.with_extension("lock").exists());
    // For a document that may be missing, it is as if the file had never been there.
    put(path, "7");
    let document = Document::<u32>::json(&link).empty(|| 1);
    let made = document.update(&LockOptions::one_try(), |number| {
        *number += 1;
        Ok::<_, Error>(*number)
    });
    assert_eq!(made.unwrap(), 2);
}

/// The error said "not found", after which no caller would try again.
#[test]
fn a_temp_file_that_is_deleted_as_litter_is_reported_as_a_lost_lock() {
    let Ok(path) = env::var(PART) else {
        AlteredCalls::new(&["TEMP_FILE_DELETED_BEFORE_RENAME", "KEEPS_THE_LOCK_FILE"])
            .again(this_test!());
        return AlteredCalls::new(&["TEMP_FILE_DELETED_BEFORE_RENAME"]).again(this_test!());
    };
    let document = Document::<u32>::json(&path).empty(|| 0);
    let count_up = |number: &mut u32| {
        *number += 1;
        Ok::<_, Error>(())
    };
    let lost = document.update(&LockOptions::one_try(), count_up).unwrap_err();
    assert_eq!(lost.code(), "LOCK_LOST");
    assert!(!Path::new(&path).exists());
    document.update(&LockOptions::one_try(), count_up).unwrap();
    assert_eq!(document.load().unwrap().value, 1);
}

#[test]
fn a_document_without_kernel_locks_is_read_and_not_written() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["NO_KERNEL_LOCKS"]).again(this_test!());
    };
    let document = Document::<u32>::json(&path);
    put(path.as_ref(), "7");
    let loaded = document.load().unwrap();
    assert_eq!((loaded.value, loaded.locked), (7, false));
    let reason = loaded.unlocked.unwrap();
    assert!(matches!(reason, UnlockedReason::UnsupportedFileSystem { .. }), "{reason:?}");
    let required = document.clone().require_lock().load().unwrap_err();
    assert_eq!(
        (required.code(), required.to_string()),
        ("UNSUPPORTED_FILE_SYSTEM", reason.to_string())
    );
    assert_eq!(document.save(&mut 8).unwrap_err().code(), "UNSUPPORTED_FILE_SYSTEM");
    let changed = document.update(&LockOptions::default(), |number| {
        *number = 8;
        Ok::<_, Error>(())
    });
    assert_eq!(changed.unwrap_err().code(), "UNSUPPORTED_FILE_SYSTEM");
    assert_eq!(fs::read_to_string(&path).unwrap(), "7");
}
