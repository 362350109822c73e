//! The temp files among the entries: those that no process has locked are litter.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::folder::layout::FolderPaths;
use crate::lock::kernel_lock::{self, LockMode};
use crate::sys;

/// What is known of a temp file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TempState {
    /// A live process has locked it.
    InUse,
    /// It is younger than the threshold, so that a live process may still write it: one that adds an
    /// entry for another process locks nothing.
    Young,
    /// No process has locked it.
    Litter,
}

/// Whether a temp file is litter.
pub(crate) fn judge(path: &Path, stale_after: Duration) -> TempState {
    let is_young = || {
        let modified = fs::symlink_metadata(path).and_then(|found| found.modified());
        let changed = sys::link_time(path).or(modified.ok());
        let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
        age.is_none_or(|age| age <= stale_after)
    };
    match sys::open_read_only(path).and_then(|file| kernel_lock::is_held(&file)) {
        Ok(true) => TempState::InUse,
        _ if is_young() => TempState::Young,
        _ => TempState::Litter,
    }
}

/// Deletes those of these temp files that are litter. The caller holds the folder's guard.
pub(crate) fn sweep(paths: &FolderPaths, temps: &[String], stale_after: Duration) {
    for temp in temps {
        let path = paths.entries.join(temp);
        if judge(&path, stale_after) == TempState::Litter {
            let _ = remove(&path);
        }
    }
}

/// Deletes a temp file unless a process has locked it.
pub(crate) fn remove(path: &Path) -> std::io::Result<()> {
    if let Ok(file) = sys::open_read_only(path) {
        // Held while the file is deleted: a process that has just made it finds out, and makes another.
        if matches!(kernel_lock::attempt(&file, LockMode::Shared), Ok(false)) {
            return Ok(());
        }
        return sys::remove_if_there(path);
    }
    sys::remove_if_there(path)
}
