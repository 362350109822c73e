//! Cancelling a wait from another thread, and waking a waiting thread.

#[cfg(feature = "tokio")]
use std::sync::Weak;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Ends a wait for a lock early, or a watch. Clones share one state. A cancelled token stays
/// cancelled.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    shared: Arc<TokenState>,
}

#[derive(Debug, Default)]
struct TokenState {
    cancelled: Mutex<bool>,
    /// The tokens that are cancelled with this one.
    #[cfg(feature = "tokio")]
    children: Mutex<Vec<Weak<TokenState>>>,
    /// All threads that wait under this token sleep on this. A thread that hands something to a
    /// waiting thread calls [`CancelToken::wake`]; each woken thread checks its own condition.
    woken: Condvar,
}

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every present and future wait for a lock under this token with
    /// [`Aborted`](crate::Error::Aborted).
    pub fn cancel(&self) {
        *self.lock() = true;
        self.shared.woken.notify_all();
        #[cfg(feature = "tokio")]
        for child in self.children().drain(..).filter_map(|child| child.upgrade()) {
            CancelToken { shared: child }.cancel();
        }
    }

    /// A token that is cancelled together with this one, and can be cancelled alone.
    #[cfg(feature = "tokio")]
    pub(crate) fn child(&self) -> Self {
        let child = CancelToken::new();
        let mut children = self.children();
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(&child.shared));
        drop(children);
        // Checked after the child is in the list: a parent that was cancelled between a check and
        // the insertion would never cancel this child.
        if self.is_cancelled() {
            child.cancel();
        }
        child
    }

    #[cfg(feature = "tokio")]
    fn children(&self) -> MutexGuard<'_, Vec<Weak<TokenState>>> {
        self.shared.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.lock()
    }

    /// Wakes the waiting threads without cancelling their waits.
    ///
    /// Takes and releases the lock first: a thread that has checked its condition but does not
    /// sleep yet would miss the notification and sleep until its deadline.
    #[doc(hidden)]
    pub fn wake(&self) {
        drop(self.lock());
        self.shared.woken.notify_all();
    }

    /// Sleeps until `ready` returns true, the token is cancelled, or the deadline passes; returns
    /// whether `ready` returned true. Without a deadline it waits without bound.
    #[doc(hidden)]
    pub fn wait_until(&self, deadline: Option<Instant>, mut ready: impl FnMut() -> bool) -> bool {
        let mut cancelled = self.lock();
        loop {
            if ready() {
                return true;
            }
            if *cancelled {
                return false;
            }
            cancelled = match deadline {
                None => self.shared.woken.wait(cancelled).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    let (guard, _) = self
                        .shared
                        .woken
                        .wait_timeout(cancelled, left)
                        .unwrap_or_else(PoisonError::into_inner);
                    guard
                }
            };
        }
    }

    /// Sleeps until the instant, or until the token is cancelled if that is earlier.
    pub(crate) fn sleep_until(&self, instant: Instant) {
        self.wait_until(Some(instant), || false);
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.shared.cancelled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn cancel_ends_a_wait_without_a_deadline() {
        let token = CancelToken::new();
        let waiter = thread::spawn({
            let token = token.clone();
            move || token.wait_until(None, || false)
        });
        token.cancel();
        assert!(!waiter.join().unwrap());
        assert!(token.is_cancelled());
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn a_parent_cancels_its_children_and_a_child_cancels_only_itself() {
        let parent = CancelToken::new();
        let [one, other] = [parent.child(), parent.child()];
        one.cancel();
        assert!(one.is_cancelled() && !parent.is_cancelled() && !other.is_cancelled());
        parent.cancel();
        assert!(other.is_cancelled() && parent.child().is_cancelled());
    }

    #[test]
    fn a_condition_that_is_met_counts_even_if_the_token_is_cancelled() {
        let token = CancelToken::new();
        token.cancel();
        assert!(token.wait_until(None, || true));
    }
}
