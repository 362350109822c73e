//! Watching a registry or a document.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::Either;
use napi::Env;
use napi_derive::napi;

use super::convert::{addon_result, AddonResult};
use super::reads::RegistryText;
use super::threads::{in_background, Background, WorkerPool};
use crate::store::calls;
use crate::util::cancel::CancelToken;
use crate::util::thread_end::ThreadEndGuard;
use crate::watch::registry_watch::{watch_file, FileWatch};

/// Empty while a thread waits for the next content, and once the watch is closed.
type WatchSlot = Arc<Mutex<Option<FileWatch>>>;

fn lock(slot: &WatchSlot) -> MutexGuard<'_, Option<FileWatch>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A watch. JavaScript closes it; else it closes when its thread ends.
#[napi]
pub struct WatchHandle {
    slot: WatchSlot,
    token: CancelToken,
    _at_thread_end: ThreadEndGuard,
}

#[napi]
impl WatchHandle {
    fn new(watch: FileWatch) -> Self {
        let token = watch.cancel_token();
        let slot = Arc::new(Mutex::new(Some(watch)));
        let abandoned = (token.clone(), slot.clone());
        let at_thread_end = ThreadEndGuard::new(move || close(&abandoned.0, &abandoned.1));
        WatchHandle { slot, token, _at_thread_end: at_thread_end }
    }

    /// Waits for the next content; `null` once closed. To be called again when it has settled.
    #[napi(catch_unwind)]
    pub fn next<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<Background<'env, AddonResult<Option<RegistryText>>>> {
        let (slot, token) = (self.slot.clone(), self.token.clone());
        in_background(env, WorkerPool::LockWaits, move || {
            let Some(mut watch) = lock(&slot).take() else { return Either::A(None) };
            let next = watch.next_content();
            let mut slot = lock(&slot);
            // A call that closed the watch meanwhile found the slot empty, so it is closed here.
            if !token.is_cancelled() {
                *slot = Some(watch);
            }
            match next {
                None => Either::A(None),
                Some(Ok(content)) => {
                    let text = RegistryText::of(content.bytes.as_deref(), &content.warnings);
                    Either::A(Some(text))
                }
                Some(Err(error)) => Either::B(error.into()),
            }
        })
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

/// Watches a file.
#[napi(catch_unwind)]
pub fn watch(path: String) -> AddonResult<WatchHandle> {
    addon_result(watch_file(path.as_ref()), WatchHandle::new)
}

/// Watches the registry at a path, a file or a folder.
#[napi(catch_unwind)]
pub fn watch_registry(path: String) -> AddonResult<WatchHandle> {
    addon_result(calls::watch_content(path.as_ref()), WatchHandle::new)
}
