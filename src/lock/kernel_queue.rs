//! Waiting for a guard, or a lock file: in the kernel's own queue, bounded and cancellable.
//!
//! A blocking lock call hands over in microseconds and in order of arrival, where polling is
//! slow, unfair and burns CPU. But it can be neither timed out nor cancelled without signals,
//! and an addon must not touch those of its host. So one thread per guard and process stands in
//! the queue for all callers of the process that wait, and hands them the lock in order. A caller
//! that gives up just leaves; the thread stays in the queue, at no cost, for whoever comes next,
//! and lets go at once if there is nobody. So ten thousand timed-out calls leave one thread.
//!
//! A caller whose thread nobody waits for stands there itself, which saves two changes of thread.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::lock::kernel_lock::{self, Mode};
use crate::sys::FileId;
use crate::util::cancel::CancelToken;
use crate::util::thread_pool::{Called, ThreadPool};

/// One caller's place in the line of its process.
struct Request {
    token: CancelToken,
    deadline: Option<Instant>,
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

/// Where one stands in line: for a file, to share it or to have it alone.
type Counter = (FileId, Mode);

/// The lines of this process. A file is in here exactly while a thread stands in its queue.
static LINES: LazyLock<Mutex<HashMap<Counter, Line>>> = LazyLock::new(Mutex::default);

/// The threads that stand there. Where several processes take turns each waits again and again:
/// a new thread each time would cost more than the update.
static STANDERS: ThreadPool = ThreadPool::new(usize::MAX, 256 * 1024);

/// What became of a wait.
pub(crate) enum Waited {
    /// It was free.
    AtOnce(File),
    /// Somebody else had it first.
    InTurn(File),
    TimedOut,
    Cancelled,
}

/// Locks a file, at once or in turn. `deadline` none: no bound. Who `stands` may be kept beyond its
/// deadline, and beyond being cancelled: as long as somebody else holds the lock.
pub(crate) fn lock(
    file: File,
    id: FileId,
    mode: Mode,
    deadline: Option<Instant>,
    token: &CancelToken,
    stands: bool,
) -> io::Result<Waited> {
    let one_try = deadline.is_some_and(|deadline| deadline <= Instant::now());
    // Whoever finds a line of its own process joins it: jumping it would starve the first in it.
    // One who does not wait at all jumps it, or could never get a lock that others wait for.
    if (one_try || !somebody_waits(id)) && kernel_lock::attempt(&file, mode)? {
        return Ok(Waited::AtOnce(file));
    }
    if one_try {
        return Ok(Waited::TimedOut);
    }
    if token.is_cancelled() {
        return Ok(Waited::Cancelled);
    }
    let state = Mutex::new(State::Waiting(file));
    let request = Arc::new(Request { token: token.clone(), deadline, state });
    let counter = (id, mode);
    let is_first = join(counter, &request);
    if is_first && stands {
        serve_next(counter);
        pass_on(counter);
    } else {
        if is_first {
            send_stander(counter);
        }
        token.wait_until(deadline, || matches!(*request.lock(), State::Ready(_)));
    }
    let outcome = std::mem::replace(&mut *request.lock(), State::Left);
    match outcome {
        State::Ready(locked) => locked.map(Waited::InTurn),
        _ if token.is_cancelled() => Ok(Waited::Cancelled),
        _ => Ok(Waited::TimedOut),
    }
}

/// Whether a thread of this process stands in the queue for a file.
pub(crate) fn somebody_waits(id: FileId) -> bool {
    let lines = lines();
    [Mode::Shared, Mode::Exclusive].iter().any(|mode| lines.contains_key(&(id, *mode)))
}

/// Joins a line; says whether there was none, so that nobody stands in the queue yet.
fn join(counter: Counter, request: &Arc<Request>) -> bool {
    let mut lines = lines();
    let line = lines.get_mut(&counter);
    let is_first = line.is_none();
    match line {
        Some(line) => line.push_back(request.clone()),
        None => _ = lines.insert(counter, VecDeque::from([request.clone()])),
    }
    is_first
}

fn send_stander(counter: Counter) {
    STANDERS.run(Box::new(move |called| match called {
        Called::ByThread => while serve_next(counter) {},
        Called::Refused => turn_away(counter),
    }));
}

/// Leaves the counter to another thread, if anybody is in line.
fn pass_on(counter: Counter) {
    let mut lines = lines();
    if lines.get(&counter).is_some_and(Line::is_empty) {
        lines.remove(&counter);
        return;
    }
    drop(lines);
    send_stander(counter);
}

/// Nobody can stand for those in line.
fn turn_away(counter: Counter) {
    for request in lines().remove(&counter).unwrap_or_default() {
        let refused = io::Error::other("the system refused another thread to this process");
        *request.lock() = State::Ready(Err(refused));
        request.token.wake();
    }
}

/// Takes the first in line to the kernel's queue, and hands the lock to whoever is the first when
/// it comes. Says whether there was anybody; if not, the line has ended.
fn serve_next(counter: Counter) -> bool {
    let Some(request) = next(counter) else { return false };
    let taken = std::mem::replace(&mut *request.lock(), State::AtTheCounter);
    let State::Waiting(file) = taken else {
        *request.lock() = State::Left;
        return true;
    };
    let mut locked = kernel_lock::wait(&file, counter.1).map(|()| file);
    // The first caller may have left while we stood in the queue: the next one gets its turn.
    let mut served = request;
    loop {
        // Asked before, not under the lock: who waits looks at the request under his token's lock.
        let is_over = served.is_over();
        let mut state = served.lock();
        if !matches!(*state, State::Left) && !is_over {
            *state = State::Ready(locked);
            drop(state);
            served.token.wake();
            return true;
        }
        drop(state);
        match next_waiting(counter) {
            Some(other) => served = other,
            None => {
                if let Ok(file) = &mut locked {
                    let _ = kernel_lock::unlock(file);
                }
                return true;
            }
        }
    }
}

/// The first in line, or the end of the line and of its thread.
fn next(counter: Counter) -> Option<Arc<Request>> {
    let mut lines = lines();
    let request = lines.get_mut(&counter)?.pop_front();
    if request.is_none() {
        lines.remove(&counter);
    }
    request
}

/// The first who has not left, if any; leaves the line itself in place.
fn next_waiting(counter: Counter) -> Option<Arc<Request>> {
    let mut lines = lines();
    let line = lines.get_mut(&counter)?;
    while let Some(request) = line.pop_front() {
        if matches!(*request.lock(), State::Waiting(_)) {
            return Some(request);
        }
    }
    None
}

fn lines() -> MutexGuard<'static, HashMap<Counter, Line>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Request {
    /// Whether its time is over, or it is cancelled: also of one who stands at the counter itself,
    /// and can't leave.
    fn is_over(&self) -> bool {
        self.token.is_cancelled() || self.deadline.is_some_and(|end| end <= Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
