//! The bytes of a shared file: read without a lock, replaced under one.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result, MAX_CONTENT_BYTES};
use crate::files::atomic_write::{Replacement, ReplacementError};
use crate::files::kept_copies::{self, OldContent};
use crate::files::paths::FilePaths;
use crate::sys;
use crate::util::panic_test::panic_if_asked;
use crate::util::stopping_point;

/// The lock under which a file is replaced: a proof that the caller of [`commit`] holds it.
pub(crate) trait WriteLock {
    /// The file that the lock protects, and the files beside it.
    fn paths(&self) -> &FilePaths;

    /// A random name that this acquisition of the lock has, and no other.
    fn nonce(&self) -> &str;

    /// The fence: fails with [`Error::LockLost`] if another program has removed the lock.
    fn check(&self) -> Result<()>;

    /// Called when the file was replaced.
    fn written(&self);

    /// Called before a file is replaced, with its metadata and, where open files can be replaced,
    /// the open file.
    fn before_replace(&self, old: &Metadata, file: Option<Arc<File>>);
}

/// How a file is replaced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommitOptions {
    /// Whether to return only when the new content would survive a power failure (fsync).
    pub(crate) durable: bool,
    /// Whether to keep the old file beside the new one, under another name.
    pub(crate) keep_old: bool,
    /// The mode of a file that replaces none, before the umask is applied; `None` if its folder
    /// decides.
    pub(crate) new_file_mode: Option<u32>,
}

/// A file's content, with the file's metadata (mode and owner).
#[derive(Debug)]
pub(crate) struct FileContent {
    pub(crate) bytes: Vec<u8>,
    metadata: Metadata,
    /// The open file, on platforms where an open file can be replaced.
    file: Option<Arc<File>>,
}

impl FileContent {
    /// The content of a file that [`commit`] has written: `bytes`. Nothing is opened to be read, which a process
    /// with no descriptor left could not do.
    pub(crate) fn written(bytes: Vec<u8>, file: Arc<File>) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let file = sys::OPEN_FILES_CAN_BE_REPLACED.then_some(file);
        Ok(FileContent { bytes, metadata, file })
    }

    fn as_old(&self) -> OldContent<'_> {
        let FileContent { bytes, metadata, file } = self;
        OldContent { bytes, metadata, file: file.as_deref() }
    }
}

/// Reads a file without a lock; `None` if it does not exist. Replacement is atomic, so the result
/// is always one complete version of the file.
pub(crate) fn read(path: &Path) -> Result<Option<FileContent>> {
    stopping_point::before("shared_file::read");
    open(path)?.map(OpenedFile::read).transpose()
}

/// A file's size in bytes; `None` if the system can't tell, such as of a missing file.
pub(crate) fn size(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.len())
}

/// A file that was opened to be read.
pub(crate) struct OpenedFile<'a> {
    path: &'a Path,
    file: File,
    metadata: Metadata,
}

/// Opens a file to read it; `None` if it does not exist. If the working folder that its path counts from
/// was deleted, that is an error.
pub(crate) fn open(path: &Path) -> Result<Option<OpenedFile<'_>>> {
    let fail = |error| Error::from_io(path, "read", error);
    let file = match sys::open_following_links(path) {
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && !sys::is_in_deleted_folder(path) =>
        {
            return Ok(None)
        }
        // Windows opens no folder, and says that access was denied.
        Err(_) if path.is_dir() => return Err(fail(io::Error::other("it is not a regular file"))),
        opened => opened.map_err(fail)?,
    };
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(fail(io::Error::other("it is not a regular file")));
    }
    Ok(Some(OpenedFile { path, file, metadata }))
}

impl OpenedFile<'_> {
    /// The size in bytes that the file had when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.metadata.len()
    }

    /// Reads the file, or as much of it as shows that it is too large.
    pub(crate) fn read(self) -> Result<FileContent> {
        let OpenedFile { path, file, metadata } = self;
        let too_large = |size| Error::TooLarge { path: path.to_path_buf(), size, is_new: false };
        panic_if_asked("read", path);
        if metadata.len() > MAX_CONTENT_BYTES {
            return Err(too_large(metadata.len()));
        }
        let bytes = sys::read_all(&file, metadata.len(), MAX_CONTENT_BYTES)
            .map_err(|error| Error::from_io(path, "read", error))?;
        let size = bytes.len() as u64;
        if size > MAX_CONTENT_BYTES {
            return Err(too_large(size));
        }
        let file = sys::OPEN_FILES_CAN_BE_REPLACED.then(|| Arc::new(file));
        Ok(FileContent { bytes, metadata, file })
    }
}

/// What [`commit`] has done.
#[derive(Debug)]
pub(crate) struct Committed {
    /// The path at which the old bytes are kept, if that was asked for and there were any.
    pub(crate) kept: Option<PathBuf>,
    /// The new file.
    pub(crate) file: Arc<File>,
}

/// Replaces a file's content under its lock. `old` is the content that the caller read under that
/// lock; `None` if there was no file.
///
/// # Errors
///
/// [`Error::TooLarge`]; [`Error::LockLost`] if the lock was removed before the rename; nothing was
/// written then. An
/// [`Error::Io`] says so if it can't be told whether the file was replaced.
pub(crate) fn commit(
    lock: &impl WriteLock,
    old: Option<&FileContent>,
    bytes: &[u8],
    options: CommitOptions,
) -> Result<Committed> {
    let size = bytes.len() as u64;
    if size > MAX_CONTENT_BYTES {
        let path = lock.paths().target.clone();
        return Err(Error::TooLarge { path, size, is_new: true });
    }
    if let Some(old) = old {
        lock.before_replace(&old.metadata, old.file.clone());
    }
    // Checked before anything is written: a process that lost the lock must not leave even a temp
    // file.
    stopping_point::before("shared_file::commit::check");
    lock.check()?;
    let mut kept = None;
    let paths = lock.paths();
    let replacement = Replacement {
        target: &paths.target,
        folder: &paths.folder,
        temp: &paths.temp(lock.nonce()),
        bytes,
        like: old.map(|content| &content.metadata),
        old: old.and_then(|content| content.file.as_deref()),
        new_file_mode: options.new_file_mode,
        durable: options.durable,
    };
    let replaced = replacement.run(|| {
        panic_if_asked("commit", &paths.target);
        if options.keep_old {
            kept =
                old.map(|old| kept_copies::keep(paths, lock.nonce(), &old.as_old())).transpose()?;
        }
        if kept.is_some() && options.durable {
            // POSIX promises no order of two names. Without this, a power failure could leave the new
            // content and no copy of what it has replaced.
            sys::sync_folder(&paths.folder)
                .map_err(|error| Error::from_io(&paths.folder, "make durable", error))?;
        }
        // Checked again after the slow part, as shortly before the rename as possible: this commit
        // must not overwrite that of a process which took the lock in between.
        stopping_point::before("shared_file::commit::last_check");
        lock.check()
    });
    if matches!(replaced, Ok(_) | Err(ReplacementError::NotDurable(_))) {
        lock.written();
    }
    let error = match replaced {
        Ok(file) => return Ok(Committed { kept: kept.and_then(|kept| kept.tidy(paths)), file }),
        // The kept file stays: it may be all that is left of the old content.
        Err(ReplacementError::Unknown(error) | ReplacementError::NotDurable(error)) => {
            return Err(error)
        }
        Err(ReplacementError::Unchanged(error)) => error,
    };
    let checked = lock.check();
    if let Some(kept) = &kept {
        kept.undo(paths, checked.is_ok());
    }
    // If the lock was lost, the process that holds it now may have removed this process's temp
    // file. The lost lock is the cause of the failure, so that is the error.
    checked?;
    let was_removed = matches!(error, Error::NotFound { .. }) && paths.folder.is_dir();
    Err(match was_removed {
        // Another process removed the temp file because it took this process for dead. Nothing
        // was written, so the caller may try again, as after a lost lock.
        true => Error::LockLost { path: paths.target.clone(), written: false },
        false => error,
    })
}

/// Makes the content durable that an update found and did not have to change: another process may
/// have written it without an fsync. Does nothing for a file that does not exist.
pub(crate) fn make_durable(paths: &FilePaths, found: Option<&FileContent>) -> Result<()> {
    let Some(found) = found else { return Ok(()) };
    let sync = || {
        match &found.file {
            Some(file) => sys::sync_opened(file)?,
            None => sys::sync_file(&paths.target)?,
        }
        sys::sync_folder(&paths.folder)
    };
    sync().map_err(|error| Error::from_io(&paths.target, "make durable", error))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::files::paths;
    use crate::lock::registry_lock::RegistryLock;
    use crate::lock::wait::LockOptions;

    #[test]
    fn a_process_that_lost_the_lock_creates_no_temp_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(dir.path()).unwrap().join("registry.json");
        let lock = RegistryLock::acquire(&path, &LockOptions::default()).unwrap();
        let lockfile = path.with_extension("json.lock");
        sys::remove_name(&lockfile, &dir.path().join("aside")).unwrap();
        // If the temp file were created, this file would make that fail with another error.
        File::create(lock.paths().temp(lock.nonce())).unwrap();
        let lost = commit(
            &lock,
            None,
            b"{}",
            CommitOptions { durable: false, keep_old: false, new_file_mode: None },
        )
        .unwrap_err();
        assert_eq!(lost.code(), "LOCK_LOST");
        assert!(!path.exists());
    }

    /// A lock that a program without this crate takes away after the first check. That program replaces
    /// the file then, if it is told to.
    struct LockTakenAway {
        paths: FilePaths,
        nonce: String,
        checks: Cell<u32>,
        replaces: bool,
    }

    impl WriteLock for LockTakenAway {
        fn paths(&self) -> &FilePaths {
            &self.paths
        }

        fn nonce(&self) -> &str {
            &self.nonce
        }

        fn check(&self) -> Result<()> {
            let earlier = self.checks.replace(self.checks.get() + 1);
            if earlier == 0 {
                return Ok(());
            }
            if self.replaces {
                fs::remove_file(&self.paths.target).unwrap();
                File::create(&self.paths.target).unwrap();
            }
            Err(Error::LockLost { path: self.paths.target.clone(), written: false })
        }

        fn written(&self) {}

        fn before_replace(&self, _: &Metadata, _: Option<Arc<File>>) {}
    }

    #[test]
    fn a_copy_stays_after_a_lost_lock_only_if_its_original_is_gone() {
        for replaces in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = fs::canonicalize(dir.path()).unwrap().join("registry.json");
            sys::write_start(&File::create(&path).unwrap(), b"precious {").unwrap();
            let paths = FilePaths::resolve(&path).unwrap();
            let lock =
                LockTakenAway { paths, nonce: paths::nonce(), checks: Cell::new(0), replaces };
            let old = read(&path).unwrap();
            let options = CommitOptions { durable: false, keep_old: true, new_file_mode: None };
            let lost = commit(&lock, old.as_ref(), b"{}", options).unwrap_err();
            assert_eq!(lost.code(), "LOCK_LOST");
            let copies = lock.paths.kept_copies().unwrap();
            assert_eq!(copies.len(), usize::from(replaces));
            let left = copies.first().map_or(&path, |(_, copy)| copy);
            assert_eq!(fs::read(left).unwrap(), b"precious {");
        }
    }
}
