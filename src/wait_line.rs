//! Waiting for a guard: in the kernel's own queue, bounded and cancellable.
//!
//! A blocking lock call hands over in microseconds and in order of arrival, where polling is
//! slow, unfair and burns CPU. But it can be neither timed out nor cancelled without signals,
//! and an addon must not touch those of its host. So one thread per guard and process stands in
//! the queue for all callers of the process that wait, and hands them the lock in order. A caller
//! that gives up just leaves; the thread stays in the queue, at no cost, for whoever comes next,
//! and lets go at once if there is nobody. So ten thousand timed-out calls leave one thread.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::cancel::CancelToken;
use crate::kernel_lock;
use crate::owner::FileId;

/// One caller's place in the line of its process.
struct Request {
    token: CancelToken,
    state: Mutex<State>,
}

enum State {
    /// Holds the caller's own descriptor, which is as good as any other to wait with.
    Waiting(File),
    /// The thread has the descriptor in its hands.
    AtTheCounter,
    Ready(io::Result<File>),
    Left,
}

type Line = VecDeque<Arc<Request>>;

/// The lines of this process. A guard is in here exactly while a thread stands in its queue.
static LINES: LazyLock<Mutex<HashMap<FileId, Line>>> = LazyLock::new(Mutex::default);

/// What became of a wait.
pub(crate) enum Waited {
    Locked(File),
    TimedOut,
    Cancelled,
}

/// Locks the guard exclusively, at once or in turn. `deadline` none: no bound.
pub(crate) fn lock(
    guard: File,
    id: FileId,
    deadline: Option<Instant>,
    token: &CancelToken,
) -> io::Result<Waited> {
    // Whoever finds a line of its own process joins it: jumping it would starve the first in it.
    if !lines().contains_key(&id) && kernel_lock::try_exclusive(&guard)? {
        return Ok(Waited::Locked(guard));
    }
    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        return Ok(Waited::TimedOut);
    }
    let request = Arc::new(Request {
        token: token.clone(),
        state: Mutex::new(State::Waiting(guard)),
    });
    join(id, &request)?;
    token.wait_until(deadline, || matches!(*request.lock(), State::Ready(_)));
    let outcome = std::mem::replace(&mut *request.lock(), State::Left);
    match outcome {
        State::Ready(locked) => locked.map(Waited::Locked),
        _ if token.is_cancelled() => Ok(Waited::Cancelled),
        _ => Ok(Waited::TimedOut),
    }
}

fn join(id: FileId, request: &Arc<Request>) -> io::Result<()> {
    let mut lines = lines();
    if let Some(line) = lines.get_mut(&id) {
        line.push_back(request.clone());
        return Ok(());
    }
    lines.insert(id, VecDeque::from([request.clone()]));
    let spawned = thread::Builder::new()
        .name("argus-guard".into())
        .stack_size(256 * 1024)
        .spawn(move || stand(id));
    if let Err(error) = spawned {
        lines.remove(&id);
        return Err(error);
    }
    Ok(())
}

/// The thread: takes the callers of one guard to the kernel's queue, one after the other.
fn stand(id: FileId) {
    while let Some(request) = next(id) {
        let taken = std::mem::replace(&mut *request.lock(), State::AtTheCounter);
        let State::Waiting(file) = taken else {
            *request.lock() = State::Left;
            continue;
        };
        let mut locked = kernel_lock::wait_exclusive(&file).map(|()| file);
        // The first caller may have left while we stood in the queue: the next one gets its turn.
        let mut served = request;
        loop {
            let mut state = served.lock();
            if !matches!(*state, State::Left) {
                *state = State::Ready(locked);
                drop(state);
                served.token.wake();
                break;
            }
            drop(state);
            match next_waiting(id) {
                Some(other) => served = other,
                None => {
                    if let Ok(file) = &mut locked {
                        let _ = kernel_lock::unlock(file);
                    }
                    break;
                }
            }
        }
    }
}

/// The first in line, or the end of the line and of its thread.
fn next(id: FileId) -> Option<Arc<Request>> {
    let mut lines = lines();
    let request = lines.get_mut(&id)?.pop_front();
    if request.is_none() {
        lines.remove(&id);
    }
    request
}

/// The first who has not left, if any; leaves the line itself in place.
fn next_waiting(id: FileId) -> Option<Arc<Request>> {
    let mut lines = lines();
    let line = lines.get_mut(&id)?;
    while let Some(request) = line.pop_front() {
        if matches!(*request.lock(), State::Waiting(_)) {
            return Some(request);
        }
    }
    None
}

fn lines() -> MutexGuard<'static, HashMap<FileId, Line>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Request {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
