//! Errors name their files as the caller spelled them. The temporary folder of macOS is behind a symbolic
//! link: there a caller that compared an error's path with its own found another.

use std::fs;
use std::path::{Path, PathBuf};

use argus_registry::{
    announce_watcher, inspect_lock_file, try_lock_exclusive, update_registry, with_registry_lock,
    write_registry, Document, Error, LockOptions, OnWarning, RegistryLock, RegistryV1, UpdateError,
    UpdateOptions, Warning, WatcherRecord,
};

use crate::support::counter::{count_up, counter, Counter};
use crate::support::files::put;

/// A folder, and a symbolic link to it.
fn linked_folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("real", &link).unwrap();
    (dir, link)
}

fn path_of<T: std::fmt::Debug>(result: Result<T, Error>) -> PathBuf {
    let error = result.unwrap_err();
    assert!(error.to_string().contains(error.path().to_str().unwrap()), "{error}");
    error.path().to_path_buf()
}

fn one_try() -> UpdateOptions {
    UpdateOptions { lock: LockOptions::one_try(), ..UpdateOptions::default() }
}

#[test]
fn the_errors_of_a_document_are_spelled_as_its_path() {
    let (_dir, folder) = linked_folder();
    let path = folder.join("doc.json");
    let document = counter(&path);
    assert_eq!(path_of(document.load()), path);
    document.save(&mut Counter::default()).unwrap();
    let lock_file = path.with_extension("lock");
    assert_eq!(document.lock_path().unwrap(), lock_file);
    // As veil's own test has it.
    let held = try_lock_exclusive(path.with_extension("lock")).unwrap();
    assert_eq!(path_of(document.load()), lock_file);
    assert_eq!(path_of(document.save(&mut Counter::default())), lock_file);
    assert_eq!(path_of(document.update(&LockOptions::one_try(), count_up)), lock_file);
    drop(held);
    let nested = document.update(&LockOptions::one_try(), |_| document.load().map(|_| ()));
    assert_eq!(path_of(nested), path);
    // What cannot be resolved, either.
    assert_eq!(path_of(counter(&folder).load()), folder);
    // The message why there is no lock names the lock file.
    fs::remove_file(&lock_file).unwrap();
    fs::create_dir(&lock_file).unwrap();
    assert_eq!(path_of(document.load()), lock_file);
    fs::remove_dir(&lock_file).unwrap();
    put(&path, "not JSON");
    assert_eq!(path_of(document.load()), path);
    let (send, warned) = std::sync::mpsc::channel();
    let warn = OnWarning::new(move |warning: &Warning| send.send(warning.clone()).unwrap());
    document.clone().on_warning(warn).save(&mut Counter::default()).unwrap();
    let Warning::Corrupt { path: at, kept, .. } = warned.recv().unwrap() else { panic!() };
    assert_eq!((&*at, kept.unwrap().parent().unwrap()), (&*path, &*folder));
    // The other kind of lock: both files.
    let registry = counter(&path).registry_lock();
    match registry.update(&LockOptions::one_try(), count_up) {
        Err(Error::LockMismatch { path: at, in_use, .. }) => {
            assert_eq!((&at, &in_use), (&path, &lock_file));
        }
        other => panic!("{other:?}"),
    }
}

/// Beside the target of a link there is no file that the caller's spelling leads to.
#[test]
fn a_document_that_is_itself_a_link_has_its_lock_file_beside_the_target() {
    let (dir, folder) = linked_folder();
    put(&folder.join("doc.json"), r#"{"count":1}"#);
    for name in ["other.json", "doc.json"] {
        let link = dir.path().join(name);
        std::os::unix::fs::symlink("real/doc.json", &link).unwrap();
        let lock_file = fs::canonicalize(&folder).unwrap().join("doc.lock");
        let held = try_lock_exclusive(&lock_file).unwrap();
        assert_eq!(path_of(counter(&link).load()), lock_file, "{name}");
        drop(held);
        put(&folder.join("doc.json"), "no");
        assert_eq!(path_of(counter(&link).load()), link, "{name}");
    }
}

#[test]
fn the_errors_of_a_registry_are_spelled_as_its_path() {
    let (_dir, folder) = linked_folder();
    let path = folder.join("registry.json");
    let nothing = |_: &mut RegistryV1| Ok::<_, Error>(());
    let watcher = || WatcherRecord::new("a", "127.0.0.1", 1);
    let calls = |path: &Path| {
        [
            path_of(update_registry(path, &one_try(), nothing)),
            path_of(write_registry(path, &RegistryV1::new(), &one_try())),
            path_of(with_registry_lock(path, &one_try().lock, |_| Ok::<_, Error>(()))),
            path_of(RegistryLock::acquire(path, &one_try().lock)),
            path_of(announce_watcher(path, watcher(), &one_try())),
        ]
    };
    let lock = RegistryLock::acquire(&path, &LockOptions::default()).unwrap();
    assert_eq!(calls(&path), [&*path; 5]);
    fs::remove_file(folder.join("registry.json.lock")).unwrap();
    assert_eq!(path_of(lock.check()), path);
    assert_eq!(path_of(lock.write(&RegistryV1::new(), &one_try())), path);
    drop(lock);
    with_registry_lock(&path, &one_try().lock, |_| {
        assert_eq!(calls(&path), [&*path; 5]);
        Ok::<_, Error>(())
    })
    .unwrap();
    assert!(inspect_lock_file(folder.join("registry.lock")).is_ok_and(|found| !found.exists));
    put(&path, r#"{"version":2}"#);
    assert_eq!(path_of(update_registry(&path, &one_try(), nothing)), path);
    put(&folder.join("registry.lock"), "");
    fs::remove_file(folder.join("registry.json.guard")).unwrap();
    let Err(Error::LockMismatch { in_use, .. }) = RegistryLock::acquire(&path, &one_try().lock)
    else {
        panic!()
    };
    assert_eq!(in_use, folder.join("registry.lock"));
}

/// An updater's own errors are its caller's, whatever they name.
#[test]
fn an_updaters_own_error_is_returned_as_it_is() {
    let (_dir, folder) = linked_folder();
    let document = counter(&folder.join("doc.json"));
    let target = fs::canonicalize(&folder).unwrap().join("doc.json");
    let own = || Error::Aborted { path: target.clone() };
    let failed = document.update(&LockOptions::one_try(), |_| Err::<(), _>(own()));
    assert_eq!(failed.unwrap_err().path(), target);
    // A type that knows nothing of this crate.
    #[derive(Debug)]
    struct Full(u8);
    let failed =
        document.update(&LockOptions::one_try(), |_| Err::<(), _>(UpdateError::Updater(Full(7))));
    assert!(matches!(failed, Err(UpdateError::Updater(Full(7)))), "{failed:?}");
    let without_file = Document::<Counter>::json(folder.join("doc.json"));
    let failed = without_file.update(&LockOptions::one_try(), |_| Ok::<_, UpdateError<Full>>(()));
    let Err(UpdateError::Failed(error)) = failed else { panic!("{failed:?}") };
    assert_eq!((error.code(), error.path()), ("NOT_FOUND", &*folder.join("doc.json")));
    let failed = update_registry(folder.join("r.json"), &one_try(), |_| {
        Err::<(), _>(UpdateError::Updater(Full(8)))
    });
    assert!(matches!(failed, Err(UpdateError::Updater(Full(8)))), "{failed:?}");
}
