//! Litter in a registry's folder: temp files of processes that died while they published an entry, a
//! lockfile without a holder, and an update that was left half done.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Result;
use crate::folder::guarded;
use crate::folder::layout::FolderPaths;
use crate::folder::listing;
use crate::folder::temps::{self, TempState};
use crate::litter::types::{Litter, LitterKind};
use crate::lock::inspect::{self, LockState};
use crate::lock::wait::{LockOptions, Wait};

/// Whether a folder holds a registry.
pub(crate) fn is_registry(paths: &FolderPaths) -> bool {
    paths.entries.is_dir()
}

/// Finds the litter in a registry's folder. Changes nothing.
pub(crate) fn find(paths: &FolderPaths, stale_after: Duration) -> Result<Vec<Litter>> {
    let mut litter = Vec::new();
    let mut add = |path: PathBuf, kind, safe_to_delete, reason: &str| {
        let (beside, reason) = (paths.root.clone(), reason.to_owned());
        litter.push(Litter { path, kind, beside, safe_to_delete, reason });
    };
    // Before the lock is looked at: a process that has taken it since may just have made one.
    let at_lock = paths.lock.leftover_temps().map_err(|error| paths.error("list", error))?;
    let is_journalled = fs::symlink_metadata(&paths.journal).is_ok();
    let names = listing::names(paths)?;
    let snapshot = inspect::take_snapshot(&paths.lock, stale_after)?;
    let is_free = snapshot.state != LockState::Held;
    for name in names.iter().flat_map(|(names, _)| &names.temps) {
        let path = paths.entries.join(name);
        match temps::judge(&path, stale_after) {
            TempState::InUse => {}
            TempState::Young => {
                let reason = "may be an entry that a process is about to publish";
                add(path, LitterKind::TempFile, false, reason);
            }
            TempState::Litter if is_journalled => {
                let reason = "may belong to the update that was left half done";
                add(path, LitterKind::TempFile, false, reason);
            }
            TempState::Litter => {
                let reason = "was left by a process that died before it had published an entry";
                add(path, LitterKind::TempFile, true, reason);
            }
        }
    }
    if is_free {
        for path in at_lock {
            let reason = "no process holds the folder's lock, under which it was made";
            add(path, LitterKind::TempFile, true, reason);
        }
        if is_journalled {
            let reason =
                "an update was left half done; the next call under the folder's lock finishes or \
                          undoes it";
            add(paths.journal.clone(), LitterKind::Journal, true, reason);
        }
    }
    if snapshot.state == LockState::Stale {
        let reason =
            "was left by a process that is gone; the next call under the folder's lock takes it \
                      over";
        add(paths.lock.lockfile.clone(), LitterKind::Lockfile, true, reason);
    }
    let damaged = paths.damaged_journal();
    if fs::symlink_metadata(&damaged).is_ok() {
        let reason =
            "is the journal of an update that could not be read, so that some of its entries may \
                      have changed and others not";
        add(damaged, LitterKind::KeptContent, false, reason);
    }
    Ok(litter)
}

/// Removes the litter that is safe to delete, under the folder's lock, which it tries once.
pub(crate) fn clear(paths: &FolderPaths, stale_after: Duration) -> Result<Vec<Litter>> {
    let mut litter = find(paths, stale_after)?;
    litter.retain(|litter| litter.safe_to_delete);
    if litter.is_empty() {
        return Ok(litter);
    }
    let options = LockOptions { stale_after, ..LockOptions::one_try() };
    // Finishes or undoes an update, and takes over a lockfile that a dead process left.
    let lock = guarded::acquire(paths, &Wait::start(&options))
        .map_err(|error| paths.lock.error_as_given(error))?;
    for found in litter.iter().filter(|found| found.kind == LitterKind::TempFile) {
        temps::remove(&found.path).map_err(|error| paths.error("remove a temp file of", error))?;
    }
    lock.release()?;
    Ok(litter)
}
