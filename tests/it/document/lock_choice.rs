//! One file is used under one kind of lock. A document's lock file and a registry's guard do not exclude
//! each other, so the second kind that comes to a file is refused.

use std::fs;
use std::path::{Path, PathBuf};

use argus_registry::{
    update_registry, with_registry_lock, Document, Error, LockFile, LockKind, LockOptions,
    RegistryV1, UpdateOptions,
};

use crate::support::files::{document_path, names_in};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let (dir, path) = document_path();
    (dir, path.with_file_name("config.json"))
}

fn counter(path: &Path) -> Document<u32> {
    Document::json(path).empty(|| 0)
}

fn count_up(count: &mut u32) -> Result<u32, Error> {
    *count += 1;
    Ok(*count)
}

fn one_try() -> LockOptions {
    LockOptions::one_try()
}

fn names(path: &Path) -> Vec<String> {
    names_in(path.parent().unwrap())
}

/// What each kind of caller gets on one file.
fn results(path: &Path) -> Vec<(&'static str, Result<(), Error>)> {
    let document = counter(path);
    let shared = counter(path).registry_lock();
    let nothing = |_: &mut RegistryV1| Ok::<_, Error>(());
    vec![
        ("document update", document.update(&one_try(), count_up).map(|_| ())),
        ("document save", document.save(&mut 1)),
        ("document load", document.load().map(|_| ())),
        ("registry-locked update", shared.update(&one_try(), count_up).map(|_| ())),
        ("registry-locked save", shared.save(&mut 1)),
        ("registry-locked load", shared.load().map(|_| ())),
        ("registry lock", with_registry_lock(path, &one_try(), |_| Ok::<_, Error>(()))),
        ("registry update", update_registry(path, &UpdateOptions::default(), nothing)),
    ]
}

fn mismatch(result: &Result<(), Error>) -> Option<(&Path, LockKind)> {
    match result {
        Err(Error::LockMismatch { in_use, kind, .. }) => Some((in_use, *kind)),
        _ => None,
    }
}

#[test]
fn a_file_used_under_a_lock_file_is_refused_to_callers_of_the_registry_lock() {
    let (_dir, path) = folder();
    counter(&path).update(&one_try(), count_up).unwrap();
    let lock_file = path.with_extension("lock");
    for (call, result) in results(&path) {
        if call.starts_with("document") {
            result.unwrap();
            continue;
        }
        assert_eq!(mismatch(&result), Some((&*lock_file, LockKind::LockFile)), "{call}");
        let message = result.unwrap_err().to_string();
        assert!(message.contains(lock_file.to_str().unwrap()), "{message}");
    }
    assert_eq!(names(&path), ["config.json", "config.lock"], "a refused call leaves no trace");
}

#[test]
fn a_file_used_under_the_registry_lock_is_refused_to_documents_with_a_lock_file() {
    let (_dir, path) = folder();
    counter(&path).registry_lock().update(&one_try(), count_up).unwrap();
    let guard = path.with_file_name("config.json.guard");
    for (call, result) in results(&path) {
        match call {
            "document update" | "document save" | "document load" => {
                assert_eq!(mismatch(&result), Some((&*guard, LockKind::Registry)), "{call}");
                let message = result.unwrap_err().to_string();
                assert!(message.contains(guard.to_str().unwrap()), "{message}");
            }
            // A number is no registry: it is kept, and replaced by nothing.
            _ => result.unwrap(),
        }
    }
    assert_eq!(counter(&path).registry_lock().load().unwrap().value, 1);
    assert_eq!(names(&path), ["config.json", "config.json.guard"]);
}

/// The first one made its guard between the lock and the rename of the second one, which wrote.
#[test]
fn a_guard_that_is_made_during_a_documents_update_keeps_it_from_writing() {
    let (_dir, path) = folder();
    counter(&path).save(&mut 7).unwrap();
    let other_lock = LockFile::At(path.with_file_name("elsewhere.lock"));
    let document = counter(&path).lock_file(other_lock);
    fs::remove_file(path.with_extension("lock")).unwrap();
    let refused = document.update(&one_try(), |count| {
        counter(&path).registry_lock().update(&one_try(), count_up)?;
        count_up(count)
    });
    assert_eq!(refused.unwrap_err().code(), "LOCK_MISMATCH");
    assert_eq!(fs::read_to_string(&path).unwrap(), "8", "what the other lock's holder wrote stays");
}

#[test]
fn a_document_under_the_registry_lock_and_a_registry_call_exclude_each_other() {
    let (_dir, path) = folder();
    let shared = counter(&path).registry_lock();
    shared
        .update(&one_try(), |count| {
            let busy = std::thread::scope(|scope| {
                let other = scope.spawn(|| {
                    with_registry_lock(&path, &one_try(), |_| Ok::<_, Error>(())).unwrap_err()
                });
                other.join().unwrap()
            });
            assert_eq!(busy.code(), "LOCK_BUSY");
            let nested = with_registry_lock(&path, &one_try(), |_| Ok::<_, Error>(()));
            assert_eq!(nested.unwrap_err().code(), "RE_ENTRANT");
            assert!(path.with_file_name("config.json.lock").exists(), "older argus sees it held");
            count_up(count)
        })
        .unwrap();
    assert!(!path.with_file_name("config.json.lock").exists());
    let loaded = shared.load().unwrap();
    assert_eq!((loaded.value, loaded.locked), (1, false));
    assert_eq!(shared.lock_path().unwrap(), path.with_file_name("config.json.guard"));
}

#[test]
fn a_lock_file_with_the_name_of_a_lockfile_or_guard_is_refused() {
    let (_dir, path) = folder();
    for name in ["config.json.lock", "config.json.guard", "config.json"] {
        let lock_file = LockFile::At(path.with_file_name(name));
        let document = counter(&path).lock_file(lock_file);
        let refused = document.update(&one_try(), count_up).unwrap_err();
        assert_eq!(refused.code(), "INVALID_VALUE", "{name}");
    }
    // The default lock file of a name without an extension has the name of its lockfile.
    let bare = counter(&path.with_file_name("config")).update(&one_try(), count_up);
    assert_eq!(bare.unwrap_err().code(), "INVALID_VALUE");
    assert!(names(&path).is_empty());
}
