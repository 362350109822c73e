//! A lock that is taken away after its holder has written.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use argus_registry::{
    announce_watcher, read_registry, update_registry, with_registry_lock, write_registry, Document,
    Error, LockOptions, OnWarning, RegistryLock, RegistryV1, UpdateOptions, Warning,
};

use crate::support::altered_calls::AlteredCalls;
use crate::support::files::{document_path, names_in, registry_path, text};
use crate::support::processes::{this_test, PART};
use crate::support::registries::{ids, one_try, watcher};

#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<Warning>>>);

impl Warnings {
    fn receiver(&self) -> OnWarning {
        let warnings = self.0.clone();
        OnWarning::new(move |warning| warnings.lock().unwrap().push(warning.clone()))
    }

    fn options(&self) -> UpdateOptions {
        UpdateOptions { on_warning: self.receiver(), ..one_try() }
    }

    fn take(&self) -> Vec<Warning> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn lost(path: &Path) -> Vec<Warning> {
    vec![Warning::LockLost { path: path.to_path_buf() }]
}

fn registry_of(id: &str) -> RegistryV1 {
    let mut registry = RegistryV1::new();
    registry.set_watcher(watcher(id));
    registry
}

/// Another program removes the lockfile just after the rename, at which no check can see it.
#[test]
fn a_call_that_has_written_when_its_lock_is_taken_away_succeeds_with_a_warning() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["LOCK_REMOVED_AFTER_RENAME"]).again(this_test!());
    };
    let path = Path::new(&path);
    let warnings = Warnings::default();
    let options = warnings.options();
    let lock = || RegistryLock::acquire(path, &LockOptions::one_try()).unwrap();

    update_registry(path, &options, |registry| {
        registry.set_watcher(watcher("a"));
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!((ids(path), warnings.take()), (vec!["a".to_owned()], lost(path)));
    announce_watcher(path, watcher("b"), &options).unwrap();
    assert_eq!((ids(path).len(), warnings.take()), (2, lost(path)));
    write_registry(path, &registry_of("c"), &options).unwrap();
    assert_eq!((ids(path), warnings.take()), (vec!["c".to_owned()], lost(path)));
    let guard = lock();
    guard.write(&registry_of("d"), &options).unwrap();
    guard.release().unwrap();
    assert_eq!((ids(path), warnings.take()), (vec!["d".to_owned()], lost(path)));
    let guard = lock();
    guard.write(&registry_of("e"), &options).unwrap();
    drop(guard);
    assert_eq!((ids(path), warnings.take()), (vec!["e".to_owned()], lost(path)));
    // A body that fails tells nothing of what it has written.
    let failed = with_registry_lock(path, &LockOptions::one_try(), |lock| {
        lock.write(&registry_of("f"), &options)?;
        Err::<(), _>(Error::Aborted { path: PathBuf::new() })
    });
    assert_eq!(failed.unwrap_err().code(), "ABORTED");
    assert_eq!((ids(path), warnings.take()), (vec!["f".to_owned()], lost(path)));
    // An update that changes nothing writes nothing.
    update_registry(path, &options, |_| {
        fs::remove_file(path.with_extension("json.lock")).unwrap();
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!(warnings.take(), []);

    for registry_lock in [false, true] {
        let path = path.with_file_name(if registry_lock { "shared.json" } else { "own.json" });
        let document = Document::json(&path).empty(|| 0_u32).durable(false);
        let document = document.on_warning(warnings.receiver());
        let document = if registry_lock { document.registry_lock() } else { document };
        document.save(&mut 7).unwrap();
        assert_eq!((text(&path).as_str(), warnings.take()), ("7", lost(&path)));
        let count_up = |number: &mut u32| {
            *number += 1;
            Ok::<_, Error>(())
        };
        document.update(&LockOptions::one_try(), count_up).unwrap();
        assert_eq!((text(&path).as_str(), warnings.take()), ("8", lost(&path)));
        document.update(&LockOptions::one_try(), |_| Ok::<_, Error>(())).unwrap();
        assert_eq!(warnings.take(), []);
    }
}

/// The error said that nothing was written.
#[test]
fn a_lock_that_is_lost_after_a_write_under_it_is_an_error_that_says_that_it_was_written() {
    let (_dir, path) = registry_path();
    let lockfile = path.with_extension("json.lock");
    let warnings = Warnings::default();
    for write in [true, false] {
        let lost = with_registry_lock(&path, &LockOptions::one_try(), |lock| {
            if write {
                lock.write(&registry_of("a"), &warnings.options())?;
            }
            fs::remove_file(&lockfile).unwrap();
            let refused = lock.write(&registry_of("b"), &warnings.options()).unwrap_err();
            assert!(matches!(refused, Error::LockLost { written: false, .. }), "{refused}");
            assert!(refused.to_string().contains("so it was not written"), "{refused}");
            Ok::<_, Error>(())
        })
        .unwrap_err();
        assert!(matches!(lost, Error::LockLost { written, .. } if written == write), "{lost}");
        assert_eq!(lost.to_string().contains("not written"), !write, "{lost}");
        assert_eq!(read_registry(&path).unwrap().0.ids().collect::<Vec<_>>(), ["a"]);
        assert_eq!(warnings.take(), [], "the error has told it");
    }
}

#[test]
fn a_release_of_a_lock_that_was_kept_gives_no_warning() {
    let (_dir, path) = document_path();
    let warnings = Warnings::default();
    let document = Document::json(&path).empty(|| 0_u32).on_warning(warnings.receiver());
    document.save(&mut 1).unwrap();
    let registry = path.with_file_name("registry.json");
    let lock = RegistryLock::acquire(&registry, &LockOptions::one_try()).unwrap();
    lock.write(&registry_of("a"), &warnings.options()).unwrap();
    lock.check().unwrap();
    lock.release().unwrap();
    assert_eq!(warnings.take(), []);
    let names = ["doc.json", "doc.lock", "registry.json", "registry.json.guard"];
    assert_eq!(names_in(path.parent().unwrap()), names);
}
