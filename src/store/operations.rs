//! The entry operations of the stores of this crate, which both take them as requests.

use std::path::Path;

use crate::content::entry_operation::{EntryOutcome, Operation, PrunedWatcher, WatcherRef};
use crate::content::record::WatcherRecord;
use crate::error::{Error, Result};
use crate::registry::entries::{check_id, prune_request, ClaimOptions, EntryRequest, PruneOptions};

/// Performs a request on one registry.
pub(super) type Apply<'a> = &'a dyn Fn(&EntryRequest) -> Result<EntryOutcome>;

fn apply(apply: Apply<'_>, operation: Operation) -> Result<EntryOutcome> {
    apply(&EntryRequest { operation, now: None })
}

pub(super) fn announce(path: &Path, watcher: WatcherRecord, to: Apply<'_>) -> Result<()> {
    check_id(path, &watcher.id)?;
    apply(to, Operation::Announce(Box::new(watcher))).map(|_| ())
}

pub(super) fn claim(
    path: &Path,
    watcher: WatcherRecord,
    claim: &ClaimOptions,
    to: Apply<'_>,
) -> Result<WatcherRecord> {
    check_id(path, &watcher.id)?;
    let id = watcher.id.clone();
    let replace_after = claim.liveness.then_some(claim.ttl);
    let operation =
        Operation::Claim { record: Box::new(watcher), suffix: claim.suffix, replace_after };
    match apply(to, operation)? {
        EntryOutcome::Claimed(watcher) => Ok(*watcher),
        EntryOutcome::Taken { pid } => Err(Error::IdTaken { path: path.to_path_buf(), id, pid }),
        other => unreachable!("the outcome of a claim is {other:?}"),
    }
}

pub(super) fn heartbeat(watcher: WatcherRef, to: Apply<'_>) -> Result<bool> {
    Ok(apply(to, Operation::Heartbeat(watcher))?.has_changed())
}

pub(super) fn remove(watcher: WatcherRef, to: Apply<'_>) -> Result<bool> {
    Ok(apply(to, Operation::Remove(watcher))?.has_changed())
}

pub(super) fn prune(prune: &PruneOptions, to: Apply<'_>) -> Result<Vec<PrunedWatcher>> {
    match to(&prune_request(prune))? {
        EntryOutcome::Pruned(pruned) => Ok(pruned),
        other => unreachable!("the outcome of pruning is {other:?}"),
    }
}
