use super::*;
use crate::lock::wait::{LockOptions, WaitPolicy};
use crate::sys;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn open(path: &Path) -> (File, FileId) {
    let file = sys::open_existing(path).or_else(|_| sys::create_new(path, 0o600)).unwrap();
    let id = sys::id_of(&file, &file.metadata().unwrap()).unwrap();
    (file, id)
}

fn wait(path: &Path, timeout: Option<Duration>, token: &CancelToken) -> Waited {
    let (file, id) = open(path);
    lock(file, id, LockMode::Exclusive, &wait_of(timeout, token, WaitPolicy::Block)).unwrap()
}

fn wait_of(timeout: Option<Duration>, token: &CancelToken, waiting: WaitPolicy) -> Wait {
    let options = LockOptions { timeout, cancel: Some(token.clone()), ..LockOptions::default() };
    Wait::start_with(&options, waiting)
}

/// How many requests wait behind the one with which a thread blocks in the kernel; `None` if no
/// thread does.
fn waiting(id: FileId) -> Option<usize> {
    queues().get(&(id, LockMode::Exclusive)).map(VecDeque::len)
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// The file at whose next grant the thread that waits for it panics.
static PANIC_AT: Mutex<Option<FileId>> = Mutex::new(None);

pub(super) fn panic_if_asked(id: FileId) {
    let mut at = PANIC_AT.lock().unwrap_or_else(PoisonError::into_inner);
    if *at == Some(id) {
        *at = None;
        drop(at);
        panic!("asked to panic");
    }
}

/// The key of the queue stayed, so that each later caller waited for the thread that had panicked.
#[test]
fn a_panic_of_the_waiting_thread_fails_one_caller_and_the_others_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guard");
    let (holder, id) = open(&path);
    assert!(kernel_lock::attempt(&holder, LockMode::Exclusive).unwrap());
    *PANIC_AT.lock().unwrap() = Some(id);
    let outcomes = thread::scope(|scope| {
        let started: Vec<_> = (0..3)
            .map(|index| {
                let path = &path;
                let waiting_thread = scope.spawn(move || {
                    let (file, id) = open(path);
                    let minute = Some(Duration::from_secs(60));
                    let wait = wait_of(minute, &CancelToken::new(), WaitPolicy::Block);
                    match lock(file, id, LockMode::Exclusive, &wait) {
                        Ok(Waited::InTurn(_)) => "locked".to_owned(),
                        Ok(_) => "not locked".to_owned(),
                        Err(error) => error.to_string(),
                    }
                });
                until(|| waiting(id) == Some(index));
                waiting_thread
            })
            .collect();
        kernel_lock::unlock(&holder).unwrap();
        started.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(outcomes, ["the waiting thread has panicked", "locked", "locked"]);
    until(|| waiting(id).is_none());
    assert!(matches!(wait(&path, None, &CancelToken::new()), Waited::AtOnce(_)));
}

#[test]
fn waiters_get_the_lock_in_order_of_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guard");
    let (holder, id) = open(&path);
    assert!(kernel_lock::attempt(&holder, LockMode::Exclusive).unwrap());
    let (arrived, order) = mpsc::channel();
    thread::scope(|scope| {
        for index in 0..5 {
            let (path, arrived) = (&path, arrived.clone());
            scope.spawn(move || {
                let Waited::InTurn(file) = wait(path, None, &CancelToken::new()) else {
                    panic!("no deadline, no cancel")
                };
                arrived.send(index).unwrap();
                kernel_lock::unlock(&file).unwrap();
            });
            until(|| waiting(id) == Some(index));
        }
        kernel_lock::unlock(&holder).unwrap();
    });
    drop(arrived);
    assert_eq!(order.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    until(|| waiting(id).is_none());
}

#[test]
fn a_caller_blocked_in_the_kernel_beyond_its_deadline_leaves_the_lock_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guard");
    let (holder, id) = open(&path);
    assert!(kernel_lock::attempt(&holder, LockMode::Exclusive).unwrap());
    let (blocked, _) = open(&path);
    let patience = Duration::from_millis(20);
    let deadline = Instant::now() + patience;
    let late = thread::spawn(move || {
        let wait = wait_of(Some(patience), &CancelToken::new(), WaitPolicy::BlockInKernel);
        lock(blocked, id, LockMode::Exclusive, &wait).unwrap()
    });
    until(|| waiting(id) == Some(0));
    let next = thread::spawn(move || wait(&path, None, &CancelToken::new()));
    until(|| waiting(id) == Some(1) && Instant::now() > deadline + patience);
    assert!(!late.is_finished(), "a blocked thread can't give up");
    kernel_lock::unlock(&holder).unwrap();
    assert!(matches!(late.join().unwrap(), Waited::TimedOut));
    let Waited::InTurn(file) = next.join().unwrap() else { panic!("it has no deadline") };
    assert!(!kernel_lock::attempt(&holder, LockMode::Exclusive).unwrap());
    kernel_lock::unlock(&file).unwrap();
    until(|| waiting(id).is_none());
}

#[test]
fn a_caller_blocked_in_the_kernel_passes_the_queue_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guard");
    let (holder, id) = open(&path);
    assert!(kernel_lock::attempt(&holder, LockMode::Exclusive).unwrap());
    let (blocked, _) = open(&path);
    let first = thread::spawn(move || {
        let wait = wait_of(None, &CancelToken::new(), WaitPolicy::BlockInKernel);
        lock(blocked, id, LockMode::Exclusive, &wait).unwrap()
    });
    until(|| waiting(id) == Some(0));
    let next = thread::spawn(move || wait(&path, None, &CancelToken::new()));
    until(|| waiting(id) == Some(1));
    kernel_lock::unlock(&holder).unwrap();
    let Waited::InTurn(file) = first.join().unwrap() else { panic!("it has no deadline") };
    // A thread of the pool blocks in the kernel for the next caller by now, or soon will.
    assert!(!next.is_finished());
    kernel_lock::unlock(&file).unwrap();
    assert!(matches!(next.join().unwrap(), Waited::InTurn(_)));
    until(|| waiting(id).is_none());
}

#[test]
fn callers_that_give_up_leave_one_thread_and_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guard");
    let (holder, id) = open(&path);
    assert!(kernel_lock::attempt(&holder, LockMode::Exclusive).unwrap());
    let cancelled = CancelToken::new();
    let first = {
        let (path, token) = (path.clone(), cancelled.clone());
        thread::spawn(move || wait(&path, None, &token))
    };
    until(|| waiting(id) == Some(0));
    cancelled.cancel();
    assert!(matches!(first.join().unwrap(), Waited::Cancelled));
    // The deadlines of these have mostly passed before a thread could have been started.
    for _ in 0..100 {
        let timeout = Some(Duration::from_micros(10));
        assert!(matches!(wait(&path, timeout, &CancelToken::new()), Waited::TimedOut));
        assert!(matches!(wait(&path, None, &cancelled), Waited::Cancelled));
    }
    assert!(waiting(id).is_some(), "the one thread is still blocked in the kernel");
    kernel_lock::unlock(&holder).unwrap();
    // The thread gets the lock now that no caller waits, unlocks it, and ends.
    until(|| waiting(id).is_none());
    let (other, _) = open(&path);
    assert!(kernel_lock::attempt(&other, LockMode::Exclusive).unwrap());
}

/// A queue for which a thread blocks in the kernel, though the guard is free: it was just released.
fn with_a_queue(mode: LockMode, test: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guard");
    let (_file, id) = open(&path);
    queues().insert((id, mode), VecDeque::new());
    test(&path);
    queues().remove(&(id, mode));
}

#[test]
fn a_caller_that_can_wait_does_not_overtake() {
    // In either mode: the first of the waiting callers would have to wait for the newcomer, too.
    for (waiting, newcomer) in [
        (LockMode::Exclusive, LockMode::Exclusive),
        (LockMode::Exclusive, LockMode::Shared),
        (LockMode::Shared, LockMode::Exclusive),
    ] {
        with_a_queue(waiting, |path| {
            // Cancelled, or it would wait for a thread that does not exist in this test.
            let cancelled = CancelToken::new();
            cancelled.cancel();
            let (file, id) = open(path);
            let waited =
                lock(file, id, newcomer, &wait_of(None, &cancelled, WaitPolicy::Block)).unwrap();
            assert!(matches!(waited, Waited::Cancelled), "{waiting:?} {newcomer:?}");
        });
    }
}

#[test]
fn one_try_overtakes_or_it_could_never_get_a_lock_that_others_wait_for() {
    with_a_queue(LockMode::Exclusive, |path| {
        let one_try = Some(Duration::ZERO);
        assert!(matches!(wait(path, one_try, &CancelToken::new()), Waited::AtOnce(_)));
    });
}

#[test]
fn one_try_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guard");
    let (holder, _) = open(&path);
    let one_try = Some(Duration::ZERO);
    assert!(matches!(wait(&path, one_try, &CancelToken::new()), Waited::AtOnce(_)));
    assert!(kernel_lock::attempt(&holder, LockMode::Exclusive).unwrap());
    assert!(matches!(wait(&path, one_try, &CancelToken::new()), Waited::TimedOut));
}

/// The thread that hands the lock over asked a token while it had a request locked; a waiting
/// caller asks for its request while it has its token locked. Each waited for the other, for ever,
/// and the kernel lock stayed held.
#[test]
fn many_callers_that_share_a_token_hand_over_without_a_deadlock() {
    let dir = tempfile::tempdir().unwrap();
    let path = &dir.path().join("guard");
    open(path);
    let token = &CancelToken::new();
    let (done, ends) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..8 {
            let done = done.clone();
            scope.spawn(move || {
                for _ in 0..1000 {
                    match wait(path, None, token) {
                        Waited::AtOnce(file) | Waited::InTurn(file) => {
                            kernel_lock::unlock(&file).unwrap();
                        }
                        _ => panic!("no deadline, no cancel"),
                    }
                }
                done.send(()).unwrap();
            });
        }
        for _ in 0..8 {
            ends.recv_timeout(Duration::from_secs(120)).unwrap();
        }
    });
}
