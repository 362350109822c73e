//! Dropping values on a thread of their own, some milliseconds later.
//!
//! For what takes long to drop and that no caller waits for: closing the last descriptor of a
//! deleted file frees the file, which can take as long as the update that replaced it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::util::thread_pool::{Dispatch, ThreadPool};

/// How many values wait at most. More are dropped by the caller: a process that updates faster than
/// the disk frees would collect open files.
const WAITING_LIMIT: usize = 32;

/// The pauses between two checks, counted from the last value. To wake the thread for each value
/// would cost more than to drop it.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(8),
];

const STACK_BYTES: usize = 256 * 1024;

static THREAD: ThreadPool = ThreadPool::new(1, STACK_BYTES);

static WAITING: Mutex<Waiting> = Mutex::new(Waiting { values: Vec::new(), is_checking: false });

/// What the thread sleeps on between two checks. Nothing notifies it.
static PAUSE: Condvar = Condvar::new();

struct Waiting {
    values: Vec<Box<dyn Send>>,
    /// Whether the thread will check for values by itself, soon.
    is_checking: bool,
}

/// Drops a value on the thread, or at once if the thread has enough to do.
pub(crate) fn drop_later(value: impl Send + 'static) {
    let mut waiting = waiting();
    if waiting.values.len() >= WAITING_LIMIT {
        return;
    }
    waiting.values.push(Box::new(value));
    if !std::mem::replace(&mut waiting.is_checking, true) {
        drop(waiting);
        THREAD.run(Box::new(drop_all));
    }
}

/// The thread's work, until no value has come for a while. If the system refuses the thread, the
/// caller does it once.
fn drop_all(dispatch: Dispatch) {
    let mut pauses = PAUSES.iter();
    loop {
        let mut waiting = waiting();
        let values = std::mem::take(&mut waiting.values);
        if !values.is_empty() {
            drop(waiting);
            drop(values);
            pauses = PAUSES.iter();
            continue;
        }
        match pauses.next() {
            Some(pause) if dispatch == Dispatch::PoolThread => {
                drop(PAUSE.wait_timeout(waiting, *pause));
            }
            _ => {
                waiting.is_checking = false;
                return;
            }
        }
    }
}

fn waiting() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}
