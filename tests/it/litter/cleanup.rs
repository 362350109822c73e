//! Litter where there are no kernel locks.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use argus_registry::{clear_litter, find_litter, RegistryLock};

use crate::support::altered_calls::{durable_one_try, AlteredCalls};
use crate::support::files::put;
use crate::support::processes::{this_test, PART};

/// Without kernel locks a temp file may be that of a process at work, until it is old. A lockfile is
/// judged by its owner's process alone.
#[test]
fn only_litter_that_is_known_to_be_left_is_cleared_without_kernel_locks() {
    let Ok(path) = env::var(PART) else {
        let altered = AlteredCalls::new(&["NO_KERNEL_LOCKS"]);
        altered.leave_a_dead_holders_lockfile();
        return altered.again(this_test!());
    };
    let (lockfile, temp) = (
        PathBuf::from(format!("{path}.lock")),
        Path::new(&path).with_file_name(format!(".registry.json.{}.tmp", "0".repeat(32))),
    );
    put(&temp, "half");
    let (hour, moment) = (Duration::from_secs(3600), Duration::from_nanos(1));
    let is_safe = |of: &Path, stale_after| {
        let found = find_litter(&path, stale_after).unwrap();
        found.iter().find(|found| found.path == of).map(|found| found.safe_to_delete)
    };
    assert_eq!((is_safe(&lockfile, hour), is_safe(&temp, hour)), (Some(true), Some(false)));
    assert_eq!(is_safe(&temp, moment), Some(true));
    let cleared = clear_litter(&path, hour).unwrap();
    assert!(cleared.iter().any(|cleared| cleared.path == lockfile), "{cleared:?}");
    assert!(!lockfile.exists() && temp.exists());
    let lock = RegistryLock::acquire(&path, &durable_one_try().lock).unwrap();
    assert_eq!((is_safe(&lockfile, moment), is_safe(&temp, moment)), (None, Some(false)));
    assert_eq!(clear_litter(&path, moment).unwrap_err().code(), "LOCK_BUSY");
    drop(lock);
    clear_litter(&path, moment).unwrap();
    assert!(!temp.exists());
    // The writers of a document have no other lock.
    let document = Path::new(&path).with_file_name("a.toml");
    put(&document.with_extension("lock"), "");
    let temp = document.with_file_name(format!(".a.toml.{}.tmp", "0".repeat(32)));
    put(&temp, "half");
    let found = find_litter(&document, moment).unwrap();
    assert!(!found[0].safe_to_delete && found[0].reason.contains("can't be known"), "{found:?}");
    assert_eq!(clear_litter(&document, moment).unwrap_err().code(), "UNSUPPORTED_FILE_SYSTEM");
    assert!(temp.exists());
}
