//! Kernel locks (fs2): the only module that calls the operating system's lock.
//!
//! A lock belongs to the open file, so two opens exclude each other even within one process, and
//! it vanishes with its holder, whatever ends it.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::sys;

/// How often a lock file may be replaced under our hands before we give up on it.
const REPLACED_LIMIT: u32 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    Shared,
    Exclusive,
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

/// Creates a lock file that whoever may write `protected` may open.
pub(crate) fn create_like(path: &Path, temp: &Path, protected: &Metadata) -> io::Result<File> {
    create_complete(path, temp, 0o600, |file| sys::copy_access(file, protected))
}

/// Creates a lock file, which gets its name when `complete` is done with it: else another process could
/// find the file before it may open it. No other caller has the name `temp`, and no file has it when
/// this returns.
pub(crate) fn create_complete(
    path: &Path,
    temp: &Path,
    mode: u32,
    complete: impl Fn(&File) -> io::Result<()>,
) -> io::Result<File> {
    let file = sys::create_new(temp, mode)?;
    let named = complete(&file).and_then(|()| sys::hard_link(temp, path)).map(|()| file);
    let _ = sys::remove_if_there(temp);
    match named {
        // Somebody who took over a dead holder's lock has swept our file away with its litter.
        // If it has a folder to be in, that is.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                && path.parent().is_some_and(Path::is_dir) =>
        {
            Err(io::ErrorKind::AlreadyExists.into())
        }
        Err(error) if sys::links_unsupported(&error) => {
            let file = sys::create_new(path, mode)?;
            complete(&file)?;
            Ok(file)
        }
        named => named,
    }
}

pub(crate) fn must_be_a_file(path: &Path, file: File) -> Result<(File, Metadata)> {
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

/// Tries once to lock an open file; `false` means that somebody else holds it.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn attempt(file: &File, mode: Mode) -> io::Result<bool> {
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

/// Whether anybody holds the lock of an open file exclusively. Looking takes the lock, shared,
/// for the moment of the look.
pub(crate) fn is_held(file: &File) -> io::Result<bool> {
    if !attempt(file, Mode::Shared)? {
        return Ok(true);
    }
    unlock(file)?;
    Ok(false)
}

/// Stands in the kernel's queue for a lock, for as long as it takes.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn wait(file: &File, mode: Mode) -> io::Result<()> {
    loop {
        let locked = match mode {
            Mode::Shared => fs2::FileExt::lock_shared(file),
            Mode::Exclusive => fs2::FileExt::lock_exclusive(file),
        };
        match locked {
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
