//! What is done on the calling thread, since it does not block: on a file system of this machine,
//! the lock free and without fsync, an update is a handful of calls that the kernel answers from
//! memory. A hop to another thread and back takes as long as all of them.
//!
//! That they don't block is never certain: a disk may have so much to write that a rename waits.
//! So what took long once is left to other threads for a while.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longer than a busy machine keeps a thread from its processor, and as long as a frame or two.
const LONG: Duration = Duration::from_millis(20);

/// For so long nothing is tried on the calling thread again.
const PAUSE: Duration = Duration::from_secs(1);

/// When something last took long.
static TOOK_LONG: Mutex<Option<Instant>> = Mutex::new(None);

/// Whether the calling thread may try again.
pub(super) fn is_to_be_tried() -> bool {
    let took_long = *TOOK_LONG.lock().unwrap_or_else(PoisonError::into_inner);
    took_long.is_none_or(|at| at.elapsed() > PAUSE)
}

/// Does it, and notes if it took long.
pub(super) fn try_it<T>(work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    if started.elapsed() > LONG {
        *TOOK_LONG.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
    done
}
