//! Watching a registry.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::Either;
use napi::{Env, Unknown};
use napi_derive::napi;

use super::convert::{outcome, Failure};
use super::thread_end::Owner;
use super::threads::{in_background, Pool};
use super::Text;
use crate::util::cancel::CancelToken;
use crate::watch::registry_watch::{watch_registry, RegistryWatch};

/// Empty while a thread is at it, and once closed.
type Slot = Arc<Mutex<Option<RegistryWatch>>>;

fn lock(slot: &Slot) -> MutexGuard<'_, Option<RegistryWatch>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A watch of a registry. Closed when JavaScript says so or when its thread ends.
#[napi]
pub struct Watch {
    slot: Slot,
    token: CancelToken,
    _owner: Owner,
}

#[napi]
impl Watch {
    fn new(watch: RegistryWatch) -> Self {
        let token = watch.cancel_token();
        let slot = Arc::new(Mutex::new(Some(watch)));
        let abandoned = (token.clone(), slot.clone());
        let owner = Owner::new(move || close(&abandoned.0, &abandoned.1));
        Watch { slot, token, _owner: owner }
    }

    /// Waits for the next content; `null` once closed. To be called again when it has settled.
    #[napi]
    pub fn next<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        let (slot, token) = (self.slot.clone(), self.token.clone());
        in_background(env, Pool::Waits, move || {
            let Some(mut watch) = lock(&slot).take() else { return Either::A(None) };
            let next = watch.next_content();
            let mut slot = lock(&slot);
            // Who closed it meanwhile found the slot empty, so it is closed right here.
            if !token.is_cancelled() {
                *slot = Some(watch);
            }
            match next {
                None => Either::A(None),
                Some(Ok(content)) => Either::A(Some(Text::from(content.as_ref()))),
                Some(Err(error)) => Either::B(error.into()),
            }
        })
    }

    /// Ends it; a second call does nothing.
    #[napi]
    pub fn close(&self) {
        close(&self.token, &self.slot);
    }
}

fn close(token: &CancelToken, slot: &Slot) {
    // In this order: who is at it puts it back only if it is not cancelled.
    token.cancel();
    drop(lock(slot).take());
}

impl Drop for Watch {
    fn drop(&mut self) {
        close(&self.token, &self.slot);
    }
}

/// Watches a registry.
#[napi]
pub fn watch(path: String) -> Either<Watch, Failure> {
    outcome(watch_registry(path), Watch::new)
}
