//! What becomes of bytes that are no registry when an update replaces them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use argus_registry::read_registry;

use crate::support::altered_calls::{touch, AlteredCalls};
use crate::support::files::put;
use crate::support::processes::{this_test, PART};

/// The files in which corrupt bytes were kept.
fn kept_files(registry: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(registry.parent().unwrap()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_str().unwrap().contains(".corrupt-")).collect()
}

#[test]
fn corrupt_bytes_that_were_not_replaced_are_not_kept_a_second_time() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["LOCKFILE_REPLACED_AT_FSYNC"]).again(this_test!());
    };
    put(path.as_ref(), "precious {");
    assert_eq!(touch(path.as_ref()).unwrap_err().code(), "LOCK_LOST");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious {");
    assert_eq!(kept_files(path.as_ref()), Vec::<PathBuf>::new());
}

#[test]
fn corrupt_bytes_are_kept_without_hard_links() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["NO_HARD_LINKS"]).again(this_test!());
    };
    put(path.as_ref(), "precious {");
    touch(path.as_ref()).unwrap();
    let kept = kept_files(path.as_ref());
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), "precious {");
    assert_eq!(read_registry(&path).unwrap().0.updated_at(), 7);
}

/// The error "cannot replace" was returned for a file that had been replaced, and the corrupt bytes,
/// which were kept under another name by then, were deleted there, too.
#[test]
fn a_rename_that_takes_effect_and_reports_an_error_is_a_commit_and_corrupt_bytes_stay_kept() {
    let Ok(path) = env::var(PART) else {
        // The number that a repeated call gets, and one that says nothing of the name.
        for error in ["RENAME_TAKES_EFFECT_AND_FAILS=ENOENT", "RENAME_TAKES_EFFECT_AND_FAILS=EIO"] {
            AlteredCalls::new(&[error]).again(this_test!());
        }
        return;
    };
    put(path.as_ref(), "precious {");
    touch(path.as_ref()).unwrap();
    assert_eq!(read_registry(&path).unwrap().0.updated_at(), 7);
    let kept = kept_files(path.as_ref());
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), "precious {");
}

#[test]
fn a_rename_whose_outcome_cannot_be_told_is_reported_as_that_and_corrupt_bytes_stay_kept() {
    let Ok(path) = env::var(PART) else {
        let changes = ["RENAME_TAKES_EFFECT_AND_FAILS=EIO", "LOOKS_FAIL_AFTER_RENAME"];
        return AlteredCalls::new(&changes).again(this_test!());
    };
    put(path.as_ref(), "precious {");
    let unknown = touch(path.as_ref()).unwrap_err();
    assert_eq!(unknown.code(), "IO");
    let message = unknown.to_string();
    assert!(message.contains("tell whether the new content has replaced"), "{message}");
    let kept = kept_files(path.as_ref());
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), "precious {");
}

#[test]
fn a_link_that_is_made_and_reports_that_it_existed_is_a_link() {
    let Ok(path) = env::var(PART) else {
        AlteredCalls::new(&["LINK_TAKES_EFFECT_AND_FAILS=EEXIST"]).again(this_test!());
        return AlteredCalls::new(&["LINK_TAKES_EFFECT_AND_FAILS=EEXIST", "NO_KERNEL_LOCKS"])
            .again(this_test!());
    };
    put(path.as_ref(), "precious {");
    touch(path.as_ref()).unwrap();
    let kept = kept_files(path.as_ref());
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), "precious {");
    assert!(!Path::new(&format!("{path}.lock")).exists());
}
