//! Locking a lock file: shared or exclusive, in one try or with a bounded wait.
//!
//! The kernel releases the lock when its holder ends. The lock *file* is never deleted: if it were
//! deleted while it is locked, a second writer would create and lock another file of its name.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::lock::kernel_lock::{self, LockMode};
use crate::lock::kernel_queue::{self, Waited};
use crate::lock::reentry::UpdateScope;
use crate::lock::wait::{LockOptions, Wait};
use crate::sys;
use crate::sys::FileId;

/// How often a lock file may be deleted or replaced during the wait before the wait fails.
const REPLACED_FILE_LIMIT: u32 = 100;

/// The mode of a new lock file, before the umask is applied.
const NEW_LOCK_FILE_MODE: u32 = 0o666;

/// A held kernel lock on a lock file. Dropping it releases the lock; the file is not deleted. A forked process that
/// drops its copy leaves the lock to its parent.
#[derive(Debug)]
#[must_use = "the lock is released as soon as this value is dropped"]
pub struct KernelLock {
    file: File,
    path: PathBuf,
    /// The process that has acquired it, and not one that was forked from that.
    pid: u32,
}

impl KernelLock {
    /// The path of the lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the lock file's path still names the locked file. If the file was deleted, the next
    /// process creates and locks another file of that name, which this lock does not exclude.
    ///
    /// # Errors
    ///
    /// [`Error::PermissionDenied`] or [`Error::Io`] if the system can't tell.
    pub fn is_in_place(&self) -> Result<bool> {
        kernel_lock::is_at(&self.file, &self.path)
            .map_err(|error| Error::from_io(&self.path, "check", error))
    }

    /// Releases the lock. Unlike dropping the value, it reports a failure.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system refused; the lock is released in any case, by closing the file.
    pub fn release(self) -> Result<()> {
        self.unlock().map_err(|error| Error::from_io(&self.path, "unlock", error))
    }

    fn unlock(&self) -> io::Result<()> {
        // A forked process shares the lock with its parent: to unlock it would let other processes in while the
        // parent holds it. It only closes the file.
        match self.pid == std::process::id() {
            true => kernel_lock::unlock(&self.file),
            false => Ok(()),
        }
    }

    /// Removes the lock file that was made for this lock, and releases the lock, which has this mode.
    ///
    /// Other callers may have opened the file meanwhile. Those that wait for its lock find out that it is
    /// gone. If others share the lock, the file stays, because the next process would make and lock
    /// another one while they hold this one.
    pub(crate) fn remove_unless_shared(self, mode: LockMode) {
        let is_sole = mode == LockMode::Exclusive
            || kernel_lock::attempt(&self.file, LockMode::Exclusive).is_ok_and(|locked| locked);
        if is_sole && self.is_in_place().is_ok_and(|in_place| in_place) {
            let _ = sys::remove_if_there(&self.path);
        }
    }

    /// Permits the users who may write the protected file to open the lock file, too.
    pub(crate) fn open_to_users_of(&self, protected: &Metadata) {
        let _ = sys::open_to_users_of(&self.file, protected);
    }
}

impl Drop for KernelLock {
    fn drop(&mut self) {
        // Unlocked explicitly: closing the file would leave it locked as long as a child process
        // that is just being started has a copy of the descriptor, until its exec.
        let _ = self.unlock();
    }
}

/// Acquires a shared lock on a lock file, in one try.
///
/// The file is created if it is missing, and never deleted.
///
/// # Errors
///
/// [`Error::LockBusy`] at once if the file is locked exclusively, by this process or another;
/// [`Error::ReEntrant`] from inside an updater that runs on this thread under this lock file;
/// [`Error::UnsupportedFileSystem`] where there are no kernel locks; [`Error::NotFound`] if its
/// folder is missing; [`Error::PermissionDenied`] or [`Error::Io`] if it can't be opened or
/// created.
pub fn try_lock_shared(path: impl AsRef<Path>) -> Result<KernelLock> {
    lock_shared(path, &LockOptions::one_try())
}

/// Acquires an exclusive lock on a lock file, in one try.
///
/// The file is created if it is missing, and never deleted.
///
/// ```
/// use argus_registry::{try_lock_exclusive, try_lock_shared, Error};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("scan.lock");
/// let lock = try_lock_exclusive(&path)?;
/// assert!(matches!(try_lock_shared(&path), Err(Error::LockBusy { .. })));
/// lock.release()?;
/// # Ok::<_, Error>(())
/// ```
///
/// # Errors
///
/// [`Error::LockBusy`] at once if the file is locked, by this process or another;
/// [`Error::ReEntrant`] from inside an updater that runs on this thread under this lock file;
/// [`Error::UnsupportedFileSystem`] where there are no kernel locks; [`Error::NotFound`] if its
/// folder is missing; [`Error::PermissionDenied`] or [`Error::Io`] if it can't be opened or
/// created.
pub fn try_lock_exclusive(path: impl AsRef<Path>) -> Result<KernelLock> {
    lock_exclusive(path, &LockOptions::one_try())
}

/// Waits for a shared lock on a lock file.
///
/// The kernel wakes the waiting thread. It does not order shared and exclusive locks: readers whose
/// locks overlap without a gap keep a writer waiting. Of the options only `timeout`, `since` and
/// `cancel` matter, because a kernel lock is never stale.
///
/// # Errors
///
/// [`Error::LockTimeout`] if the file is still locked after the timeout; [`Error::Aborted`] if the
/// caller cancelled the wait; those of [`try_lock_shared`].
pub fn lock_shared(path: impl AsRef<Path>, options: &LockOptions) -> Result<KernelLock> {
    let path = path.as_ref();
    UpdateScope::refuse_inside(path, path)?;
    lock(path, LockMode::Shared, &Wait::start(options), create)
}

/// Waits for an exclusive lock on a lock file.
///
/// The kernel wakes the waiting thread. It does not order shared and exclusive locks: readers whose
/// locks overlap without a gap keep a writer waiting. Of the options only `timeout`, `since` and
/// `cancel` matter, because a kernel lock is never stale.
///
/// # Errors
///
/// [`Error::LockTimeout`] if the file is still locked after the timeout; [`Error::Aborted`] if the
/// caller cancelled the wait; those of [`try_lock_exclusive`].
pub fn lock_exclusive(path: impl AsRef<Path>, options: &LockOptions) -> Result<KernelLock> {
    let path = path.as_ref();
    UpdateScope::refuse_inside(path, path)?;
    lock(path, LockMode::Exclusive, &Wait::start(options), create)
}

fn create(path: &Path) -> io::Result<File> {
    sys::create_new(path, NEW_LOCK_FILE_MODE)
}

/// Locks a lock file. Calls `create` if the file is missing.
pub(crate) fn lock(
    path: &Path,
    mode: LockMode,
    wait: &Wait,
    create: impl Fn(&Path) -> io::Result<File>,
) -> Result<KernelLock> {
    let fail = |operation, error| Error::from_io(path, operation, error);
    let aborted = || Error::Aborted { path: path.to_path_buf() };
    let _busy = wait.busy_scope();
    let mut replaced = 0;
    loop {
        if wait.token.is_cancelled() {
            return Err(aborted());
        }
        let file = open_or_create(path, mode, &create)?;
        let id = file.metadata().and_then(|metadata| sys::id_of(&file, &metadata));
        let id = id.map_err(|error| fail("look at", error))?;
        let file = match kernel_queue::lock(file, id, mode, wait) {
            Ok(Waited::AtOnce(file) | Waited::InTurn(file)) => file,
            Ok(Waited::TimedOut) => return Err(contention_error(path, wait, another_holder(id))),
            Ok(Waited::Cancelled) => return Err(aborted()),
            Err(source) if sys::locks_unsupported(&source) => {
                return Err(Error::UnsupportedFileSystem { path: path.to_path_buf(), source })
            }
            Err(error) => return Err(fail("lock", error)),
        };
        let lock = KernelLock { file, path: path.to_path_buf(), pid: std::process::id() };
        // A lock on a file that was deleted or replaced during the wait excludes no other process.
        if lock.is_in_place()? {
            return Ok(lock);
        }
        // Bounded: on file systems whose inode numbers change, every lock file looks replaced.
        replaced += 1;
        if replaced == REPLACED_FILE_LIMIT {
            return Err(contention_error(path, wait, None));
        }
    }
}

/// The error of a wait for a lock file that is over: names a holder if one can be seen.
pub(crate) fn timed_out(path: &Path, wait: &Wait) -> Error {
    contention_error(path, wait, sys::id_at(path).ok().flatten().and_then(another_holder))
}

/// The error of a wait whose time is over.
fn contention_error(path: &Path, wait: &Wait, holder: Option<Box<Holder>>) -> Error {
    let path = path.to_path_buf();
    if wait.one_try {
        return Error::LockBusy { path, holder };
    }
    Error::LockTimeout { path, waited: wait.elapsed(), holder }
}

/// A process that holds a lock on the file. A lock file has no owner record, so only the system can
/// tell.
fn another_holder(id: FileId) -> Option<Box<Holder>> {
    let others = |pid: &u32| *pid != std::process::id();
    let pid = sys::lock_holders(id).into_iter().find(others)?;
    Some(Box::new(Holder { pid: Some(pid), host: None, since: None, alive: Some(true) }))
}

fn open_or_create(
    path: &Path,
    mode: LockMode,
    create: impl Fn(&Path) -> io::Result<File>,
) -> Result<File> {
    let mut opened = kernel_lock::open_existing_or_create(path, create).map(|(file, _)| file);
    if mode == LockMode::Shared && matches!(opened, Err(Error::PermissionDenied { .. })) {
        // A user who may only read the lock file can still lock it shared.
        opened = match sys::open_read_only(path) {
            // The file is missing: the denied access was to create it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => opened,
            looked => looked
                .map_err(|error| Error::from_io(path, "open lock file", error))
                .and_then(|file| kernel_lock::must_be_a_file(path, file))
                .map(|(file, _)| file),
        };
    }
    opened
}

#[cfg(test)]
mod tests;
