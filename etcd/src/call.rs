//! One call of a caller: how long it may take, and how it is cancelled.

use std::path::Path;
use std::time::{Duration, Instant};

use argus_registry::store_parts::random_fraction;
use argus_registry::{CancelToken, Error, LockOptions, Result};
use tokio::time::sleep;

/// The time of a call without a bound: a later instant would overflow some clocks.
const UNBOUNDED: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// How long a call that tries once has for the servers' answers.
const ONE_TRY: Duration = Duration::from_secs(2);

/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_millis(100);

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

    /// After a try that other processes came before: waits until the next one. Fails if the call has no time for
    /// another one, or is cancelled.
    pub(crate) async fn pause(&mut self, path: &Path) -> Result<()> {
        let path_buf = || path.to_path_buf();
        if self.one_try {
            return Err(Error::LockBusy { path: path_buf(), holder: None });
        }
        let end = Instant::now() + self.pause.mul_f64(0.5 + 0.5 * random_fraction());
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        loop {
            self.check_cancelled(path)?;
            let now = Instant::now();
            if now >= self.until {
                let waited = self.started.elapsed();
                return Err(Error::LockTimeout { path: path_buf(), waited, holder: None });
            }
            if now >= end {
                return Ok(());
            }
            sleep((end.min(self.until) - now).min(CANCEL_CHECK)).await;
        }
    }
}
