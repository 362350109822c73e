//! Removing entries, each as it was seen.

use argus_registry::store_parts::{self as parts, WatcherRef};
use argus_registry::{Error, PruneOptions, PruneReason, PrunedWatcher, Result};

use crate::call::Call;
use crate::client::Client;
use crate::connection::Failures;
use crate::error::{self, Trouble};
use crate::outcome::{Change, Committed};
use crate::rpc::{self, Compare, KeyValue, RequestOp, TxnRequest};
use crate::snapshot::{life, Snapshot};

/// How many entries one transaction removes at most: etcd allows 128 operations.
const MAX_REMOVED: usize = 100;

/// The comparisons and operations that delete these entries as they were seen.
fn deletion(entries: &[&KeyValue]) -> (Vec<Compare>, Vec<RequestOp>) {
    let compare = |kv: &&KeyValue| rpc::is_unchanged(&kv.key, kv.mod_revision);
    let delete = |kv: &&KeyValue| rpc::delete(kv.key.clone());
    (entries.iter().map(compare).collect(), entries.iter().map(delete).collect())
}

impl Client {
    /// A change that removes these entries, if they are as they were seen.
    fn removal(&self, entries: &[&KeyValue]) -> Change {
        let (compares, mut writes) = deletion(entries);
        writes.push(rpc::put(self.keys.removals(), Vec::new(), 0));
        Change::new(compares, writes)
    }

    /// Removes these entries, if they are as they were seen, and writes nothing: a database that is full takes only
    /// that. Updates that are under way need not be told, as is said in [`crate::update`] of a key that goes with
    /// its lease: what is removed here was judged by nothing but itself. Without a marker, the outcome of a lost
    /// answer is unknown.
    async fn delete_only(&self, entries: &[&KeyValue], call: &Call) -> Result<Committed> {
        let (compare, success) = deletion(entries);
        let failure = vec![rpc::get(&entries[0].key)];
        let txn = TxnRequest { compare, success, failure };
        match self.send(&txn, call.until).await {
            Ok(answer) if answer.succeeded => {
                Ok(Committed::Done(rpc::revision(answer.header.as_ref()), 0))
            }
            Ok(answer) => Ok(Committed::Conflict(rpc::found(answer))),
            Err(Trouble::Refused(status)) => Err(error::refused(self.path(), &status)),
            Err(trouble @ Trouble::NoAnswer(_)) => Err(Error::OutcomeUnknown {
                path: self.path().to_path_buf(),
                reason: trouble.reason(),
            }),
            Err(trouble) => {
                let mut failed = Failures::default();
                failed.add(trouble);
                Err(self.cluster.unavailable(failed))
            }
        }
    }

    pub(crate) async fn remove(&self, watcher: &WatcherRef, mut call: Call) -> Result<bool> {
        let id = parts::id_of(watcher);
        // An entry of this process most likely is what it was last seen as, and need not be read first.
        let held = self.held_entry(id).filter(|held| self.is_of(watcher, &held.kv));
        let mut seen = match held {
            Some(held) => Some(held.kv),
            None => {
                call.unless_cancelled(self.path(), self.entry(id.as_bytes(), call.until)).await?
            }
        };
        loop {
            let Some(kv) = seen else {
                self.forget(id);
                return Ok(false);
            };
            self.must_not_be_damaged(id, &kv)?;
            if !self.is_of(watcher, &kv) {
                return Ok(false);
            }
            let mut change = self.removal(&[&kv]);
            change.reads.push(rpc::get(&kv.key));
            let committed = match self.commit(&change, &call).await {
                Err(Error::StoreLimit { .. }) => self.delete_only(&[&kv], &call).await?,
                committed => committed?,
            };
            match committed {
                Committed::Done(..) => {
                    self.forget(id);
                    return Ok(true);
                }
                Committed::Conflict(found) => {
                    seen = found.into_iter().flat_map(|range| range.kvs).next();
                }
                _ => {
                    call.pause(self.path()).await?;
                    seen = self.entry(id.as_bytes(), call.until).await?;
                }
            }
        }
    }

    /// The entries that are stale, with the reason.
    pub(crate) fn stale(
        &self,
        snapshot: &Snapshot,
        prune: &PruneOptions,
    ) -> Vec<(KeyValue, PruneReason)> {
        let reason = |kv: &KeyValue| {
            self.keys.id(&kv.key)?;
            life(kv).prune_reason(&parts::parse_entry(&kv.value)?, prune)
        };
        let entries = snapshot.entries.iter();
        entries.filter_map(|kv| Some((kv.clone(), reason(kv)?))).collect()
    }

    pub(crate) fn pruned(&self, (kv, reason): (KeyValue, PruneReason)) -> Option<PrunedWatcher> {
        let id = self.keys.id(&kv.key)?;
        Some(parts::pruned(id, parts::parse_entry(&kv.value)?, reason))
    }

    pub(crate) async fn prune(
        &self,
        prune: &PruneOptions,
        mut call: Call,
    ) -> Result<Vec<PrunedWatcher>> {
        let mut pruned = Vec::new();
        match self.prune_into(&mut pruned, prune, &mut call).await {
            // The error would say that nothing was removed, and the caller would never learn which entries were. The
            // rest is left for a later call, which has the error if it fails before anything is removed.
            Err(error) if pruned.is_empty() => Err(error),
            _ => Ok(pruned),
        }
    }

    /// Prunes until there is nothing left to prune. `pruned` has what was removed also if that fails.
    async fn prune_into(
        &self,
        pruned: &mut Vec<PrunedWatcher>,
        prune: &PruneOptions,
        call: &mut Call,
    ) -> Result<()> {
        loop {
            let snapshot = call.unless_cancelled(self.path(), self.snapshot(call.until)).await?;
            snapshot.check_version(self.path())?;
            let stale = self.stale(&snapshot, prune);
            if stale.is_empty() {
                return Ok(());
            }
            for stale in stale.chunks(MAX_REMOVED) {
                let kvs: Vec<_> = stale.iter().map(|(kv, _)| kv).collect();
                let committed = match self.commit(&self.removal(&kvs), call).await {
                    Err(Error::StoreLimit { .. }) => self.delete_only(&kvs, call).await?,
                    committed => committed?,
                };
                match committed {
                    Committed::Done(..) => {
                        pruned.extend(stale.iter().cloned().filter_map(|kv| self.pruned(kv)));
                    }
                    // One of them was renewed or removed: they are judged again.
                    _ => {
                        call.pause(self.path()).await?;
                        break;
                    }
                }
            }
        }
    }
}
