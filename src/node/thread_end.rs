//! What is left to do when a JavaScript thread ends.
//!
//! Node and Bun finalise the objects of a worker that is terminated; Deno does not, and a lock that
//! such an object owns would be held for as long as the process lives.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};

type Abandon = Box<dyn FnOnce()>;

thread_local! {
    static OWNED: Owned = Owned::default();
}

/// What this thread would leave behind, and how to let go of it.
#[derive(Default)]
struct Owned(RefCell<HashMap<u64, Abandon>>);

impl Drop for Owned {
    fn drop(&mut self) {
        for abandon in self.0.take().into_values() {
            // A panic in here would end the process.
            let _ = catch_unwind(AssertUnwindSafe(abandon));
        }
    }
}

/// Somebody whose leftovers are known; forgotten when it is dropped.
pub(super) struct Owner(u64);

impl Owner {
    /// Has `abandon` called if this thread ends before the owner does.
    pub(super) fn new(abandon: impl FnOnce() + 'static) -> Self {
        /// Of the process, not of the thread: an object may be dropped by another thread than the
        /// one that made it, and must not make that one forget something of its own.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        // Fails only while the thread ends, when nothing new is made any more.
        let _ = OWNED.try_with(|owned| owned.0.borrow_mut().insert(id, Box::new(abandon)));
        Owner(id)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Dropped outside of the borrow, whatever it owns.
        let _forgotten = OWNED.try_with(|owned| owned.0.borrow_mut().remove(&self.0));
    }
}
