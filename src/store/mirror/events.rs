//! A mirror whose events are taken one by one, for JavaScript, which the mirror's thread can't call.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::handle::{self, Mirror};
use super::phase::MirrorPhase;
use crate::error::{Error, Result};
use crate::registry::update::UpdateOptions;
use crate::store::registry_store::RegistryStore;
use crate::util::cancel::CancelToken;
use crate::warning::{OnWarning, Warning};

/// How many events wait to be taken at most. Of more than that the oldest are dropped.
const MAX_EVENTS: usize = 100;

/// What a mirror tells.
#[derive(Debug)]
pub enum MirrorEvent {
    /// It works. This is told once.
    Working,
    /// A failure, after which the mirror goes on.
    Failure(Error),
    /// A warning of an update.
    Warning(Warning),
}

/// A running mirror. All clones stand for one mirror, which stops when the last is dropped.
#[derive(Debug, Clone)]
pub struct MirrorEvents {
    /// Empty once it is being stopped.
    mirror: Arc<Mutex<Option<Mirror>>>,
    phase: MirrorPhase,
    waiting: Arc<Mutex<VecDeque<MirrorEvent>>>,
    told_working: Arc<AtomicBool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MirrorEvents {
    /// Keeps a registry file in step with a store. The events take the place of `update.on_warning`.
    ///
    /// # Errors
    ///
    /// Those of [`start_mirror`](crate::start_mirror).
    pub fn start(
        store: Arc<dyn RegistryStore>,
        file: &Path,
        mut update: UpdateOptions,
    ) -> Result<Self> {
        let waiting = Arc::<Mutex<VecDeque<_>>>::default();
        let queue = waiting.clone();
        let add = Arc::new(move |event| {
            let mut waiting = lock(&queue);
            if waiting.len() == MAX_EVENTS {
                waiting.pop_front();
            }
            waiting.push_back(event);
        });
        let warn = add.clone();
        update.on_warning =
            OnWarning::new(move |warning| warn(MirrorEvent::Warning(warning.clone())));
        // Each update of the mirror has the whole time.
        update.lock.since = None;
        let mirror =
            handle::start(store, file, update, move |error| add(MirrorEvent::Failure(error)))?;
        let phase = mirror.phase();
        let mirror = Arc::new(Mutex::new(Some(mirror)));
        Ok(MirrorEvents { mirror, phase, waiting, told_working: Arc::default() })
    }

    /// Waits for the next event; `None` once the mirror has ended.
    #[must_use]
    pub fn next(&self) -> Option<MirrorEvent> {
        let knows_working = || self.told_working.load(Ordering::Relaxed);
        self.phase
            .wait_until(|works| !lock(&self.waiting).is_empty() || (works && !knows_working()));
        let event = lock(&self.waiting).pop_front();
        event.or_else(|| {
            let is_first =
                self.phase.is_working() && !self.told_working.swap(true, Ordering::Relaxed);
            is_first.then_some(MirrorEvent::Working)
        })
    }

    /// A token that stops the mirror, without waiting for the round in progress.
    #[must_use]
    pub fn cancel_token(&self) -> CancelToken {
        self.phase.cancel_token()
    }

    /// Stops the mirror, and waits for a round in progress.
    pub fn stop(&self) {
        self.cancel_token().cancel();
        // Held until it has stopped, so that a second call waits for that, too.
        let mut mirror = lock(&self.mirror);
        drop(mirror.take());
    }
}
