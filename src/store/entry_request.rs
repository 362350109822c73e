//! An entry operation as JavaScript names it, which the addons of all stores read.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;

use crate::content::entry_operation::{Operation, WatcherRef};
use crate::content::record::{WatcherClaim, WatcherRecord};
use crate::error::{Error, Result};
use crate::registry::entries::{check_id, ClaimOptions, EntryRequest, PruneOptions};

/// An operation as JavaScript passes it: as JSON, the one form that keeps every string and number
/// of JavaScript's.
#[derive(Deserialize)]
struct OperationRequest {
    operation: RequestedOperation,
    now: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum RequestedOperation {
    Announce(WatcherRecord),
    #[serde(rename_all = "camelCase")]
    Claim {
        watcher: WatcherRecord,
        suffix: bool,
        liveness: bool,
        ttl_ms: Option<f64>,
    },
    Heartbeat(RequestedEntry),
    Remove(RequestedEntry),
    #[serde(rename_all = "camelCase")]
    Prune {
        ttl_ms: Option<f64>,
        liveness: bool,
    },
}

/// The entry that an operation is about. An adjacent tag would make serde copy the record, which
/// then would not keep its bytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum RequestedEntry {
    Id(String),
    #[serde(rename_all = "camelCase")]
    Claim {
        id: String,
        pid: f64,
        started_at: f64,
    },
    Record(Box<WatcherRecord>),
}

impl From<RequestedEntry> for WatcherRef {
    fn from(entry: RequestedEntry) -> Self {
        match entry {
            RequestedEntry::Id(id) => WatcherRef::Id(id),
            RequestedEntry::Claim { id, pid, started_at } => WatcherRef::Claim(WatcherClaim {
                id,
                pid: pid as u32,
                started_at: started_at as u64,
            }),
            RequestedEntry::Record(record) => WatcherRef::Record(record),
        }
    }
}

/// Reads the operation from JSON. `path` is used in the error only.
pub(crate) fn parse_request(path: &Path, text: &str) -> Result<EntryRequest> {
    let request: OperationRequest = serde_json::from_str(text).map_err(|error| {
        let reason = error.to_string();
        // The position in the text means nothing to the caller, which has not seen the text.
        let reason = reason.split(" at line ").next().unwrap_or_default();
        let reason = format!("not a watcher's record: {reason}; pass a whole record");
        Error::InvalidValue { path: path.to_path_buf(), reason }
    })?;
    let operation = match request.operation {
        RequestedOperation::Announce(watcher) => {
            check_id(path, &watcher.id)?;
            Operation::Announce(Box::new(watcher))
        }
        RequestedOperation::Claim { watcher, suffix, liveness, ttl_ms } => {
            check_id(path, &watcher.id)?;
            let replace_after = liveness.then(|| time_to_live(ttl_ms));
            Operation::Claim { record: Box::new(watcher), suffix, replace_after }
        }
        RequestedOperation::Heartbeat(entry) => Operation::Heartbeat(entry.into()),
        RequestedOperation::Remove(entry) => Operation::Remove(entry.into()),
        RequestedOperation::Prune { ttl_ms, liveness } => {
            Operation::Prune { ttl: time_to_live(ttl_ms), liveness }
        }
    };
    Ok(EntryRequest { operation, now: request.now.map(|now| now as u64) })
}

/// JSON has no Infinity and writes `null` in its place.
fn time_to_live(ms: Option<f64>) -> Duration {
    ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok()).unwrap_or(Duration::MAX)
}

/// An entry operation, for a store of another crate.
#[derive(Debug, Clone)]
pub enum EntryCall {
    /// See [`announce_watcher`](crate::announce_watcher).
    Announce(Box<WatcherRecord>),
    /// See [`claim_watcher`](crate::claim_watcher).
    Claim(Box<WatcherRecord>, ClaimOptions),
    /// See [`heartbeat_watcher`](crate::heartbeat_watcher). With the date that the entry gets, in milliseconds
    /// since 1970: `None` for the present time.
    Heartbeat(WatcherRef, Option<u64>),
    /// See [`remove_watcher`](crate::remove_watcher).
    Remove(WatcherRef),
    /// See [`prune_stale_watchers`](crate::prune_stale_watchers).
    Prune(PruneOptions),
}

impl EntryCall {
    /// Reads the operation from the JSON that `lib/api/entries.js` makes. `path` is used in the error only.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for a record that is none.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let EntryRequest { operation, now } = parse_request(path, text)?;
        Ok(match operation {
            Operation::Announce(record) => EntryCall::Announce(record),
            Operation::Claim { record, suffix, replace_after } => {
                let (liveness, ttl) = (replace_after.is_some(), replace_after.unwrap_or_default());
                EntryCall::Claim(record, ClaimOptions { suffix, liveness, ttl })
            }
            Operation::Heartbeat(watcher) => EntryCall::Heartbeat(watcher, now),
            Operation::Remove(watcher) => EntryCall::Remove(watcher),
            Operation::Prune { ttl, liveness } => {
                let now = now.and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
                EntryCall::Prune(PruneOptions { ttl, now, liveness })
            }
        })
    }
}
