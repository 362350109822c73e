use super::*;
use std::time::Duration;

#[test]
fn shared_locks_are_held_together_and_an_exclusive_lock_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lock");
    let first = try_lock_shared(&path).unwrap();
    let second = try_lock_shared(&path).unwrap();
    let busy = try_lock_exclusive(&path).unwrap_err();
    assert_eq!(busy.code(), "LOCK_BUSY");
    assert_eq!(busy.path(), path);
    assert!(busy.to_string().contains("another process"), "{busy}");
    drop(first);
    second.release().unwrap();
    let exclusive = try_lock_exclusive(&path).unwrap();
    assert_eq!(try_lock_shared(&path).unwrap_err().code(), "LOCK_BUSY");
    assert_eq!(try_lock_exclusive(&path).unwrap_err().code(), "LOCK_BUSY");
    drop(exclusive);
    assert!(path.exists(), "the lock file persists");
}

#[test]
fn a_folder_and_a_path_in_a_missing_folder_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder.lock");
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(try_lock_exclusive(&folder).unwrap_err().code(), "IO");
    assert_eq!(
        try_lock_exclusive(dir.path().join("missing/x.lock")).unwrap_err().code(),
        "NOT_FOUND"
    );
}

#[test]
fn waiting_readers_get_the_lock_together_when_it_is_released() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lock");
    let held = try_lock_exclusive(&path).unwrap();
    let (entered, entries) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (path, entered) = (&path, entered.clone());
            scope.spawn(move || {
                let lock =
                    lock_shared(path, &LockOptions { timeout: None, ..LockOptions::default() });
                entered.send(lock.unwrap()).unwrap();
            });
        }
        let short =
            LockOptions { timeout: Some(Duration::from_millis(20)), ..LockOptions::default() };
        assert_eq!(lock_shared(&path, &short).unwrap_err().code(), "LOCK_TIMEOUT");
        assert!(entries.try_recv().is_err());
        drop(held);
        // Both readers hold it at the same time.
        let _both = [entries.recv().unwrap(), entries.recv().unwrap()];
        assert_eq!(lock_exclusive(&path, &short).unwrap_err().code(), "LOCK_TIMEOUT");
    });
    let cancel = crate::CancelToken::new();
    cancel.cancel();
    let cancelled = LockOptions { cancel: Some(cancel), ..LockOptions::default() };
    assert_eq!(lock_exclusive(&path, &cancelled).unwrap_err().code(), "ABORTED");
    // Not in one try: the thread that waited for a caller which gave up may still be in the
    // kernel's queue, and then gets the lock for a moment.
    let unbounded = LockOptions { timeout: None, ..LockOptions::default() };
    assert!(lock_exclusive(&path, &unbounded).unwrap().is_in_place().unwrap());
}

/// A process that waited for a file which was deleted during the wait got a lock that excludes no
/// other process.
#[cfg(unix)]
#[test]
fn a_waiting_thread_locks_the_new_file_if_the_lock_file_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lock");
    let held = try_lock_exclusive(&path).unwrap();
    let id = sys::id_of(&held.file, &held.file.metadata().unwrap()).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let unbounded = LockOptions { timeout: None, ..LockOptions::default() };
            lock_exclusive(&path, &unbounded).unwrap()
        });
        while !kernel_queue::has_waiters(id) {
            std::thread::yield_now();
        }
        std::fs::remove_file(&path).unwrap();
        drop(held);
        let lock = waiting.join().unwrap();
        assert!(lock.is_in_place().unwrap());
        assert_eq!(try_lock_shared(&path).unwrap_err().code(), "LOCK_BUSY");
    });
}
