//! Calls from inside an updater for the lock under which the updater runs. Each would wait for itself,
//! and without a timeout it would never return.

use std::path::Path;

use argus_registry::{
    heartbeat_watcher, lock_exclusive, lock_shared, try_lock_exclusive, update_registry,
    with_registry_lock, write_registry, Document, Error, LockFile, LockOptions, OnWarning,
    RegistryLock, RegistryV1, UpdateOptions,
};

use crate::support::counter::{count_up, counter, Counter};
use crate::support::files::{document_path, put};

fn without_timeout() -> LockOptions {
    LockOptions { timeout: None, ..LockOptions::default() }
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "OK")
}

/// Every call on a document, waiting without a timeout.
fn calls(document: &Document<Counter>) -> [&'static str; 5] {
    let options = without_timeout();
    [
        code(document.load()),
        code(document.load_with(&options)),
        code(document.save(&mut Counter::default())),
        code(document.save_with(&options, &mut Counter::default())),
        code(document.update(&options, count_up)),
    ]
}

#[test]
fn every_call_for_a_lock_that_the_updater_is_under_is_refused() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    let lock_file = path.with_extension("lock");
    document
        .update(&without_timeout(), |count| {
            assert_eq!(calls(&document), ["RE_ENTRANT"; 5]);
            // Another document that shares the lock file, by default or by its caller's choice.
            put(&path.with_extension("data"), r#"{"count":1}"#);
            assert_eq!(calls(&counter(&path.with_extension("data"))), ["RE_ENTRANT"; 5]);
            let sharing = counter(&path.with_file_name("other.json"));
            sharing.save(&mut Counter::default()).unwrap();
            let spelled = path.with_file_name(".").join("doc.lock");
            for name in [lock_file.clone(), spelled.clone()] {
                let sharing = sharing.clone().lock_file(LockFile::At(name));
                assert_eq!(calls(&sharing), ["RE_ENTRANT"; 5]);
            }
            // The lock file itself.
            assert_eq!(code(lock_exclusive(&lock_file, &without_timeout())), "RE_ENTRANT");
            assert_eq!(code(lock_shared(&spelled, &without_timeout())), "RE_ENTRANT");
            assert_eq!(code(try_lock_exclusive(&lock_file)), "RE_ENTRANT");
            count_up(count)
        })
        .unwrap();
    assert_eq!(calls(&document), ["OK"; 5]);
}

#[test]
fn every_call_for_a_registrys_lock_that_the_caller_is_under_is_refused() {
    let (_dir, path) = document_path();
    let document = counter(&path).registry_lock();
    document.save(&mut Counter::default()).unwrap();
    let nothing = |_: &mut RegistryV1| Ok::<_, Error>(());
    let lock = without_timeout();
    let options = UpdateOptions { lock: lock.clone(), ..UpdateOptions::default() };
    let registry_calls = |path: &Path| {
        [
            code(update_registry(path, &options, nothing)),
            code(write_registry(path, &RegistryV1::new(), &options)),
            code(with_registry_lock(path, &lock, |_| Ok::<_, Error>(()))),
            code(RegistryLock::acquire(path, &lock)),
            code(heartbeat_watcher(path, "a", &options)),
        ]
    };
    // Readers of a registry's lock take none, unless they require it.
    let document_calls = ["OK", "OK", "RE_ENTRANT", "RE_ENTRANT", "RE_ENTRANT"];
    document
        .update(&lock, |count| {
            assert_eq!(registry_calls(&path), ["RE_ENTRANT"; 5]);
            assert_eq!(calls(&document), document_calls);
            assert_eq!(calls(&document.clone().require_lock()), ["RE_ENTRANT"; 5]);
            count_up(count)
        })
        .unwrap();
    with_registry_lock(&path, &lock, |_| {
        assert_eq!(registry_calls(&path), ["RE_ENTRANT"; 5]);
        assert_eq!(calls(&document), document_calls);
        Ok::<_, Error>(())
    })
    .unwrap();
}

/// A warning is given while the lock is still held.
#[test]
fn a_call_from_inside_a_warning_is_refused() {
    let (_dir, path) = document_path();
    put(&path, "not JSON");
    let (other, said) = (counter(&path), std::sync::Arc::new(std::sync::Mutex::new(Vec::new())));
    let heard = said.clone();
    let warn = OnWarning::new(move |_| {
        heard.lock().unwrap().push(code(other.update(&without_timeout(), count_up)));
    });
    counter(&path).on_warning(warn).save(&mut Counter::default()).unwrap();
    assert_eq!(*said.lock().unwrap(), ["RE_ENTRANT"]);
}

/// A heartbeat calls its functions between two beats, when it holds no lock.
#[test]
fn the_functions_of_a_heartbeat_may_use_the_registry() {
    use argus_registry::{
        announce_watcher, start_registry_heartbeat, HeartbeatOptions, WatcherRecord,
    };
    let (_dir, path) = document_path();
    let watcher = WatcherRecord::new("a", "127.0.0.1", 1);
    announce_watcher(&path, watcher.clone(), &UpdateOptions::default()).unwrap();
    let (send, called) = std::sync::mpsc::channel();
    let file = path.clone();
    let get_watcher = move || {
        let locked = with_registry_lock(&file, &without_timeout(), |_| Ok::<_, Error>(()));
        let _ = send.send(code(locked));
        watcher.clone()
    };
    let interval = std::time::Duration::from_millis(1);
    let options = HeartbeatOptions { interval, ..HeartbeatOptions::default() };
    let heartbeat = start_registry_heartbeat(&path, get_watcher, options).unwrap();
    assert_eq!([called.recv().unwrap(), called.recv().unwrap()], ["OK"; 2]);
    heartbeat.stop();
}

#[cfg(feature = "tokio")]
#[test]
fn an_updater_that_blocks_on_a_future_of_its_document_is_refused() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let inner = document.clone();
    let other = counter(&path.with_file_name("other.json"));
    let nested = move |count: &mut Counter| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let options = without_timeout();
        assert_eq!(code(runtime.block_on(inner.load_async(&options))), "RE_ENTRANT");
        let saved = inner.save_async(&options, &mut Counter::default());
        assert_eq!(code(runtime.block_on(saved)), "RE_ENTRANT");
        assert_eq!(code(runtime.block_on(inner.update_async(&options, count_up))), "RE_ENTRANT");
        assert_eq!(code(runtime.block_on(other.update_async(&options, count_up))), "OK");
        count_up(count)
    };
    let in_async = nested.clone();
    document.update(&without_timeout(), nested).unwrap();
    let updated = document.update_async(&without_timeout(), move |count| in_async(count));
    assert_eq!(runtime.block_on(updated).unwrap(), 2);
}
