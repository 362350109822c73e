//! One call of a caller: how long it may take, and how it is cancelled.

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use argus_registry::store_parts::random_fraction;
use argus_registry::{CancelToken, Error, LockOptions, Result};
use tokio::time::{sleep, timeout};

/// The time of a call without a bound: a later instant would overflow some clocks.
const UNBOUNDED: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// How long a call that tries once has for the servers' answers.
const ONE_TRY: Duration = Duration::from_secs(2);

/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// A try that begins with less time left may end before the servers answer: then the call would fail with an unknown
/// outcome instead of the contention that kept it waiting.
const TIME_FOR_A_TRY: Duration = Duration::from_millis(100);

/// How often a pause looks whether the call was cancelled.
const CANCEL_CHECK: Duration = Duration::from_millis(20);

#[derive(Debug, Clone)]
pub(crate) struct Call {
    started: Instant,
    pub(crate) until: Instant,
    one_try: bool,
    cancel: CancelToken,
    pause: Duration,
}

impl Call {
    pub(crate) fn new(options: &LockOptions) -> Self {
        let started = options.since.unwrap_or_else(Instant::now);
        let one_try = options.timeout.is_some_and(|timeout| timeout.is_zero());
        let time = if one_try { ONE_TRY } else { options.timeout.unwrap_or(UNBOUNDED) };
        Call {
            started,
            until: started + time.min(UNBOUNDED),
            one_try,
            cancel: options.cancel.clone().unwrap_or_default(),
            pause: options.backoff.initial,
        }
    }

    /// Fails if the caller has cancelled the call. Asked before anything is sent that changes the registry.
    pub(crate) fn check_cancelled(&self, path: &Path) -> Result<()> {
        match self.cancel.is_cancelled() {
            true => Err(Error::Aborted { path: path.to_path_buf() }),
            false => Ok(()),
        }
    }

    /// What a future results in, which may be dropped at any time, such as one that only reads. Fails if the caller
    /// cancels the call before.
    pub(crate) async fn unless_cancelled<T>(
        &self,
        path: &Path,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut future = Box::pin(future);
        loop {
            self.check_cancelled(path)?;
            if let Ok(result) = timeout(CANCEL_CHECK, &mut future).await {
                return result;
            }
        }
    }

    /// Gives the call at least so much time from now on: that of an updater is no time in which a server could
    /// have answered.
    pub(crate) fn extend(&mut self, time: Duration) {
        self.until = self.until.max(Instant::now() + time);
    }

    /// Makes the next pause as long as after so many tries.
    pub(crate) fn after_tries(&mut self, tries: u32) {
        self.pause = (self.pause * 2_u32.saturating_pow(tries.min(16))).min(MAX_PAUSE);
    }

    /// Whether the call is to try once.
    pub(crate) fn is_one_try(&self) -> bool {
        self.one_try
    }

    /// The error of a call that other processes came before, and that has no time for another try.
    pub(crate) fn contention(&self, path: &Path) -> Error {
        let path = path.to_path_buf();
        match self.one_try {
            true => Error::LockBusy { path, holder: None },
            false => Error::LockTimeout { path, waited: self.started.elapsed(), holder: None },
        }
    }

    /// After a try that other processes came before: waits until the next one. Fails if the call has no time for
    /// another one, or is cancelled.
    pub(crate) async fn pause(&mut self, path: &Path) -> Result<()> {
        if self.one_try {
            return Err(self.contention(path));
        }
        let last_try = self.until.checked_sub(TIME_FOR_A_TRY).unwrap_or(self.until);
        let end = Instant::now() + self.pause.mul_f64(0.5 + 0.5 * random_fraction());
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        loop {
            self.check_cancelled(path)?;
            let now = Instant::now();
            if now >= last_try {
                return Err(self.contention(path));
            }
            if now >= end {
                return Ok(());
            }
            sleep((end.min(last_try) - now).min(CANCEL_CHECK)).await;
        }
    }
}
