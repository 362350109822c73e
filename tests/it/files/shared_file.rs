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
