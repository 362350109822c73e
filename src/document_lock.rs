//! The lock of a document: a kernel lock on a file of its own, which is never deleted.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::atomic_write;
use crate::error::{Error, Result};
use crate::file_lock::{self, KernelLock};
use crate::kernel_lock::Mode;
use crate::paths::{self, RegistryPaths};
use crate::registry_lock::is_first_of_process;
use crate::store::Hold;
use crate::sys;
use crate::wait::LockOptions;

/// Which file carries a document's lock. It is created when it is first needed, and stays. Whoever
/// shares the document has to choose the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LockFile {
    /// `path.with_extension("lock")`, as in veil: `exceptions.lock` for `exceptions.toml`.
    /// Documents whose names differ in their extensions only share it.
    #[default]
    WithExtension,
    /// The document's whole name and `.lock`: `exceptions.toml.lock`. Refused for an argus registry,
    /// which has its lockfile there.
    Beside,
    /// This file.
    At(PathBuf),
}

impl LockFile {
    /// Where the lock file of a document is, whose symbolic links have been followed.
    pub(crate) fn of(&self, document: &Path) -> Result<PathBuf> {
        let invalid = |reason: &str| {
            let path = document.to_path_buf();
            Err(Error::InvalidValue { path, reason: format!("{reason}; choose another") })
        };
        let beside = |ending: &str| {
            let mut name = document.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let (lock_file, resolved) = match self {
            LockFile::WithExtension => (document.with_extension("lock"), None),
            // A file that stays where a registry's lockfile comes and goes would look like the
            // lockfile of an older argus, and keep every update waiting until it is stale.
            LockFile::Beside if beside(".guard").exists() => {
                return invalid("it is a registry, whose lockfile has that name")
            }
            LockFile::Beside => (beside(".lock"), None),
            LockFile::At(path) => (path.clone(), Some(RegistryPaths::resolve(path)?.registry)),
        };
        if resolved.as_ref().unwrap_or(&lock_file) == document {
            return invalid("it would be its own lock file");
        }
        Ok(lock_file)
    }
}

/// Joins the readers of a document, in one try. `None`: there is no lock file, and the caller may
/// not make one or not open the one there is, or the file system has no locks.
pub(crate) fn share(paths: &RegistryPaths, lock_file: &Path) -> Result<Option<KernelLock>> {
    match lock(paths, lock_file, Mode::Shared, &LockOptions::one_try()) {
        Err(Error::PermissionDenied { .. } | Error::UnsupportedFileSystem { .. }) => Ok(None),
        locked => locked.map(Some),
    }
}

/// A document's lock, held exclusively.
#[derive(Debug)]
pub(crate) struct DocumentLock {
    paths: RegistryPaths,
    lock: KernelLock,
    nonce: String,
}

impl DocumentLock {
    pub(crate) fn acquire(
        paths: &RegistryPaths,
        lock_file: &Path,
        options: &LockOptions,
    ) -> Result<Self> {
        let lock = lock(paths, lock_file, Mode::Exclusive, options)?;
        if !paths.folder.is_dir() {
            atomic_write::create_folder(&paths.folder)
                .map_err(|error| Error::from_io(&paths.folder, "create", error))?;
        }
        if is_first_of_process(paths) {
            // Whoever made them is dead: he would have this lock.
            for temp in paths.leftover_temps().unwrap_or_default() {
                let _ = sys::remove_if_there(&temp);
            }
        }
        Ok(DocumentLock { paths: paths.clone(), lock, nonce: paths::nonce() })
    }
}

impl Hold for DocumentLock {
    fn paths(&self) -> &RegistryPaths {
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
        Err(Error::LockLost { path: self.paths.registry.clone() })
    }

    fn replaces(&self, old: &Metadata, _file: Option<Arc<File>>) {
        self.lock.open_to_users_of(old);
    }
}

/// Locks a document's lock file; creates it, and its folder, if they are missing.
fn lock(
    paths: &RegistryPaths,
    lock_file: &Path,
    mode: Mode,
    options: &LockOptions,
) -> Result<KernelLock> {
    let lock = || file_lock::lock(lock_file, mode, options, |path| create(path, &paths.registry));
    match (lock(), lock_file.parent()) {
        (Err(Error::NotFound { .. }), Some(folder)) => {
            atomic_write::create_folder(folder)
                .map_err(|error| Error::from_io(folder, "create", error))?;
            lock()
        }
        (locked, _) => locked,
    }
}

/// Creates a lock file so that whoever may write the document may open it.
fn create(lock_file: &Path, document: &Path) -> io::Result<File> {
    let file = file_lock::create(lock_file)?;
    if let Ok(document) = fs::metadata(document) {
        sys::widen_access(&file, &file.metadata()?, &document)?;
    }
    Ok(file)
}
