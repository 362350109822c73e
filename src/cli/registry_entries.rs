//! What `list`, `prune` and `check` read in a registry: its entries, those that are no records, and
//! those that are stale.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argus_registry::{
    age_in_words, read_registry, Error, PruneReason, PrunedWatcher, RegistryV1, Warning,
    WatcherRecord,
};
use serde::Serialize;

use crate::cli::output;

/// Reads a registry.
///
/// # Errors
///
/// The library's, and further [`Error::Corrupt`] and [`Error::UnsupportedVersion`]: for these
/// contents the library returns an empty registry and a warning, with which a command would report
/// that there is nothing to list or to prune.
pub(crate) fn read(path: &Path) -> Result<(RegistryV1, Vec<Warning>), Error> {
    let (registry, warnings) = read_registry(path)?;
    match warnings.iter().find_map(Warning::as_error) {
        Some(error) => Err(error),
        None => Ok((registry, warnings)),
    }
}

/// The entries that are no watchers' records.
pub(crate) struct NonRecords {
    pub(crate) count: usize,
    /// Their ids, printable. An id that is no Unicode (a lone surrogate in the JSON) is missing
    /// here.
    pub(crate) ids: Vec<String>,
}

impl NonRecords {
    pub(crate) fn of(registry: &RegistryV1) -> Self {
        let ids = registry.ids().filter(|id| registry.watcher(id).is_none());
        NonRecords {
            count: registry.len() - registry.watchers().count(),
            ids: ids.map(output::printable).collect(),
        }
    }
}

/// An entry that is past its time to live, or whose process is dead.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StaleEntry {
    id: String,
    reason: &'static str,
    /// `null` if the entry was no watcher's record.
    pid: Option<u32>,
    age_ms: Option<u64>,
}

impl StaleEntry {
    pub(crate) fn new(pruned: &PrunedWatcher) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age = |record: &WatcherRecord| {
            let age = now.saturating_sub(Duration::from_millis(record.updated_at));
            u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
        };
        let record = pruned.watcher();
        StaleEntry {
            id: pruned.id(),
            reason: match pruned.reason() {
                PruneReason::Expired => "expired",
                _ => "dead",
            },
            pid: record.as_ref().map(|record| record.pid),
            age_ms: record.as_ref().map(age),
        }
    }
}

impl fmt::Display for StaleEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", output::printable(&self.id), self.reason)?;
        if let Some(pid) = self.pid {
            write!(f, ", process {pid}")?;
        }
        if let Some(ms) = self.age_ms {
            write!(f, ", last heartbeat {} ago", age_in_words(Duration::from_millis(ms)))?;
        }
        Ok(())
    }
}
