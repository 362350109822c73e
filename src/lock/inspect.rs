//! Looking at a lock without taking it: a registry's, or a lock file's.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::holder::Holder;
use crate::lock::kernel_lock::{self, Mode};
use crate::lock::stale_lockfile::{Found, Verdict};
use crate::sys;

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
    let paths = FilePaths::resolve(path.as_ref())?;
    let seen = look(&paths, stale_after)?;
    let holder = seen.found.map(|found| found.holder());
    Ok(LockStatus { path: paths.target, state: seen.state, holder, guarantee: seen.guarantee })
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
pub(crate) fn look(paths: &FilePaths, stale_after: Duration) -> Result<Seen> {
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

fn look_once(paths: &FilePaths, stale_after: Duration) -> Result<Seen> {
    let guard = sys::open_read_only(&paths.guard).ok();
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

/// What [`inspect_lock_file`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockFileStatus {
    /// The lock file.
    pub path: PathBuf,
    /// Whether it is there. One that is missing is free.
    pub exists: bool,
    /// Free, shared or exclusive.
    pub state: LockFileState,
    /// The processes that hold it, as far as the system tells: Linux does, but not of processes in
    /// another container or on another host, nor on file systems that show it other devices than
    /// their files have (btrfs, overlayfs). Empty elsewhere.
    pub holders: Vec<LockFileHolder>,
    /// Whether the file system has kernel locks; `None` if there is no file and no folder that
    /// could be asked. Without them nothing excludes anybody here, and
    /// [`try_lock_exclusive`](crate::try_lock_exclusive) fails.
    pub kernel_locks: Option<bool>,
}

/// How a lock file is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockFileState {
    /// Nobody holds it.
    Free,
    /// Readers hold it.
    Shared,
    /// One writer holds it.
    Exclusive,
}

/// A process that holds a lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockFileHolder {
    /// The process that took the lock.
    pub pid: u32,
    /// When that process began, if the system tells. Since when it has held the lock, no system
    /// tells.
    pub running_since: Option<SystemTime>,
}

/// Looks at a lock file, as veil has them. Creates nothing, and needs no write access. Source:
/// ours.
///
/// To be exact it tries the lock, shared and then exclusively, and lets go of it at once, so a
/// one-try lock of another process may find it busy just then. This process's own locks are found,
/// too, but it is not among the `holders`.
///
/// # Errors
///
/// [`Error::PermissionDenied`] if the file may not be read; [`Error::Io`] if it is no regular file,
/// or on file systems that let nobody lock exclusively who may only read.
pub fn inspect_lock_file(path: impl AsRef<Path>) -> Result<LockFileStatus> {
    let path = path.as_ref();
    let status = |exists, state, kernel_locks| LockFileStatus {
        path: path.to_path_buf(),
        exists,
        state,
        holders: Vec::new(),
        kernel_locks,
    };
    let opened = sys::open_existing(path).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Err(error),
        _ => sys::open_read_only(path),
    });
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let kernel_locks = match folder_guarantee(folder.unwrap_or(Path::new("."))) {
                Guarantee::KernelLock => Some(true),
                Guarantee::LockfileOnly => Some(false),
                Guarantee::Unknown => None,
            };
            return Ok(status(false, LockFileState::Free, kernel_locks));
        }
        opened => opened.map_err(|error| Error::from_io(path, "open lock file", error))?,
    };
    let (file, metadata) = kernel_lock::must_be_a_file(path, file)?;
    match lock_state(&file) {
        Ok(state) => {
            let mut status = status(true, state, Some(true));
            if state != LockFileState::Free {
                let id = sys::id_of(&file, &metadata)
                    .map_err(|error| Error::from_io(path, "look at", error))?;
                status.holders = holders(sys::lock_holders(id));
            }
            Ok(status)
        }
        Err(error) if sys::locks_unsupported(&error) => {
            Ok(status(true, LockFileState::Free, Some(false)))
        }
        Err(error) => Err(Error::from_io(path, "look at the lock of", error)),
    }
}

fn lock_state(file: &File) -> io::Result<LockFileState> {
    if kernel_lock::is_held(file)? {
        return Ok(LockFileState::Exclusive);
    }
    if !kernel_lock::attempt(file, Mode::Exclusive)? {
        return Ok(LockFileState::Shared);
    }
    kernel_lock::unlock(file)?;
    Ok(LockFileState::Free)
}

fn holders(mut pids: Vec<u32>) -> Vec<LockFileHolder> {
    // One process may hold it more than once.
    pids.sort_unstable();
    pids.dedup();
    let others = pids.into_iter().filter(|pid| *pid != std::process::id());
    others.map(|pid| LockFileHolder { pid, running_since: sys::process_began(pid) }).collect()
}

/// Whether files in this folder can be locked, by asking the folder itself, so that nothing has
/// to be created.
fn folder_guarantee(folder: &Path) -> Guarantee {
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
    use crate::{try_lock_exclusive, try_lock_shared};

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

    #[test]
    fn a_lock_file_is_free_shared_or_exclusive_and_looking_makes_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let look = || inspect_lock_file(&path).unwrap();
        let missing = look();
        assert_eq!((missing.exists, missing.state), (false, LockFileState::Free));
        assert_eq!(missing.kernel_locks, cfg!(unix).then_some(true));
        assert!(!path.exists());
        let shared = try_lock_shared(&path).unwrap();
        assert_eq!((look().exists, look().state), (true, LockFileState::Shared));
        drop(shared);
        let exclusive = try_lock_exclusive(&path).unwrap();
        assert_eq!(look().state, LockFileState::Exclusive);
        assert_eq!(look().holders, [], "this process is not among them");
        drop(exclusive);
        assert_eq!((look().state, look().kernel_locks), (LockFileState::Free, Some(true)));
        // The look has let go of it.
        let _ = try_lock_exclusive(&path).unwrap();
        let nowhere = inspect_lock_file(dir.path().join("missing/a.lock")).unwrap();
        assert_eq!((nowhere.exists, nowhere.kernel_locks), (false, None));
        assert_eq!(inspect_lock_file(dir.path()).unwrap_err().code(), "IO");
    }
}
