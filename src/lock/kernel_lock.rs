//! Kernel locks (by the `fs2` library): the only module that calls the operating system's locks.
//!
//! A lock belongs to an open file, so two opens of a file exclude each other even within one
//! process. The kernel releases the lock when its holder ends, whatever ends it.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::sys;
use crate::util::stopping_point;

/// How often a lock file is opened again that other programs created or deleted in the meantime.
const OPEN_RETRIES: u32 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LockMode {
    Shared,
    Exclusive,
}

/// Opens a lock file for reading and writing, or creates it.
pub(crate) fn open_existing_or_create(
    path: &Path,
    create: impl Fn(&Path) -> io::Result<File>,
) -> Result<(File, Metadata)> {
    for _ in 0..OPEN_RETRIES {
        stopping_point::before("kernel_lock::open_existing_or_create::open");
        let opened = match sys::open_existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
            opened => opened,
        };
        match opened {
            Ok(file) => return must_be_a_file(path, file),
            // Another process has created the file first: open that one.
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
        source: io::Error::other("other programs create and delete it all the time"),
    })
}

/// The access rights of a file that a lock protects.
pub(crate) struct Protected {
    pub(crate) metadata: Metadata,
    acl: Option<Vec<u8>>,
}

impl Protected {
    /// Those of the file at a path; `None` if there is none, or it can't be looked at.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        // A user that may not read the file can't read its list either.
        let acl = sys::open_following_links(path).ok().and_then(|file| sys::acl_of(&file));
        Some(Protected { metadata, acl })
    }
}

/// Creates a lock file that every user may open who may write `protected` or, as its folder lets them,
/// replace it. Without `protected`, it is as open as its folder.
///
/// The file gets its access rights under the name `temp`, and its own name afterwards. Otherwise
/// another process could find the file before that process is permitted to open it. No other
/// process uses the name `temp`, and that name is gone when this returns.
pub(crate) fn create_like(
    path: &Path,
    temp: &Path,
    folder: &Metadata,
    protected: Option<&Protected>,
) -> io::Result<File> {
    let create = |path| {
        let file = sys::create_new(path, if protected.is_some() { 0o600 } else { 0o666 })?;
        match protected {
            Some(protected) => {
                sys::copy_access(&file, &protected.metadata, protected.acl.as_deref())?;
            }
            None => sys::give_to_owner_of(folder, &file),
        }
        sys::open_to_writers_of(folder, protected.map(|protected| &protected.metadata), &file)?;
        Ok(file)
    };
    stopping_point::before("kernel_lock::create_like::create");
    let named = create(temp).and_then(|file| {
        stopping_point::before("kernel_lock::create_like::link");
        sys::hard_link(temp, path).map(|()| file)
    });
    stopping_point::before("kernel_lock::create_like::remove_temp");
    let _ = sys::remove_if_there(temp);
    match named {
        // A process that took over a dead holder's lock has removed `temp` together with the dead
        // holder's temp files.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(io::ErrorKind::AlreadyExists.into())
        }
        Err(error) if sys::links_unsupported(&error) => {
            stopping_point::before("kernel_lock::create_like::create_in_place");
            create(path)
        }
        named => named,
    }
}

/// Fails for what is not a regular file, such as a folder or a FIFO.
pub(crate) fn must_be_a_file(path: &Path, file: File) -> Result<(File, Metadata)> {
    let metadata = file.metadata().map_err(|error| Error::from_io(path, "look at", error))?;
    if metadata.is_file() {
        return Ok((file, metadata));
    }
    Err(not_a_file(path))
}

pub(crate) fn not_a_file(path: &Path) -> Error {
    Error::Io {
        path: path.to_path_buf(),
        operation: "use as a lock file",
        source: io::Error::other("it is not a regular file; move it away"),
    }
}

/// Whether a path still names this open file: a lock on a file that was deleted or replaced
/// excludes no other process.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    Ok(sys::id_at(path)? == Some(sys::id_of(file, &file.metadata()?)?))
}

/// Tries once to lock an open file; `false` means that another process or open file holds the lock.
#[allow(clippy::disallowed_methods, reason = "only kernel_lock may call it")]
pub(crate) fn attempt(file: &File, mode: LockMode) -> io::Result<bool> {
    if mode == LockMode::Exclusive {
        stopping_point::before("kernel_lock::attempt");
    }
    loop {
        let tried = match mode {
            LockMode::Shared => fs2::FileExt::try_lock_shared(file),
            LockMode::Exclusive => fs2::FileExt::try_lock_exclusive(file),
        };
        return match tried {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // Compared by number: on Windows contention has no `ErrorKind` of its own.
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

/// Whether the lock of an open file is held exclusively. To find out, this takes the lock shared
/// and releases it at once.
pub(crate) fn is_held(file: &File) -> io::Result<bool> {
    if !attempt(file, LockMode::Shared)? {
        return Ok(true);
    }
    unlock(file)?;
    Ok(false)
}

/// Blocks in the kernel until the lock is granted, without a deadline.
#[allow(clippy::disallowed_methods, reason = "only kernel_lock may call it")]
pub(crate) fn wait(file: &File, mode: LockMode) -> io::Result<()> {
    stopping_point::before("kernel_lock::wait");
    loop {
        let locked = match mode {
            LockMode::Shared => fs2::FileExt::lock_shared(file),
            LockMode::Exclusive => fs2::FileExt::lock_exclusive(file),
        };
        match locked {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Releases a lock.
#[allow(clippy::disallowed_methods, reason = "only kernel_lock may call it")]
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    fs2::FileExt::unlock(file)
}
