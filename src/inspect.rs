//! Looking at a registry's lock without taking it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::kernel_lock;
use crate::owner::Holder;
use crate::paths::RegistryPaths;
use crate::sys;
use crate::takeover::{Found, Verdict};

/// What [`inspect_lock`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockStatus {
    /// The registry, by its own name.
    pub path: PathBuf,
    /// Free, held or stale.
    pub state: LockState,
    /// Who holds it, or held it last if it is stale; `None` if it is free.
    pub holder: Option<Holder>,
    /// What the file system can promise.
    pub guarantee: Guarantee,
}

/// Whether somebody holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockState {
    /// Nobody holds it.
    Free,
    /// Somebody holds it.
    Held,
    /// A lockfile is there, but its holder is gone: the next update takes it over.
    Stale,
}

/// What excludes two holders on this file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guarantee {
    /// The kernel's lock: exact, and free as soon as its holder is gone.
    KernelLock,
    /// There are no kernel locks, so the lockfile alone has to do: takeover is by judging the
    /// holder's process, or by age where it can't be judged.
    LockfileOnly,
    /// Not to be known yet: there is no guard and no folder that could be asked.
    Unknown,
}

/// Looks at the lock of a registry. Creates nothing and needs no write access.
///
/// To be exact it takes the kernel lock, shared, for the moment of the look, so a one-try update
/// of another process may find it busy just then. `stale_after` counts only for lockfiles that
/// can't be judged otherwise (see [`LockOptions`](crate::LockOptions)).
///
/// # Errors
///
/// [`Error::PermissionDenied`] or [`Error::Io`] if the folder can't be looked into.
pub fn inspect_lock(path: impl AsRef<Path>, stale_after: Duration) -> Result<LockStatus> {
    let paths = RegistryPaths::resolve(path.as_ref())?;
    let seen = look(&paths, stale_after)?;
    let holder = seen.found.map(|found| found.holder());
    Ok(LockStatus { path: paths.registry, state: seen.state, holder, guarantee: seen.guarantee })
}

/// A registry's lock, as it was seen.
pub(crate) struct Seen {
    pub(crate) state: LockState,
    pub(crate) guarantee: Guarantee,
    /// The lockfile.
    pub(crate) found: Option<Found>,
    /// Whether somebody holds the guard's kernel lock, be it without a lockfile; `None` if the
    /// guard is missing or can't be opened.
    pub(crate) guard_held: Option<io::Result<bool>>,
}

/// How often a lockfile may change under our eyes before what was seen last has to do.
const LOOKS: u32 = 10;

/// Looks at a registry's lock.
///
/// Guard and lockfile can't be looked at in one moment. Between two looks a holder may come or go,
/// whose lockfile would be taken for a dead one's; so a stale one counts when it is seen twice.
pub(crate) fn look(paths: &RegistryPaths, stale_after: Duration) -> Result<Seen> {
    let mut seen = look_once(paths, stale_after)?;
    for _ in 0..LOOKS {
        if seen.state != LockState::Stale {
            break;
        }
        let again = look_once(paths, stale_after)?;
        let same = match (&seen.found, &again.found) {
            (Some(first), Some(second)) => first.is_same_hold(second),
            _ => false,
        };
        seen = again;
        if same {
            break;
        }
    }
    Ok(seen)
}

fn look_once(paths: &RegistryPaths, stale_after: Duration) -> Result<Seen> {
    let guard = sys::open_for_look(&paths.guard).ok();
    let guard_held = guard.as_ref().map(kernel_lock::is_held);
    let guarantee = match &guard_held {
        Some(Ok(_)) => Guarantee::KernelLock,
        Some(Err(error)) if sys::locks_unsupported(error) => Guarantee::LockfileOnly,
        _ => folder_guarantee(&paths.folder),
    };
    let guard_id = guard.as_ref().and_then(|guard| sys::id_of(guard, &guard.metadata().ok()?).ok());
    let found = Found::look(&paths.lockfile)
        .map_err(|error| Error::from_io(&paths.lockfile, "look at", error))?;
    let state = match &found {
        None => LockState::Free,
        Some(found) => {
            let names = found.record.as_ref().and_then(|record| record.guard);
            let held = match (&guard_held, guard_id) {
                (Some(Ok(held)), Some(_)) if names == guard_id => *held,
                _ => found.verdict(SystemTime::now(), stale_after) != Verdict::LeftBehind,
            };
            if held {
                LockState::Held
            } else {
                LockState::Stale
            }
        }
    };
    Ok(Seen { state, guarantee, found, guard_held })
}

/// Whether files in this folder can be locked, by asking the folder itself, so that nothing has
/// to be created.
fn folder_guarantee(folder: &Path) -> Guarantee {
    match sys::open_for_look(folder).map(|folder| kernel_lock::is_held(&folder)) {
        Ok(Ok(_)) => Guarantee::KernelLock,
        Ok(Err(error)) if sys::locks_unsupported(&error) => Guarantee::LockfileOnly,
        _ => Guarantee::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry_lock::RegistryLock;
    use crate::wait::LockOptions;

    /// Guard and lockfile are looked at one after the other: a holder that came in between was
    /// called dead.
    #[test]
    fn holders_that_come_and_go_are_never_called_dead() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.json");
        let options = LockOptions { timeout: None, ..LockOptions::default() };
        let path = &path;
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            // More than there are processors, so that some are interrupted between the two looks.
            let looks: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        while !over.load(std::sync::atomic::Ordering::Relaxed) {
                            let status = inspect_lock(path, Duration::from_secs(10)).unwrap();
                            assert_ne!(status.state, LockState::Stale);
                        }
                    })
                })
                .collect();
            for _ in 0..3000 {
                drop(RegistryLock::acquire(path, &options).unwrap());
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            looks.into_iter().for_each(|look| look.join().unwrap());
        });
    }
}
