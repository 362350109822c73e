//! The lock of a document: a kernel lock on a file of its own, which is never deleted.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::files::atomic_write;
use crate::files::paths::{self, FilePaths};
use crate::files::shared_file::WriteLock;
use crate::lock::file_lock::{self, KernelLock};
use crate::lock::kernel_lock::{self, Mode};
use crate::lock::sweep;
use crate::lock::wait::LockOptions;
use crate::sys;

/// Which file carries a document's lock. It is created when it is first needed, and stays. Whoever
/// shares the document has to choose the same.
///
/// It is found from the document itself: where that is reached by a symbolic link, the lock file is
/// beside what the link leads to, so that all names of a document have one lock. (veil takes the
/// link's name; give it the document's own.)
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LockFile {
    /// `path.with_extension("lock")`, as in veil: `exceptions.lock` for `exceptions.toml`.
    /// Documents whose names differ in their extensions only share it.
    #[default]
    WithExtension,
    /// The document's whole name and `.lock`: `exceptions.toml.lock`.
    Beside,
    /// This file. If the path is relative, it is taken from the current folder when the document is
    /// told of it.
    At(PathBuf),
}

impl LockFile {
    /// Where the lock file of a document is, whose symbolic links have been followed.
    pub(crate) fn of(&self, paths: &FilePaths) -> Result<PathBuf> {
        let document = &paths.target;
        let invalid = |reason: &str| {
            Err(Error::InvalidValue { path: document.clone(), reason: reason.to_owned() })
        };
        // Who updates that as a registry knows nothing of our lock; and a lock file that stays where
        // its lockfile comes and goes would look like the lockfile of an older argus.
        if paths.guard.exists() {
            return invalid("it is an argus registry: use update_registry and its siblings");
        }
        let (lock_file, resolved) = match self {
            LockFile::WithExtension => (document.with_extension("lock"), None),
            LockFile::Beside => (paths.lockfile.clone(), None),
            LockFile::At(path) => (path.clone(), Some(FilePaths::resolve(path)?.target)),
        };
        if resolved.as_ref().unwrap_or(&lock_file) == document {
            return invalid("it would be its own lock file; choose another");
        }
        Ok(lock_file)
    }
}

/// What the taking of a document's lock needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LockRequest<'a> {
    pub(crate) paths: &'a FilePaths,
    pub(crate) lock_file: &'a Path,
    /// What a new document, and so its lock file, may be read and written by.
    pub(crate) new_file_mode: u32,
}

impl LockRequest<'_> {
    /// Joins the readers of a document. `None`: the file system has no locks, or the caller may not
    /// open the lock file, or there is none and he can't make one that is good for all.
    pub(crate) fn share(&self, options: &LockOptions) -> Result<Option<KernelLock>> {
        match self.lock(Mode::Shared, options) {
            Err(Error::PermissionDenied { .. } | Error::UnsupportedFileSystem { .. }) => Ok(None),
            // Such as on a full disk: reading takes no space.
            Err(error) if !is_wait_over(&error) && !self.lock_file.exists() => Ok(None),
            locked => locked.map(Some),
        }
    }

    /// Locks the lock file; creates it, and its folder, if they are missing.
    fn lock(&self, mode: Mode, options: &LockOptions) -> Result<KernelLock> {
        let lock = || file_lock::lock(self.lock_file, mode, options, |_| self.create(mode));
        match (lock(), self.lock_file.parent()) {
            (Err(Error::NotFound { .. }), Some(folder)) if mode == Mode::Exclusive => {
                create_folder(folder)?;
                lock()
            }
            (locked, _) => locked,
        }
    }

    /// Creates the lock file so that whoever may write the document may open it.
    fn create(&self, mode: Mode) -> io::Result<File> {
        match fs::metadata(&self.paths.target) {
            // A reader's own file would keep the document's owner from writing it.
            Ok(document) if mode == Mode::Shared && !sys::may_give_to_owner_of(&document) => {
                Err(io::ErrorKind::PermissionDenied.into())
            }
            Ok(document) => {
                let temp = self.paths.temp(&paths::nonce());
                kernel_lock::create_like(self.lock_file, &temp, &document)
            }
            Err(_) => sys::create_new(self.lock_file, self.new_file_mode | 0o600),
        }
    }
}

fn is_wait_over(error: &Error) -> bool {
    matches!(error, Error::LockBusy { .. } | Error::LockTimeout { .. } | Error::Aborted { .. })
}

fn create_folder(folder: &Path) -> Result<()> {
    atomic_write::create_folder(folder).map_err(|error| Error::from_io(folder, "create", error))
}

/// A document's lock, held exclusively.
#[derive(Debug)]
pub(crate) struct DocumentLock {
    paths: FilePaths,
    lock: KernelLock,
    nonce: String,
}

impl DocumentLock {
    pub(crate) fn acquire(place: &LockRequest<'_>, options: &LockOptions) -> Result<Self> {
        let paths = place.paths;
        let lock = place.lock(Mode::Exclusive, options)?;
        if !paths.folder.is_dir() {
            create_folder(&paths.folder)?;
        }
        if sweep::is_first_hold(paths) {
            sweep::run(paths, None);
        }
        Ok(DocumentLock { paths: paths.clone(), lock, nonce: paths::nonce() })
    }
}

impl WriteLock for DocumentLock {
    fn paths(&self) -> &FilePaths {
        &self.paths
    }

    fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Somebody may have deleted the lock file: the next one locked another of that name then, and
    /// has perhaps written already.
    fn check(&self) -> Result<()> {
        if self.lock.is_in_place()? {
            return Ok(());
        }
        Err(Error::LockLost { path: self.paths.target.clone() })
    }

    fn replaces(&self, old: &Metadata, _file: Option<Arc<File>>) {
        self.lock.open_to_users_of(old);
    }
}
