//! Inspecting a registry's lock without acquiring it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::holder::Holder;
use crate::lock::kernel_lock;
use crate::lock::stale_lockfile::{FoundLockfile, Verdict};
use crate::sys;

/// The result of [`inspect_lock`](crate::inspect_lock).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockStatus {
    /// The path of the registry, with symbolic links resolved.
    pub path: PathBuf,
    /// Free, held or stale.
    pub state: LockState,
    /// The holder, or the last holder if the lock is stale; `None` if it is free.
    pub holder: Option<Holder>,
    /// What excludes two holders.
    pub guarantee: Guarantee,
}

/// Whether a registry's lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockState {
    /// The lock is not held.
    Free,
    /// A live process holds the lock, or one that may be alive.
    Held,
    /// There is a lockfile, but its holder is gone: the next update takes over the lock.
    Stale,
}

/// What excludes two holders of a registry's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guarantee {
    /// The kernel lock: it is released as soon as its holder is gone, and never before.
    KernelLock,
    /// The lockfile alone, because the file system has no kernel locks: a lock is taken over if its
    /// holder's process is dead or, where that can't be judged, by age.
    LockfileOnly,
    /// A lease that the servers of the registry have granted to its holder, and that the holder renews. Of a
    /// holder that is gone or frozen, the lock is free when the lease ends; what such a holder still tries to
    /// write is refused.
    Lease,
    /// Unknown: there is neither a guard nor a folder on which kernel locks could be tried.
    Unknown,
}

/// Inspects the lock of the registry in a file.
pub(crate) fn inspect_file_lock(path: &Path, stale_after: Duration) -> Result<LockStatus> {
    let paths = FilePaths::resolve(path)?;
    inspect_lock_at(&paths, &paths.target, stale_after)
}

/// Like [`inspect_lock`](crate::inspect_lock), for paths that are already resolved. `path` is what the lock protects.
pub(crate) fn inspect_lock_at(
    paths: &FilePaths,
    path: &Path,
    stale_after: Duration,
) -> Result<LockStatus> {
    let snapshot =
        take_snapshot(paths, stale_after).map_err(|error| paths.error_as_given(error))?;
    let holder = snapshot.found.map(|found| found.holder());
    let (state, guarantee) = (snapshot.state, snapshot.guarantee);
    Ok(LockStatus { path: path.to_path_buf(), state, holder, guarantee })
}

/// The state of a registry's lock, as [`take_snapshot`] found it.
pub(crate) struct LockSnapshot {
    pub(crate) state: LockState,
    pub(crate) guarantee: Guarantee,
    /// The lockfile.
    pub(crate) found: Option<FoundLockfile>,
    /// Whether the guard's kernel lock is held, with or without a lockfile; `None` if the guard is
    /// missing or can't be opened.
    pub(crate) guard_held: Option<io::Result<bool>>,
}

/// How often a stale lockfile is compared with a later one before the last result counts.
const STALE_RECHECKS: u32 = 10;

/// Finds out the state of a registry's lock.
///
/// Guard and lockfile can't be examined in one step. If a process acquires or releases the lock
/// between the two, its lockfile looks like that of a dead holder. So a lockfile counts as stale
/// only when it is found stale twice.
pub(crate) fn take_snapshot(paths: &FilePaths, stale_after: Duration) -> Result<LockSnapshot> {
    let mut snapshot = examine(paths, stale_after)?;
    for _ in 0..STALE_RECHECKS {
        if snapshot.state != LockState::Stale {
            break;
        }
        let next = examine(paths, stale_after)?;
        let is_confirmed = match (&snapshot.found, &next.found) {
            (Some(first), Some(second)) => first.is_same_hold(second),
            _ => false,
        };
        snapshot = next;
        if is_confirmed {
            break;
        }
    }
    Ok(snapshot)
}

fn examine(paths: &FilePaths, stale_after: Duration) -> Result<LockSnapshot> {
    let guard = sys::open_read_only(&paths.guard).ok();
    let guard_held = guard.as_ref().map(kernel_lock::is_held);
    let guarantee = match &guard_held {
        Some(Ok(_)) => Guarantee::KernelLock,
        Some(Err(error)) if sys::locks_unsupported(error) => Guarantee::LockfileOnly,
        _ => folder_guarantee(&paths.folder),
    };
    let guard_id = guard.as_ref().and_then(|guard| sys::id_of(guard, &guard.metadata().ok()?).ok());
    let found = FoundLockfile::find(&paths.lockfile)
        .map_err(|error| Error::from_io(&paths.lockfile, "look at", error))?;
    let state = match &found {
        None => LockState::Free,
        Some(found) => {
            let named_guard = found.record.as_ref().and_then(|record| record.guard);
            // A guard whose record was written in part names none.
            let is_of = |guard| named_guard == Some(guard) || found.is_link_to(guard);
            let held = match (&guard_held, guard_id) {
                (Some(Ok(held)), Some(guard)) if is_of(guard) => *held,
                _ => found.verdict(SystemTime::now(), stale_after) != Verdict::Stale,
            };
            if held {
                LockState::Held
            } else {
                LockState::Stale
            }
        }
    };
    Ok(LockSnapshot { state, guarantee, found, guard_held })
}

/// Whether files in a folder can be locked. The lock is tried on the folder itself, so that no file
/// has to be created.
pub(crate) fn folder_guarantee(folder: &Path) -> Guarantee {
    match sys::open_read_only(folder).map(|folder| kernel_lock::is_held(&folder)) {
        Ok(Ok(_)) => Guarantee::KernelLock,
        Ok(Err(error)) if sys::locks_unsupported(&error) => Guarantee::LockfileOnly,
        _ => Guarantee::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::registry_lock::RegistryLock;
    use crate::lock::wait::LockOptions;

    /// Guard and lockfile are examined one after the other: the lock of a holder that acquired it
    /// in between was reported as stale.
    #[test]
    fn a_lock_that_is_acquired_and_released_all_the_time_is_never_stale() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.json");
        let options = LockOptions { timeout: None, ..LockOptions::default() };
        let path = &path;
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            // More threads than processors, so that some are interrupted between guard and
            // lockfile.
            let inspections: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        while !over.load(std::sync::atomic::Ordering::Relaxed) {
                            let status = inspect_file_lock(path, Duration::from_secs(10)).unwrap();
                            assert_ne!(status.state, LockState::Stale);
                        }
                    })
                })
                .collect();
            // Windows grants a shared lock before an exclusive one that has waited longer.
            let rounds = if cfg!(windows) { 30 } else { 3000 };
            for _ in 0..rounds {
                drop(RegistryLock::acquire(path, &options).unwrap());
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            inspections.into_iter().for_each(|inspection| inspection.join().unwrap());
        });
    }
}
