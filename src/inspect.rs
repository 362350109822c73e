//! Looking at a registry's lock without taking it.

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
/// ```
/// use argus_registry::{inspect_lock, LockOptions, LockState, RegistryLock};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("registry.json");
/// let options = LockOptions::default();
/// let lock = RegistryLock::acquire(&path, &options)?;
/// let status = inspect_lock(&path, options.stale_after)?;
/// assert_eq!(status.state, LockState::Held);
/// assert_eq!(status.holder.unwrap().pid, Some(std::process::id()));
/// lock.release()?;
/// assert_eq!(inspect_lock(&path, options.stale_after)?.state, LockState::Free);
/// # Ok::<_, argus_registry::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::PermissionDenied`] or [`Error::Io`] if the folder can't be looked into.
pub fn inspect_lock(path: impl AsRef<Path>, stale_after: Duration) -> Result<LockStatus> {
    let paths = RegistryPaths::resolve(path.as_ref())?;
    let guard = sys::open_for_look(&paths.guard).ok();
    let guard_held = guard.as_ref().map(kernel_lock::is_held);
    let guarantee = match &guard_held {
        Some(Ok(_)) => Guarantee::KernelLock,
        Some(Err(error)) if sys::locks_unsupported(error) => Guarantee::LockfileOnly,
        _ => folder_guarantee(&paths.folder),
    };
    let found = Found::look(&paths.lockfile)
        .map_err(|error| Error::from_io(&paths.lockfile, "look at", error))?;
    let (state, holder) = match found {
        None => (LockState::Free, None),
        Some(found) => {
            let under_this_guard = || {
                let guard = guard.as_ref()?;
                let id = sys::id_of(guard, &guard.metadata().ok()?).ok()?;
                (found.record.as_ref()?.guard == Some(id)).then_some(())
            };
            let held = match (&guard_held, under_this_guard()) {
                (Some(Ok(held)), Some(())) => *held,
                _ => found.verdict(SystemTime::now(), stale_after) != Verdict::LeftBehind,
            };
            let state = if held { LockState::Held } else { LockState::Stale };
            (state, Some(found.holder()))
        }
    };
    Ok(LockStatus { path: paths.registry, state, holder, guarantee })
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
