//! Taking and holding the lock of a document: by default a kernel lock on a file of its own, which is never
//! deleted; by choice the lock of an argus registry, for a file that older argus versions share.

use std::cell::Cell;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::document::lock_choice::DocumentLock;
use crate::error::{Error, Result};
use crate::files::new_file;
use crate::files::paths::{self, FilePaths};
use crate::files::shared_file::WriteLock;
use crate::lock::file_lock::{self, KernelLock};
use crate::lock::first_use;
use crate::lock::kernel_lock::{self, LockMode, Protected};
use crate::lock::loss::LossReport;
use crate::lock::registry_lock::RegistryLock;
use crate::lock::sweep;
use crate::lock::wait::Wait;
use crate::sys;

/// Why a document was read without its lock. Each message names the file and the operating system's
/// reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnlockedReason {
    /// The caller may neither open the lock file nor create one that serves all users of the document.
    PermissionDenied {
        /// The message of the [`Error`] that a document returns which requires its lock.
        message: String,
    },
    /// The file system has no kernel locks.
    UnsupportedFileSystem {
        /// The message of the [`Error`] that a document returns which requires its lock.
        message: String,
    },
    /// The lock file is missing and could not be created for another reason, such as a full disk.
    NotCreated {
        /// The message of the [`Error`] that a document returns which requires its lock.
        message: String,
    },
    /// The document uses the lock of an argus registry, which readers do not take.
    RegistryLock,
}

impl fmt::Display for UnlockedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnlockedReason::PermissionDenied { message }
            | UnlockedReason::UnsupportedFileSystem { message }
            | UnlockedReason::NotCreated { message } => f.write_str(message),
            UnlockedReason::RegistryLock => f.write_str("readers take no lock of a registry"),
        }
    }
}

/// The outcome of asking for a document's lock to read it.
#[derive(Debug)]
#[allow(dead_code, reason = "the locks are held until this value is dropped")]
pub(crate) enum ReadLock {
    Shared(KernelLock),
    // Boxed, because it is ten times as large as the others.
    Registry(Box<RegistryLock>),
    Unlocked(UnlockedReason),
}

impl ReadLock {
    pub(crate) fn unlocked_reason(&self) -> Option<UnlockedReason> {
        match self {
            ReadLock::Unlocked(reason) => Some(reason.clone()),
            ReadLock::Shared(_) | ReadLock::Registry(_) => None,
        }
    }
}

/// A request for the lock of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LockRequest<'a> {
    pub(crate) paths: &'a FilePaths,
    pub(crate) lock: &'a DocumentLock,
    /// The permissions of a new document, and of its lock file.
    pub(crate) new_file_mode: Option<u32>,
}

impl LockRequest<'_> {
    /// Locks the document for reading, if that is possible.
    pub(crate) fn share(&self, wait: &Wait) -> Result<ReadLock> {
        let DocumentLock::LockFile(lock_file) = self.lock else {
            if first_use::must_not_be_a_registry(self.paths).is_ok() {
                first_use::must_not_be_a_document(self.paths)?;
            }
            return Ok(ReadLock::Unlocked(UnlockedReason::RegistryLock));
        };
        first_use::must_not_be_a_registry(self.paths)?;
        let error = match self.lock_file(lock_file, LockMode::Shared, MissingFolder::Fail, wait) {
            Ok(lock) => return Ok(ReadLock::Shared(lock)),
            Err(error) => error,
        };
        let error = self.paths.error_as_given(error);
        let message = error.to_string();
        let reason = match error {
            Error::PermissionDenied { .. } => UnlockedReason::PermissionDenied { message },
            Error::UnsupportedFileSystem { .. } => {
                UnlockedReason::UnsupportedFileSystem { message }
            }
            // The lock file could not be created, as on a full disk. Reading needs no space. A symbolic
            // link that leads nowhere is not a missing file: every update fails on it.
            error if !is_final(&error) && is_missing(lock_file) => {
                UnlockedReason::NotCreated { message }
            }
            error => return Err(error),
        };
        Ok(ReadLock::Unlocked(reason))
    }

    /// Locks the document for reading. Under a registry's lock, which has one mode, this excludes other
    /// readers that require the lock, too.
    pub(crate) fn require_shared(&self, wait: &Wait) -> Result<ReadLock> {
        let DocumentLock::LockFile(lock_file) = self.lock else {
            let lock = RegistryLock::acquire_at(self.paths, wait)?;
            return Ok(ReadLock::Registry(Box::new(lock)));
        };
        first_use::must_not_be_a_registry(self.paths)?;
        self.lock_file(lock_file, LockMode::Shared, MissingFolder::Create, wait)
            .map(ReadLock::Shared)
    }

    /// Locks the document for writing.
    pub(crate) fn acquire(&self, wait: &Wait) -> Result<HeldLock> {
        let lock_file = match self.lock {
            DocumentLock::LockFile(lock_file) => lock_file,
            DocumentLock::Registry => {
                let lock = RegistryLock::acquire_at(self.paths, wait)?;
                return Ok(HeldLock::Registry(Box::new(lock)));
            }
        };
        // A thread that must not block refuses here: the lock file and folders may have to be created.
        wait.before_blocking(self.paths)?;
        let paths = self.paths;
        first_use::must_not_be_a_registry(paths)?;
        let lock = self.lock_file(lock_file, LockMode::Exclusive, MissingFolder::Create, wait)?;
        if !paths.folder.is_dir() {
            create_folder(&paths.folder)?;
        }
        if sweep::is_first_hold(paths) {
            sweep::run(paths, None);
        }
        let (nonce, loss) = (paths::nonce(), LossReport::default());
        Ok(HeldLock::LockFile { paths: Box::new(paths.clone()), lock, nonce, loss })
    }

    /// The error of a wait for the lock that is over.
    pub(crate) fn timed_out(&self, wait: &Wait) -> Error {
        match self.lock {
            DocumentLock::LockFile(lock_file) => file_lock::timed_out(lock_file, wait),
            DocumentLock::Registry => wait.contention_error(self.paths, None),
        }
    }

    /// Locks the lock file; creates it if it is missing. Fails if the file is a registry by then.
    fn lock_file(
        &self,
        lock_file: &Path,
        mode: LockMode,
        missing_folder: MissingFolder,
        wait: &Wait,
    ) -> Result<KernelLock> {
        let is_new = Cell::new(false);
        let create = |_: &Path| self.create(lock_file, mode).inspect(|_| is_new.set(true));
        let lock = || file_lock::lock(lock_file, mode, wait, create);
        let locked = match (lock(), lock_file.parent()) {
            (Err(Error::NotFound { .. }), Some(folder))
                if missing_folder == MissingFolder::Create =>
            {
                create_folder(folder)?;
                lock()
            }
            (locked, _) => locked,
        }?;
        match first_use::must_not_become_a_registry(self.paths, wait) {
            Ok(()) => Ok(locked),
            Err(error) => {
                if is_new.get() {
                    locked.remove_unless_shared(mode);
                }
                Err(error)
            }
        }
    }

    /// Creates the lock file so that all users who may write the document may open it.
    fn create(&self, lock_file: &Path, mode: LockMode) -> io::Result<File> {
        if lock_file.parent().is_some_and(|folder| !folder.is_dir()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let folder = fs::metadata(&self.paths.folder);
        let may_replace =
            |document| folder.as_ref().is_ok_and(|folder| sys::may_remove(folder, document));
        match Protected::at(&self.paths.target) {
            // A lock file that belongs to a reader, or to a user that may not replace the document in a
            // sticky folder, would keep the document's owner from writing it.
            Some(document)
                if !sys::acts_as_owner(&document.metadata)
                    && (mode == LockMode::Shared || !may_replace(&document.metadata)) =>
            {
                Err(io::ErrorKind::PermissionDenied.into())
            }
            Some(document) => {
                let temp = self.paths.temp(&paths::nonce());
                kernel_lock::create_like(lock_file, &temp, &folder?, Some(&document))
            }
            None => new_file::create(lock_file, self.new_file_mode.map(|mode| mode | 0o600)),
        }
    }
}

/// What to do if a lock file's folder is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MissingFolder {
    Create,
    Fail,
}

/// Whether an error forbids to read the document without a lock, too.
fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::LockBusy { .. }
            | Error::LockTimeout { .. }
            | Error::Aborted { .. }
            | Error::LockMismatch { .. }
    )
}

fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn create_folder(folder: &Path) -> Result<()> {
    new_file::create_folder(folder).map_err(|error| Error::from_io(folder, "create", error))
}

/// A document's lock, held for writing.
#[derive(Debug)]
pub(crate) enum HeldLock {
    // Boxed, as the registry's lock is: else this enum is large, above all on Windows.
    LockFile { paths: Box<FilePaths>, lock: KernelLock, nonce: String, loss: LossReport },
    Registry(Box<RegistryLock>),
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

    /// Releases the lock and reports a failure, which `drop` can't; returns whether the lock's file was
    /// taken away after the document was written.
    pub(crate) fn release(self) -> Result<bool> {
        match self {
            HeldLock::LockFile { lock, loss, .. } => {
                let is_lost = loss.is_due() && !lock.is_in_place()?;
                lock.release().map(|()| is_lost)
            }
            HeldLock::Registry(lock) => lock.release_and_tell(),
        }
    }

    /// Fails if the lock was taken away. Unlike the fence before a write, the error says whether the
    /// document was written under this lock.
    pub(crate) fn check_hold(&self) -> Result<()> {
        match self {
            HeldLock::LockFile { paths, loss, .. } => match self.check() {
                Err(Error::LockLost { .. }) => Err(loss.error(paths.target.clone())),
                checked => checked,
            },
            HeldLock::Registry(lock) => lock.check(),
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
                    return Err(Error::LockLost { path: paths.target.clone(), written: false });
                }
                first_use::must_not_be_a_registry(paths)
            }
            HeldLock::Registry(lock) => WriteLock::check(&**lock),
        }
    }

    fn written(&self) {
        match self {
            HeldLock::LockFile { loss, .. } => loss.written(),
            HeldLock::Registry(lock) => lock.written(),
        }
    }

    fn before_replace(&self, old: &Metadata, file: Option<Arc<File>>) {
        match self {
            HeldLock::LockFile { lock, .. } => lock.open_to_users_of(old),
            HeldLock::Registry(lock) => lock.before_replace(old, file),
        }
    }
}
