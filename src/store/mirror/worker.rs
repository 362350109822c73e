//! The mirror's thread: it waits for the lock, and then for changes of either side.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::phase::{Phase, Shared};
use super::round::WorkingMirror;
use super::state::MirrorPaths;
use crate::error::{Error, Result};
use crate::lock::file_lock::KernelLock;
use crate::registry::update::UpdateOptions;
use crate::store::file_store::FileStore;
use crate::store::registry_store::RegistryStore;
use crate::util::cancel::CancelToken;
use crate::util::panics;

/// How long a mirror waits after a failure before it tries again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long a mirror waits for an event before it looks by itself: the death of a watcher is none, and
/// neither is a change by another machine.
const MAX_IDLE: Duration = Duration::from_secs(10);

/// The shortest pause between two rounds, and between two readings of a side.
const MIN_PAUSE: Duration = Duration::from_millis(50);

/// How much longer than a round the pause after it is, up to [`RETRY_INTERVAL`], so that a large registry
/// whose watchers renew their entries all the time does not keep a processor busy.
const PAUSE_FACTOR: u32 = 4;

/// What the mirror's thread has.
pub(super) struct Worker {
    pub(super) store: Arc<dyn RegistryStore>,
    pub(super) file: FileStore,
    pub(super) paths: MirrorPaths,
    pub(super) update: UpdateOptions,
    pub(super) shared: Arc<Shared>,
    pub(super) report: Box<dyn Fn(Error) + Send>,
    /// Whether `report` is being called. It is a function of the caller, whose panic ends the mirror.
    pub(super) is_reporting: Cell<bool>,
}

/// The watches of the two sides, as long as this mirror works.
#[derive(Default)]
struct Watches {
    has_changed: AtomicBool,
    ended: CancelToken,
    /// The message of a panic of one of the two.
    panic: Mutex<Option<String>>,
    /// The tokens of the two watches, once they have begun.
    tokens: Mutex<[Option<CancelToken>; 2]>,
}

/// Tells those that wait for the mirror that it has ended, also if a function of the caller panics.
struct EndOfThread<'a>(&'a Shared);

impl Drop for EndOfThread<'_> {
    fn drop(&mut self) {
        self.0.enter(Phase::Ended);
    }
}

impl Worker {
    pub(super) fn run(self) {
        let _end = EndOfThread(&self.shared);
        let token = &self.shared.stopped;
        let mut failure = None;
        while !token.is_cancelled() {
            let work = || self.paths.lock(token).and_then(|lock| self.work(&lock));
            // A panic would end this thread unseen, and the file would stay as it is from then on.
            let worked = match panics::catch(work) {
                Ok(worked) => worked,
                Err(_) if self.is_reporting.get() => return,
                Err(panic) => Err(self.internal(panic)),
            };
            self.shared.enter(Phase::Waiting);
            match worked {
                Ok(()) => failure = None,
                Err(_) if token.is_cancelled() => return,
                Err(error) => {
                    self.report_new(error, &mut failure);
                    token.sleep_until(Instant::now() + RETRY_INTERVAL);
                }
            }
        }
    }

    fn internal(&self, panic: String) -> Error {
        Error::Internal { path: self.file.path().to_path_buf(), reason: panic }
    }

    fn report(&self, error: Error) {
        self.is_reporting.set(true);
        (self.report)(error);
        self.is_reporting.set(false);
        self.shared.stopped.wake();
    }

    /// Reports a failure unless it is the one that was reported last.
    fn report_new(&self, error: Error, last: &mut Option<String>) {
        let failure = identity(&error);
        if last.as_ref() != Some(&failure) {
            *last = Some(failure);
            self.report(error);
        }
    }

    /// Keeps both sides in step until the mirror is stopped, or its lock file is deleted.
    fn work(&self, lock: &KernelLock) -> Result<()> {
        let mut mirror = WorkingMirror::new(&*self.store, &self.file, &self.paths, &self.update)?;
        let (watches, token) = (Watches::default(), &self.shared.stopped);
        thread::scope(|scope| {
            for (number, side) in [&*self.store, &self.file].into_iter().enumerate() {
                let watches = &watches;
                scope.spawn(move || watches.watch_until_panic(number, side, token));
            }
            // Also if a function of the caller panics: the scope waits for its threads.
            let _ended = EndOfWatches(&watches);
            self.rounds(lock, &mut mirror, &watches)
        })
    }

    fn rounds(
        &self,
        lock: &KernelLock,
        mirror: &mut WorkingMirror<'_>,
        watches: &Watches,
    ) -> Result<()> {
        let token = &self.shared.stopped;
        let mut failure = None;
        while !token.is_cancelled() && lock.is_in_place()? {
            watches.has_changed.store(false, Ordering::SeqCst);
            if let Some(panic) = watches.panic() {
                return Err(self.internal(panic));
            }
            let started = Instant::now();
            let due = match mirror.run(&|error| self.report(error)) {
                Ok(due) => {
                    failure = None;
                    if due.is_none() {
                        self.shared.enter(Phase::Working);
                    }
                    due
                }
                Err(_) if token.is_cancelled() => return Ok(()),
                Err(error) => {
                    self.report_new(error, &mut failure);
                    Some(Instant::now() + RETRY_INTERVAL)
                }
            };
            let pause = (started.elapsed() * PAUSE_FACTOR).clamp(MIN_PAUSE, RETRY_INTERVAL);
            token.sleep_until(Instant::now() + pause);
            let due = due.unwrap_or_else(|| Instant::now() + MAX_IDLE);
            let has_changed = || watches.has_changed.load(Ordering::SeqCst);
            token.wait_until(Some(due), has_changed);
        }
        Ok(())
    }
}

struct EndOfWatches<'a>(&'a Watches);

impl Drop for EndOfWatches<'_> {
    fn drop(&mut self) {
        self.0.ended.cancel();
        let tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.iter().flatten().for_each(CancelToken::cancel);
    }
}

impl Watches {
    fn panic(&self) -> Option<String> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Like [`watch`](Self::watch). A panic ends the work of the mirror: without this watch, it would learn of changes
    /// ten seconds late.
    fn watch_until_panic(&self, number: usize, side: &dyn RegistryStore, mirror: &CancelToken) {
        if let Err(panic) = panics::catch(|| self.watch(number, side, mirror)) {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            self.has_changed.store(true, Ordering::SeqCst);
            mirror.wake();
        }
    }

    /// Wakes the mirror for each change of a side, until the mirror ends. If the side can't be watched, the
    /// mirror looks at it by itself.
    fn watch(&self, number: usize, side: &dyn RegistryStore, mirror: &CancelToken) {
        while !self.ended.is_cancelled() {
            if let Ok(watch) = side.watch() {
                let token = watch.cancel_token();
                self.tokens.lock().unwrap_or_else(PoisonError::into_inner)[number] = Some(token);
                // Looked at after the token is in its place: the tokens are cancelled after that has changed.
                if self.ended.is_cancelled() {
                    return;
                }
                for _ in watch.take_while(Result::is_ok) {
                    let started = Instant::now();
                    self.has_changed.store(true, Ordering::SeqCst);
                    mirror.wake();
                    self.ended.sleep_until(started + MIN_PAUSE);
                }
            }
            self.has_changed.store(true, Ordering::SeqCst);
            mirror.wake();
            self.ended.sleep_until(Instant::now() + RETRY_INTERVAL);
        }
    }
}

/// What tells a failure from another one.
fn identity(failure: &Error) -> String {
    match failure {
        // What an attempt finds out about servers that are gone differs from attempt to attempt.
        Error::Unavailable { .. } => failure.code().to_owned(),
        _ => failure.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_one_failure_whatever_an_attempt_finds_out() {
        let outage = |reason: &str| Error::Unavailable { path: "p".into(), reason: reason.into() };
        assert_eq!(identity(&outage("no connection")), identity(&outage("no answer")));
        let invalid =
            |reason: &str| Error::InvalidValue { path: "p".into(), reason: reason.into() };
        assert_ne!(identity(&invalid("one")), identity(&invalid("another")));
    }
}
