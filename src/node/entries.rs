//! The entry operations: JavaScript says what to do and hears what came of it. Between the two it
//! has no part, so no event loop, however busy, keeps a lock from being released.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::{ClassInstance, Either, ToNapiValue};
use napi::{Env, Unknown};
use napi_derive::napi;
use serde::Deserialize;

use super::convert::{millis, outcome, Failure};
use super::hold::{allows_inline, lock_options, policy};
use super::thread_end::Owner;
use super::threads::{in_background, Pool};
use crate::content::entry_operation::{EntryOutcome, Operation, WatcherRef};
use crate::content::record::{WatcherClaim, WatcherRecord};
use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::lock::wait::{LockOptions, WaitPolicy};
use crate::registry::entries::{apply_once, check_id, EntryRequest};
use crate::registry::update::{UpdateFailure, UpdateOptions};
use crate::util::cancel::CancelToken;
use crate::util::inline_budget;
use crate::warning::{OnWarning, Warning};

/// An operation as JavaScript writes it down: as JSON, which is the one form in which every string
/// and number of JavaScript's comes across as it is.
#[derive(Deserialize)]
struct Order {
    what: What,
    now: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum What {
    Announce(WatcherRecord),
    Claim {
        watcher: WatcherRecord,
        suffix: bool,
        liveness: bool,
    },
    Heartbeat(Who),
    Remove(Who),
    #[serde(rename_all = "camelCase")]
    Prune {
        ttl_ms: Option<f64>,
        liveness: bool,
    },
}

/// An adjacent tag would make serde copy the record, which then would not keep its bytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Who {
    Id(String),
    #[serde(rename_all = "camelCase")]
    Claim {
        id: String,
        pid: f64,
        started_at: f64,
    },
    Record(Box<WatcherRecord>),
}

impl From<Who> for WatcherRef {
    fn from(who: Who) -> Self {
        match who {
            Who::Id(id) => WatcherRef::Id(id),
            Who::Claim { id, pid, started_at } => WatcherRef::Claim(WatcherClaim {
                id,
                pid: pid as u32,
                started_at: started_at as u64,
            }),
            Who::Record(record) => WatcherRef::Record(record),
        }
    }
}

fn parse(path: &Path, text: &str) -> Result<EntryRequest> {
    let order: Order = serde_json::from_str(text).map_err(|error| {
        let reason = error.to_string();
        // Where in the text is nothing that the caller has seen.
        let reason = reason.split(" at line ").next().unwrap_or_default();
        let reason = format!("not a watcher's record: {reason}");
        Error::InvalidValue { path: path.to_path_buf(), reason }
    })?;
    let operation = match order.what {
        What::Announce(watcher) => {
            check_id(path, &watcher.id)?;
            Operation::Announce(Box::new(watcher))
        }
        What::Claim { watcher, suffix, liveness } => {
            check_id(path, &watcher.id)?;
            Operation::Claim { record: Box::new(watcher), suffix, liveness }
        }
        What::Heartbeat(who) => Operation::Heartbeat(who.into()),
        What::Remove(who) => Operation::Remove(who.into()),
        What::Prune { ttl_ms, liveness } => {
            // No number at all is JSON's spelling of Infinity.
            let ttl = ttl_ms.and_then(millis).unwrap_or(Duration::MAX);
            Operation::Prune { ttl, liveness }
        }
    };
    Ok(EntryRequest { operation, now: order.now.map(|now| now as u64) })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Begun,
    Cancelled,
}

struct Shared {
    job: EntryRequest,
    token: CancelToken,
    phase: Mutex<Phase>,
}

impl Shared {
    /// Moves on from waiting; says where it stands.
    fn move_to(&self, next: Phase) -> Phase {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if *phase == Phase::Waiting {
            *phase = next;
        }
        *phase
    }

    /// Takes it back to waiting, if nothing came of its beginning.
    fn wait_again(&self) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if *phase == Phase::Begun {
            *phase = Phase::Waiting;
        }
    }

    fn cancel(&self) -> bool {
        let is_cancelled = self.move_to(Phase::Cancelled) == Phase::Cancelled;
        if is_cancelled {
            self.token.cancel();
        }
        is_cancelled
    }
}

/// One operation, which either begins or is cancelled: whoever is told that it was cancelled can
/// count on it.
#[napi]
pub struct EntryOperation {
    shared: Arc<Shared>,
    _owner: Owner,
}

impl Drop for EntryOperation {
    /// Its worker was terminated, or nobody has it any more because it is over.
    fn drop(&mut self) {
        self.shared.cancel();
    }
}

#[napi]
impl EntryOperation {
    /// Cancels it, unless it has begun; says whether it is cancelled.
    #[napi]
    pub fn cancel(&self) -> bool {
        self.shared.cancel()
    }

    /// Whether it has begun.
    #[napi]
    pub fn has_begun(&self) -> bool {
        *self.shared.phase.lock().unwrap_or_else(PoisonError::into_inner) == Phase::Begun
    }
}

/// An operation on a registry, from JSON.
#[napi]
pub fn entry_operation(path: String, text: String) -> Either<EntryOperation, Failure> {
    outcome(parse(path.as_ref(), &text), |job| {
        let shared =
            Arc::new(Shared { job, token: CancelToken::new(), phase: Mutex::new(Phase::Waiting) });
        let abandoned = shared.clone();
        EntryOperation { shared, _owner: Owner::new(move || _ = abandoned.cancel()) }
    })
}

/// What came of operations that were done together.
#[napi(object, object_from_js = false)]
pub struct Applied {
    /// What came of each, as JSON; missing for one that was cancelled.
    pub outcomes: Vec<Option<String>>,
    /// Where the bad content that was replaced is kept.
    pub kept: Option<String>,
    /// Why it was bad; missing if nothing was.
    pub reason: Option<String>,
}

/// Does operations under one lock, with one commit, once: at once if nothing stands in the way and
/// nothing blocks, and then the outcome is no promise. The first is the one that waits for it, and
/// whose cancellation ends the wait.
#[napi]
pub fn apply_entries<'env>(
    env: &'env Env,
    path: String,
    operations: Vec<ClassInstance<'env, EntryOperation>>,
    timeout_ms: f64,
    elapsed_ms: f64,
    stale_ms: f64,
    durable: bool,
) -> napi::Result<Unknown<'env>> {
    let all: Vec<_> = operations.iter().map(|operation| operation.shared.clone()).collect();
    let mut lock = lock_options(timeout_ms, elapsed_ms, stale_ms);
    lock.cancel = all.first().map(|first| first.token.clone());
    if !durable && may_be_done_at_once(&path, &all) {
        let attempt = || apply(&path, &all, &lock, durable, WaitPolicy::DontBlock);
        match inline_budget::spend(attempt) {
            // Somebody has it, or it needs more than is done at once.
            Err(Error::LockBusy { .. }) => {}
            applied => return outcome(applied, |applied| applied).into_unknown(env),
        }
    }
    in_background(env, Pool::Waits, move || {
        outcome(apply(&path, &all, &lock, durable, WaitPolicy::Block), |applied| applied)
    })
}

/// Whether none of them looks at anything but its own entry: others ask the system for processes.
fn may_be_done_at_once(path: &str, all: &[Arc<Shared>]) -> bool {
    all.iter().all(|shared| shared.job.operation.only_entry().is_some())
        && allows_inline(path.as_ref())
}

fn apply(
    path: &str,
    all: &[Arc<Shared>],
    lock: &LockOptions,
    durable: bool,
    waiting: WaitPolicy,
) -> Result<Applied> {
    let paths = FilePaths::of_resolved(path.as_ref())?;
    let replaced = Arc::new(Mutex::new(None));
    let on_warning = {
        let replaced = replaced.clone();
        OnWarning::new(move |warning| {
            *replaced.lock().unwrap_or_else(PoisonError::into_inner) = Some(warning.clone());
        })
    };
    let options = UpdateOptions { lock: lock.clone(), durable, on_warning };
    let jobs: Vec<_> = all.iter().map(|shared| &shared.job).collect();
    let may_begin = |index: usize| all[index].move_to(Phase::Begun) == Phase::Begun;
    let outcomes = match apply_once(&paths, &jobs, &options, policy(waiting), may_begin) {
        // Each may be done again as long as its own time allows, which JavaScript knows.
        Err(UpdateFailure::LockLost(error)) => {
            all.iter().for_each(|shared| shared.wait_again());
            return Err(error);
        }
        Err(UpdateFailure::Other(error)) => return Err(error),
        Ok(outcomes) => outcomes,
    };
    let warning = replaced.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (reason, kept) = match warning {
        Some(Warning::Corrupt { reason, kept, .. }) => (Some(reason), kept),
        _ => (None, None),
    };
    Ok(Applied {
        outcomes: outcomes.iter().map(|outcome| outcome.as_ref().map(text)).collect(),
        kept: kept.map(|path| path.to_string_lossy().into_owned()),
        reason,
    })
}

fn text(outcome: &EntryOutcome) -> String {
    match outcome {
        EntryOutcome::Announced => "true".to_owned(),
        EntryOutcome::Found(found) => found.to_string(),
        EntryOutcome::Claimed(watcher) => watcher.to_json(),
        // A list: no watcher is one.
        EntryOutcome::Taken { pid: Some(pid) } => format!("[{pid}]"),
        EntryOutcome::Taken { pid: None } => "[]".to_owned(),
        EntryOutcome::Pruned(pruned) => {
            let items: Vec<_> = pruned.iter().map(|pruned| pruned.to_json()).collect();
            format!("[{}]", items.join(","))
        }
    }
}
