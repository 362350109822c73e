//! The entry operations.

use std::path::Path;

use argus_registry::store_parts::{EntryCall, ThreadEndGuard};
use argus_registry::CancelToken;
use argus_registry_etcd::addon_parts as parts;
use napi::Env;
use napi_derive::napi;

use crate::background::{in_background, Background};
use crate::convert::{addon_result, AcquireRequest, AddonResult};
use crate::stores::store;

/// One operation. Cancelling it ends its waits, unless its change is on its way to a server.
#[napi]
pub struct EntryOperation {
    entry_call: EntryCall,
    token: CancelToken,
    _at_thread_end: ThreadEndGuard,
}

#[napi]
impl EntryOperation {
    /// Cancels it. Its result tells whether it was done before.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.token.cancel();
    }
}

/// An operation on a registry, from JSON.
#[napi(catch_unwind)]
pub fn entry_operation(path: String, text: String) -> AddonResult<EntryOperation> {
    addon_result(EntryCall::parse(Path::new(&path), &text), |entry_call| {
        let token = CancelToken::new();
        let abandoned = token.clone();
        let at_thread_end = ThreadEndGuard::new(move || abandoned.cancel());
        EntryOperation { entry_call, token, _at_thread_end: at_thread_end }
    })
}

/// Does an operation, and returns its outcome as JSON.
#[napi(catch_unwind)]
pub fn apply_entry<'env>(
    env: &'env Env,
    request: AcquireRequest,
    operation: &EntryOperation,
) -> napi::Result<Background<'env, AddonResult<String>>> {
    let (entry_call, options) =
        (operation.entry_call.clone(), request.options(operation.token.clone()));
    let store = store(&request.path);
    in_background(env, async move {
        let applied = async { parts::apply(store?, entry_call, options).await };
        addon_result(applied.await, |outcome| outcome)
    })
}
