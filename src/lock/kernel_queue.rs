//! Waiting for a guard or a lock file in the kernel's own queue, with a deadline and cancellation.
//!
//! A blocking lock call hands the lock over in microseconds and in order of arrival, where polling
//! is slow, unfair and burns CPU. But a blocking call can be neither timed out nor cancelled
//! without signals, and an addon must not touch the signals of its host. So one thread per file and
//! process blocks in the kernel for all callers of the process that wait, and hands the lock to
//! them in order of arrival. A caller that gives up only removes its request. The thread stays
//! blocked, at no cost, and serves the next caller; if the lock comes and no caller waits, the
//! thread unlocks it at once. So ten thousand timed-out calls leave one thread behind.
//!
//! A caller on a thread of the addon's own pool blocks in the kernel itself, which saves two
//! changes of thread: another thread tells JavaScript in time when the deadline passes.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::lock::kernel_lock::{self, LockMode};
use crate::lock::wait::{Wait, WaitPolicy};
use crate::sys::FileId;
use crate::util::cancel::CancelToken;
use crate::util::thread_pool::{Dispatch, ThreadPool};

/// One caller that waits.
struct Request {
    token: CancelToken,
    deadline: Option<Instant>,
    state: Mutex<RequestState>,
}

enum RequestState {
    /// Holds the caller's own descriptor, which is as good as any other to wait with.
    Waiting(File),
    /// A thread is blocked in the kernel with the caller's descriptor.
    InKernel,
    Ready(io::Result<File>),
    /// The caller gave up.
    Abandoned,
}

/// A queue is for one file and one mode: shared and exclusive waiters block separately.
type QueueKey = (FileId, LockMode);

/// The waiting callers of this process. A key is in here exactly while a thread blocks in the
/// kernel for it.
static QUEUES: LazyLock<Mutex<HashMap<QueueKey, VecDeque<Arc<Request>>>>> =
    LazyLock::new(Mutex::default);

/// The threads that block in the kernel. Where several processes take turns, each process waits
/// again and again: a new thread each time would cost more than the update.
static QUEUE_THREADS: ThreadPool = ThreadPool::new(usize::MAX, 256 * 1024);

/// What became of a wait.
pub(crate) enum Waited {
    /// The lock was free.
    AtOnce(File),
    /// Another caller or process held it first.
    InTurn(File),
    TimedOut,
    Cancelled,
}

/// Locks a file, at once or in order of arrival, as the caller's wait allows.
pub(crate) fn lock(file: File, id: FileId, mode: LockMode, wait: &Wait) -> io::Result<Waited> {
    let is_over = wait.deadline.is_some_and(|deadline| deadline <= Instant::now());
    let one_try = is_over && wait.may_block();
    // A caller that finds others of its process waiting joins them: overtaking them would starve
    // the first. A one-try caller overtakes them, or it could never get a lock that others wait
    // for. A caller that must not block does not: another thread makes its call anew, and waits
    // then.
    if (one_try || !has_waiters(id)) && kernel_lock::attempt(&file, mode)? {
        return Ok(Waited::AtOnce(file));
    }
    if is_over || !wait.may_block() {
        return Ok(Waited::TimedOut);
    }
    let token = &wait.token;
    if token.is_cancelled() {
        return Ok(Waited::Cancelled);
    }
    let state = Mutex::new(RequestState::Waiting(file));
    let request = Arc::new(Request { token: token.clone(), deadline: wait.deadline, state });
    let key = (id, mode);
    let is_first = enqueue(key, &request);
    if is_first && wait.policy == WaitPolicy::BlockInKernel {
        serve_next(key);
        pass_on(key);
    } else {
        if is_first {
            start_queue_thread(key);
        }
        token.wait_until(wait.deadline, || matches!(*request.lock(), RequestState::Ready(_)));
    }
    let state = std::mem::replace(&mut *request.lock(), RequestState::Abandoned);
    match state {
        RequestState::Ready(locked) => locked.map(Waited::InTurn),
        _ if token.is_cancelled() => Ok(Waited::Cancelled),
        _ => Ok(Waited::TimedOut),
    }
}

/// Whether a thread of this process is blocked in the kernel for a file.
pub(crate) fn has_waiters(id: FileId) -> bool {
    let queues = queues();
    [LockMode::Shared, LockMode::Exclusive].iter().any(|mode| queues.contains_key(&(id, *mode)))
}

/// Adds a request; says whether its queue is new, so that no thread blocks in the kernel for it
/// yet.
fn enqueue(key: QueueKey, request: &Arc<Request>) -> bool {
    let mut queues = queues();
    let queue = queues.get_mut(&key);
    let is_new = queue.is_none();
    match queue {
        Some(queue) => queue.push_back(request.clone()),
        None => _ = queues.insert(key, VecDeque::from([request.clone()])),
    }
    is_new
}

fn start_queue_thread(key: QueueKey) {
    QUEUE_THREADS.run(Box::new(move |dispatch| match dispatch {
        Dispatch::PoolThread => while serve_next(key) {},
        Dispatch::Refused => fail_all(key),
    }));
}

/// Leaves a queue to a thread of the pool, if any caller waits in it.
fn pass_on(key: QueueKey) {
    let mut queues = queues();
    if queues.get(&key).is_some_and(VecDeque::is_empty) {
        queues.remove(&key);
        return;
    }
    drop(queues);
    start_queue_thread(key);
}

/// Fails all requests of a queue: the system gave the process no thread that could wait for them.
fn fail_all(key: QueueKey) {
    for request in queues().remove(&key).unwrap_or_default() {
        let refused = io::Error::other("the system refused another thread to this process");
        *request.lock() = RequestState::Ready(Err(refused));
        request.token.wake();
    }
}

/// Blocks in the kernel with the first request's descriptor, and hands the lock to the request that
/// is first when it comes. Says whether there was a request; if not, the queue has ended.
fn serve_next(key: QueueKey) -> bool {
    let Some(request) = next(key) else { return false };
    // The first caller may give up while this thread is blocked: the next one gets its turn.
    let mut serving = Serving { key, request };
    let taken = std::mem::replace(&mut *serving.request.lock(), RequestState::InKernel);
    let RequestState::Waiting(file) = taken else {
        *serving.request.lock() = RequestState::Abandoned;
        return true;
    };
    let mut locked = kernel_lock::wait(&file, key.1).map(|()| file);
    #[cfg(test)]
    tests::panic_if_asked(key.0);
    loop {
        // Asked before the request is locked: a waiting caller looks at its request under its
        // token's lock, so the opposite order could deadlock.
        let is_over = serving.request.is_over();
        let mut state = serving.request.lock();
        if !matches!(*state, RequestState::Abandoned) && !is_over {
            *state = RequestState::Ready(locked);
            drop(state);
            serving.request.token.wake();
            return true;
        }
        drop(state);
        match next_waiting(key) {
            Some(other) => serving.request = other,
            None => {
                if let Ok(file) = &mut locked {
                    let _ = kernel_lock::unlock(file);
                }
                return true;
            }
        }
    }
}

/// The request for which a thread blocks in the kernel. A panic of that thread, which is a defect, fails this
/// request alone: the queue is left to another thread. Otherwise its callers, and all later ones of this process,
/// would wait for a thread that is gone.
struct Serving {
    key: QueueKey,
    request: Arc<Request>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        let mut state = self.request.lock();
        if matches!(*state, RequestState::Waiting(_) | RequestState::InKernel) {
            *state = RequestState::Ready(Err(io::Error::other("the waiting thread has panicked")));
        }
        drop(state);
        self.request.token.wake();
        pass_on(self.key);
    }
}

/// The first request, which leaves the queue; if there is none, the queue ends, and with it the
/// work of its thread.
fn next(key: QueueKey) -> Option<Arc<Request>> {
    let mut queues = queues();
    let request = queues.get_mut(&key)?.pop_front();
    if request.is_none() {
        queues.remove(&key);
    }
    request
}

/// The first request whose caller has not given up, if any; the queue itself stays.
fn next_waiting(key: QueueKey) -> Option<Arc<Request>> {
    let mut queues = queues();
    let queue = queues.get_mut(&key)?;
    while let Some(request) = queue.pop_front() {
        if matches!(*request.lock(), RequestState::Waiting(_)) {
            return Some(request);
        }
    }
    None
}

fn queues() -> MutexGuard<'static, HashMap<QueueKey, VecDeque<Arc<Request>>>> {
    QUEUES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Request {
    /// Whether its deadline has passed, or its caller has cancelled it. A caller that blocks in the
    /// kernel itself can't give up before the lock comes.
    fn is_over(&self) -> bool {
        self.token.is_cancelled() || self.deadline.is_some_and(|end| end <= Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, RequestState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
