//! The entry operations: JavaScript says what to do and gets the result. No JavaScript runs in
//! between, so that an event loop, however busy, never keeps a lock from being released.

use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::ClassInstance;
use napi::Env;
use napi_derive::napi;

use super::acquisition::AcquireRequest;
use super::convert::{addon_result, AddonResult};
use super::held_lock::allows_inline;
use super::threads::{in_background, Background, WorkerPool};
use crate::content::entry_operation::EntryOutcome;
use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::lock::wait::WaitPolicy;
use crate::registry::entries::{apply_once, EntryRequest};
use crate::registry::update::{UpdateFailure, UpdateOptions};
use crate::store::entry_request::parse_request;
use crate::util::cancel::CancelToken;
use crate::util::inline_budget;
use crate::util::thread_end::ThreadEndGuard;
use crate::warning::{OnCorrupt, OnWarning, Warning};

#[derive(Clone, Copy, PartialEq, Eq)]
enum OperationPhase {
    Waiting,
    Begun,
    Cancelled,
}

pub(super) struct QueuedOperation {
    pub(super) job: EntryRequest,
    pub(super) token: CancelToken,
    phase: Mutex<OperationPhase>,
}

impl QueuedOperation {
    /// Moves on from waiting, if it waits; returns its phase.
    fn move_to(&self, next: OperationPhase) -> OperationPhase {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if *phase == OperationPhase::Waiting {
            *phase = next;
        }
        *phase
    }

    /// Moves back to waiting, for an operation that has begun and was not done.
    fn wait_again(&self) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if *phase == OperationPhase::Begun {
            *phase = OperationPhase::Waiting;
        }
    }

    fn cancel(&self) -> bool {
        let is_cancelled = self.move_to(OperationPhase::Cancelled) == OperationPhase::Cancelled;
        if is_cancelled {
            self.token.cancel();
        }
        is_cancelled
    }
}

/// One operation, which either begins or is cancelled, never both: an operation whose `cancel`
/// returned true is not done.
#[napi]
pub struct EntryOperation {
    pub(super) queued: Arc<QueuedOperation>,
    _at_thread_end: ThreadEndGuard,
}

impl Drop for EntryOperation {
    /// Its worker was terminated, or it is over and JavaScript has dropped it.
    fn drop(&mut self) {
        self.queued.cancel();
    }
}

#[napi]
impl EntryOperation {
    /// Cancels it, unless it has begun; returns whether it is cancelled.
    #[napi(catch_unwind)]
    pub fn cancel(&self) -> bool {
        self.queued.cancel()
    }

    /// Whether it has begun.
    #[napi(catch_unwind)]
    pub fn has_begun(&self) -> bool {
        *self.queued.phase.lock().unwrap_or_else(PoisonError::into_inner) == OperationPhase::Begun
    }
}

/// An operation on a registry, from JSON.
#[napi(catch_unwind)]
pub fn entry_operation(path: String, text: String) -> AddonResult<EntryOperation> {
    addon_result(parse_request(path.as_ref(), &text), |job| {
        let queued = Arc::new(QueuedOperation {
            job,
            token: CancelToken::new(),
            phase: Mutex::new(OperationPhase::Waiting),
        });
        let abandoned = queued.clone();
        let at_thread_end = ThreadEndGuard::new(move || _ = abandoned.cancel());
        EntryOperation { queued, _at_thread_end: at_thread_end }
    })
}

/// What came of operations that were done together.
#[napi(object, object_from_js = false)]
pub struct AppliedOperations {
    /// What came of each, as JSON; missing for one that was cancelled.
    pub outcomes: Vec<Option<String>>,
    /// Whether each changed the registry.
    pub changed: Vec<bool>,
    /// The path at which the corrupt content that was replaced is kept.
    pub kept: Option<String>,
    /// Why that content was corrupt; missing if no content was.
    pub reason: Option<String>,
    /// Whether the lock was taken away after the commit and before its release.
    pub lock_lost: bool,
}

/// Does operations under one lock, with one commit, once. If no lock and no slow file system stands
/// in the way, the operations are done on the calling thread, and the result is no promise. The
/// wait is the first operation's: cancelling that one ends it. With `refuse_corrupt` corrupt content is
/// left as it is, and the operations fail.
#[napi(catch_unwind)]
pub fn apply_entries<'env>(
    env: &'env Env,
    request: AcquireRequest,
    operations: Vec<ClassInstance<'env, EntryOperation>>,
    durable: bool,
    refuse_corrupt: bool,
) -> napi::Result<Background<'env, AddonResult<AppliedOperations>>> {
    let all: Vec<_> = operations.iter().map(|operation| operation.queued.clone()).collect();
    let mut lock = request.options();
    let path = request.path;
    lock.cancel = all.first().map(|first| first.token.clone());
    let on_corrupt = if refuse_corrupt { OnCorrupt::Fail } else { OnCorrupt::Keep };
    let options = UpdateOptions { lock, durable, on_corrupt, ..UpdateOptions::default() };
    if !durable && may_be_done_at_once(&path, &all) {
        let attempt = || apply(&path, &all, &options, WaitPolicy::DontBlock);
        match inline_budget::spend(attempt) {
            // Another holder has the lock, or the operations need a call that may block.
            Err(Error::LockBusy { .. }) => {}
            applied => return Background::ready(env, addon_result(applied, |applied| applied)),
        }
    }
    in_background(env, WorkerPool::LockWaits, move || {
        addon_result(apply(&path, &all, &options, WaitPolicy::Block), |applied| applied)
    })
}

/// Whether no operation asks the system for processes, which takes time.
fn may_be_done_at_once(path: &str, all: &[Arc<QueuedOperation>]) -> bool {
    all.iter().all(|queued| queued.job.operation.asks_for_no_process())
        && allows_inline(path.as_ref())
}

fn apply(
    path: &str,
    all: &[Arc<QueuedOperation>],
    options: &UpdateOptions,
    waiting: WaitPolicy,
) -> Result<AppliedOperations> {
    let paths = FilePaths::of_resolved(path.as_ref())?;
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let on_warning = {
        let warnings = warnings.clone();
        OnWarning::new(move |warning| {
            warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning.clone());
        })
    };
    let options = UpdateOptions { on_warning, ..options.clone() };
    let jobs: Vec<_> = all.iter().map(|queued| &queued.job).collect();
    let may_begin =
        |index: usize| all[index].move_to(OperationPhase::Begun) == OperationPhase::Begun;
    let outcomes = match apply_once(&paths, &jobs, &options, waiting, may_begin) {
        // Each may be done again until its own timeout is over, which JavaScript knows.
        Err(UpdateFailure::LockLost(error)) => {
            all.iter().for_each(|queued| queued.wait_again());
            return Err(error);
        }
        Err(UpdateFailure::Other(error)) => return Err(error),
        Ok(outcomes) => outcomes,
    };
    let mut applied = AppliedOperations {
        outcomes: outcomes.iter().map(|outcome| outcome.as_ref().map(text)).collect(),
        changed: outcomes
            .iter()
            .map(|outcome| outcome.as_ref().is_some_and(EntryOutcome::has_changed))
            .collect(),
        kept: None,
        reason: None,
        lock_lost: false,
    };
    for warning in warnings.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        match warning {
            Warning::Corrupt { reason, kept, .. } => {
                applied.reason = Some(reason);
                applied.kept = kept.map(|path| path.to_string_lossy().into_owned());
            }
            Warning::LockLost { .. } => applied.lock_lost = true,
            Warning::ReplacedEmpty { .. } => applied.reason = Some("it is empty".to_owned()),
            Warning::Missing { .. }
            | Warning::DamagedEntry { .. }
            | Warning::UnsupportedVersion { .. }
            | Warning::UnknownLost { .. } => {}
        }
    }
    Ok(applied)
}

/// An outcome as JSON.
pub(super) fn text(outcome: &EntryOutcome) -> String {
    match outcome {
        EntryOutcome::Announced => "true".to_owned(),
        EntryOutcome::Found(found) => found.to_string(),
        EntryOutcome::Claimed(watcher) => watcher.to_json(),
        // A list, to tell it from a watcher, which is an object.
        EntryOutcome::Taken { pid: Some(pid) } => format!("[{pid}]"),
        EntryOutcome::Taken { pid: None } => "[]".to_owned(),
        EntryOutcome::Pruned(pruned) => {
            let items: Vec<_> = pruned.iter().map(|pruned| pruned.to_json()).collect();
            format!("[{}]", items.join(","))
        }
    }
}
