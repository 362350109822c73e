//! What is done to a registry's entries: decided on its content alone, with no file, lock or clock.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::content::partial_rewrite::OnlyEntry;
use crate::content::record::{Life, RawEntry, WatcherClaim, WatcherRecord};
use crate::content::registry_v1::RegistryV1;

/// Whose entry is meant. Source: ours.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WatcherRef {
    /// Whoever has that id.
    Id(String),
    /// This watcher, if the entry of its id is still its own.
    Claim(WatcherClaim),
    /// The same, for a watcher that has its whole record at hand: a heartbeat writes it.
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

    /// Whether the entry of that id is the one that is meant.
    fn means(&self, registry: &RegistryV1) -> bool {
        let Some(entry) = registry.entry(self.id()) else { return false };
        match self {
            WatcherRef::Id(_) => true,
            WatcherRef::Claim(claim) => entry.claim(&claim.id).as_ref() == Some(claim),
            WatcherRef::Record(record) => entry.claim(&record.id) == Some(record.claim()),
        }
    }
}

/// An entry that was pruned. Source: ours.
#[derive(Debug, Clone)]
pub struct PrunedWatcher {
    /// Its name in the registry, as JSON.
    name: Box<RawValue>,
    /// The entry, as JSON.
    entry: Box<RawValue>,
    reason: PruneReason,
}

impl PrunedWatcher {
    /// Its name in the registry; as it is spelled, if no string of Rust can hold it.
    #[must_use]
    pub fn id(&self) -> String {
        let fallback = || self.name.get().trim_matches('"').to_owned();
        serde_json::from_str(self.name.get()).unwrap_or_else(|_| fallback())
    }

    /// The entry; `None` if it was no watcher's record.
    #[must_use]
    pub fn watcher(&self) -> Option<WatcherRecord> {
        RawEntry(&self.entry).record()
    }

    /// Why it was pruned.
    #[must_use]
    pub fn reason(&self) -> PruneReason {
        self.reason
    }

    /// `{ id, watcher, reason }` as JSON, for which every name is good.
    pub(crate) fn to_json(&self) -> String {
        let reason = match self.reason {
            PruneReason::Expired => "expired",
            PruneReason::Dead => "dead",
        };
        format!(r#"{{"id":{},"watcher":{},"reason":"{reason}"}}"#, self.name, self.entry)
    }
}

/// Why an entry was pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PruneReason {
    /// Its last heartbeat is longer ago than the time to live.
    Expired,
    /// Its process is gone, or its pid is another process's by now.
    Dead,
}

/// One thing to do.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Announce(Box<WatcherRecord>),
    Claim { record: Box<WatcherRecord>, suffix: bool, liveness: bool },
    Heartbeat(WatcherRef),
    Remove(WatcherRef),
    Prune { ttl: Duration, liveness: bool },
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Announced,
    /// As it is entered.
    Claimed(Box<WatcherRecord>),
    /// The id is taken, by a watcher of this process if it says so, and no suffix was wanted.
    Taken {
        pid: Option<u32>,
    },
    /// Whether there was the entry that was meant.
    Found(bool),
    Pruned(Vec<PrunedWatcher>),
}

impl Outcome {
    pub(crate) fn has_changed(&self) -> bool {
        match self {
            Outcome::Announced | Outcome::Claimed(_) => true,
            Outcome::Taken { .. } => false,
            Outcome::Found(found) => *found,
            Outcome::Pruned(pruned) => !pruned.is_empty(),
        }
    }
}

/// Whether a watcher is dead for sure.
pub(crate) type IsDead<'a> = &'a dyn Fn(&Life) -> bool;

impl Operation {
    /// What comes of it where there is no registry, if that can be said without making one.
    pub(crate) fn on_nothing(&self) -> Option<Outcome> {
        match self {
            Operation::Announce(_) | Operation::Claim { .. } => None,
            Operation::Heartbeat(_) | Operation::Remove(_) => Some(Outcome::Found(false)),
            Operation::Prune { .. } => Some(Outcome::Pruned(Vec::new())),
        }
    }

    /// The one entry that it looks at; `None` if it may look at others, or remove one.
    pub(crate) fn only_entry(&self) -> Option<OnlyEntry<'_>> {
        match self {
            Operation::Announce(record) => Some(OnlyEntry { id: &record.id, must_exist: true }),
            Operation::Heartbeat(who) => Some(OnlyEntry { id: who.id(), must_exist: false }),
            _ => None,
        }
    }

    /// Does it, and dates the registry if anything has changed.
    pub(crate) fn apply(
        &self,
        registry: &mut RegistryV1,
        now: u64,
        is_dead: IsDead<'_>,
    ) -> Outcome {
        let outcome = match self {
            Operation::Announce(record) => {
                registry.set_watcher(WatcherRecord::clone(record));
                Outcome::Announced
            }
            Operation::Claim { record, suffix, liveness } => {
                match free_id(registry, &record.id, *suffix, liveness.then_some(is_dead)) {
                    Some(id) => {
                        let mut record = record.clone();
                        record.id = id;
                        registry.set_watcher(WatcherRecord::clone(&record));
                        Outcome::Claimed(record)
                    }
                    None => {
                        let life = registry.entry(&record.id).and_then(|entry| entry.life());
                        Outcome::Taken { pid: life.and_then(|life| Some(life.pid? as u32)) }
                    }
                }
            }
            Operation::Heartbeat(who) => {
                Outcome::Found(who.means(registry) && renew(registry, who, now))
            }
            Operation::Remove(who) => {
                Outcome::Found(who.means(registry) && registry.remove_watcher(who.id()))
            }
            Operation::Prune { ttl, liveness } => {
                let is_dead = liveness.then_some(is_dead);
                let taken = registry.take_out(|entry| prune_reason(entry, *ttl, now, is_dead));
                let pruned = taken.into_iter().map(|(name, entry, reason)| PrunedWatcher {
                    name,
                    entry,
                    reason,
                });
                Outcome::Pruned(pruned.collect())
            }
        };
        if outcome.has_changed() {
            registry.set_updated_at(now);
        }
        outcome
    }
}

/// The id that was asked for or, with a suffix, the first of `-2`, `-3`, ... that nobody alive has.
fn free_id(
    registry: &RegistryV1,
    asked_for: &str,
    suffix: bool,
    is_dead: Option<IsDead<'_>>,
) -> Option<String> {
    let entries: HashMap<&str, RawEntry<'_>> = registry.entries().collect();
    let is_free = |id: &str| match (entries.get(id), is_dead) {
        (None, _) => true,
        (Some(_), None) => false,
        // What is no watcher's entry is nobody's to replace.
        (Some(entry), Some(is_dead)) => entry.life().is_some_and(|life| is_dead(&life)),
    };
    let suffixed = (2_u64..).map(|number| format!("{asked_for}-{number}"));
    let mut candidates =
        std::iter::once(asked_for.to_owned()).chain(suffixed.take_while(|_| suffix));
    candidates.find(|id| is_free(id))
}

/// Renews an entry that is there; says whether it is one that has a date.
fn renew(registry: &mut RegistryV1, who: &WatcherRef, now: u64) -> bool {
    match who {
        WatcherRef::Record(record) => {
            let mut record = WatcherRecord::clone(record);
            record.updated_at = now;
            registry.set_watcher(record);
            true
        }
        _ => registry.date_watcher(who.id(), now),
    }
}

fn prune_reason(
    entry: &RawEntry<'_>,
    ttl: Duration,
    now: u64,
    is_dead: Option<IsDead<'_>>,
) -> Option<PruneReason> {
    let life = entry.life()?;
    // What has no date is of no age, and what is dated in the future has yet to come of age.
    let age = life.updated_at.map(|then| now.saturating_sub(then as u64));
    if age.is_some_and(|age| u128::from(age) > ttl.as_millis()) {
        return Some(PruneReason::Expired);
    }
    is_dead.is_some_and(|is_dead| is_dead(&life)).then_some(PruneReason::Dead)
}
