//! A caller's wait for a lock: its options, its deadline, and its errors.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::holder::Holder;
use crate::lock::stale_lockfile::FoundLockfile;
use crate::sys::{BusyLimit, BusyScope};
use crate::util::backoff::Backoff;
use crate::util::cancel::CancelToken;

/// How long a caller waits for a lock if it names no timeout.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// How to wait for a lock.
#[derive(Debug, Clone)]
pub struct LockOptions {
    /// How long to wait for the lock. Zero means one try; `None` means a wait without bound.
    /// Default: 2 s.
    pub timeout: Option<Duration>,
    /// The instant at which the timeout starts, for a caller that has already waited for something
    /// else. Default: the moment of the call.
    pub since: Option<Instant>,
    /// The age at which a lockfile counts as stale if nothing else tells whether its holder lives:
    /// one of an older argus version, or of another host. Default: 10 s.
    pub stale_after: Duration,
    /// The pauses between two checks of an older argus version's lockfile. A lock that is held
    /// through this library is not polled: the kernel wakes the waiting thread.
    pub backoff: Backoff,
    /// Ends the wait early, from another thread.
    pub cancel: Option<CancelToken>,
}

impl Default for LockOptions {
    fn default() -> Self {
        LockOptions {
            timeout: Some(DEFAULT_TIMEOUT),
            since: None,
            stale_after: Duration::from_secs(10),
            backoff: Backoff::default(),
            cancel: None,
        }
    }
}

impl LockOptions {
    /// Options for one try: a call that finds the lock held fails with [`Error::LockBusy`] at once.
    #[must_use]
    pub fn one_try() -> Self {
        LockOptions::within(Duration::ZERO)
    }

    /// The default options with this timeout: a call that does not get the lock in time fails with
    /// [`Error::LockTimeout`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use argus_registry::LockOptions;
    ///
    /// let options = LockOptions::within(Duration::from_secs(30));
    /// assert_eq!(options.timeout, Some(Duration::from_secs(30)));
    /// ```
    #[must_use]
    pub fn within(timeout: Duration) -> Self {
        LockOptions { timeout: Some(timeout), ..LockOptions::default() }
    }
}

/// How a call may wait on the thread that makes it. The addon decides this for its own threads and for
/// JavaScript's; the core obeys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum WaitPolicy {
    /// The thread may sleep until its deadline, at which it returns.
    #[default]
    Block,
    /// The thread may also block in the kernel, beyond its deadline: another thread tells the
    /// caller when the time is over.
    BlockInKernel,
    /// The thread must not block, as that of an event loop. A call that would wait, or would create
    /// or remove what is created or removed once, is refused with [`Error::LockBusy`]; so is one on
    /// a file system that may be slow to answer. The caller then makes the call on another thread.
    DontBlock,
}

/// One caller's wait: its policy, its deadline, and how it can be cancelled.
pub(crate) struct Wait {
    started: Instant,
    pub(crate) one_try: bool,
    pub(crate) deadline: Option<Instant>,
    pub(crate) token: CancelToken,
    pub(crate) policy: WaitPolicy,
    /// The age at which a lockfile counts as stale if nothing else tells whether its holder lives.
    pub(crate) stale_after: Duration,
    pub(crate) backoff: Backoff,
}

impl Wait {
    pub(crate) fn start(options: &LockOptions) -> Self {
        Self::start_with(options, WaitPolicy::default())
    }

    pub(crate) fn start_with(options: &LockOptions, policy: WaitPolicy) -> Self {
        let started = options.since.unwrap_or_else(Instant::now);
        Wait {
            started,
            one_try: options.timeout.is_some_and(|timeout| timeout.is_zero()),
            // A timeout that ends beyond the clock's range is no timeout.
            deadline: options.timeout.and_then(|timeout| started.checked_add(timeout)),
            token: options.cancel.clone().unwrap_or_default(),
            policy,
            stale_after: options.stale_after,
            backoff: options.backoff,
        }
    }

    /// Until the result is dropped, calls of this thread about a file that another program uses are
    /// repeated until this wait's deadline. One try is one try to get the lock: a caller that has got it
    /// waits for other programs as long as a caller that names no timeout.
    pub(crate) fn busy_scope(&self) -> BusyScope {
        let deadline = match self.one_try {
            true => self.started.checked_add(DEFAULT_TIMEOUT),
            false => self.deadline,
        };
        BusyScope::enter(BusyLimit { deadline, token: self.token.clone() })
    }

    pub(crate) fn may_block(&self) -> bool {
        self.policy != WaitPolicy::DontBlock
    }

    /// The error of a call that would block on a thread that must not. It names no holder: finding
    /// it takes further system calls, and the blocking call that follows reports it.
    pub(crate) fn would_block_error(&self, paths: &FilePaths) -> Error {
        Error::LockBusy { path: paths.target.clone(), holder: None }
    }

    /// Called before a step that may block, or that is done once: fails if the thread must not
    /// block.
    pub(crate) fn before_blocking(&self, paths: &FilePaths) -> Result<()> {
        if self.may_block() {
            return Ok(());
        }
        Err(self.would_block_error(paths))
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn has_time(&self) -> bool {
        self.deadline.is_none_or(|deadline| deadline > Instant::now())
    }

    pub(crate) fn check_cancelled(&self, paths: &FilePaths) -> Result<()> {
        if self.token.is_cancelled() {
            return Err(Error::Aborted { path: paths.target.clone() });
        }
        Ok(())
    }

    /// Fails if the caller has cancelled the wait, or its deadline has passed.
    pub(crate) fn check(&self, paths: &FilePaths) -> Result<()> {
        self.check_cancelled(paths)?;
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(self.contention_error(paths, None));
        }
        Ok(())
    }

    /// Sleeps for `pause`, at most until the deadline. Fails if the deadline had passed before, or
    /// if the caller cancels the wait. `holder` is for the error.
    pub(crate) fn sleep(
        &self,
        pause: Duration,
        paths: &FilePaths,
        holder: Option<Holder>,
    ) -> Result<()> {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(self.contention_error(paths, holder));
        }
        let until = now + pause;
        self.token.sleep_until(self.deadline.map_or(until, |deadline| until.min(deadline)));
        self.check_cancelled(paths)
    }

    /// The error of a wait whose time is over: [`Error::LockBusy`] after one try, else
    /// [`Error::LockTimeout`]. It names `holder`, or the holder that the lock's files name.
    pub(crate) fn contention_error(&self, paths: &FilePaths, holder: Option<Holder>) -> Error {
        // A holder that has locked the guard and not yet created the lockfile has its record in the
        // guard only.
        let found = [&paths.lockfile, &paths.guard].into_iter().find_map(|file| {
            let found = FoundLockfile::find(file).ok().flatten();
            found.filter(|found| file == &paths.lockfile || found.has_guard_lock() == Some(true))
        });
        let holder = holder.or_else(|| found.map(|found| found.holder())).map(Box::new);
        let path = paths.target.clone();
        if self.one_try {
            return Error::LockBusy { path, holder };
        }
        Error::LockTimeout { path, waited: self.elapsed(), holder }
    }
}
