//! The operations on a registry's entries, decided on its content alone: without a file, a lock or a
//! clock.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::content::pid_scope::PidScope;
use crate::content::record::{RawEntry, WatcherClaim, WatcherRecord};
use crate::content::registry_v1::RegistryV1;
use crate::content::stale_entry::{may_be_replaced, prune_reason, CallingProcess, PruneReason};

/// The entry that an operation is about.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WatcherRef {
    /// The entry of that id, whichever watcher it belongs to.
    Id(String),
    /// The entry of the claim's id, if it still belongs to that watcher.
    Claim(WatcherClaim),
    /// Like `Claim`, by the record's own claim. A heartbeat writes the whole record.
    Record(Box<WatcherRecord>),
}

impl From<&str> for WatcherRef {
    fn from(id: &str) -> Self {
        WatcherRef::Id(id.to_owned())
    }
}

impl From<String> for WatcherRef {
    fn from(id: String) -> Self {
        WatcherRef::Id(id)
    }
}

impl From<WatcherClaim> for WatcherRef {
    fn from(claim: WatcherClaim) -> Self {
        WatcherRef::Claim(claim)
    }
}

impl From<WatcherRecord> for WatcherRef {
    fn from(record: WatcherRecord) -> Self {
        WatcherRef::Record(Box::new(record))
    }
}

impl WatcherRef {
    pub(crate) fn id(&self) -> &str {
        match self {
            WatcherRef::Id(id) => id,
            WatcherRef::Claim(claim) => &claim.id,
            WatcherRef::Record(record) => &record.id,
        }
    }

    /// Whether the registry has an entry of that id which belongs to the watcher that is referred to.
    fn matches(&self, registry: &RegistryV1) -> bool {
        registry.entry(self.id()).is_some_and(|entry| self.matches_entry(&entry))
    }

    /// Whether the entry of that id belongs to the watcher that is referred to.
    pub(crate) fn matches_entry(&self, entry: &RawEntry<'_>) -> bool {
        match self {
            WatcherRef::Id(_) => true,
            WatcherRef::Claim(claim) => entry.claim(&claim.id).as_ref() == Some(claim),
            WatcherRef::Record(record) => entry.claim(&record.id) == Some(record.claim()),
        }
    }
}

/// An entry that was pruned.
#[derive(Debug, Clone)]
pub struct PrunedWatcher {
    /// The entry's key in the registry, as JSON.
    key: Box<RawValue>,
    /// The entry, as JSON.
    entry: Box<RawValue>,
    reason: PruneReason,
}

impl PrunedWatcher {
    /// An entry with its key, both as JSON.
    pub(crate) fn new(key: Box<RawValue>, entry: Box<RawValue>, reason: PruneReason) -> Self {
        PrunedWatcher { key, entry, reason }
    }

    /// The entry's id. An id with a lone surrogate, which a Rust string can't hold, is returned with
    /// its JSON escapes.
    #[must_use]
    pub fn id(&self) -> String {
        let as_written = || self.key.get().trim_matches('"').to_owned();
        serde_json::from_str(self.key.get()).unwrap_or_else(|_| as_written())
    }

    /// The entry; `None` if it was not a watcher's record.
    #[must_use]
    pub fn watcher(&self) -> Option<WatcherRecord> {
        RawEntry(self.entry.get()).record()
    }

    /// Why the entry was pruned.
    #[must_use]
    pub fn reason(&self) -> PruneReason {
        self.reason
    }

    /// `{ id, watcher, reason }` as JSON, which can hold every id.
    pub(crate) fn to_json(&self) -> String {
        let reason = match self.reason {
            PruneReason::Expired => "expired",
            PruneReason::Dead => "dead",
        };
        format!(r#"{{"id":{},"watcher":{},"reason":"{reason}"}}"#, self.key, self.entry)
    }
}

/// An operation on a registry's entries.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Announce(Box<WatcherRecord>),
    /// `replace_after` is `None` if no entry is replaced. Otherwise entries of dead processes are, and
    /// those that can't be judged once they are older than this.
    Claim {
        record: Box<WatcherRecord>,
        suffix: bool,
        replace_after: Option<Duration>,
    },
    Heartbeat(WatcherRef),
    Remove(WatcherRef),
    Prune {
        ttl: Duration,
        liveness: bool,
    },
}

/// The outcome of an [`Operation`].
#[derive(Debug)]
pub(crate) enum EntryOutcome {
    Announced,
    /// The record, with the id under which it was entered.
    Claimed(Box<WatcherRecord>),
    /// The id is taken, and the claim allows no suffix. The pid is the one that the entry names.
    Taken {
        pid: Option<u32>,
    },
    /// Whether the entry that was referred to exists.
    Found(bool),
    Pruned(Vec<PrunedWatcher>),
}

impl EntryOutcome {
    pub(crate) fn has_changed(&self) -> bool {
        match self {
            EntryOutcome::Announced | EntryOutcome::Claimed(_) => true,
            EntryOutcome::Taken { .. } => false,
            EntryOutcome::Found(found) => *found,
            EntryOutcome::Pruned(pruned) => !pruned.is_empty(),
        }
    }
}

impl Operation {
    /// The outcome on a registry that does not exist; `None` if the operation creates one.
    pub(crate) fn outcome_without_registry(&self) -> Option<EntryOutcome> {
        match self {
            Operation::Announce(_) | Operation::Claim { .. } => None,
            Operation::Heartbeat(_) | Operation::Remove(_) => Some(EntryOutcome::Found(false)),
            Operation::Prune { .. } => Some(EntryOutcome::Pruned(Vec::new())),
        }
    }

    /// Whether the operation judges no watcher's process.
    pub(crate) fn asks_for_no_process(&self) -> bool {
        matches!(self, Operation::Announce(_) | Operation::Heartbeat(_))
    }

    /// Performs the operation. If it has changed an entry, sets the registry's date to `now`.
    pub(crate) fn apply(
        &self,
        registry: &mut RegistryV1,
        now: u64,
        caller: &CallingProcess<'_>,
    ) -> EntryOutcome {
        let outcome = match self {
            Operation::Announce(record) => {
                let mut record = WatcherRecord::clone(record);
                record.set_scope_if_own(caller.scope);
                registry.set_watcher(record);
                EntryOutcome::Announced
            }
            Operation::Claim { record, suffix, replace_after } => {
                let may_replace = |entry: &RawEntry<'_>| {
                    replace_after.is_some_and(|ttl| may_be_replaced(entry, ttl, now, caller))
                };
                match free_id(registry, &record.id, *suffix, may_replace) {
                    Some(id) => {
                        let mut record = record.clone();
                        record.id = id;
                        record.set_scope_if_own(caller.scope);
                        registry.set_watcher(WatcherRecord::clone(&record));
                        EntryOutcome::Claimed(record)
                    }
                    None => {
                        let entry = registry.entry(&record.id);
                        let fields = entry.and_then(|entry| entry.liveness_fields());
                        let pid = fields.and_then(|fields| Some(fields.pid? as u32));
                        EntryOutcome::Taken { pid }
                    }
                }
            }
            Operation::Heartbeat(watcher) => EntryOutcome::Found(
                watcher.matches(registry) && renew(registry, watcher, now, caller.scope),
            ),
            Operation::Remove(watcher) => EntryOutcome::Found(
                watcher.matches(registry) && registry.remove_watcher(watcher.id()),
            ),
            Operation::Prune { ttl, liveness } => {
                let caller = liveness.then_some(caller);
                let removed =
                    registry.remove_matching(|entry| prune_reason(entry, *ttl, now, caller));
                let pruned = removed
                    .into_iter()
                    .map(|(key, entry, reason)| PrunedWatcher::new(key, entry, reason));
                EntryOutcome::Pruned(pruned.collect())
            }
        };
        if outcome.has_changed() {
            registry.set_updated_at(now);
        }
        outcome
    }
}

/// The requested id and, with a suffix, `-2`, `-3`, ... after it.
pub(crate) fn candidate_ids(requested: &str, suffix: bool) -> impl Iterator<Item = String> + '_ {
    let suffixed = (2_u64..).map(move |number| format!("{requested}-{number}"));
    std::iter::once(requested.to_owned()).chain(suffixed.take_while(move |_| suffix))
}

/// The first candidate that has no entry, or one that may be replaced.
fn free_id(
    registry: &RegistryV1,
    requested: &str,
    suffix: bool,
    may_replace: impl Fn(&RawEntry<'_>) -> bool,
) -> Option<String> {
    let entries: HashMap<&str, RawEntry<'_>> = registry.entries().collect();
    let is_free = |id: &str| entries.get(id).is_none_or(&may_replace);
    candidate_ids(requested, suffix).find(|id| is_free(id))
}

/// Renews an existing entry. Returns false if the entry can't have a date.
fn renew(registry: &mut RegistryV1, watcher: &WatcherRef, now: u64, own: &PidScope) -> bool {
    match watcher {
        WatcherRef::Record(record) => {
            let mut record = WatcherRecord::clone(record);
            record.updated_at = now;
            record.set_scope_if_own(own);
            registry.set_watcher(record);
            true
        }
        WatcherRef::Claim(claim) => {
            registry.date_watcher(&claim.id, now, Some(own).filter(|own| own.pid == claim.pid))
        }
        // Another process may renew an entry by its id.
        WatcherRef::Id(id) => registry.date_watcher(id, now, None),
    }
}
