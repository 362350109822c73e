//! A watcher's heartbeat: a separate thread renews the watcher's entry until it is stopped.

use std::fmt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::content::record::{WatcherClaim, WatcherRecord};
use crate::error::{Error, Result};
use crate::registry::update::UpdateOptions;
use crate::store::registry_store::RegistryStore;
use crate::sys;
use crate::util::cancel::CancelToken;
use crate::util::panics;
use crate::warning::to_standard_error;

/// The largest part of the interval by which a pause is shortened, at random. Without it, watchers that
/// were started together would compete for the lock at every beat.
pub(crate) const MAX_JITTER: f64 = 0.25;

/// Adding a longer interval to the present time would overflow the clock.
const MAX_INTERVAL: Duration = Duration::from_secs(u32::MAX as u64);

/// Options for a heartbeat.
#[derive(Debug, Clone)]
pub struct HeartbeatOptions {
    /// The longest pause between two beats. Each pause is up to a quarter shorter, at random. Default
    /// 15 s. Must not be zero.
    pub interval: Duration,
    /// Options for the update of each beat.
    pub update: UpdateOptions,
    /// Called for each beat that failed. The next beat follows nevertheless. The default writes the
    /// error to standard error.
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

/// The function that receives an [`Error`] which no call can return.
#[derive(Clone)]
pub struct OnError(Arc<dyn Fn(&Error) + Send + Sync>);

impl OnError {
    /// Calls a function, on the heartbeat's thread.
    pub fn new(call: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        OnError(Arc::new(call))
    }

    pub(super) fn call(&self, error: &Error) {
        (self.0)(error);
    }
}

impl fmt::Debug for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnError")
    }
}

/// A running heartbeat. Dropping it stops the heartbeat, and waits for a beat in progress.
#[derive(Debug)]
#[must_use = "the heartbeat stops as soon as this value is dropped"]
pub struct Heartbeat {
    store: Arc<dyn RegistryStore>,
    update: UpdateOptions,
    stopped: CancelToken,
    /// Returns the watcher's claim, unless a function of the caller panicked.
    thread: Option<JoinHandle<WatcherClaim>>,
}

/// Renews a watcher's entry in a store until the heartbeat is stopped. The first beat comes after one
/// interval, since the entry is fresh when it is announced. Before each beat, the heartbeat calls
/// `get_watcher` for the record.
///
/// A beat never restores an entry that was removed, and never takes over one that now belongs to
/// another watcher. Such a beat fails with [`Error::EntryLost`], and [`HeartbeatOptions::on_error`] may
/// announce the watcher again. A panic of `get_watcher` or `on_error` ends the heartbeat; one of the store is
/// reported as [`Error::Internal`].
///
/// [`start_registry_heartbeat`](crate::start_registry_heartbeat) does this with a path.
///
/// # Errors
///
/// [`Error::InvalidValue`] for an interval of zero; [`Error::Io`] if the system refuses a thread.
pub fn start_heartbeat(
    store: Arc<dyn RegistryStore>,
    mut get_watcher: impl FnMut() -> WatcherRecord + Send + 'static,
    options: HeartbeatOptions,
) -> Result<Heartbeat> {
    if options.interval.is_zero() {
        let reason = "a heartbeat's interval must not be zero".to_owned();
        return Err(Error::InvalidValue { path: store.path().to_path_buf(), reason });
    }
    let interval = options.interval.min(MAX_INTERVAL);
    let stopped = CancelToken::new();
    let (renewed, update, token) = (store.clone(), options.update.clone(), stopped.clone());
    let run = move || loop {
        token.sleep_until(Instant::now() + pause(interval));
        if token.is_cancelled() {
            return get_watcher().claim();
        }
        let watcher = get_watcher();
        // A panic of the store would end this thread unseen, and the watcher's entry would go stale.
        let beat = panics::catch(|| beat(&*renewed, watcher, &options.update));
        let beat = beat.unwrap_or_else(|reason| {
            Err(Error::Internal { path: renewed.path().to_path_buf(), reason })
        });
        if let Err(error) = beat {
            options.on_error.call(&error);
        }
    };
    let thread = thread::Builder::new()
        .name("argus-heartbeat".into())
        .spawn(run)
        .map_err(|error| Error::from_io(store.path(), "start the heartbeat of", error))?;
    Ok(Heartbeat { store, update, stopped, thread: Some(thread) })
}

fn pause(interval: Duration) -> Duration {
    interval.mul_f64(1.0 - MAX_JITTER * sys::random_fraction())
}

fn beat(store: &dyn RegistryStore, watcher: WatcherRecord, update: &UpdateOptions) -> Result<()> {
    let id = watcher.id.clone();
    match store.heartbeat(watcher.into(), update)? {
        true => Ok(()),
        false => Err(Error::EntryLost { path: store.path().to_path_buf(), id }),
    }
}

impl Heartbeat {
    /// Stops the heartbeat and waits for a beat in progress, unless that beat makes this call.
    pub fn stop(mut self) {
        self.end();
    }

    /// Stops the heartbeat like [`stop`](Self::stop), and then removes the watcher's entry if it still
    /// belongs to the watcher. Returns whether it did. A call from inside a beat removes nothing, since
    /// the beat can't end before the call returns.
    ///
    /// # Errors
    ///
    /// Those of [`remove_watcher`](crate::remove_watcher).
    pub fn stop_and_remove(mut self) -> Result<bool> {
        match self.end() {
            Some(claim) => self.store.remove(claim.into(), &self.update),
            None => Ok(false),
        }
    }

    fn end(&mut self) -> Option<WatcherClaim> {
        self.stopped.cancel();
        // Called from `get_watcher` or `on_error`: the heartbeat's thread can't wait for itself.
        if self.thread.as_ref()?.thread().id() == thread::current().id() {
            return None;
        }
        // A panic of a function of the caller has been printed already. It must not become a second
        // panic here.
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
        // All 200 pauses lie within four fifths of the range once in 10^17 runs.
        assert!(*longest - *shortest > Duration::from_secs(200));
    }

    #[test]
    fn the_default_interval_is_15_seconds() {
        assert_eq!(HeartbeatOptions::default().interval, Duration::from_secs(15));
    }
}
