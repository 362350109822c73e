//! One caller's wait for a lock: how long it may take, and the error when it is over.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::holder::Holder;
use crate::lock::stale_lockfile::Found;
use crate::util::backoff::Backoff;
use crate::util::cancel::CancelToken;

/// How to wait for a lock.
#[derive(Debug, Clone)]
pub struct LockOptions {
    /// How long to wait for the lock; zero is one try, `None` waits without bound. Default 2 s,
    /// as in argus.
    pub timeout: Option<Duration>,
    /// Since when the timeout counts, for a caller that has waited elsewhere already. Default: the
    /// moment of the call.
    pub since: Option<Instant>,
    /// When a lockfile that can't be judged otherwise counts as abandoned: one of an older argus,
    /// or of another host. Default 10 s, as in argus.
    pub stale_after: Duration,
    /// The pauses between two looks at a lockfile of an older argus. A lock held by this library
    /// is not polled: the kernel wakes the waiter.
    pub backoff: Backoff,
    /// Ends the wait early, from another thread.
    pub cancel: Option<CancelToken>,
}

impl Default for LockOptions {
    fn default() -> Self {
        LockOptions {
            timeout: Some(Duration::from_secs(2)),
            since: None,
            stale_after: Duration::from_secs(10),
            backoff: Backoff::default(),
            cancel: None,
        }
    }
}

impl LockOptions {
    /// One try: whoever finds the lock taken gets [`Error::LockBusy`] at once, as in veil.
    #[must_use]
    pub fn one_try() -> Self {
        LockOptions { timeout: Some(Duration::ZERO), ..LockOptions::default() }
    }
}

/// What a call may do on the thread that makes it. The addon decides this for its own threads and for
/// JavaScript's; the core obeys.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ThreadPolicy {
    pub(crate) waiting: WaitPolicy,
    /// Whether another thread closes the files that the call replaces.
    pub(crate) defers_close: bool,
}

/// How a thread may wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum WaitPolicy {
    /// The thread may sleep until its deadline, at which it returns.
    #[default]
    Block,
    /// The thread may also block in the kernel, beyond its deadline: another thread tells the caller
    /// when the time is over.
    BlockInKernel,
    /// The thread must not block, as that of an event loop. A call that would wait, or would make or
    /// remove what is made or removed once, is refused with [`Error::LockBusy`]; so is one on a file
    /// system that may be slow to answer. The caller then makes the call on another thread.
    DontBlock,
}

/// One caller's wait: its policy, its deadline, and how it can be cancelled.
pub(crate) struct Wait {
    started: Instant,
    pub(crate) one_try: bool,
    pub(crate) deadline: Option<Instant>,
    pub(crate) token: CancelToken,
    pub(crate) policy: ThreadPolicy,
    /// When a lockfile that can't be judged otherwise counts as abandoned.
    pub(crate) stale_after: Duration,
    pub(crate) backoff: Backoff,
}

impl Wait {
    pub(crate) fn start(options: &LockOptions) -> Self {
        Self::start_with(options, ThreadPolicy::default())
    }

    pub(crate) fn start_with(options: &LockOptions, policy: ThreadPolicy) -> Self {
        let started = options.since.unwrap_or_else(Instant::now);
        Wait {
            started,
            one_try: options.timeout.is_some_and(|timeout| timeout.is_zero()),
            // A timeout beyond what a clock can hold is none.
            deadline: options.timeout.and_then(|timeout| started.checked_add(timeout)),
            token: options.cancel.clone().unwrap_or_default(),
            policy,
            stale_after: options.stale_after,
            backoff: options.backoff,
        }
    }

    pub(crate) fn may_block(&self) -> bool {
        self.policy.waiting != WaitPolicy::DontBlock
    }

    /// The error of a call that would block on a thread that must not. It names no holder: to look
    /// for one takes further system calls, and the blocking call that follows says it.
    pub(crate) fn refused(&self, paths: &FilePaths) -> Error {
        Error::LockBusy { path: paths.target.clone(), holder: None }
    }

    /// To be called before anything that may block, or that is done once.
    pub(crate) fn before_blocking(&self, paths: &FilePaths) -> Result<()> {
        if self.may_block() {
            return Ok(());
        }
        Err(self.refused(paths))
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

    pub(crate) fn check(&self, paths: &FilePaths) -> Result<()> {
        self.check_cancelled(paths)?;
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(self.over(paths, None));
        }
        Ok(())
    }

    /// Sleeps, unless the time is over.
    pub(crate) fn sleep(
        &self,
        pause: Duration,
        paths: &FilePaths,
        holder: Option<Holder>,
    ) -> Result<()> {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(self.over(paths, holder));
        }
        let until = now + pause;
        self.token.sleep_until(self.deadline.map_or(until, |deadline| until.min(deadline)));
        self.check_cancelled(paths)
    }

    /// The error of a wait that is over: names the holder if one can be seen.
    pub(crate) fn over(&self, paths: &FilePaths, holder: Option<Holder>) -> Error {
        // A holder that stands still between guard and lockfile has left its record in the guard.
        let found = [&paths.lockfile, &paths.guard].into_iter().find_map(|file| {
            let found = Found::look(file).ok().flatten();
            found.filter(|found| file == &paths.lockfile || found.is_locked() == Some(true))
        });
        let holder = holder.or_else(|| found.map(|found| found.holder())).map(Box::new);
        let path = paths.target.clone();
        if self.one_try {
            return Error::LockBusy { path, holder };
        }
        Error::LockTimeout { path, waited: self.elapsed(), holder }
    }
}
