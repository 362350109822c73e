//! Mirrors of registries.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use argus_registry::store_parts::{self as parts, MirrorEvents, ThreadEndGuard};
use argus_registry::{LockOptions, OnCorrupt, UpdateOptions};
use napi::bindgen_prelude::Either;
use napi::Env;
use napi_derive::napi;

use crate::background::{in_background, waiting, Background};
use crate::convert::{addon_result, millis, AddonFailure, AddonResult};
use crate::reads::CoreWarning;
use crate::stores::store;

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

impl From<parts::MirrorEvent> for MirrorEvent {
    fn from(event: parts::MirrorEvent) -> Self {
        use parts::MirrorEvent::{Failure, Warning, Working};
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
        in_background(env, waiting(next))
    }

    /// Stops the mirror, and waits for a round in progress.
    #[napi(catch_unwind)]
    pub fn stop<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<Background<'env, AddonResult<Option<bool>>>> {
        let mirror = self.mirror.clone();
        mirror.cancel_token().cancel();
        let stop = move || {
            mirror.stop();
            Either::A(None)
        };
        in_background(env, waiting(stop))
    }
}

/// The file of a mirror, and the options of the lock under which it is updated.
#[napi(object, object_to_js = false)]
pub struct MirrorRequest {
    /// The registry file.
    pub path: String,
    /// How long an update may take, in milliseconds.
    pub timeout_ms: f64,
    /// The age at which a lockfile that can't be judged otherwise counts as abandoned.
    pub stale_ms: f64,
}

/// Keeps the registry file of the request in step with the registry at `source`.
#[napi(catch_unwind)]
pub fn mirror_registry(
    source: String,
    request: MirrorRequest,
    durable: bool,
    keep_corrupt: bool,
) -> AddonResult<MirrorHandle> {
    let MirrorRequest { path, timeout_ms, stale_ms } = request;
    let stale_after = millis(stale_ms).unwrap_or(Duration::MAX);
    let timeout = millis(timeout_ms);
    let lock = LockOptions { timeout, stale_after, ..LockOptions::default() };
    let on_corrupt = if keep_corrupt { OnCorrupt::Keep } else { OnCorrupt::Fail };
    let update = UpdateOptions { lock, durable, on_corrupt, ..UpdateOptions::default() };
    let mirror = store(&source)
        .and_then(|store| MirrorEvents::start(Arc::new(store), Path::new(&path), update));
    addon_result(mirror, MirrorHandle::new)
}
