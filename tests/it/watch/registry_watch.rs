//! Watching a registry, on real files and threads.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use argus_registry::{watch_registry, Error, RegistryV1, Warning};

use crate::support::files::{self, registry_path};
use crate::support::registries::{self, patient};

/// Ends a test that hangs, not one that is slow.
const HANG_LIMIT: Duration = Duration::from_secs(60);

/// Replaces a file in one step, as a program without this crate would: no reader sees half of it.
#[allow(clippy::disallowed_methods, reason = "a program without this crate")]
fn replace(path: &Path, text: &str) {
    let temp = path.with_extension("other");
    files::put(&temp, text);
    while let Err(error) = fs::rename(&temp, path) {
        // On some systems no file is replaced while the watch reads it.
        assert!(cfg!(windows) && error.kind() == ErrorKind::PermissionDenied, "{error}");
        thread::yield_now();
    }
}

fn add(path: &Path, id: &str) {
    registries::add(path, id, &patient()).unwrap();
}

type State = Result<(RegistryV1, Vec<Warning>), Error>;

/// The states of a file as they come, from a thread that asks for them. The thread ends when the
/// receiver is gone.
fn watched(path: &Path) -> Receiver<State> {
    let watch = watch_registry(path).unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || watch.map(|state| sender.send(state)).find(Result::is_err));
    receiver
}

/// Waits for the state with this watcher.
fn until_has(states: &Receiver<State>, id: &str) {
    loop {
        let (registry, _) = states.recv_timeout(HANG_LIMIT).expect(id).unwrap();
        if registry.watcher(id).is_some() {
            return;
        }
    }
}

fn warning(states: &Receiver<State>) -> Option<Warning> {
    let (registry, warnings) = states.recv_timeout(HANG_LIMIT).unwrap().unwrap();
    assert_eq!(registry.watchers().count(), 0);
    warnings.into_iter().next()
}

#[test]
fn every_state_is_delivered_from_a_missing_file_to_a_deleted_one() {
    let (_dir, path) = registry_path();
    let states = watched(&path);
    assert!(matches!(warning(&states), Some(Warning::Missing { .. })));
    add(&path, "one");
    until_has(&states, "one");
    add(&path, "two");
    until_has(&states, "two");
    replace(&path, "no registry");
    assert!(matches!(warning(&states), Some(Warning::Corrupt { .. })));
    replace(&path, r#"{"version":2}"#);
    assert!(matches!(warning(&states), Some(Warning::UnsupportedVersion { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(warning(&states), Some(Warning::Missing { .. })));
}

#[test]
fn folders_that_are_deleted_and_made_again_under_one_name_are_watched() {
    let (dir, _) = registry_path();
    let path = dir.path().join("a").join("b").join("registry.json");
    let states = watched(&path);
    assert!(matches!(warning(&states), Some(Warning::Missing { .. })));
    for round in 0..20 {
        add(&path, &format!("round {round}"));
        until_has(&states, &format!("round {round}"));
        fs::remove_dir_all(dir.path().join(if round % 2 == 0 { "a" } else { "a/b" })).unwrap();
    }
}

#[test]
fn a_caller_that_asks_late_gets_the_last_state_only() {
    let (_dir, path) = registry_path();
    let mut watch = watch_registry(&path).unwrap();
    watch.next().unwrap().unwrap();
    for id in ["one", "two", "three"] {
        add(&path, id);
    }
    let (registry, warnings) = watch.next().unwrap().unwrap();
    assert_eq!((registry.watchers().count(), warnings.len()), (3, 0));
    add(&path, "four");
    assert_eq!(watch.next().unwrap().unwrap().0.watchers().count(), 4);
}

#[test]
fn equal_content_is_not_delivered_as_a_change() {
    let (_dir, path) = registry_path();
    let text = |number| format!(r#"{{"version":1,"updatedAt":{number},"watchers":{{}}}}"#);
    replace(&path, &text(1));
    let states = watched(&path);
    let next = || states.recv_timeout(HANG_LIMIT).unwrap().unwrap().0.updated_at();
    assert_eq!(next(), 1);
    for number in 2..6 {
        replace(&path, &text(number - 1));
        // Long enough for the watch to notice it, in a burst of its own.
        assert!(states.recv_timeout(Duration::from_millis(60)).is_err());
        replace(&path, &text(number));
        assert_eq!(next(), number);
    }
}

#[test]
fn cancelling_ends_a_wait_and_the_iteration() {
    let (_dir, path) = registry_path();
    let mut watch = watch_registry(&path).unwrap();
    let token = watch.cancel_token();
    assert!(watch.next().unwrap().is_ok());
    let waiting = thread::spawn(move || (watch.next().is_none(), watch.next().is_none()));
    token.cancel();
    assert_eq!(waiting.join().unwrap(), (true, true));
}

#[test]
fn a_path_that_can_not_be_watched_is_an_error_and_ends_the_iteration() {
    let (dir, _) = registry_path();
    for bad in [Path::new(""), Path::new("/")] {
        assert_eq!(watch_registry(bad).unwrap_err().code(), "INVALID_VALUE", "{}", bad.display());
    }
    let file = dir.path().join("file");
    replace(&file, "");
    assert_eq!(watch_registry(file.join("")).unwrap_err().code(), "IO");
    // Windows has no file where this one should be.
    if cfg!(unix) {
        let bad = file.join("registry.json");
        let mut watch = watch_registry(&bad).unwrap();
        assert_eq!(watch.next().unwrap().unwrap_err().code(), "IO", "{}", bad.display());
        assert!(watch.next().is_none());
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_when_they_are_pointed_elsewhere() {
    use std::os::unix::fs::symlink;
    let (dir, path) = registry_path();
    let point = |link: &Path, target: &Path| {
        let _ = fs::remove_file(link);
        symlink(target, link).unwrap();
    };
    let at = |name: &str| dir.path().join(name);
    for name in ["one", "two"] {
        add(&at(name).join("registry.json"), name);
    }
    // A link to a file behind a link to a folder.
    point(&at("folder"), Path::new("one"));
    point(&path, Path::new("folder/registry.json"));
    let states = watched(&path);
    until_has(&states, "one");
    add(&at("one").join("registry.json"), "one more");
    until_has(&states, "one more");
    point(&at("folder"), Path::new("two"));
    until_has(&states, "two");
    point(&path, Path::new("not there yet/registry.json"));
    assert!(matches!(warning(&states), Some(Warning::Missing { .. })));
    add(&path, "three");
    until_has(&states, "three");
    // A file in place of the link.
    fs::remove_file(&path).unwrap();
    add(&path, "four");
    until_has(&states, "four");
}
