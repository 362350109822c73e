use super::*;
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
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    lock(file, id, Mode::Exclusive, deadline, token, false).unwrap()
}

/// CommitOptions many wait behind the one for whom the thread stands; `None` if nobody stands.
fn in_line(id: FileId) -> Option<usize> {
    lines().get(&(id, Mode::Exclusive)).map(VecDeque::len)
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

#[test]
fn waiters_get_the_lock_in_order_of_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guard");
    let (holder, id) = open(&path);
    assert!(kernel_lock::attempt(&holder, Mode::Exclusive).unwrap());
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
            until(|| in_line(id) == Some(index));
        }
        kernel_lock::unlock(&holder).unwrap();
    });
    drop(arrived);
    assert_eq!(order.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    until(|| in_line(id).is_none());
}

#[test]
fn whoever_stands_himself_for_too_long_leaves_the_lock_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guard");
    let (holder, id) = open(&path);
    assert!(kernel_lock::attempt(&holder, Mode::Exclusive).unwrap());
    let (stander, _) = open(&path);
    let patience = Instant::now() + Duration::from_millis(20);
    let late = thread::spawn(move || {
        lock(stander, id, Mode::Exclusive, Some(patience), &CancelToken::new(), true).unwrap()
    });
    until(|| in_line(id) == Some(0));
    let next = thread::spawn(move || wait(&path, None, &CancelToken::new()));
    until(|| in_line(id) == Some(1) && Instant::now() > patience);
    assert!(!late.is_finished(), "nothing can call it back");
    kernel_lock::unlock(&holder).unwrap();
    assert!(matches!(late.join().unwrap(), Waited::TimedOut));
    let Waited::InTurn(file) = next.join().unwrap() else { panic!("it has no deadline") };
    assert!(!kernel_lock::attempt(&holder, Mode::Exclusive).unwrap());
    kernel_lock::unlock(&file).unwrap();
    until(|| in_line(id).is_none());
}

#[test]
fn whoever_stands_himself_passes_the_counter_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guard");
    let (holder, id) = open(&path);
    assert!(kernel_lock::attempt(&holder, Mode::Exclusive).unwrap());
    let (stander, _) = open(&path);
    let first = thread::spawn(move || {
        lock(stander, id, Mode::Exclusive, None, &CancelToken::new(), true).unwrap()
    });
    until(|| in_line(id) == Some(0));
    let next = thread::spawn(move || wait(&path, None, &CancelToken::new()));
    until(|| in_line(id) == Some(1));
    kernel_lock::unlock(&holder).unwrap();
    let Waited::InTurn(file) = first.join().unwrap() else { panic!("it has no deadline") };
    // Somebody else stands there for the next one by now, or will.
    assert!(!next.is_finished());
    kernel_lock::unlock(&file).unwrap();
    assert!(matches!(next.join().unwrap(), Waited::InTurn(_)));
    until(|| in_line(id).is_none());
}

#[test]
fn those_who_give_up_leave_one_thread_and_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guard");
    let (holder, id) = open(&path);
    assert!(kernel_lock::attempt(&holder, Mode::Exclusive).unwrap());
    let cancelled = CancelToken::new();
    cancelled.cancel();
    for _ in 0..100 {
        let timeout = Some(Duration::from_micros(10));
        assert!(matches!(wait(&path, timeout, &CancelToken::new()), Waited::TimedOut));
        assert!(matches!(wait(&path, None, &cancelled), Waited::Cancelled));
    }
    assert!(in_line(id).is_some(), "the one thread still stands in the queue");
    kernel_lock::unlock(&holder).unwrap();
    // It gets the lock now that nobody wants it, lets it go, and ends.
    until(|| in_line(id).is_none());
    let (other, _) = open(&path);
    assert!(kernel_lock::attempt(&other, Mode::Exclusive).unwrap());
}

/// A line in which somebody stands, though the guard is free: it has just been let go.
fn with_a_line(mode: Mode, test: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guard");
    let (_file, id) = open(&path);
    lines().insert((id, mode), Line::new());
    test(&path);
    lines().remove(&(id, mode));
}

#[test]
fn whoever_can_wait_does_not_jump_the_line() {
    // Whoever is in line: the first would have to wait for him, too.
    for (line, newcomer) in [
        (Mode::Exclusive, Mode::Exclusive),
        (Mode::Exclusive, Mode::Shared),
        (Mode::Shared, Mode::Exclusive),
    ] {
        with_a_line(line, |path| {
            // He gives up at once, or he would wait for somebody who does not stand there.
            let cancelled = CancelToken::new();
            cancelled.cancel();
            let (file, id) = open(path);
            let waited = lock(file, id, newcomer, None, &cancelled, false).unwrap();
            assert!(matches!(waited, Waited::Cancelled), "{line:?} {newcomer:?}");
        });
    }
}

#[test]
fn one_try_jumps_the_line_or_it_could_never_get_a_lock_that_others_wait_for() {
    with_a_line(Mode::Exclusive, |path| {
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
    assert!(kernel_lock::attempt(&holder, Mode::Exclusive).unwrap());
    assert!(matches!(wait(&path, one_try, &CancelToken::new()), Waited::TimedOut));
}

/// The one who hands over asked a token under a request's lock, the one who waits asks for the
/// request under his token's: each waited for the other, with the lock in the hands of the dead.
#[test]
fn many_who_share_a_token_hand_over_without_an_end() {
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
