//! Mirrors of registries.

use napi::bindgen_prelude::Either;
use napi::Env;
use napi_derive::napi;

use super::acquisition::AcquireRequest;
use super::convert::{addon_result, AddonFailure, AddonResult};
use super::reads::CoreWarning;
use super::threads::{in_background, Background, WorkerPool};
use crate::registry::update::UpdateOptions;
use crate::store::mirror::events::{self, MirrorEvents};
use crate::store::mirror::handle;
use crate::util::thread_end::ThreadEndGuard;
use crate::warning::{OnCorrupt, OnWarning};

/// What a mirror tells.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct MirrorEvent {
    /// It works: the first event of this kind is the only one.
    pub working: Option<bool>,
    /// A failure, after which the mirror goes on.
    pub failure: Option<AddonFailure>,
    /// A warning of an update.
    pub warning: Option<CoreWarning>,
}

impl From<events::MirrorEvent> for MirrorEvent {
    fn from(event: events::MirrorEvent) -> Self {
        use events::MirrorEvent::{Failure, Warning, Working};
        let none = MirrorEvent::default();
        match event {
            Working => MirrorEvent { working: Some(true), ..none },
            Failure(error) => MirrorEvent { failure: Some(error.into()), ..none },
            Warning(warning) => MirrorEvent { warning: Some((&warning).into()), ..none },
        }
    }
}

/// A mirror. JavaScript stops it; else it stops when its thread ends.
#[napi]
pub struct MirrorHandle {
    mirror: MirrorEvents,
    _at_thread_end: ThreadEndGuard,
}

#[napi]
impl MirrorHandle {
    fn new(mirror: MirrorEvents) -> Self {
        let token = mirror.cancel_token();
        MirrorHandle { mirror, _at_thread_end: ThreadEndGuard::new(move || token.cancel()) }
    }

    /// Waits for the next event; `null` once the mirror has ended. To be called again when it has settled.
    #[napi(catch_unwind)]
    pub fn next<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<Background<'env, AddonResult<Option<MirrorEvent>>>> {
        let mirror = self.mirror.clone();
        let next = move || Either::A(mirror.next().map(MirrorEvent::from));
        in_background(env, WorkerPool::LockWaits, next)
    }

    /// Stops the mirror, and waits for a round in progress.
    #[napi(catch_unwind)]
    pub fn stop<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<Background<'env, AddonResult<Option<bool>>>> {
        let mirror = self.mirror.clone();
        mirror.cancel_token().cancel();
        in_background(env, WorkerPool::LockWaits, move || {
            mirror.stop();
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
    let on_corrupt = if keep_corrupt { OnCorrupt::Keep } else { OnCorrupt::Fail };
    let on_warning = OnWarning::default();
    let update = UpdateOptions { lock: request.options(), durable, on_corrupt, on_warning };
    let mirror = handle::open_source(source.as_ref())
        .and_then(|store| MirrorEvents::start(store, request.path.as_ref(), update));
    addon_result(mirror, MirrorHandle::new)
}
