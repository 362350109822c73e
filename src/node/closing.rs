//! Closing what was replaced, from a thread of its own: the last one who closes a deleted file
//! frees it, which can take as long as the update that replaced it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// So many wait to be closed; more are closed where they are, or a process that updates faster
/// than the disk frees would collect open files.
const MOST: usize = 32;

/// The pauses between two looks while files keep coming. To be woken for each would cost the
/// thread that updates more than closing the file.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(8),
];

/// How long the thread stays when nothing comes.
const LINGER: Duration = Duration::from_secs(2);

static STATE: Mutex<State> = Mutex::new(State { files: Vec::new(), thread: Thread::None });
static CALLED: Condvar = Condvar::new();

struct State {
    files: Vec<Box<dyn Send>>,
    thread: Thread,
}

enum Thread {
    None,
    /// It looks by itself, soon.
    Looking,
    /// It sleeps until it is called.
    Asleep,
}

/// Drops a value that holds files: on the thread, or right here if that has enough to do.
pub(super) fn close_later(files: impl Send + 'static) {
    let mut state = state();
    if state.files.len() >= MOST {
        return;
    }
    state.files.push(Box::new(files));
    match state.thread {
        Thread::Looking => {}
        Thread::Asleep => {
            state.thread = Thread::Looking;
            CALLED.notify_one();
        }
        Thread::None => {
            let builder = thread::Builder::new().name("argus-closing".into());
            if builder.stack_size(256 * 1024).spawn(close_all).is_ok() {
                state.thread = Thread::Looking;
            } else {
                // Without a thread they are closed here, but not while anybody waits for the state.
                let here = std::mem::take(&mut state.files);
                drop(state);
                drop(here);
            }
        }
    }
}

/// The thread.
fn close_all() {
    let mut pauses = PAUSES.iter();
    loop {
        let mut state = state();
        let files = std::mem::take(&mut state.files);
        if !files.is_empty() {
            drop(state);
            drop(files);
            pauses = PAUSES.iter();
        } else if let Some(pause) = pauses.next() {
            // Nobody calls: it looks by itself.
            drop(CALLED.wait_timeout(state, *pause));
        } else {
            state.thread = Thread::Asleep;
            let is_asleep = |state: &mut State| matches!(state.thread, Thread::Asleep);
            let waited = CALLED.wait_timeout_while(state, LINGER, is_asleep);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if matches!(state.thread, Thread::Asleep) {
                state.thread = Thread::None;
                return;
            }
            pauses = PAUSES.iter();
        }
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
