//! What a store of another crate needs of this one: a registry in parts, and the rules for its entries. No part
//! of what this crate promises to other callers.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::value::RawValue;

use crate::content::entry_operation;
pub use crate::content::entry_operation::{PrunedWatcher, WatcherRef};
use crate::content::pid_scope::EntryScope;
use crate::content::pretty_print::equal_but_for_layout;
use crate::content::raw_object::to_raw;
use crate::content::record::{LivenessFields, RawEntry, WatcherClaim, WatcherRecord};
use crate::content::registry_v1::RegistryV1;
use crate::content::stale_entry::{self, CallingProcess, PruneReason, WatcherState};
use crate::error::{Error, Result};
use crate::folder::id::EntryId;
use crate::holder::Holder;
use crate::lock::inspect::{Guarantee, LockState, LockStatus};
use crate::registry::entries::PruneOptions;
use crate::registry::liveness::LivenessCheck;
use crate::registry::own_scope::own_scope;
pub use crate::store::entry_request::EntryCall;
pub use crate::store::failure::{FailureFields, HolderFields};
#[cfg(feature = "watch")]
pub use crate::store::mirror::events::{MirrorEvent, MirrorEvents};
use crate::sys;
pub use crate::util::thread_end::ThreadEndGuard;

/// A random number from 0 up to 1.
#[must_use]
pub fn random_fraction() -> f64 {
    sys::random_fraction()
}

/// An id as bytes: UTF-8, in which lone surrogates are encoded, too (WTF-8). An id that begins with another one
/// has bytes that begin with those of the other one.
pub type IdBytes = Vec<u8>;

/// One entry: its id, and its value as JSON.
pub type Entry = (IdBytes, Box<RawValue>);

/// The id for messages, with a replacement character for a lone surrogate.
#[must_use]
pub fn id_for_display(id: &[u8]) -> String {
    String::from_utf8_lossy(id).into_owned()
}

/// The registry of a text without entries, or of none, and these entries.
///
/// # Errors
///
/// Those of [`RegistryV1::parse`].
pub fn join(path: &Path, rest: Option<&[u8]>, entries: Vec<Entry>) -> Result<RegistryV1> {
    let mut registry = match rest {
        Some(rest) => RegistryV1::parse(path, rest)?,
        None => RegistryV1::empty_at(0),
    };
    let dates = entries.iter().filter_map(|(_, value)| RawEntry(value.get()).date());
    let date = dates.max().unwrap_or(0);
    registry.set_raw_entries(
        entries.into_iter().map(|(id, value)| (EntryId::of_bytes(id).to_json(), value)),
    );
    if date > registry.updated_at() {
        registry.set_updated_at(date);
    }
    Ok(registry)
}

/// A registry's text without its entries, and its entries.
#[must_use]
pub fn split(registry: &RegistryV1) -> (String, Vec<Entry>) {
    let entries = registry.raw_entries();
    let entries = entries.map(|(key, value)| (EntryId::of_json(key).into_bytes(), to_raw(value)));
    let entries = entries.collect();
    let mut rest = registry.clone();
    rest.retain_entries(|_, _| false);
    (rest.to_json(), entries)
}

/// The names of the members that a registry need not have.
pub fn other_members(registry: &RegistryV1) -> impl Iterator<Item = &str> {
    registry.other_members()
}

/// The record with the scope of this process's pid, if it is this process's.
#[must_use]
pub fn with_own_scope(mut record: WatcherRecord) -> WatcherRecord {
    record.set_scope_if_own(&own_scope());
    record
}

/// The record as compact JSON.
#[must_use]
pub fn text_of(record: &WatcherRecord) -> String {
    record.to_json()
}

/// Pruned entries as a list in JSON, which can hold every id.
#[must_use]
pub fn text_of_pruned(pruned: &[PrunedWatcher]) -> String {
    let pruned: Vec<_> = pruned.iter().map(PrunedWatcher::to_json).collect();
    format!("[{}]", pruned.join(","))
}

/// Whether two values differ at most in the spaces between their tokens.
#[must_use]
pub fn is_same_value(one: &RawValue, other: &RawValue) -> bool {
    equal_but_for_layout(one.get(), other.get())
}

/// A value without the spaces between its tokens, as `JSON.stringify(value)` has it.
#[must_use]
pub fn compact(value: &RawValue) -> Box<RawValue> {
    let (mut is_string, mut is_escaped) = (false, false);
    let kept = value.get().chars().filter(|&token| {
        let is_space = !is_string && matches!(token, ' ' | '\t' | '\n' | '\r');
        if token == '"' && !is_escaped {
            is_string = !is_string;
        }
        is_escaped = is_string && token == '\\' && !is_escaped;
        !is_space
    });
    let text: String = kept.collect();
    RawValue::from_string(text).expect("spaces between tokens have no meaning")
}

/// What a value says of its watcher; `None` if it is no JSON.
#[must_use]
pub fn parse_entry(bytes: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_str(std::str::from_utf8(bytes).ok()?).ok()
}

/// The claim that an entry of this id names.
#[must_use]
pub fn claim_of(id: &str, entry: &RawValue) -> Option<WatcherClaim> {
    RawEntry(entry.get()).claim(id)
}

/// The pid that an entry names.
#[must_use]
pub fn pid_of(entry: &RawValue) -> Option<u32> {
    Some(RawEntry(entry.get()).liveness_fields()?.pid? as u32)
}

/// The id that a reference is about.
#[must_use]
pub fn id_of(watcher: &WatcherRef) -> &str {
    watcher.id()
}

/// Whether an entry belongs to the watcher that is referred to.
#[must_use]
pub fn matches(watcher: &WatcherRef, entry: &RawValue) -> bool {
    watcher.matches_entry(&RawEntry(entry.get()))
}

/// An entry, renewed as its watcher asks, at this time or now; `None` if it can't have a date.
#[must_use]
pub fn renewed(watcher: &WatcherRef, entry: &RawValue, now: Option<u64>) -> Option<String> {
    let now = now.unwrap_or_else(sys::now_ms);
    let dated = |scope: Option<_>| RawEntry(entry.get()).dated(now, scope.as_ref());
    match watcher {
        WatcherRef::Record(record) => {
            let mut record = with_own_scope(WatcherRecord::clone(record));
            record.updated_at = now;
            Some(text_of(&record))
        }
        WatcherRef::Claim(claim) => dated(Some(own_scope()).filter(|own| own.pid == claim.pid)),
        // Another process may renew an entry by its id.
        WatcherRef::Id(_) => dated(None),
    }
}

/// The requested id and, with a suffix, `-2`, `-3`, ... after it.
pub fn candidate_ids(requested: &str, suffix: bool) -> impl Iterator<Item = String> + '_ {
    entry_operation::candidate_ids(requested, suffix)
}

/// How a store knows whether a watcher lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// The entry would not be there otherwise.
    Alive,
    /// By the entry's pid, if the entry says where that names a process: without that, it may be one of another
    /// machine.
    ByScope,
}

impl Life {
    fn state(self, fields: &LivenessFields) -> WatcherState {
        let pid = fields.pid.map(|pid| pid as u32);
        match (self, fields.pid_scope.of_pid(pid.unwrap_or(0))) {
            (Life::Alive, _) => WatcherState::Alive,
            (Life::ByScope, EntryScope::Readable(_)) => LivenessCheck::default().state_of(fields),
            (Life::ByScope, _) => WatcherState::Unknown,
        }
    }

    /// Whether the watcher of an entry lives, if that can be known.
    #[must_use]
    pub fn is_alive(self, entry: &RawValue) -> Option<bool> {
        match self.state(&RawEntry(entry.get()).liveness_fields()?) {
            WatcherState::Alive => Some(true),
            WatcherState::Dead => Some(false),
            WatcherState::Unknown | WatcherState::NotOfThisHost => None,
        }
    }

    /// Whether a claim may replace an entry.
    #[must_use]
    pub fn may_be_replaced(self, entry: &RawValue, ttl: Duration) -> bool {
        let state_of = |fields: &_| self.state(fields);
        let caller = CallingProcess { scope: &own_scope(), state_of: &state_of };
        stale_entry::may_be_replaced(&RawEntry(entry.get()), ttl, sys::now_ms(), &caller)
    }

    /// Why an entry is to be pruned; `None` if it stays.
    #[must_use]
    pub fn prune_reason(self, entry: &RawValue, prune: &PruneOptions) -> Option<PruneReason> {
        let state_of = |fields: &_| self.state(fields);
        let caller = CallingProcess { scope: &own_scope(), state_of: &state_of };
        let given = prune.now.map(|now| now.duration_since(UNIX_EPOCH).unwrap_or_default());
        let given = given.map(|now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        let (now, caller) = (given.unwrap_or_else(sys::now_ms), prune.liveness.then_some(&caller));
        stale_entry::prune_reason(&RawEntry(entry.get()), prune.ttl, now, caller)
    }
}

/// A pruned entry.
#[must_use]
pub fn pruned(id: IdBytes, entry: Box<RawValue>, reason: PruneReason) -> PrunedWatcher {
    PrunedWatcher::new(EntryId::of_bytes(id).to_json(), entry, reason)
}

/// The name of this machine.
#[must_use]
pub fn host_name() -> String {
    sys::host_name()
}

/// What a store knows of its lock: which process holds it, and on which host, if one does.
#[must_use]
pub fn lock_status(path: &Path, holder: Option<(Option<u32>, Option<String>)>) -> LockStatus {
    let state = if holder.is_some() { LockState::Held } else { LockState::Free };
    // Its key would not be there otherwise.
    let alive = Some(true);
    let holder = holder.map(|(pid, host)| Holder { pid, host, since: None, alive });
    LockStatus { path: path.to_path_buf(), state, holder, guarantee: Guarantee::Lease }
}

/// Fails for an id that no entry may have.
///
/// # Errors
///
/// [`Error::InvalidValue`] for an empty id.
pub fn check_id(path: &Path, id: &str) -> Result<(), Error> {
    crate::registry::entries::check_id(path, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compact_value_keeps_its_strings_and_numbers() {
        let compacted = |text: &str| {
            let value = RawValue::from_string(text.to_owned()).unwrap();
            compact(&value).get().to_owned()
        };
        let text = "{\n  \"a b\": [ 1.0,\t\"\\\\\" ],\r \"c\\\" d\": \" \\ud800\"\n}";
        assert_eq!(compacted(text), r#"{"a b":[1.0,"\\"],"c\" d":" \ud800"}"#);
        assert_eq!(compacted(" null "), "null");
    }
}
