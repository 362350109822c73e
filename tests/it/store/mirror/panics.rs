//! What becomes of a panic of a store on the mirror's thread. It ended the thread without a report.

use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use argus_registry::{start_mirror, RegistryStore};

use super::*;
use crate::support::panicking_store::PanickingStore;

/// A mirror that works, of a folder that has an entry; the messages of its errors.
fn start_panicking(dir: &Path) -> (Arc<PanickingStore>, PathBuf, Mirror, mpsc::Receiver<String>) {
    let (folder, file) = (dir.join("registry/"), dir.join("registry.json"));
    announce_watcher(&folder, watcher("first"), &patient()).unwrap();
    let store = Arc::new(PanickingStore::new(&folder));
    let (sender, errors) = mpsc::channel();
    let on_error = OnError::new(move |error| {
        let _ = sender.send(format!("{} {error}", error.code()));
    });
    let options = MirrorOptions { update: patient(), on_error };
    let mirror = start_mirror(store.clone(), &file, options).unwrap();
    (store, file, mirror, errors)
}

fn next(errors: &mpsc::Receiver<String>) -> String {
    errors.recv_timeout(Duration::from_secs(60)).unwrap()
}

#[test]
fn a_panic_of_a_round_is_reported_and_the_mirror_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file, mirror, errors) = start_panicking(dir.path());
    assert!(mirror.wait_until_working());
    store.reads_panic.store(true, Ordering::SeqCst);
    announce_watcher(store.path(), watcher("second"), &patient()).unwrap();
    let error = next(&errors);
    assert!(error.starts_with("INTERNAL ") && error.contains("told to panic in read"), "{error}");
    assert!(error.contains("registry.json"), "{error}");
    store.reads_panic.store(false, Ordering::SeqCst);
    await_ids(&file, &["first", "second"]);
    assert!(mirror.wait_until_working());
    mirror.stop();
    assert_eq!(errors.try_iter().count(), 0, "it was reported once");
}

/// The mirror went on without its watch, and learned of changes up to ten seconds late.
#[test]
fn a_panic_of_a_watch_is_reported_and_the_next_watch_wakes_the_mirror() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("registry/");
    announce_watcher(&folder, watcher("first"), &patient()).unwrap();
    let store = Arc::new(PanickingStore::new(&folder));
    store.watch_panics.store(true, Ordering::SeqCst);
    let (sender, errors) = mpsc::channel();
    let on_error = OnError::new(move |error| _ = sender.send(error.to_string()));
    let options = MirrorOptions { update: patient(), on_error };
    let mirror = start_mirror(store, dir.path().join("registry.json"), options).unwrap();
    let error = next(&errors);
    assert!(error.contains("told to panic in watch"), "{error}");
    assert!(mirror.wait_until_working());
    mirror.stop();
    assert_eq!(errors.try_iter().count(), 0);
}

/// The caller's own function: it would panic again.
#[test]
fn a_panic_of_on_error_ends_the_mirror_and_is_not_given_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("registry/");
    let store = Arc::new(PanickingStore::new(&folder));
    store.reads_panic.store(true, Ordering::SeqCst);
    let called = Arc::new(AtomicU64::new(0));
    let calls = called.clone();
    let on_error = OnError::new(move |_| {
        calls.fetch_add(1, Ordering::SeqCst);
        panic!("of on_error");
    });
    let options = MirrorOptions { update: patient(), on_error };
    let mirror = start_mirror(store, dir.path().join("registry.json"), options).unwrap();
    assert!(!mirror.wait_until_working());
    mirror.wait();
    assert_eq!(called.load(Ordering::SeqCst), 1);
    // Also from within a round.
    let (folder, file) = (dir.path().join("other/"), dir.path().join("other.json"));
    put(&file, r#"{"version":1,"updatedAt":5,"watchers":{"":{}}}"#);
    let has_panicked = Arc::new(AtomicBool::new(false));
    let panicked = has_panicked.clone();
    let on_error = OnError::new(move |error| {
        assert_eq!(error.code(), "INVALID_VALUE");
        panicked.store(true, Ordering::SeqCst);
        panic!("of on_error");
    });
    let mirror = mirror_registry(folder, file, MirrorOptions { update: patient(), on_error });
    mirror.unwrap().wait();
    assert!(has_panicked.load(Ordering::SeqCst));
}
