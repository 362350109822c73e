//! Closing what was replaced, on a thread of its own: the last one who closes a deleted file frees
//! it, which can take as long as the update that replaced it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::threads::STACK_BYTES;
use crate::util::thread_pool::{Called, ThreadPool};

/// So many wait to be closed; more are closed where they are, or a process that updates faster
/// than the disk frees would collect open files.
const MOST: usize = 32;

/// The pauses between two looks, from the last file on. To wake the thread for each file would
/// cost more than to close it.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(8),
];

static THREAD: ThreadPool = ThreadPool::new(1, STACK_BYTES);

static STATE: Mutex<State> = Mutex::new(State { files: Vec::new(), is_looking: false });

/// What the thread sleeps on between two looks. Nobody wakes it.
static PAUSE: Condvar = Condvar::new();

struct State {
    files: Vec<Box<dyn Send>>,
    /// Whether the thread looks by itself, soon.
    is_looking: bool,
}

/// Drops a value that holds files: on the thread, or right here if that has enough to do.
pub(super) fn close_later(files: impl Send + 'static) {
    let mut state = state();
    if state.files.len() >= MOST {
        return;
    }
    state.files.push(Box::new(files));
    if !std::mem::replace(&mut state.is_looking, true) {
        drop(state);
        THREAD.run(Box::new(close_all));
    }
}

/// What the thread does until nothing has come for a while. Without a thread it is done once, here.
fn close_all(called: Called) {
    let mut pauses = PAUSES.iter();
    loop {
        let mut state = state();
        let files = std::mem::take(&mut state.files);
        if !files.is_empty() {
            drop(state);
            drop(files);
            pauses = PAUSES.iter();
            continue;
        }
        match pauses.next() {
            Some(pause) if called == Called::ByThread => drop(PAUSE.wait_timeout(state, *pause)),
            _ => {
                state.is_looking = false;
                return;
            }
        }
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
