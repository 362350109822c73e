//! A panic in a caller's code under the lock: the lock is released, and nothing is written.

use std::panic::{catch_unwind, AssertUnwindSafe};

use argus_registry::{update_registry, with_registry_lock, Document, Error, LockOptions};

use crate::support::files::{document_path, names_in, registry_path, text};
use crate::support::registries::{add, ids, one_try};

/// Runs a call in which a function of the caller panics.
fn panics(call: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
}

#[test]
fn an_updater_that_panics_releases_the_registrys_lock_and_writes_nothing() {
    let (dir, path) = registry_path();
    add(&path, "a", &one_try()).unwrap();
    let before = text(&path);
    for _ in 0..2 {
        panics(|| {
            let _ = update_registry(&path, &one_try(), |registry| -> Result<(), Error> {
                registry.remove_watcher("a");
                panic!("on purpose")
            });
        });
        panics(|| {
            let lock = LockOptions::one_try();
            let _ =
                with_registry_lock(&path, &lock, |_| -> Result<(), Error> { panic!("on purpose") });
        });
        assert_eq!(text(&path), before);
        assert_eq!(names_in(dir.path()), ["registry.json", "registry.json.guard"]);
    }
    add(&path, "b", &one_try()).unwrap();
    assert_eq!(ids(&path), ["a", "b"]);
}

#[test]
fn an_updater_that_panics_releases_the_documents_lock_and_writes_nothing() {
    let (dir, path) = document_path();
    let list = Document::<Vec<u32>>::json(&path).empty(Vec::new);
    for _ in 0..2 {
        panics(|| {
            let _ = list.update(&LockOptions::one_try(), |list| -> Result<(), Error> {
                list.push(1);
                panic!("on purpose")
            });
        });
        assert_eq!(names_in(dir.path()), ["doc.lock"]);
    }
    list.save(&mut vec![2]).unwrap();
    assert_eq!(list.load().unwrap().value, [2]);
}
