//! Documents from async code.

use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use argus_registry::{lock_exclusive, try_lock_exclusive, CancelToken, Error, LockOptions};

use crate::support::counter::{count_up, counter, patient, Counter};
use crate::support::files::document_path;

/// This runtime has one thread. If the waiting call blocked it, the lock would never be released.
#[tokio::test]
async fn a_call_that_waits_blocks_no_worker() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    let held = try_lock_exclusive(document.lock_path().unwrap()).unwrap();
    let waiting = document.update_async(&patient(), count_up);
    let releasing = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        drop(held);
    };
    let (count, ()) = tokio::join!(waiting, releasing);
    assert_eq!(count.unwrap(), 1);
    let one_try = LockOptions::one_try();
    let mut loaded = document.load_async(&one_try).await.unwrap();
    assert!(loaded.locked);
    loaded.value.count += 10;
    document.save_async(&one_try, &mut loaded.value).await.unwrap();
    assert_eq!(document.load().unwrap().value.count, 11);
}

#[tokio::test]
async fn an_update_that_is_dropped_while_it_waits_leaves_no_lock_and_writes_nothing() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    let lock_file = document.lock_path().unwrap();
    let held = try_lock_exclusive(&lock_file).unwrap();
    let parent = CancelToken::new();
    let options = LockOptions { timeout: None, cancel: Some(parent.clone()), ..patient() };
    let mut waiting = Box::pin(document.update_async(&options, count_up));
    let waited = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(waited.is_err(), "it waits");
    drop(waiting);
    assert!(!parent.is_cancelled(), "the caller's own token is not cancelled");
    drop(held);
    // The thread that waits in the kernel's queue releases the lock as soon as it gets it.
    let lock = lock_exclusive(&lock_file, &patient()).unwrap();
    assert!(!path.exists());
    drop(lock);
    // The token ends a wait, too.
    let held = try_lock_exclusive(&lock_file).unwrap();
    let waiting = document.update_async(&options, count_up);
    let cancelling = async { parent.cancel() };
    let (waited, ()) = tokio::join!(waiting, cancelling);
    assert_eq!(waited.unwrap_err().code(), "ABORTED");
    drop(held);
}

/// A save that waits, and whose caller has dropped it, must not overwrite what was saved since.
#[tokio::test]
async fn a_dropped_save_does_not_write_later() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    let lock_file = document.lock_path().unwrap();
    let held = try_lock_exclusive(&lock_file).unwrap();
    let mut saving = Box::pin(document.save_async(&patient(), &mut Counter { count: 1 }));
    let waited = tokio::time::timeout(Duration::from_millis(50), &mut saving).await;
    assert!(waited.is_err(), "it waits");
    drop(saving);
    drop(held);
    document.save_with(&patient(), &mut Counter { count: 2 }).unwrap();
    let _lock = lock_exclusive(&lock_file, &patient()).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"count\": 2\n}");
}

/// Waiting calls took all threads of the runtime's pool. A call for a document whose lock was free
/// came late then, with and without a timeout.
#[test]
fn calls_that_wait_for_one_lock_do_not_delay_another_document() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let (_dir, path) = document_path();
    let (busy, free) = (counter(&path), counter(&path.with_file_name("free.json")));
    let held = try_lock_exclusive(busy.lock_path().unwrap()).unwrap();
    let waiting: Vec<_> =
        (0..20).map(|_| runtime.spawn(busy.update_async(&patient(), count_up))).collect();
    let both = async {
        free.update_async(&patient(), count_up).await.unwrap();
        // The holder needs the pool to release the lock.
        tokio::task::spawn_blocking(move || drop(held)).await.unwrap();
        for update in waiting {
            update.await.unwrap().unwrap();
        }
    };
    runtime.block_on(both);
    assert_eq!(busy.load().unwrap().value.count, 20);
}

/// Before it writes, the update checks whether its caller still waits for it.
#[tokio::test]
async fn an_update_that_is_dropped_while_its_updater_runs_writes_nothing() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    let (entered, inside) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let mut updating = Box::pin(document.update_async(&patient(), move |counter| {
        entered.send(()).unwrap();
        wait.recv().unwrap();
        count_up(counter)
    }));
    while inside.try_recv().is_err() {
        let _ = tokio::time::timeout(Duration::from_millis(1), &mut updating).await;
    }
    drop(updating);
    go_on.send(()).unwrap();
    let _lock = lock_exclusive(document.lock_path().unwrap(), &patient()).unwrap();
    assert!(!path.exists());
}

/// The file is whole, the lock is released, and every acknowledged update is in the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_whole_whenever_an_update_of_it_is_dropped() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    let (mut acknowledged, mut dropped) = (0, 0);
    for round in 0..400_u64 {
        let pause = Duration::from_micros(round * 5);
        let options = patient();
        let update = document.update_async(&options, count_up);
        match tokio::time::timeout(pause, update).await {
            Ok(count) => {
                count.unwrap();
                acknowledged += 1;
            }
            Err(_) => dropped += 1,
        }
        let loaded = document.load();
        assert!(
            matches!(&loaded, Ok(_) | Err(Error::LockBusy { .. } | Error::NotFound { .. })),
            "{loaded:?}"
        );
    }
    let lock = lock_exclusive(document.lock_path().unwrap(), &patient()).unwrap();
    drop(lock);
    let count = document.load().map_or(0, |loaded| loaded.value.count);
    assert!((acknowledged..=acknowledged + dropped).contains(&count), "{count}");
    let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert!(names <= 2, "a temp file was left");
}

#[tokio::test]
async fn a_panic_reaches_its_caller_and_frees_the_lock() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    let other = document.clone();
    let panicked = tokio::spawn(async move {
        other.update_async::<(), Error>(&patient(), |_| panic!("on purpose")).await
    });
    assert!(panicked.await.unwrap_err().is_panic());
    assert_eq!(document.update_async(&LockOptions::one_try(), count_up).await.unwrap(), 1);
}
