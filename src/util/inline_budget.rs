//! What may be done on a caller's thread that must not block, such as an event loop's.
//!
//! On a file system of this machine, with the lock free and without fsync, an update is a handful
//! of calls that the kernel answers from memory: a hop to another thread and back takes as long as
//! all of them. That they don't block is never certain, though: a disk may have so much to write
//! that a rename waits. When that has cost such threads too much, all is left to other threads for
//! a while.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What takes longer may have waited for a disk, or for a processor: a busy machine is no reason.
const LONG: Duration = Duration::from_millis(20);

/// So much of it is borne in a while.
const MOST: Duration = Duration::from_millis(100);

const WHILE: Duration = Duration::from_secs(1);

static LATELY: Mutex<Lately> = Mutex::new(Lately { last: None, together: Duration::ZERO });

/// What took long lately.
struct Lately {
    last: Option<Instant>,
    together: Duration,
}

impl Lately {
    fn is_past(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last) > WHILE)
    }

    fn may_go_on(&self, now: Instant) -> bool {
        self.together < MOST || self.is_past(now)
    }

    fn note(&mut self, took: Duration, now: Instant) {
        if took < LONG {
            return;
        }
        self.together = if self.is_past(now) { took } else { self.together + took };
        self.last = Some(now);
    }
}

/// The content of a larger file takes its time, wherever it comes from.
pub(crate) const LARGE: u64 = 256 * 1024;

/// Whether the calling thread may try.
pub(crate) fn is_to_be_tried() -> bool {
    lately().may_go_on(Instant::now())
}

/// The same for reading and replacing this file.
pub(crate) fn is_to_be_tried_on(file: &Path) -> bool {
    let is_large = |file: &Path| fs::metadata(file).is_ok_and(|metadata| metadata.len() > LARGE);
    is_to_be_tried() && !is_large(file)
}

/// Does it, and notes how long it took.
pub(crate) fn try_it<T>(work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    let now = Instant::now();
    lately().note(now - started, now);
    done
}

fn lately() -> MutexGuard<'static, Lately> {
    LATELY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_too_much_is_left_to_others_for_a_while() {
        let start = Instant::now();
        let mut lately = Lately { last: None, together: Duration::ZERO };
        let ms = Duration::from_millis;
        for n in 0..100 {
            lately.note(ms(19), start + ms(n));
        }
        assert!(lately.may_go_on(start + ms(100)), "that is not long");
        lately.note(ms(60), start + ms(100));
        assert!(lately.may_go_on(start + ms(100)), "once may be by chance");
        lately.note(ms(40), start + ms(900));
        assert!(!lately.may_go_on(start + ms(900)));
        assert!(!lately.may_go_on(start + ms(1900)));
        assert!(lately.may_go_on(start + ms(1901)));
        lately.note(ms(60), start + ms(2000));
        assert!(lately.may_go_on(start + ms(2000)), "what was long ago does not count");
    }

    #[test]
    fn large_files_are_left_to_others() {
        assert!(try_it(is_to_be_tried));
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(LARGE).unwrap();
        assert!(is_to_be_tried_on(file.path()));
        file.as_file().set_len(LARGE + 1).unwrap();
        assert!(!is_to_be_tried_on(file.path()));
    }
}
