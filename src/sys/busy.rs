//! Calls that are repeated while another program uses a file, which happens on Windows only: a program
//! that opens a file there decides whether others may open, replace or delete it meanwhile. Editors,
//! virus scanners and backups do not always permit that.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::sharing::{is_in_use, is_sharing_violation, may_be_retried, sharing_violation};
use crate::util::cancel::CancelToken;

/// For how long a call is repeated at least, even for a caller that wants one try: as long as a virus
/// scanner has a file open that was just written, and as long as a refusal may come from something other
/// than missing rights.
const MIN_RETRY_TIME: Duration = Duration::from_millis(200);
/// For how long a call is repeated if its caller has named no time, as readers do: the default timeout of
/// a lock.
const DEFAULT_RETRY_TIME: Duration = Duration::from_secs(2);
/// The pause before a repetition, during [`MIN_RETRY_TIME`] and afterwards.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LATER_PAUSE: Duration = Duration::from_millis(25);

thread_local! {
    static LIMIT: RefCell<Option<BusyLimit>> = const { RefCell::new(None) };
}

/// Until when the calls of a caller are repeated.
#[derive(Debug, Clone)]
pub(crate) struct BusyLimit {
    /// `None`: without bound.
    pub(crate) deadline: Option<Instant>,
    pub(crate) token: CancelToken,
}

/// While this value exists, its limit applies to the calls that this thread makes.
#[derive(Debug)]
#[must_use = "the limit ends with this value"]
pub(crate) struct BusyScope {
    outer: Option<BusyLimit>,
}

impl BusyScope {
    pub(crate) fn enter(limit: BusyLimit) -> Self {
        BusyScope { outer: LIMIT.with_borrow_mut(|current| current.replace(limit)) }
    }
}

impl Drop for BusyScope {
    fn drop(&mut self) {
        let outer = self.outer.take();
        // At the end of a thread its variables may be gone, and with them the limit.
        let _ = LIMIT.try_with(|current| *current.borrow_mut() = outer);
    }
}

/// Repeats a call about a file that fails because another program uses the file, until the deadline of
/// the caller. The error says then that the file is in use.
pub(crate) fn retry_while_busy<T>(
    path: &Path,
    call: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    retry_while_any_is_busy(&[path], call)
}

/// Like [`retry_while_busy`], for a call about several files.
pub(super) fn retry_while_any_is_busy<T>(
    paths: &[&Path],
    mut call: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    // Found out at the first failure: nearly every call succeeds at once.
    let mut retries = None;
    loop {
        let error = match call() {
            Err(error) if may_be_retried(&error) => error,
            other => return other,
        };
        let retries = retries.get_or_insert_with(Retries::start);
        // "Access denied" also means that rights are missing, which no wait cures.
        let is_busy = || is_sharing_violation(&error) || paths.iter().any(|path| is_in_use(path));
        if paths.iter().any(|path| path.is_dir()) || retries.is_past_minimum() && !is_busy() {
            return Err(error);
        }
        if !retries.pause() {
            return Err(sharing_violation());
        }
    }
}

struct Retries {
    started: Instant,
    limit: BusyLimit,
}

impl Retries {
    fn start() -> Self {
        let started = Instant::now();
        let limit = LIMIT.with_borrow(Clone::clone).unwrap_or_else(|| BusyLimit {
            deadline: Some(started + DEFAULT_RETRY_TIME),
            token: CancelToken::new(),
        });
        Retries { started, limit }
    }

    fn is_past_minimum(&self) -> bool {
        self.started.elapsed() >= MIN_RETRY_TIME
    }

    /// Sleeps before the next try. False if there is to be none: the time is over, or the caller has
    /// cancelled its call.
    fn pause(&self) -> bool {
        let now = Instant::now();
        let minimum = self.started + MIN_RETRY_TIME;
        let is_over = self.limit.deadline.is_some_and(|deadline| deadline.max(minimum) <= now);
        if is_over || self.limit.token.is_cancelled() {
            return false;
        }
        let pause = if now < minimum { FIRST_PAUSE } else { LATER_PAUSE };
        self.limit.token.sleep_until(now + pause);
        true
    }
}
