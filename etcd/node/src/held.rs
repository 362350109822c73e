//! An update between its reading and its commit, and the registry's lock.

use std::sync::{Arc, Mutex};

use argus_registry::store_parts::ThreadEndGuard;
use argus_registry::{CancelToken, LockOptions, Result};
use argus_registry_etcd::addon_parts::{wait, OpenLock, OpenUpdate};
use argus_registry_etcd::EtcdStore;
use napi::bindgen_prelude::Either;
use napi::Env;
use napi_derive::napi;

use crate::background::{in_background, Background};
use crate::convert::{addon_result, lock, AcquireRequest, AddonFailure, AddonResult};
use crate::stores::store;

enum Held {
    // Boxed, because what is held is large.
    Update(Box<OpenUpdate>),
    Lock(Box<OpenLock>),
}

impl Held {
    async fn begin(
        store: Result<EtcdStore>,
        is_exclusive: bool,
        options: LockOptions,
        refusals: u32,
    ) -> Result<Held> {
        Ok(match is_exclusive {
            false => Held::Update(Box::new(OpenUpdate::begin(store?, options, refusals).await?)),
            true => Held::Lock(Box::new(OpenLock::acquire(store?, options).await?)),
        })
    }

    fn text(&self) -> Option<String> {
        match self {
            Held::Update(update) => update.text(),
            Held::Lock(held) => held.text(),
        }
    }

    async fn commit(&mut self, text: &str) -> Result<()> {
        match self {
            Held::Update(update) => update.commit(text).await,
            Held::Lock(held) => held.write(text).await,
        }
    }
}

/// The reading of an update, or a wait for the registry's lock.
#[napi]
pub struct Acquisition {
    request: AcquireRequest,
    token: CancelToken,
    state: Arc<Mutex<AcquisitionState>>,
    _at_thread_end: ThreadEndGuard,
}

enum AcquisitionState {
    Waiting,
    Done(Result<Held>),
    /// It was taken, or cancelled: what comes now is released.
    Closed,
}

#[napi]
impl Acquisition {
    /// Prepares it.
    #[napi(constructor, catch_unwind)]
    pub fn new(request: AcquireRequest) -> Self {
        let token = CancelToken::new();
        let state = Arc::new(Mutex::new(AcquisitionState::Waiting));
        let abandoned = (token.clone(), state.clone());
        let at_thread_end = ThreadEndGuard::new(move || abandon(&abandoned.0, &abandoned.1));
        Acquisition { request, token, state, _at_thread_end: at_thread_end }
    }

    /// Waits. The promise says only that the wait is over: [`take`](Self::take) has its result.
    #[napi(catch_unwind)]
    pub fn start<'env>(&self, env: &'env Env) -> napi::Result<Background<'env, AddonResult<()>>> {
        let (options, state) = (self.request.options(self.token.clone()), self.state.clone());
        let is_exclusive = self.request.exclusive == Some(true);
        let refusals = self.request.refusals.unwrap_or(0);
        let store = store(&self.request.path);
        in_background(env, async move {
            let begun = Held::begin(store, is_exclusive, options, refusals).await;
            let mut state = lock(&state);
            // What comes too late is dropped here, which releases it.
            if matches!(*state, AcquisitionState::Waiting) {
                *state = AcquisitionState::Done(begun);
            }
            Either::A(())
        })
    }

    /// What was acquired, once the wait is over.
    #[napi(catch_unwind)]
    pub fn take(&self) -> AddonResult<LockHandle> {
        match std::mem::replace(&mut *lock(&self.state), AcquisitionState::Closed) {
            AcquisitionState::Done(begun) => addon_result(begun, LockHandle::new),
            AcquisitionState::Waiting => {
                self.token.cancel();
                Either::B(AddonFailure::defect("taken too early"))
            }
            AcquisitionState::Closed => Either::B(AddonFailure::defect("taken twice")),
        }
    }

    /// Ends the wait, and releases what it has got already.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        abandon(&self.token, &self.state);
    }
}

/// Ends a wait, and releases what it has got. What was taken from it goes on.
fn abandon(token: &CancelToken, state: &Mutex<AcquisitionState>) {
    let state = std::mem::replace(&mut *lock(state), AcquisitionState::Closed);
    if !matches!(state, AcquisitionState::Closed) {
        token.cancel();
    }
}

impl Drop for Acquisition {
    fn drop(&mut self) {
        abandon(&self.token, &self.state);
    }
}

/// Like an [`Acquisition`], on the calling thread.
#[napi(catch_unwind)]
pub fn acquire_sync(request: AcquireRequest) -> AddonResult<LockHandle> {
    let is_exclusive = request.exclusive == Some(true);
    let options = request.options(CancelToken::new());
    let begun =
        Held::begin(store(&request.path), is_exclusive, options, request.refusals.unwrap_or(0));
    addon_result(wait(begun), LockHandle::new)
}

/// What to commit, and how. The servers make every change durable, and no bytes are kept.
#[napi(object, object_to_js = false)]
pub struct CommitRequest {
    /// The new content. Without it there is nothing to do.
    pub text: Option<String>,
    /// Whether the commit ends the update.
    pub release: bool,
}

#[derive(Default)]
struct Slot {
    /// Empty while a commit is under way.
    held: Option<Held>,
    is_released: bool,
}

/// An update that has read the registry, or the registry's lock. JavaScript releases it; else it is released when its
/// thread ends.
#[napi]
pub struct LockHandle {
    slot: Arc<Mutex<Slot>>,
    _at_thread_end: ThreadEndGuard,
}

fn release(slot: &Mutex<Slot>) {
    let mut slot = lock(slot);
    slot.is_released = true;
    slot.held = None;
}

async fn commit(slot: Arc<Mutex<Slot>>, request: CommitRequest) -> AddonResult<()> {
    let held = lock(&slot).held.take();
    let Some(mut held) = held else {
        return Either::B(AddonFailure::defect("a commit of what is released"));
    };
    let committed = match &request.text {
        Some(text) => held.commit(text).await,
        None => Ok(()),
    };
    let mut slot = lock(&slot);
    if !slot.is_released && !request.release {
        slot.held = Some(held);
    }
    addon_result(committed, |()| ())
}

#[napi]
impl LockHandle {
    fn new(held: Held) -> Self {
        let slot = Arc::new(Mutex::new(Slot { held: Some(held), is_released: false }));
        let abandoned = slot.clone();
        let at_thread_end = ThreadEndGuard::new(move || release(&abandoned));
        LockHandle { slot, _at_thread_end: at_thread_end }
    }

    /// The registry's text as it was read, or as the last commit left it; `false` if there is no registry.
    #[napi(catch_unwind)]
    pub fn text(&self) -> Either<String, bool> {
        let text = lock(&self.slot).held.as_ref().and_then(Held::text);
        text.map_or(Either::B(false), Either::A)
    }

    /// Whether [`commit_sync`](Self::commit_sync) waits for nothing.
    #[napi(catch_unwind)]
    pub fn commits_at_once(&self) -> bool {
        false
    }

    /// Makes the registry that of a text. For an update, fails with `LOCK_TIMEOUT`, or with `LOCK_BUSY` for one try,
    /// if another process has changed what was read: nothing was written, and the update may begin anew.
    #[napi(catch_unwind)]
    pub fn commit<'env>(
        &self,
        env: &'env Env,
        request: CommitRequest,
    ) -> napi::Result<Background<'env, AddonResult<()>>> {
        in_background(env, commit(self.slot.clone(), request))
    }

    /// Like [`commit`](Self::commit), on the calling thread.
    #[napi(catch_unwind)]
    pub fn commit_sync(&self, request: CommitRequest) -> AddonResult<()> {
        wait(commit(self.slot.clone(), request))
    }

    /// Releases the lock, and fails if it was lost before.
    #[napi(catch_unwind)]
    pub fn check<'env>(&self, env: &'env Env) -> napi::Result<Background<'env, AddonResult<()>>> {
        let held = lock(&self.slot).held.take();
        in_background(env, async move {
            match held {
                Some(Held::Lock(held)) => addon_result(held.release().await, |()| ()),
                Some(Held::Update(_)) | None => Either::A(()),
            }
        })
    }

    /// Releases it, without waiting for a server; a second call does nothing. Returns whether a lock was lost after a
    /// commit, which is not found out here.
    #[napi(catch_unwind)]
    pub fn release(&self) -> bool {
        release(&self.slot);
        false
    }
}

impl Drop for LockHandle {
    fn drop(&mut self) {
        release(&self.slot);
    }
}
