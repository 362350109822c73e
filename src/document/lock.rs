//! The lock of a document: by default a kernel lock on a file of its own, which is never deleted; by
//! choice the lock of an argus registry, for a file that older argus versions share.

use std::cell::Cell;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, LockKind, Result};
use crate::files::atomic_write;
use crate::files::paths::{self, FilePaths};
use crate::files::shared_file::WriteLock;
use crate::lock::file_lock::{self, KernelLock};
use crate::lock::guard;
use crate::lock::kernel_lock::{self, Mode};
use crate::lock::registry_lock::RegistryLock;
use crate::lock::sweep;
use crate::lock::wait::Wait;
use crate::sys;

/// Which file carries a document's lock. It is created when it is first needed, and stays. All
/// programs that share the document have to choose one and the same.
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
    /// This file. If the path is relative, it is taken from the folder that is current when the
    /// document is told of it.
    At(PathBuf),
}

/// Under which lock a document is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LockChoice {
    LockFile(LockFile),
    Registry,
}

impl LockChoice {
    /// The lock of a document whose symbolic links have been followed.
    pub(crate) fn resolve(&self, paths: &FilePaths) -> Result<DocumentLock> {
        match self {
            LockChoice::LockFile(lock_file) => lock_file.of(paths).map(DocumentLock::LockFile),
            LockChoice::Registry => Ok(DocumentLock::Registry),
        }
    }
}

impl LockFile {
    fn of(&self, paths: &FilePaths) -> Result<PathBuf> {
        let document = &paths.target;
        let (lock_file, resolved) = match self {
            LockFile::WithExtension => (paths.document_lock_file(), None),
            LockFile::At(path) => (in_real_folder(path), Some(FilePaths::resolve(path)?.target)),
        };
        let found = resolved.as_ref().unwrap_or(&lock_file);
        let invalid = |reason: &str| {
            Err(Error::InvalidValue { path: document.clone(), reason: reason.to_owned() })
        };
        if found == document {
            return invalid("it would be its own lock file; choose another");
        }
        // A lock file that stays where a registry's lockfile comes and goes would look like that of an
        // older argus, and be removed.
        if *found == paths.lockfile || *found == paths.guard {
            return invalid(
                "its lock file would have the name of a registry's lockfile or guard; choose another",
            );
        }
        Ok(lock_file)
    }
}

/// A path with the symbolic links followed that its folder is reached by, so that one lock file has one
/// name. The file itself must not be a symbolic link: locking it says so.
fn in_real_folder(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => paths::canonical_as_far_as_it_exists(folder).join(name),
        _ => path.to_path_buf(),
    }
}

/// The lock of one document, not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DocumentLock {
    LockFile(PathBuf),
    Registry,
}

impl DocumentLock {
    /// What tells this lock from others: documents may share a lock file, and a registry's lock is known
    /// by the registry.
    pub(crate) fn identity<'a>(&'a self, paths: &'a FilePaths) -> &'a Path {
        match self {
            DocumentLock::LockFile(lock_file) => lock_file,
            DocumentLock::Registry => &paths.target,
        }
    }

    /// The file that carries the kernel lock.
    pub(crate) fn file<'a>(&'a self, paths: &'a FilePaths) -> &'a Path {
        match self {
            DocumentLock::LockFile(lock_file) => lock_file,
            DocumentLock::Registry => &paths.guard,
        }
    }
}

/// What it takes to lock a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LockRequest<'a> {
    pub(crate) paths: &'a FilePaths,
    pub(crate) lock: &'a DocumentLock,
    /// What a new document, and so its lock file, may be read and written by.
    pub(crate) new_file_mode: u32,
}

impl LockRequest<'_> {
    /// Locks the document for reading. `None`: it is read without a lock, because the file system has
    /// none, because the caller may not open the lock file or make one that serves all users, or
    /// because readers of a registry's lock take none.
    pub(crate) fn share(&self, wait: &Wait) -> Result<Option<KernelLock>> {
        let DocumentLock::LockFile(lock_file) = self.lock else {
            if !self.paths.guard.exists() {
                guard::must_not_be_a_document(self.paths)?;
            }
            return Ok(None);
        };
        must_not_be_a_registry(self.paths)?;
        match self.lock_file(lock_file, Mode::Shared, wait) {
            Err(Error::PermissionDenied { .. } | Error::UnsupportedFileSystem { .. }) => Ok(None),
            // Such as on a full disk: reading takes no space.
            Err(error) if !is_wait_over(&error) && !lock_file.exists() => Ok(None),
            locked => locked.map(Some),
        }
    }

    /// Locks the document for writing.
    pub(crate) fn acquire(&self, wait: &Wait) -> Result<HeldLock> {
        let lock_file = match self.lock {
            DocumentLock::LockFile(lock_file) => lock_file,
            DocumentLock::Registry => {
                return RegistryLock::acquire_at(self.paths, wait).map(HeldLock::Registry)
            }
        };
        // A thread that must not block leaves this to another one: much may have to be made.
        wait.before_blocking(self.paths)?;
        let paths = self.paths;
        must_not_be_a_registry(paths)?;
        let lock = self.lock_file(lock_file, Mode::Exclusive, wait)?;
        if !paths.folder.is_dir() {
            create_folder(&paths.folder)?;
        }
        if sweep::is_first_hold(paths) {
            sweep::run(paths, None);
        }
        Ok(HeldLock::LockFile { paths: paths.clone(), lock, nonce: paths::nonce() })
    }

    /// The error of a wait for the lock that is over.
    pub(crate) fn timed_out(&self, wait: &Wait) -> Error {
        match self.lock {
            DocumentLock::LockFile(lock_file) => file_lock::timed_out(lock_file, wait),
            DocumentLock::Registry => wait.over(self.paths, None),
        }
    }

    /// Locks the lock file; creates it, and its folder, if they are missing.
    fn lock_file(&self, lock_file: &Path, mode: Mode, wait: &Wait) -> Result<KernelLock> {
        let is_new = Cell::new(false);
        let create = |_: &Path| self.create(lock_file, mode).inspect(|_| is_new.set(true));
        let lock = || file_lock::lock(lock_file, mode, wait, create);
        let locked = match (lock(), lock_file.parent()) {
            (Err(Error::NotFound { .. }), Some(folder)) if mode == Mode::Exclusive => {
                create_folder(folder)?;
                lock()
            }
            (locked, _) => locked,
        }?;
        // Again, now that a registry call would find the lock file: it may have made a guard meanwhile.
        let checked = must_not_be_a_registry(self.paths);
        if checked.is_err() && is_new.get() {
            // Under its lock: those that have opened it meanwhile find out that it is gone.
            let _ = sys::remove_if_there(lock_file);
        }
        checked.map(|()| locked)
    }

    /// Creates the lock file so that all users who may write the document may open it.
    fn create(&self, lock_file: &Path, mode: Mode) -> io::Result<File> {
        match fs::metadata(&self.paths.target) {
            // A reader's own file would keep the document's owner from writing it.
            Ok(document) if mode == Mode::Shared && !sys::may_give_to_owner_of(&document) => {
                Err(io::ErrorKind::PermissionDenied.into())
            }
            Ok(document) => {
                let temp = self.paths.temp(&paths::nonce());
                kernel_lock::create_like(lock_file, &temp, &document)
            }
            Err(_) => sys::create_new(lock_file, self.new_file_mode | 0o600),
        }
    }
}

fn is_wait_over(error: &Error) -> bool {
    matches!(error, Error::LockBusy { .. } | Error::LockTimeout { .. } | Error::Aborted { .. })
}

fn create_folder(folder: &Path) -> Result<()> {
    atomic_write::create_folder(folder).map_err(|error| Error::from_io(folder, "create", error))
}

/// A program that uses the file as a registry takes the guard, which a lock file does not exclude.
fn must_not_be_a_registry(paths: &FilePaths) -> Result<()> {
    if !guard::is_in_use(paths) {
        return Ok(());
    }
    let (path, in_use) = (paths.target.clone(), paths.guard.clone());
    Err(Error::LockMismatch { path, in_use, kind: LockKind::Registry })
}

/// A document's lock, held for writing.
#[derive(Debug)]
pub(crate) enum HeldLock {
    LockFile { paths: FilePaths, lock: KernelLock, nonce: String },
    Registry(RegistryLock),
}

impl HeldLock {
    /// Whether a commit under this lock is not expected to block: as far as can be told, the files are of
    /// this machine. Of a document with a lock file that is not asked.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            HeldLock::LockFile { .. } => false,
            HeldLock::Registry(lock) => lock.is_local(),
        }
    }

    /// Releases the lock and reports a failure, which `drop` can't.
    pub(crate) fn release(self) -> Result<()> {
        match self {
            HeldLock::LockFile { lock, .. } => lock.release(),
            HeldLock::Registry(lock) => lock.release(),
        }
    }
}

impl WriteLock for HeldLock {
    fn paths(&self) -> &FilePaths {
        match self {
            HeldLock::LockFile { paths, .. } => paths,
            HeldLock::Registry(lock) => lock.paths(),
        }
    }

    fn nonce(&self) -> &str {
        match self {
            HeldLock::LockFile { nonce, .. } => nonce,
            HeldLock::Registry(lock) => lock.nonce(),
        }
    }

    /// A person or program may have deleted the lock file: the next process locks another file of that
    /// name then, and has perhaps written already. And a process that knows the file as a registry may
    /// have made a guard since the lock was taken.
    fn check(&self) -> Result<()> {
        match self {
            HeldLock::LockFile { paths, lock, .. } => {
                if !lock.is_in_place()? {
                    return Err(Error::LockLost { path: paths.target.clone() });
                }
                must_not_be_a_registry(paths)
            }
            HeldLock::Registry(lock) => lock.check(),
        }
    }

    fn replaces(&self, old: &Metadata, file: Option<Arc<File>>) {
        match self {
            HeldLock::LockFile { lock, .. } => lock.open_to_users_of(old),
            HeldLock::Registry(lock) => lock.replaces(old, file),
        }
    }
}
