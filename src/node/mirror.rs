//! Mirrors of registries.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::Either;
use napi::Env;
use napi_derive::napi;

use super::convert::{addon_result, AddonFailure, AddonResult};
use super::held_lock::AcquireRequest;
use super::reads::CoreWarning;
use super::threads::{in_background, Background, WorkerPool};
use crate::registry::update::UpdateOptions;
use crate::store::mirror::handle::{self, Mirror};
use crate::store::mirror::phase::MirrorPhase;
use crate::util::thread_end::ThreadEndGuard;
use crate::warning::{OnCorrupt, OnWarning};

/// How many events wait for JavaScript at most. Of more than that the oldest are dropped.
const MAX_EVENTS: usize = 100;

/// What a mirror tells.
#[napi(object, object_from_js = false)]
pub struct MirrorEvent {
    /// It works: the first event of this kind is the only one.
    pub working: Option<bool>,
    /// A failure, after which the mirror goes on.
    pub failure: Option<AddonFailure>,
    /// A warning of an update.
    pub warning: Option<CoreWarning>,
}

/// The events that JavaScript has not taken yet.
#[derive(Clone, Default)]
struct EventQueue(Arc<Mutex<VecDeque<MirrorEvent>>>);

impl EventQueue {
    fn add(&self, failure: Option<AddonFailure>, warning: Option<CoreWarning>) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == MAX_EVENTS {
            events.pop_front();
        }
        events.push_back(MirrorEvent { working: None, failure, warning });
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn take(&self) -> Option<MirrorEvent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// A mirror. JavaScript stops it; else it stops when its thread ends.
#[napi]
pub struct MirrorHandle {
    /// Empty once it is being stopped.
    mirror: Arc<Mutex<Option<Mirror>>>,
    phase: MirrorPhase,
    events: EventQueue,
    was_working: Arc<AtomicBool>,
    _at_thread_end: ThreadEndGuard,
}

#[napi]
impl MirrorHandle {
    fn new(mirror: Mirror, events: EventQueue) -> Self {
        let (token, phase) = (mirror.cancel_token(), mirror.phase());
        let at_thread_end = ThreadEndGuard::new(move || token.cancel());
        let mirror = Arc::new(Mutex::new(Some(mirror)));
        let was_working = Arc::default();
        MirrorHandle { mirror, phase, events, was_working, _at_thread_end: at_thread_end }
    }

    /// Waits for the next event; `null` once the mirror has ended. To be called again when it has settled.
    #[napi(catch_unwind)]
    pub fn next<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<Background<'env, AddonResult<Option<MirrorEvent>>>> {
        let (phase, events) = (self.phase.clone(), self.events.clone());
        let was_working = self.was_working.clone();
        in_background(env, WorkerPool::LockWaits, move || {
            let knows_working = || was_working.load(Ordering::Relaxed);
            phase.wait_until(|working| !events.is_empty() || (working && !knows_working()));
            let event = events.take().or_else(|| {
                let is_first = phase.is_working() && !was_working.swap(true, Ordering::Relaxed);
                let working = MirrorEvent { working: Some(true), failure: None, warning: None };
                is_first.then_some(working)
            });
            Either::A(event)
        })
    }

    /// Stops the mirror, and waits for a round in progress.
    #[napi(catch_unwind)]
    pub fn stop<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<Background<'env, AddonResult<Option<bool>>>> {
        let mirror = self.mirror.clone();
        self.phase.stop();
        in_background(env, WorkerPool::LockWaits, move || {
            // Held until it has stopped, so that a second call waits for that, too.
            let mut mirror = mirror.lock().unwrap_or_else(PoisonError::into_inner);
            drop(mirror.take());
            Either::A(None)
        })
    }
}

/// Keeps the registry file of the request in step with the registry at `source`.
#[napi(catch_unwind)]
pub fn mirror_registry(
    source: String,
    request: AcquireRequest,
    durable: bool,
    keep_corrupt: bool,
) -> AddonResult<MirrorHandle> {
    let events = EventQueue::default();
    let warned = events.clone();
    let on_warning = OnWarning::new(move |warning| {
        let (code, message) = (warning.code(), warning.to_string());
        let path = warning.path().to_string_lossy().into_owned();
        warned.add(None, Some(CoreWarning { code, path, message }));
    });
    let on_corrupt = if keep_corrupt { OnCorrupt::Keep } else { OnCorrupt::Fail };
    let mut lock = request.options();
    // Each update of the mirror has the whole time.
    lock.since = None;
    let update = UpdateOptions { lock, durable, on_corrupt, on_warning };
    let failed = events.clone();
    let report = move |error: crate::error::Error| failed.add(Some(error.into()), None);
    let mirror = handle::open_source(source.as_ref())
        .and_then(|store| handle::start(store, request.path.as_ref(), update, report));
    addon_result(mirror, |mirror| MirrorHandle::new(mirror, events))
}
