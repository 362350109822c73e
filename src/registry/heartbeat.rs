//! A watcher's heartbeat: its entry, renewed from a thread of its own until it is stopped.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::content::record::{WatcherClaim, WatcherRecord};
use crate::error::{Error, Result};
use crate::registry::entries::{heartbeat_watcher, remove_watcher};
use crate::registry::update::UpdateOptions;
use crate::sys;
use crate::util::cancel::CancelToken;
use crate::warning::to_standard_error;

/// A pause is shorter than the interval by a random part of this share: ten watchers that were
/// started together don't beat together for long.
pub(crate) const JITTER: f64 = 0.25;

/// Longer ones are none, and would overflow the clock.
const LONGEST_INTERVAL: Duration = Duration::from_secs(u32::MAX as u64);

/// How to beat. Source: argus; the jitter and the errors' way are ours.
#[derive(Debug, Clone)]
pub struct HeartbeatOptions {
    /// The longest pause between two beats; each is up to a quarter shorter, at random. Default
    /// 15 s. Not zero.
    pub interval: Duration,
    /// How to update.
    pub update: UpdateOptions,
    /// Told of beats that failed; the next comes all the same. By default such an error goes to
    /// standard error.
    pub on_error: OnError,
}

impl Default for HeartbeatOptions {
    fn default() -> Self {
        HeartbeatOptions {
            interval: Duration::from_secs(15),
            update: UpdateOptions::default(),
            on_error: OnError::new(|error| to_standard_error(format_args!("heartbeat: {error}"))),
        }
    }
}

/// What to do with an [`Error`] that has no caller.
#[derive(Clone)]
pub struct OnError(Arc<dyn Fn(&Error) + Send + Sync>);

impl OnError {
    /// Calls a function, which is called from the heartbeat's thread.
    pub fn new(call: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        OnError(Arc::new(call))
    }
}

impl fmt::Debug for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnError")
    }
}

/// A heartbeat that runs. Dropping it stops it, and waits for a beat in flight.
#[derive(Debug)]
#[must_use = "the heartbeat stops as soon as this value is dropped"]
pub struct Heartbeat {
    path: PathBuf,
    update: UpdateOptions,
    stopped: CancelToken,
    /// Ends with the watcher's claim, unless the caller's own function panicked.
    thread: Option<JoinHandle<WatcherClaim>>,
}

/// Renews a watcher's entry until it is stopped: the first time after an interval, as the entry is
/// fresh when it is announced. `get_watcher` is asked for the record before each beat.
///
/// A beat never brings an entry back that was removed, nor takes one that is another watcher's by
/// now: it fails with [`Error::EntryLost`], and it is for [`HeartbeatOptions::on_error`] to announce
/// the watcher again, or not. A panic of `get_watcher` or `on_error` ends the heartbeat. Source:
/// argus.
///
/// # Errors
///
/// [`Error::InvalidValue`] for an interval of zero; [`Error::Io`] if the system refuses a thread.
pub fn start_registry_heartbeat(
    path: impl AsRef<Path>,
    mut get_watcher: impl FnMut() -> WatcherRecord + Send + 'static,
    options: HeartbeatOptions,
) -> Result<Heartbeat> {
    let path = path.as_ref().to_path_buf();
    if options.interval.is_zero() {
        let reason = "a heartbeat's interval must not be zero".to_owned();
        return Err(Error::InvalidValue { path, reason });
    }
    let interval = options.interval.min(LONGEST_INTERVAL);
    let stopped = CancelToken::new();
    let (file, update, token) = (path.clone(), options.update.clone(), stopped.clone());
    let run = move || loop {
        token.sleep_until(Instant::now() + pause(interval));
        if token.is_cancelled() {
            return get_watcher().claim();
        }
        if let Err(error) = beat(&file, get_watcher(), &options.update) {
            (options.on_error.0)(&error);
        }
    };
    let thread = thread::Builder::new()
        .name("argus-heartbeat".into())
        .spawn(run)
        .map_err(|error| Error::from_io(&path, "start the heartbeat of", error))?;
    Ok(Heartbeat { path, update, stopped, thread: Some(thread) })
}

fn pause(interval: Duration) -> Duration {
    interval.mul_f64(1.0 - JITTER * sys::random_fraction())
}

fn beat(path: &Path, watcher: WatcherRecord, update: &UpdateOptions) -> Result<()> {
    let id = watcher.id.clone();
    match heartbeat_watcher(path, watcher, update)? {
        true => Ok(()),
        false => Err(Error::EntryLost { path: path.to_path_buf(), id }),
    }
}

impl Heartbeat {
    /// Stops it, and waits for a beat in flight, unless that is where it is called from.
    pub fn stop(mut self) {
        self.end();
    }

    /// The same, and then removes the watcher's entry, if it is still its own; says whether it was.
    /// Called from inside of a beat, which does not end before it returns, it removes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`remove_watcher`].
    pub fn stop_and_remove(mut self) -> Result<bool> {
        match self.end() {
            Some(claim) => remove_watcher(&self.path, claim, &self.update),
            None => Ok(false),
        }
    }

    fn end(&mut self) -> Option<WatcherClaim> {
        self.stopped.cancel();
        // From inside of its own handler: the thread can't wait for itself.
        if self.thread.as_ref()?.thread().id() == thread::current().id() {
            return None;
        }
        // A panic of the caller's own function has been printed, and is no reason for another.
        self.thread.take()?.join().ok()
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_vary_and_are_up_to_a_quarter_shorter_than_the_interval() {
        let pauses: Vec<_> = (0..200).map(|_| pause(Duration::from_secs(1_000))).collect();
        let (shortest, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(*shortest >= Duration::from_secs(750) && *longest <= Duration::from_secs(1_000));
        // All of 200 in four fifths of that: once in 10^17 runs.
        assert!(*longest - *shortest > Duration::from_secs(200));
    }

    #[test]
    fn it_beats_every_15_seconds_unless_told_otherwise() {
        assert_eq!(HeartbeatOptions::default().interval, Duration::from_secs(15));
    }
}
