//! Cleanup at the end of a JavaScript thread.
//!
//! Node and Bun finalise the objects of a worker that is terminated. Deno does not: without this
//! cleanup, a lock that such an object owns would stay held for as long as the process lives.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};

type ThreadCleanup = Box<dyn FnOnce()>;

thread_local! {
    static CLEANUPS: ThreadCleanups = ThreadCleanups::default();
}

/// The cleanups of this thread, by the number of their guard.
#[derive(Default)]
struct ThreadCleanups(RefCell<HashMap<u64, ThreadCleanup>>);

impl Drop for ThreadCleanups {
    fn drop(&mut self) {
        for cleanup in self.0.take().into_values() {
            // A panic while the thread ends would end the process.
            let _ = catch_unwind(AssertUnwindSafe(cleanup));
        }
    }
}

/// Has a cleanup run at the end of the thread, unless the guard is dropped before.
#[derive(Debug)]
#[must_use = "the cleanup does not run once this value is dropped"]
pub struct ThreadEndGuard(u64);

impl ThreadEndGuard {
    /// Has `cleanup` run if this thread ends before the guard is dropped.
    pub fn new(cleanup: impl FnOnce() + 'static) -> Self {
        /// Unique in the process, not only in the thread: an object may be dropped by another
        /// thread than the one that made it, and must not remove a cleanup of that thread.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        // Fails only while the thread ends, when nothing new is made any more.
        let _ = CLEANUPS.try_with(|cleanups| cleanups.0.borrow_mut().insert(id, Box::new(cleanup)));
        ThreadEndGuard(id)
    }
}

impl Drop for ThreadEndGuard {
    fn drop(&mut self) {
        // Dropped outside of the borrow: what the cleanup owns may have a guard of its own.
        let _removed = CLEANUPS.try_with(|cleanups| cleanups.0.borrow_mut().remove(&self.0));
    }
}
