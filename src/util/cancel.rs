//! Cancelling a wait from another thread.

#[cfg(feature = "tokio")]
use std::sync::Weak;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Ends a wait for a lock early, or a watch. Clones share one state; cancelling is final.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    cancelled: Mutex<bool>,
    /// Those that are cancelled with this one.
    #[cfg(feature = "tokio")]
    children: Mutex<Vec<Weak<Shared>>>,
    /// Everybody who waits under this token sleeps here: whoever hands a waiter something calls
    /// [`CancelToken::wake`], and the waiter looks for itself what it was woken for.
    woken: Condvar,
}

impl CancelToken {
    /// A token that nobody has cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every wait for a lock under this token, now and later, with
    /// [`Aborted`](crate::Error::Aborted).
    pub fn cancel(&self) {
        *self.lock() = true;
        self.shared.woken.notify_all();
        #[cfg(feature = "tokio")]
        for child in self.children().drain(..).filter_map(|child| child.upgrade()) {
            CancelToken { shared: child }.cancel();
        }
    }

    /// A token that is cancelled with this one, but can be cancelled without it.
    #[cfg(feature = "tokio")]
    pub(crate) fn child(&self) -> Self {
        let child = CancelToken::new();
        let mut children = self.children();
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(&child.shared));
        drop(children);
        // In this order, or a cancel in between would be missed.
        if self.is_cancelled() {
            child.cancel();
        }
        child
    }

    #[cfg(feature = "tokio")]
    fn children(&self) -> MutexGuard<'_, Vec<Weak<Shared>>> {
        self.shared.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.lock()
    }

    /// Wakes the waiters without cancelling them. The lock is taken and let go first, or a waiter
    /// between its look and its sleep would miss the call and sleep to its deadline.
    pub(crate) fn wake(&self) {
        drop(self.lock());
        self.shared.woken.notify_all();
    }

    /// Sleeps until `ready` says so, the token is cancelled, or the deadline is over, and says
    /// whether `ready` did. No deadline means for ever.
    pub(crate) fn wait_until(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut() -> bool,
    ) -> bool {
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

    /// Sleeps until the instant, or until the token is cancelled.
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
    fn cancel_ends_an_endless_wait() {
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
    fn a_child_is_cancelled_with_its_parent_and_not_the_other_way_round() {
        let parent = CancelToken::new();
        let [one, other] = [parent.child(), parent.child()];
        one.cancel();
        assert!(one.is_cancelled() && !parent.is_cancelled() && !other.is_cancelled());
        parent.cancel();
        assert!(other.is_cancelled() && parent.child().is_cancelled());
    }

    #[test]
    fn what_is_ready_wins_over_a_cancelled_token() {
        let token = CancelToken::new();
        token.cancel();
        assert!(token.wait_until(None, || true));
    }
}
