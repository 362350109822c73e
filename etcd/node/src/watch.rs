//! Watching a registry.

use std::sync::{Arc, Mutex};

use argus_registry::store_parts::ThreadEndGuard;
use argus_registry::{CancelToken, RegistryStore, RegistryWatch};
use napi::bindgen_prelude::Either;
use napi::Env;
use napi_derive::napi;

use crate::background::{in_background, waiting, Background};
use crate::convert::{addon_result, lock, AddonResult};
use crate::reads::RegistryText;
use crate::stores::store;

/// Empty while a thread waits for the next state, and once the watch is closed.
type WatchSlot = Arc<Mutex<Option<RegistryWatch>>>;

/// A watch. JavaScript closes it; else it closes when its thread ends.
#[napi]
pub struct WatchHandle {
    slot: WatchSlot,
    token: CancelToken,
    _at_thread_end: ThreadEndGuard,
}

#[napi]
impl WatchHandle {
    fn new(watch: RegistryWatch) -> Self {
        let token = watch.cancel_token();
        let slot = Arc::new(Mutex::new(Some(watch)));
        let abandoned = (token.clone(), slot.clone());
        let at_thread_end = ThreadEndGuard::new(move || close(&abandoned.0, &abandoned.1));
        WatchHandle { slot, token, _at_thread_end: at_thread_end }
    }

    /// Waits for the next state; `null` once closed. To be called again when it has settled.
    #[napi(catch_unwind)]
    pub fn next<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<Background<'env, AddonResult<Option<RegistryText>>>> {
        let (slot, token) = (self.slot.clone(), self.token.clone());
        let next = move || {
            let Some(mut watch) = lock(&slot).take() else { return Either::A(None) };
            let next = watch.next();
            let mut slot = lock(&slot);
            // A call that closed the watch meanwhile found the slot empty, so it is closed here.
            if !token.is_cancelled() {
                *slot = Some(watch);
            }
            match next {
                None => Either::A(None),
                Some(state) => addon_result(state, |state| Some(RegistryText::of(state))),
            }
        };
        in_background(env, waiting(next))
    }

    /// Closes the watch and ends a wait that is under way; a second call does nothing.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        close(&self.token, &self.slot);
    }
}

fn close(token: &CancelToken, slot: &WatchSlot) {
    // In this order: the thread that waits puts the watch back only if the token is not cancelled.
    token.cancel();
    drop(lock(slot).take());
}

impl Drop for WatchHandle {
    fn drop(&mut self) {
        close(&self.token, &self.slot);
    }
}

/// Watches the registry at a path.
#[napi(catch_unwind)]
pub fn watch_registry(path: String) -> AddonResult<WatchHandle> {
    addon_result(store(&path).and_then(|store| store.watch()), WatchHandle::new)
}
