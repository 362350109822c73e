//! Which entries are stale: by their age, and by what is known of their processes.

use std::time::Duration;

use crate::content::pid_scope::PidScope;
use crate::content::record::{LivenessFields, RawEntry};

/// Why an entry was pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PruneReason {
    /// The entry's last heartbeat is longer ago than the time to live.
    Expired,
    /// The watcher's process is gone, or another process has its pid now.
    Dead,
}

/// What is known of the process of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatcherState {
    Alive,
    Dead,
    /// Its pid can't be judged from here: it may name a process of another pid namespace.
    Unknown,
    /// It is of another machine, as its host tells, or it names no process.
    NotOfThisHost,
}

/// The process that performs an operation.
pub(crate) struct CallingProcess<'a> {
    pub(crate) scope: &'a PidScope,
    /// Tells what this process knows of a watcher, by the fields of its entry.
    pub(crate) state_of: &'a dyn Fn(&LivenessFields) -> WatcherState,
}

/// Whether a claim may replace an entry: that of a dead process, or one that can't be judged and is
/// older than `ttl`. Without the latter, each new container would find its id taken by the entry of
/// a container that is gone. An entry that is not a watcher's is never replaced: nothing tells what it is for.
pub(crate) fn may_be_replaced(
    entry: &RawEntry<'_>,
    ttl: Duration,
    now: u64,
    caller: &CallingProcess<'_>,
) -> bool {
    let Some(fields) = entry.liveness_fields() else { return false };
    match (caller.state_of)(&fields) {
        WatcherState::Dead => true,
        WatcherState::Unknown => is_expired(&fields, ttl, now),
        WatcherState::Alive | WatcherState::NotOfThisHost => false,
    }
}

/// Why an entry is to be pruned; `None` if it stays.
pub(crate) fn prune_reason(
    entry: &RawEntry<'_>,
    ttl: Duration,
    now: u64,
    caller: Option<&CallingProcess<'_>>,
) -> Option<PruneReason> {
    let fields = entry.liveness_fields()?;
    if is_expired(&fields, ttl, now) {
        return Some(PruneReason::Expired);
    }
    let is_dead = |caller: &CallingProcess<'_>| (caller.state_of)(&fields) == WatcherState::Dead;
    caller.is_some_and(is_dead).then_some(PruneReason::Dead)
}

/// Whether an entry was not renewed for longer than `ttl`. One without a date never expires. One that
/// is dated in the future has the age zero.
fn is_expired(fields: &LivenessFields, ttl: Duration, now: u64) -> bool {
    let age = fields.updated_at.map(|then| now.saturating_sub(then as u64));
    age.is_some_and(|age| u128::from(age) > ttl.as_millis())
}
