//! Inspecting a lock file without locking it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::lock::inspect::{folder_guarantee, Guarantee};
use crate::lock::kernel_lock::{self, LockMode};
use crate::sys;

/// The result of [`inspect_lock_file`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockFileStatus {
    /// The lock file.
    pub path: PathBuf,
    /// Whether the lock file exists. One that is missing is free.
    pub exists: bool,
    /// Whether and how it is locked.
    pub state: LockFileState,
    /// The other processes that hold the lock, as far as the system tells. Linux does, except for
    /// processes in another container or on another host, and on btrfs and overlayfs, whose files
    /// have other device numbers than the system's table of locks names. On other systems it is
    /// empty.
    pub holders: Vec<LockFileHolder>,
    /// Whether the file system has kernel locks; `None` if there is neither a file nor a folder on
    /// which one could be tried. Without them a lock file excludes no other process, and
    /// [`try_lock_exclusive`](crate::try_lock_exclusive) fails.
    pub kernel_locks: Option<bool>,
}

/// How a lock file is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockFileState {
    /// It is not locked.
    Free,
    /// One or more readers hold it.
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
    /// When that process began, if the system tells. No system tells when the process acquired the
    /// lock.
    pub running_since: Option<SystemTime>,
}

/// Inspects a lock file, such as that of a [`Document`](crate::Document). Creates nothing, and
/// needs no write access.
///
/// The result is exact because the call tries the lock, shared and then exclusively, and releases
/// it at once. A one-try lock of another process may find the file busy in that moment. Locks of
/// this process are found, too, but this process is not among the `holders`.
///
/// # Errors
///
/// [`Error::PermissionDenied`] if the file may not be read; [`Error::Io`] if it is not a regular
/// file, or if the file may only be read and its file system requires write access for an exclusive
/// lock.
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
                Guarantee::Lease | Guarantee::Unknown => None,
            };
            return Ok(status(false, LockFileState::Free, kernel_locks));
        }
        Err(_) if path.is_dir() => return Err(kernel_lock::not_a_file(path)),
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
    if !kernel_lock::attempt(file, LockMode::Exclusive)? {
        return Ok(LockFileState::Shared);
    }
    kernel_lock::unlock(file)?;
    Ok(LockFileState::Free)
}

fn holders(mut pids: Vec<u32>) -> Vec<LockFileHolder> {
    // A process is in the table once for each of its locks on the file.
    pids.sort_unstable();
    pids.dedup();
    let others = pids.into_iter().filter(|pid| *pid != std::process::id());
    others.map(|pid| LockFileHolder { pid, running_since: sys::process_began(pid) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{try_lock_exclusive, try_lock_shared};

    #[test]
    fn a_lock_file_is_free_shared_or_exclusive_and_inspecting_it_creates_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let inspect = || inspect_lock_file(&path).unwrap();
        let missing = inspect();
        assert_eq!((missing.exists, missing.state), (false, LockFileState::Free));
        assert_eq!(missing.kernel_locks, cfg!(unix).then_some(true));
        assert!(!path.exists());
        let shared = try_lock_shared(&path).unwrap();
        assert_eq!((inspect().exists, inspect().state), (true, LockFileState::Shared));
        drop(shared);
        let exclusive = try_lock_exclusive(&path).unwrap();
        assert_eq!(inspect().state, LockFileState::Exclusive);
        assert_eq!(inspect().holders, [], "this process is not among them");
        drop(exclusive);
        assert_eq!((inspect().state, inspect().kernel_locks), (LockFileState::Free, Some(true)));
        // The inspection has released the lock.
        let _ = try_lock_exclusive(&path).unwrap();
        let nowhere = inspect_lock_file(dir.path().join("missing/a.lock")).unwrap();
        assert_eq!((nowhere.exists, nowhere.kernel_locks), (false, None));
        assert_eq!(inspect_lock_file(dir.path()).unwrap_err().code(), "IO");
    }
}
