//! Watching, in Rust, on real files and threads.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use argus_registry::{
    update_registry, watch_registry, Error, RegistryV1, UpdateOptions, Warning, WatcherRecord,
};
use tempfile::TempDir;

/// For a test that hangs, not for one that is slow.
const TOO_LONG: Duration = Duration::from_secs(60);

fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("registry.json");
    (dir, path)
}

/// Replaces a file as a program that is not ours would: no reader sees half of it.
#[allow(clippy::disallowed_methods, reason = "it is not ours")]
fn put(path: &Path, text: &str) {
    let temp = path.with_extension("other");
    fs::File::create(&temp).unwrap().write_all(text.as_bytes()).unwrap();
    fs::rename(temp, path).unwrap();
}

fn add(path: &Path, id: &str) {
    let options = UpdateOptions { durable: false, ..UpdateOptions::default() };
    update_registry(path, &options, |registry| {
        registry.set_watcher(WatcherRecord::new(id, "127.0.0.1", 1));
        Ok::<_, Error>(())
    })
    .unwrap();
}

type State = Result<(RegistryV1, Vec<Warning>), Error>;

/// The states of a file as they come, from a thread that asks for them. It is told to end when
/// nobody listens any more.
fn watched(path: &Path) -> Receiver<State> {
    let watch = watch_registry(path).unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || watch.map(|state| sender.send(state)).find(Result::is_err));
    receiver
}

/// Waits for the state with this watcher.
fn until_has(states: &Receiver<State>, id: &str) {
    loop {
        let (registry, _) = states.recv_timeout(TOO_LONG).expect(id).unwrap();
        if registry.watcher(id).is_some() {
            return;
        }
    }
}

fn warning(states: &Receiver<State>) -> Option<Warning> {
    let (registry, warnings) = states.recv_timeout(TOO_LONG).unwrap().unwrap();
    assert_eq!(registry.watchers().count(), 0);
    warnings.into_iter().next()
}

#[test]
fn every_state_comes_from_a_file_that_is_missing_to_one_that_is_gone() {
    let (_dir, path) = folder();
    let states = watched(&path);
    assert!(matches!(warning(&states), Some(Warning::Missing { .. })));
    add(&path, "one");
    until_has(&states, "one");
    add(&path, "two");
    until_has(&states, "two");
    put(&path, "no registry");
    assert!(matches!(warning(&states), Some(Warning::Corrupt { .. })));
    put(&path, r#"{"version":2}"#);
    assert!(matches!(warning(&states), Some(Warning::UnsupportedVersion { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(warning(&states), Some(Warning::Missing { .. })));
}

#[test]
fn folders_come_go_and_come_back_under_the_same_name() {
    let (dir, _) = folder();
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
fn a_late_caller_gets_the_last_state_and_no_other() {
    let (_dir, path) = folder();
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
fn equal_content_is_no_change() {
    let (_dir, path) = folder();
    let text = |number| format!(r#"{{"version":1,"updatedAt":{number},"watchers":{{}}}}"#);
    put(&path, &text(1));
    let states = watched(&path);
    let next = || states.recv_timeout(TOO_LONG).unwrap().unwrap().0.updated_at();
    assert_eq!(next(), 1);
    for number in 2..6 {
        put(&path, &text(number - 1));
        // Long enough for it to be noticed, in a burst of its own.
        assert!(states.recv_timeout(Duration::from_millis(60)).is_err());
        put(&path, &text(number));
        assert_eq!(next(), number);
    }
}

#[test]
fn cancelling_ends_a_wait_and_the_iteration() {
    let (_dir, path) = folder();
    let mut watch = watch_registry(&path).unwrap();
    let token = watch.cancel_token();
    assert!(watch.next().unwrap().is_ok());
    let waiter = thread::spawn(move || (watch.next().is_none(), watch.next().is_none()));
    token.cancel();
    assert_eq!(waiter.join().unwrap(), (true, true));
}

#[test]
fn what_can_t_be_watched_is_said_and_ends_the_iteration() {
    let (dir, _) = folder();
    for bad in [Path::new(""), Path::new("/"), &dir.path().join("x/"), &dir.path().join("..")] {
        assert_eq!(watch_registry(bad).unwrap_err().code(), "INVALID_VALUE", "{}", bad.display());
    }
    let file = dir.path().join("file");
    put(&file, "");
    // Windows denies the one, and has nothing where the other should be.
    let bad: &[&Path] = if cfg!(unix) { &[dir.path(), &file.join("registry.json")] } else { &[] };
    for bad in bad {
        let mut watch = watch_registry(bad).unwrap();
        assert_eq!(watch.next().unwrap().unwrap_err().code(), "IO", "{}", bad.display());
        assert!(watch.next().is_none());
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_wherever_they_are_pointed() {
    use std::os::unix::fs::symlink;
    let (dir, path) = folder();
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
    // And a file in place of the link.
    fs::remove_file(&path).unwrap();
    add(&path, "four");
    until_has(&states, "four");
}
