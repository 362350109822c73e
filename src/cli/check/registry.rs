//! The check of a registry and of its lock.

use std::path::Path;
use std::time::Duration;

use argus_registry::{
    inspect_lock, open_store, Guarantee, LockOptions, LockState, PruneOptions, PruneReason, Warning,
};

use super::report::{CheckReport, Severity};
use crate::cli::exit::hint;
use crate::cli::lock_target::is_folder;
use crate::cli::output;
use crate::cli::registry_entries::{read, NonRecords, StaleEntry};

pub(super) fn check(path: &Path, ttl: Duration) -> CheckReport {
    let mut report = CheckReport::new(path);
    let (registry, warnings) = match read(path) {
        Ok(read) => read,
        Err(error) => {
            report.add_error(error);
            return report;
        }
    };
    report.entries = registry.len();
    for warning in warnings {
        let next = match warning {
            Warning::DamagedEntry { .. } => "repair the file, or move it away",
            _ => "an update creates it; if it should be there, check the path",
        };
        report.add(Severity::Warning, warning.code(), warning, next);
    }
    let prune = PruneOptions { ttl, liveness: true, now: None };
    let stale = match open_store(path).stale(&prune) {
        Ok(stale) => stale,
        Err(error) => {
            report.add_error(error);
            return report;
        }
    };
    for entry in stale {
        let (severity, code, prune): (_, _, &[_]) = match entry.reason() {
            PruneReason::Expired => (Severity::Expired, "EXPIRED", &["prune", "--registry"]),
            _ => (Severity::Warning, "DEAD", &["prune", "--liveness", "--registry"]),
        };
        let next = format!("if its watcher is gone, {} removes it", hint(prune, path));
        report.add(severity, code, StaleEntry::new(&entry), next);
    }
    let NonRecords { count, ids } = NonRecords::of(&registry);
    let unnamed = (ids.len() < count).then(|| output::count(count - ids.len(), "more", "more"));
    for id in ids.into_iter().chain(unnamed) {
        let message = format!("{id} is no watcher's record");
        let next = "remove it, or correct the program that wrote it";
        report.add(Severity::Warning, "NOT_A_RECORD", message, next);
    }
    check_lock(path, &mut report);
    report
}

fn check_lock(path: &Path, report: &mut CheckReport) {
    let status = match inspect_lock(path, LockOptions::default().stale_after) {
        Ok(status) => status,
        Err(error) => return report.add_error(error),
    };
    if status.state == LockState::Stale {
        let holder = status.holder.map(|holder| format!(", by {holder}")).unwrap_or_default();
        let message = format!("a lockfile was left behind{holder}");
        let next = "nothing: the next update takes it over";
        report.add(Severity::Warning, "STALE_LOCKFILE", message, next);
    }
    if status.guarantee == Guarantee::LockfileOnly {
        let message = match is_folder(path) {
            true => {
                "its file system has no kernel locks, so the lives of its watchers are judged by pid and \
                 age, and only the lockfile keeps other writers out"
            }
            false => {
                "its file system has no kernel locks, so only the lockfile keeps other writers out"
            }
        };
        report.add(Severity::Warning, "LOCKFILE_ONLY", message, "keep it on a local disk");
    }
}
