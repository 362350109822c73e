//! The entry operations on a folder.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use napi::Env;
use napi_derive::napi;

use super::acquisition::AcquireRequest;
use super::convert::{addon_result, AddonResult};
use super::entries::{text, EntryOperation, QueuedOperation};
use super::threads::{in_background, Background, WorkerPool};
use crate::content::entry_operation::{Operation, WatcherRef};
use crate::content::record::WatcherClaim;
use crate::error::{Error, Result};
use crate::folder::layout::FolderPaths;
use crate::folder::{entries, held};
use crate::lock::wait::WaitPolicy;
use crate::registry::update::UpdateOptions;
use crate::util::inline_budget;

/// Does an operation on a folder, and returns its outcome as JSON. Cancelling the operation ends its wait
/// for the folder's lock; the result then says that it was not done.
#[napi(catch_unwind)]
pub fn apply_to_folder<'env>(
    env: &'env Env,
    request: AcquireRequest,
    operation: &EntryOperation,
    durable: bool,
) -> napi::Result<Background<'env, AddonResult<String>>> {
    let queued = operation.queued.clone();
    let mut lock = request.options();
    lock.cancel = Some(queued.token.clone());
    let options = UpdateOptions { lock, durable, ..UpdateOptions::default() };
    in_background(env, WorkerPool::LockWaits, move || {
        addon_result(apply(request.path.as_ref(), &queued, &options), |outcome| outcome)
    })
}

fn apply(path: &Path, queued: &Arc<QueuedOperation>, options: &UpdateOptions) -> Result<String> {
    if queued.token.is_cancelled() {
        return Err(Error::Aborted { path: path.to_path_buf() });
    }
    let paths = FolderPaths::resolve(path)?;
    let outcome = entries::apply(&paths, &queued.job, options, WaitPolicy::Block)?;
    Ok(text(&outcome))
}

/// Renews the entry of a claim that this process holds in a folder. Returns false if it holds none for a
/// folder of this spelling, or if the entry was lost: the operation then has to be applied.
#[napi(catch_unwind)]
pub fn renew_claim(folder: String, id: String, pid: f64, started_at: f64) -> bool {
    let claim = WatcherClaim { id, pid: pid as u32, started_at: started_at as u64 };
    renew_inline(folder.as_ref(), &WatcherRef::Claim(claim), SystemTime::now())
}

/// Like [`renew_claim`], for an operation that is a heartbeat and changes no field.
#[napi(catch_unwind)]
pub fn renew_held(folder: String, operation: &EntryOperation) -> bool {
    let request = &operation.queued.job;
    match &request.operation {
        Operation::Heartbeat(watcher) => {
            renew_inline(folder.as_ref(), watcher, request.renewed_at())
        }
        _ => false,
    }
}

/// Renews an entry on the calling thread: two system calls on an open file, which wait for no process. On a
/// file system that was slow lately another thread has to do it.
fn renew_inline(folder: &Path, watcher: &WatcherRef, now: SystemTime) -> bool {
    let renew = || matches!(held::renew(folder, watcher, now), Some(Ok(())));
    inline_budget::is_available() && inline_budget::spend(renew)
}
