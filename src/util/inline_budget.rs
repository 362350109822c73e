//! The budget of work that a thread which must not block, such as an event loop's, does itself.
//!
//! On a file system of this machine, with the lock free and without fsync, an update is a handful
//! of calls that the kernel answers from memory: a hop to another thread and back takes as long as
//! all of them. That such calls don't block is never certain, though: a disk may have so much to
//! write that a rename waits. When slow calls have used up the budget, all calls go to other
//! threads for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A call that takes longer may have waited for a disk. A shorter one may only have waited for a
/// processor, which is no reason to leave the thread.
const SLOW_CALL: Duration = Duration::from_millis(20);

/// The time that slow calls may take together within [`BUDGET_WINDOW`].
const BUDGET: Duration = Duration::from_millis(100);

/// How long a slow call counts. Each further slow call extends the time.
const BUDGET_WINDOW: Duration = Duration::from_secs(1);

/// The size in bytes of a file above which reading and parsing it is too much for such a thread.
pub(crate) const INLINE_SIZE_LIMIT: u64 = 256 * 1024;

static SPENT: Mutex<Spent> = Mutex::new(Spent { last: None, total: Duration::ZERO });

/// What slow calls have taken lately.
struct Spent {
    last: Option<Instant>,
    total: Duration,
}

impl Spent {
    fn has_expired(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last) > BUDGET_WINDOW)
    }

    fn leaves_budget(&self, now: Instant) -> bool {
        self.total < BUDGET || self.has_expired(now)
    }

    fn note(&mut self, took: Duration, now: Instant) {
        if took < SLOW_CALL {
            return;
        }
        self.total = if self.has_expired(now) { took } else { self.total + took };
        self.last = Some(now);
    }
}

/// Whether the calling thread may make a call itself.
pub(crate) fn is_available() -> bool {
    spent().leaves_budget(Instant::now())
}

/// Whether a file of this many bytes may be read and parsed on the calling thread.
pub(crate) fn allows_size(bytes: u64) -> bool {
    bytes <= INLINE_SIZE_LIMIT
}

/// Makes a call, and notes how long it took.
pub(crate) fn spend<T>(call: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = call();
    let now = Instant::now();
    spent().note(now - started, now);
    result
}

fn spent() -> MutexGuard<'static, Spent> {
    SPENT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_calls_use_up_the_budget_for_a_while() {
        let start = Instant::now();
        let mut spent = Spent { last: None, total: Duration::ZERO };
        let ms = Duration::from_millis;
        for n in 0..100 {
            spent.note(ms(19), start + ms(n));
        }
        assert!(spent.leaves_budget(start + ms(100)), "calls under the limit are not slow");
        spent.note(ms(60), start + ms(100));
        assert!(spent.leaves_budget(start + ms(100)), "a single slow call may be chance");
        spent.note(ms(40), start + ms(900));
        assert!(!spent.leaves_budget(start + ms(900)));
        assert!(!spent.leaves_budget(start + ms(1900)));
        assert!(spent.leaves_budget(start + ms(1901)));
        spent.note(ms(60), start + ms(2000));
        assert!(spent.leaves_budget(start + ms(2000)), "what was long ago does not count");
    }

    #[test]
    fn large_files_are_left_to_other_threads() {
        assert!(spend(is_available));
        assert!(allows_size(INLINE_SIZE_LIMIT));
        assert!(!allows_size(INLINE_SIZE_LIMIT + 1));
    }
}
