//! What the threads do, and what must hold in each schedule. That a thread waits for ever is found by shuttle,
//! which has no other thread to run then.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::lock::kernel_lock::{self, LockMode};
use crate::lock::kernel_queue::{self, Waited};
use crate::lock::wait::{Wait, WaitPolicy};
use crate::sys::FileId;
use crate::util::cancel::CancelToken;
use crate::util::thread_pool::{Dispatch, ThreadPool};

pub const ALL: &[(&str, fn())] = &[
    ("a token wakes a thread that waits", a_token_wakes),
    ("a cancelled token ends each wait, and those of its children", a_token_cancels),
    ("a pool calls each job once, on a thread of its own", a_pool_calls_each_job_once),
    ("jobs that wait for each other get a thread each", jobs_wait_for_each_other),
    ("waiters of one lock get it one at a time", waiters_get_the_lock),
    ("a waiter that is cancelled leaves the lock to the others", a_cancelled_waiter_leaves),
    ("waiters that block in the kernel leave the rest to another thread", waiters_in_the_kernel),
];

/// Whatever has set a condition before it wakes the token is seen by a wait without a deadline.
fn a_token_wakes() {
    let token = CancelToken::new();
    let ready = Arc::new(AtomicUsize::new(0));
    let waiting: Vec<_> = [None, Some(Instant::now() + Duration::from_secs(3600))]
        .into_iter()
        .map(|deadline| {
            let (token, ready) = (token.clone(), ready.clone());
            thread::spawn(move || token.wait_until(deadline, || ready.load(Ordering::SeqCst) == 1))
        })
        .collect();
    ready.store(1, Ordering::SeqCst);
    token.wake();
    assert!(waiting.into_iter().all(|thread| thread.join().unwrap()));
}

fn a_token_cancels() {
    let parent = CancelToken::new();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let parent = parent.clone();
            thread::spawn(move || parent.child().wait_until(None, || false))
        })
        .collect();
    parent.cancel();
    assert!(waiting.into_iter().all(|thread| !thread.join().unwrap()));
}

fn a_pool_calls_each_job_once() {
    let pool: &'static ThreadPool = Box::leak(Box::new(ThreadPool::new(2, 1 << 16)));
    let called = Arc::new(AtomicUsize::new(0));
    let token = CancelToken::new();
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let (called, token) = (called.clone(), token.clone());
            thread::spawn(move || {
                pool.run(Box::new(move |dispatch| {
                    assert_eq!(dispatch, Dispatch::PoolThread);
                    called.fetch_add(1, Ordering::SeqCst);
                    token.wake();
                }));
            })
        })
        .collect();
    // Without a bound: a job that no thread takes is waited for, for ever.
    assert!(token.wait_until(None, || called.load(Ordering::SeqCst) == 3));
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    assert_eq!(called.load(Ordering::SeqCst), 3);
}

/// A thread that has become idle is woken for the first job, and must not count as idle for the second.
fn jobs_wait_for_each_other() {
    let pool: &'static ThreadPool = Box::leak(Box::new(ThreadPool::new(3, 1 << 16)));
    let (called, token) = (Arc::new(AtomicUsize::new(0)), CancelToken::new());
    let run = |needed: usize| {
        let (called, token) = (called.clone(), token.clone());
        pool.run(Box::new(move |_| {
            called.fetch_add(1, Ordering::SeqCst);
            token.wake();
            token.wait_until(None, || called.load(Ordering::SeqCst) >= needed);
        }));
    };
    run(1);
    token.wait_until(None, || called.load(Ordering::SeqCst) == 1);
    thread::yield_now();
    run(3);
    run(3);
    assert!(token.wait_until(None, || called.load(Ordering::SeqCst) == 3));
}

/// Callers take one lock, each with a policy, and one of them may be cancelled.
fn contend(policies: &[WaitPolicy], cancelled: Option<usize>) {
    let file = Arc::new(tempfile::NamedTempFile::new().unwrap());
    let inside = Arc::new(AtomicUsize::new(0));
    let tokens: Vec<_> = policies.iter().map(|_| CancelToken::new()).collect();
    let callers: Vec<_> = policies
        .iter()
        .zip(&tokens)
        .map(|(waiting, token)| {
            let (file, inside) = (file.clone(), inside.clone());
            let wait = Wait {
                deadline: None,
                token: token.clone(),
                policy: *waiting,
            };
            thread::spawn(move || take(&file, &inside, &wait))
        })
        .collect();
    if let Some(cancelled) = cancelled {
        tokens[cancelled].cancel();
    }
    for (index, caller) in callers.into_iter().enumerate() {
        let has_held = caller.join().unwrap();
        assert!(has_held || cancelled == Some(index), "{index} gave up");
    }
    // The thread that waited for one that gave up still unlocks.
    let id = id(file.as_file());
    while kernel_queue::has_waiters(id) {
        thread::yield_now();
    }
    let again = file.reopen().unwrap();
    assert!(kernel_lock::attempt(&again, LockMode::Exclusive).unwrap(), "the lock was left behind");
    kernel_lock::unlock(&again).unwrap();
}

fn id(file: &File) -> FileId {
    let metadata = file.metadata().unwrap();
    FileId { device: metadata.dev(), inode: metadata.ino() }
}

/// Takes the lock and releases it; says whether it was held.
fn take(file: &tempfile::NamedTempFile, inside: &AtomicUsize, wait: &Wait) -> bool {
    let opened = file.reopen().unwrap();
    let id = id(&opened);
    match kernel_queue::lock(opened, id, LockMode::Exclusive, wait).unwrap() {
        Waited::AtOnce(held) | Waited::InTurn(held) => {
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
            thread::yield_now();
            inside.fetch_sub(1, Ordering::SeqCst);
            kernel_lock::unlock(&held).unwrap();
            true
        }
        Waited::TimedOut => panic!("it has no deadline"),
        Waited::Cancelled => false,
    }
}

fn waiters_get_the_lock() {
    contend(&[WaitPolicy::Block; 3], None);
}

fn a_cancelled_waiter_leaves() {
    contend(&[WaitPolicy::Block; 3], Some(1));
}

fn waiters_in_the_kernel() {
    contend(&[WaitPolicy::BlockInKernel, WaitPolicy::Block, WaitPolicy::BlockInKernel], Some(1));
}
