//! Kernel locks (fs2): the only module that calls the operating system's lock.
//!
//! Two users: veil-style lock files, through [`try_lock_shared`] and [`try_lock_exclusive`], and
//! the guard of a registry, through the crate-private functions at the end.
//!
//! A lock belongs to the open file, so two opens exclude each other even within one process, and
//! it vanishes with its holder, whatever ends it. The lock *file* stays: deleting it while it is
//! held would let two writers in, each with a lock on a file of the same name.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::sys;

/// How often a lock file may be replaced under our hands before we give up on it.
const REPLACED_LIMIT: u32 = 100;

/// A held kernel lock. Dropping it releases it; the lock file stays.
#[derive(Debug)]
#[must_use = "the lock is released as soon as this value is dropped"]
pub struct KernelLock {
    file: File,
    path: PathBuf,
}

impl KernelLock {
    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Releases the lock and reports a failure, which `drop` can't.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system refused; closing the file releases the lock all the same.
    pub fn release(self) -> Result<()> {
        unlock(&self.file).map_err(|error| Error::from_io(&self.path, "unlock", error))
    }
}

impl Drop for KernelLock {
    fn drop(&mut self) {
        // Closing would do, unless a child process that is just being started still has the
        // descriptor: then the lock would live on until the child's exec.
        let _ = unlock(&self.file);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Shared,
    Exclusive,
}

/// Takes a shared lock on a lock file, in one try. Source: veil's `Registry::load`.
///
/// The file is created if it is missing, and never deleted.
///
/// # Errors
///
/// [`Error::LockBusy`] at once if somebody holds it exclusively, in this process or another;
/// [`Error::UnsupportedFileSystem`] where there are no kernel locks.
pub fn try_lock_shared(path: impl AsRef<Path>) -> Result<KernelLock> {
    try_lock(path.as_ref(), Mode::Shared)
}

/// Takes an exclusive lock on a lock file, in one try. Source: veil's `Registry::save`.
///
/// The file is created if it is missing, and never deleted.
///
/// # Errors
///
/// [`Error::LockBusy`] at once if anybody holds it, in this process or another;
/// [`Error::UnsupportedFileSystem`] where there are no kernel locks.
pub fn try_lock_exclusive(path: impl AsRef<Path>) -> Result<KernelLock> {
    try_lock(path.as_ref(), Mode::Exclusive)
}

fn try_lock(path: &Path, mode: Mode) -> Result<KernelLock> {
    for _ in 0..REPLACED_LIMIT {
        let file = open_or_create(path, mode)?;
        match attempt(&file, mode) {
            Ok(true) => {}
            Ok(false) => return Err(Error::LockBusy { path: path.to_path_buf(), holder: None }),
            Err(error) if sys::locks_unsupported(&error) => {
                return Err(Error::UnsupportedFileSystem {
                    path: path.to_path_buf(),
                    source: error,
                })
            }
            Err(error) => return Err(Error::from_io(path, "lock", error)),
        }
        let lock = KernelLock { file, path: path.to_path_buf() };
        // A lock on a file that was deleted or replaced meanwhile excludes nobody.
        if is_at(&lock.file, path).map_err(|error| Error::from_io(path, "check", error))? {
            return Ok(lock);
        }
    }
    Err(Error::LockBusy { path: path.to_path_buf(), holder: None })
}

fn open_or_create(path: &Path, mode: Mode) -> Result<File> {
    let create = |path: &Path| sys::create_new(path, 0o666);
    let mut opened = open_existing_or_create(path, create).map(|(file, _)| file);
    if mode == Mode::Shared && matches!(opened, Err(Error::PermissionDenied { .. })) {
        // Whoever may only read the file may still join the readers.
        opened = sys::open_for_look(path)
            .map_err(|error| Error::from_io(path, "open lock file", error))
            .and_then(|file| must_be_a_file(path, file))
            .map(|(file, _)| file);
    }
    opened
}

/// Opens a lock file for reading and writing, or creates it.
pub(crate) fn open_existing_or_create(
    path: &Path,
    create: impl Fn(&Path) -> io::Result<File>,
) -> Result<(File, Metadata)> {
    for _ in 0..REPLACED_LIMIT {
        let opened = match sys::open_existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
            opened => opened,
        };
        match opened {
            Ok(file) => return must_be_a_file(path, file),
            // Somebody was faster: theirs is as good.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) if path.is_symlink() => {
                return Err(Error::Io {
                    path: path.to_path_buf(),
                    operation: "use as a lock file",
                    source: io::Error::other("it is a symbolic link; remove it"),
                })
            }
            Err(_) if path.is_dir() => return Err(not_a_file(path)),
            Err(error) => return Err(Error::from_io(path, "open lock file", error)),
        }
    }
    Err(Error::Io {
        path: path.to_path_buf(),
        operation: "open lock file",
        source: io::Error::other("it comes and goes too fast"),
    })
}

fn must_be_a_file(path: &Path, file: File) -> Result<(File, Metadata)> {
    let metadata = file.metadata().map_err(|error| Error::from_io(path, "look at", error))?;
    if metadata.is_file() {
        return Ok((file, metadata));
    }
    Err(not_a_file(path))
}

fn not_a_file(path: &Path) -> Error {
    Error::Io {
        path: path.to_path_buf(),
        operation: "use as a lock file",
        source: io::Error::other("it is not a regular file; move it away"),
    }
}

/// Whether a path still names this open file.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    Ok(sys::id_at(path)? == Some(sys::id_of(file, &file.metadata()?)?))
}

#[allow(clippy::disallowed_methods, reason = "this is the door")]
fn attempt(file: &File, mode: Mode) -> io::Result<bool> {
    loop {
        let tried = match mode {
            Mode::Shared => fs2::FileExt::try_lock_shared(file),
            Mode::Exclusive => fs2::FileExt::try_lock_exclusive(file),
        };
        return match tried {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // By number, not by kind: on Windows contention has no kind of its own.
            Err(error)
                if error.raw_os_error() == fs2::lock_contended_error().raw_os_error()
                    || error.kind() == io::ErrorKind::WouldBlock =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        };
    }
}

/// Tries once to lock an open file exclusively; `false` means that somebody else holds it.
pub(crate) fn try_exclusive(file: &File) -> io::Result<bool> {
    attempt(file, Mode::Exclusive)
}

/// Whether anybody holds the lock of an open file exclusively. Looking takes the lock, shared,
/// for the moment of the look.
pub(crate) fn is_held(file: &File) -> io::Result<bool> {
    if !attempt(file, Mode::Shared)? {
        return Ok(true);
    }
    unlock(file)?;
    Ok(false)
}

/// Stands in the kernel's queue for an exclusive lock, for as long as it takes.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn wait_exclusive(file: &File) -> io::Result<()> {
    loop {
        match fs2::FileExt::lock_exclusive(file) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Lets go of a lock.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    fs2::FileExt::unlock(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_and_exclusive_exclude_as_they_should() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let first = try_lock_shared(&path).unwrap();
        let second = try_lock_shared(&path).unwrap();
        let busy = try_lock_exclusive(&path).unwrap_err();
        assert_eq!(busy.code(), "LOCK_BUSY");
        assert_eq!(busy.path(), path);
        assert!(busy.to_string().contains("another process"), "{busy}");
        drop(first);
        second.release().unwrap();
        let exclusive = try_lock_exclusive(&path).unwrap();
        assert_eq!(try_lock_shared(&path).unwrap_err().code(), "LOCK_BUSY");
        assert_eq!(try_lock_exclusive(&path).unwrap_err().code(), "LOCK_BUSY");
        drop(exclusive);
        assert!(path.exists(), "the lock file persists");
    }

    #[test]
    fn what_is_no_file_is_refused_without_hanging() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder.lock");
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(try_lock_exclusive(&folder).unwrap_err().code(), "IO");
        assert_eq!(
            try_lock_exclusive(dir.path().join("missing/x.lock")).unwrap_err().code(),
            "NOT_FOUND"
        );
    }
}
