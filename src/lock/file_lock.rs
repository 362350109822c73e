//! Locking a lock file: shared or exclusive, in one try as veil does, or with a bounded wait.
//!
//! The lock goes with its holder. The lock *file* stays: deleting it while it is held would let
//! two writers in, each with a lock on a file of the same name.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::lock::kernel_lock::{self, Mode};
use crate::lock::kernel_queue::{self, Waited};
use crate::lock::wait::{LockOptions, Wait};
use crate::sys;
use crate::sys::FileId;

/// How often a lock file may be replaced under our hands before we give up on it.
const REPLACED_LIMIT: u32 = 100;

/// What a new lock file may be read and written by, less the umask.
const NEW_LOCK_FILE_MODE: u32 = 0o666;

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

    /// Whether the lock file's name still stands for the file that is locked. If somebody deleted
    /// it, the next one locks another file of that name, and this lock excludes him no more.
    ///
    /// # Errors
    ///
    /// [`Error::PermissionDenied`] or [`Error::Io`] if the system can't tell.
    pub fn is_in_place(&self) -> Result<bool> {
        kernel_lock::is_at(&self.file, &self.path)
            .map_err(|error| Error::from_io(&self.path, "check", error))
    }

    /// Releases the lock and reports a failure, which `drop` can't.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system refused; closing the file releases the lock all the same.
    pub fn release(self) -> Result<()> {
        kernel_lock::unlock(&self.file).map_err(|error| Error::from_io(&self.path, "unlock", error))
    }

    /// Opens the lock file to whoever may write the file that it protects.
    pub(crate) fn open_to_users_of(&self, protected: &Metadata) {
        let _ = sys::open_to_users_of(&self.file, protected);
    }
}

impl Drop for KernelLock {
    fn drop(&mut self) {
        // Closing would do, unless a child process that is just being started still has the
        // descriptor: then the lock would live on until the child's exec.
        let _ = kernel_lock::unlock(&self.file);
    }
}

/// Takes a shared lock on a lock file, in one try. Source: veil's `Registry::load`.
///
/// The file is created if it is missing, and never deleted.
///
/// # Errors
///
/// [`Error::LockBusy`] at once if somebody holds it exclusively, in this process or another;
/// [`Error::UnsupportedFileSystem`] where there are no kernel locks; [`Error::NotFound`] if its
/// folder is missing; [`Error::PermissionDenied`] or [`Error::Io`] if it can't be opened or made.
pub fn try_lock_shared(path: impl AsRef<Path>) -> Result<KernelLock> {
    lock_shared(path, &LockOptions::one_try())
}

/// Takes an exclusive lock on a lock file, in one try. Source: veil's `Registry::save`.
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
/// [`Error::LockBusy`] at once if anybody holds it, in this process or another;
/// [`Error::UnsupportedFileSystem`] where there are no kernel locks; [`Error::NotFound`] if its
/// folder is missing; [`Error::PermissionDenied`] or [`Error::Io`] if it can't be opened or made.
pub fn try_lock_exclusive(path: impl AsRef<Path>) -> Result<KernelLock> {
    lock_exclusive(path, &LockOptions::one_try())
}

/// Waits for a shared lock on a lock file. Source: ours.
///
/// The kernel wakes whoever waits. It has no order between the two kinds: readers that overlap
/// without a gap keep a writer waiting. Of the options only `timeout`, `since` and `cancel` matter: a
/// kernel lock is never stale.
///
/// # Errors
///
/// [`Error::LockTimeout`] when the time is over, [`Error::Aborted`] if it was cancelled, and those
/// of [`try_lock_shared`].
pub fn lock_shared(path: impl AsRef<Path>, options: &LockOptions) -> Result<KernelLock> {
    lock(path.as_ref(), Mode::Shared, &Wait::start(options), create)
}

/// Waits for an exclusive lock on a lock file. Source: ours.
///
/// The kernel wakes whoever waits. It has no order between the two kinds: readers that overlap
/// without a gap keep a writer waiting. Of the options only `timeout`, `since` and `cancel` matter: a
/// kernel lock is never stale.
///
/// # Errors
///
/// [`Error::LockTimeout`] when the time is over, [`Error::Aborted`] if it was cancelled, and those
/// of [`try_lock_exclusive`].
pub fn lock_exclusive(path: impl AsRef<Path>, options: &LockOptions) -> Result<KernelLock> {
    lock(path.as_ref(), Mode::Exclusive, &Wait::start(options), create)
}

fn create(path: &Path) -> io::Result<File> {
    sys::create_new(path, NEW_LOCK_FILE_MODE)
}

/// Locks a lock file, which `create` makes if it is missing.
pub(crate) fn lock(
    path: &Path,
    mode: Mode,
    wait: &Wait,
    create: impl Fn(&Path) -> io::Result<File>,
) -> Result<KernelLock> {
    let fail = |operation, error| Error::from_io(path, operation, error);
    let aborted = || Error::Aborted { path: path.to_path_buf() };
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
            Ok(Waited::TimedOut) => return Err(over(path, wait, another_holder(id))),
            Ok(Waited::Cancelled) => return Err(aborted()),
            Err(source) if sys::locks_unsupported(&source) => {
                return Err(Error::UnsupportedFileSystem { path: path.to_path_buf(), source })
            }
            Err(error) => return Err(fail("lock", error)),
        };
        let lock = KernelLock { file, path: path.to_path_buf() };
        // A lock on a file that was deleted or replaced meanwhile excludes nobody.
        if lock.is_in_place()? {
            return Ok(lock);
        }
        // Not for ever: there are file systems whose inode numbers don't stay.
        replaced += 1;
        if replaced == REPLACED_LIMIT {
            return Err(over(path, wait, None));
        }
    }
}

fn over(path: &Path, wait: &Wait, holder: Option<Box<Holder>>) -> Error {
    let path = path.to_path_buf();
    if wait.one_try {
        return Error::LockBusy { path, holder };
    }
    Error::LockTimeout { path, waited: wait.elapsed(), holder }
}

/// One of those who hold a lock file: it carries no record, but the system may tell.
fn another_holder(id: FileId) -> Option<Box<Holder>> {
    let others = |pid: &u32| *pid != std::process::id();
    let pid = sys::lock_holders(id).into_iter().find(others)?;
    Some(Box::new(Holder { pid: Some(pid), host: None, since: None, alive: Some(true) }))
}

fn open_or_create(
    path: &Path,
    mode: Mode,
    create: impl Fn(&Path) -> io::Result<File>,
) -> Result<File> {
    let mut opened = kernel_lock::open_existing_or_create(path, create).map(|(file, _)| file);
    if mode == Mode::Shared && matches!(opened, Err(Error::PermissionDenied { .. })) {
        // Whoever may only read the file may still join the readers.
        opened = match sys::open_read_only(path) {
            // There is none, and it may not be made: that is what was denied.
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
mod tests {
    use super::*;
    use std::time::Duration;

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

    #[test]
    fn whoever_waits_gets_the_lock_when_it_comes_free_and_shares_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let held = try_lock_exclusive(&path).unwrap();
        let (entered, entries) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (path, entered) = (&path, entered.clone());
                scope.spawn(move || {
                    let lock =
                        lock_shared(path, &LockOptions { timeout: None, ..LockOptions::default() });
                    entered.send(lock.unwrap()).unwrap();
                });
            }
            let short =
                LockOptions { timeout: Some(Duration::from_millis(20)), ..LockOptions::default() };
            assert_eq!(lock_shared(&path, &short).unwrap_err().code(), "LOCK_TIMEOUT");
            assert!(entries.try_recv().is_err());
            drop(held);
            // Both at once.
            let _both = [entries.recv().unwrap(), entries.recv().unwrap()];
            assert_eq!(lock_exclusive(&path, &short).unwrap_err().code(), "LOCK_TIMEOUT");
        });
        let cancel = crate::CancelToken::new();
        cancel.cancel();
        let cancelled = LockOptions { cancel: Some(cancel), ..LockOptions::default() };
        assert_eq!(lock_exclusive(&path, &cancelled).unwrap_err().code(), "ABORTED");
        // Whoever gave up may still be in the kernel's queue, and gets it for a moment: so not in one try.
        let patient = LockOptions { timeout: None, ..LockOptions::default() };
        assert!(lock_exclusive(&path, &patient).unwrap().is_in_place().unwrap());
    }

    /// Whoever waited for a file that was deleted meanwhile would get a lock that excludes nobody.
    #[cfg(unix)]
    #[test]
    fn a_lock_file_that_is_replaced_while_somebody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let held = try_lock_exclusive(&path).unwrap();
        let id = sys::id_of(&held.file, &held.file.metadata().unwrap()).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let patient = LockOptions { timeout: None, ..LockOptions::default() };
                lock_exclusive(&path, &patient).unwrap()
            });
            while !kernel_queue::has_waiters(id) {
                std::thread::yield_now();
            }
            std::fs::remove_file(&path).unwrap();
            drop(held);
            let lock = waiter.join().unwrap();
            assert!(lock.is_in_place().unwrap());
            assert_eq!(try_lock_shared(&path).unwrap_err().code(), "LOCK_BUSY");
        });
    }
}
