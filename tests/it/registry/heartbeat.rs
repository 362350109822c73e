//! A thread that renews an entry.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use argus_registry::{
    announce_watcher, read_registry, remove_watcher, start_registry_heartbeat, with_registry_lock,
    Error, Heartbeat, HeartbeatOptions, LockOptions, OnError, UpdateOptions,
};

use crate::support::files::registry_path;
use crate::support::registries::{ids, patient, watcher};

#[test]
fn a_heartbeat_renews_its_entry_reports_that_it_is_lost_and_removes_it_on_request() {
    let (_dir, path) = registry_path();
    let record = watcher("app");
    announce_watcher(&path, record.clone(), &patient()).unwrap();
    let (tell, errors) = mpsc::channel();
    let (asked, asks) = mpsc::channel();
    let heartbeat = HeartbeatOptions {
        interval: Duration::from_millis(2),
        update: patient(),
        on_error: OnError::new(move |error| tell.send(error.code()).unwrap()),
    };
    let next = record.clone();
    let get_watcher = move || {
        // The test no longer listens once it is over.
        let _ = asked.send(());
        next.clone()
    };
    let beating = start_registry_heartbeat(&path, get_watcher, heartbeat).unwrap();
    for _ in 0..3 {
        asks.recv().unwrap();
    }
    assert!(
        read_registry(&path).unwrap().0.watcher("app").unwrap().updated_at >= record.updated_at
    );
    assert!(remove_watcher(&path, "app", &patient()).unwrap());
    assert_eq!(errors.recv().unwrap(), "ENTRY_LOST");
    announce_watcher(&path, record, &patient()).unwrap();
    assert!(beating.stop_and_remove().unwrap());
    assert!(ids(&path).is_empty());
}

#[test]
fn the_options_of_a_heartbeat_are_those_of_its_beats_and_of_the_removal() {
    let (_dir, path) = registry_path();
    let record = watcher("app");
    announce_watcher(&path, record.clone(), &patient()).unwrap();
    let once = LockOptions { timeout: Some(Duration::ZERO), ..LockOptions::default() };
    let (tell, errors) = mpsc::channel();
    let heartbeat = HeartbeatOptions {
        interval: Duration::from_millis(2),
        update: UpdateOptions { lock: once, ..patient() },
        on_error: OnError::new(move |error| tell.send(error.code()).unwrap()),
    };
    with_registry_lock(&path, &patient().lock, |_| {
        let beating = start_registry_heartbeat(&path, move || record.clone(), heartbeat).unwrap();
        assert_eq!(errors.recv().unwrap(), "LOCK_BUSY");
        let removed = thread::spawn(|| beating.stop_and_remove()).join().unwrap();
        assert_eq!(removed.unwrap_err().code(), "LOCK_BUSY");
        Ok::<_, Error>(())
    })
    .unwrap();
}

#[test]
fn a_heartbeat_that_is_stopped_or_dropped_ends_after_the_beat_that_is_under_way() {
    let (_dir, path) = registry_path();
    for end in [Heartbeat::stop, drop::<Heartbeat>] {
        let (asked, asks) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        let get_watcher = move || {
            asked.send(()).unwrap();
            let _ = goes.recv();
            watcher("app")
        };
        let heartbeat = HeartbeatOptions {
            interval: Duration::from_millis(2),
            update: patient(),
            on_error: OnError::new(|_| {}),
        };
        let beating = start_registry_heartbeat(&path, get_watcher, heartbeat).unwrap();
        asks.recv().unwrap();
        let ending = thread::spawn(move || end(beating));
        let started = Instant::now();
        while !ending.is_finished() && started.elapsed() < Duration::from_millis(20) {
            thread::yield_now();
        }
        assert!(!ending.is_finished());
        drop(go);
        ending.join().unwrap();
        while asks.try_recv().is_ok() {}
        assert_eq!(asks.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }
}

#[test]
fn a_heartbeat_that_is_stopped_before_its_first_beat_knows_its_entry() {
    let (_dir, path) = registry_path();
    let record = watcher("app");
    announce_watcher(&path, record.clone(), &patient()).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let start = |interval| {
        let (record, asked) = (record.clone(), asked.clone());
        let heartbeat =
            HeartbeatOptions { interval, update: patient(), ..HeartbeatOptions::default() };
        let get_watcher = move || {
            asked.fetch_add(1, Ordering::Relaxed);
            record.clone()
        };
        start_registry_heartbeat(&path, get_watcher, heartbeat)
    };
    assert_eq!(start(Duration::ZERO).unwrap_err().code(), "INVALID_VALUE");
    start(Duration::MAX).unwrap().stop();
    assert_eq!(ids(&path), ["app"]);
    let beating = start(Duration::MAX).unwrap();
    let mut other = record.clone();
    other.started_at += 1;
    announce_watcher(&path, other, &patient()).unwrap();
    assert!(!beating.stop_and_remove().unwrap());
    assert_eq!(ids(&path), ["app"], "another watcher's entry");
    announce_watcher(&path, record.clone(), &patient()).unwrap();
    assert!(start(Duration::MAX).unwrap().stop_and_remove().unwrap());
    assert!(ids(&path).is_empty());
    assert_eq!(asked.load(Ordering::Relaxed), 3, "once each: for the claim, and for no beat");
}

#[test]
fn a_heartbeat_whose_callback_panicked_can_be_stopped() {
    let (_dir, path) = registry_path();
    let start = || {
        let get_watcher = || panic!("the caller's own");
        start_registry_heartbeat(&path, get_watcher, HeartbeatOptions::default()).unwrap()
    };
    start().stop();
    assert!(!start().stop_and_remove().unwrap());
    assert!(!path.exists());
}

#[test]
fn a_heartbeat_may_be_stopped_by_its_own_error_handler() {
    let (_dir, path) = registry_path();
    announce_watcher(&path, watcher("app"), &patient()).unwrap();
    let (give, given) = mpsc::channel::<Heartbeat>();
    let given = Mutex::new(given);
    let (tell, stopped) = mpsc::channel();
    let heartbeat = HeartbeatOptions {
        interval: Duration::from_millis(1),
        update: patient(),
        on_error: OnError::new(move |error| {
            assert_eq!(error.code(), "ENTRY_LOST");
            // The thread that calls this could not wait for itself, nor for a removal after its end.
            tell.send(given.lock().unwrap().recv().unwrap().stop_and_remove().unwrap()).unwrap();
        }),
    };
    let lost = watcher("lost");
    let beating = start_registry_heartbeat(&path, move || lost.clone(), heartbeat).unwrap();
    give.send(beating).unwrap();
    assert!(!stopped.recv().unwrap());
    assert_eq!(stopped.recv(), Err(mpsc::RecvError), "no beat comes after it");
}

/// It ended the heartbeat's thread without a report, and the entry went stale.
#[cfg(feature = "watch")]
#[test]
fn a_panic_of_the_store_is_reported_and_the_next_beat_follows() {
    use argus_registry::start_heartbeat;

    use crate::support::panicking_store::PanickingStore;

    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(PanickingStore::new(&dir.path().join("registry/")));
    let record = watcher("app");
    announce_watcher(argus_registry::RegistryStore::path(&*store), record.clone(), &patient())
        .unwrap();
    let (tell, errors) = mpsc::channel();
    let heartbeat = HeartbeatOptions {
        interval: Duration::from_millis(2),
        update: patient(),
        on_error: OnError::new(move |error| _ = tell.send(format!("{} {error}", error.code()))),
    };
    store.heartbeats_panic.store(true, Ordering::SeqCst);
    let beating = start_heartbeat(store.clone(), move || record.clone(), heartbeat).unwrap();
    for _ in 0..2 {
        let error = errors.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(error.starts_with("INTERNAL "), "{error}");
        assert!(error.contains("told to panic in heartbeat"), "{error}");
    }
    store.heartbeats_panic.store(false, Ordering::SeqCst);
    assert!(beating.stop_and_remove().unwrap());
}
