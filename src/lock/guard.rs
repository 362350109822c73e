//! The guard, `<registry>.guard`: the permanent file that carries a registry's kernel lock.
//!
//! It is never deleted, never truncated, and never opened through a symbolic link. Every user who
//! may write the registry may open it.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::shell::shell_quoted;
use crate::error::{self, Error, Result};
use crate::files::new_file;
use crate::files::paths::{self, FilePaths};
use crate::lock::first_use;
use crate::lock::kernel_lock::{self, LockMode, Protected};
use crate::lock::kernel_queue::{self, Waited};
use crate::lock::owner_record::{self, OwnerRecord, MAGIC};
use crate::lock::wait::Wait;
use crate::sys;
use crate::sys::FileId;
use crate::util::stopping_point;

/// How often in a row a guard that turns out to be replaced is opened again without a pause, and
/// the pause before each further time.
const REPLACED_GUARD_RETRIES: u32 = 10;
const REPLACED_GUARD_PAUSE: Duration = Duration::from_millis(1);

/// How often, and after which pause, a one-try caller tries again to lock a guard that is locked
/// though the registry's lock is not held.
const UNHELD_GUARD_RETRIES: u32 = 50;
const UNHELD_GUARD_PAUSE: Duration = Duration::from_micros(100);

/// A locked guard.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    pub(crate) file: Arc<File>,
    pub(crate) id: FileId,
    /// The guard's metadata when it was opened.
    pub(crate) metadata: Metadata,
    /// Whether another process or thread held it first.
    pub(crate) contended: bool,
    /// Whether this process could remove another name of the guard from the folder.
    pub(crate) has_removable_names: bool,
}

impl Guard {
    /// Locks the guard, and creates it if it is missing; `None` where the file system has no kernel
    /// locks.
    pub(crate) fn take(paths: &FilePaths, wait: &Wait) -> Result<Option<Self>> {
        let mut unheld = 0;
        let mut replaced = 0;
        loop {
            wait.check_cancelled(paths)?;
            let (file, metadata) = open_guard(paths, wait)?;
            // An unused guard is synced when its record is written.
            let is_quick = || {
                metadata.is_file() && sys::is_local(&file) && !first_use::is_unused_guard(&metadata)
            };
            if !wait.may_block() && !is_quick() {
                return Err(wait.would_block_error(paths));
            }
            let io_error = |operation, error| Error::from_io(&paths.guard, operation, error);
            let mut has_removable_names = true;
            if !sys::acts_as_owner(&metadata) {
                let folder = fs::metadata(&paths.folder);
                let folder = folder.map_err(|e| Error::from_io(&paths.folder, "look at", e))?;
                must_be_replaceable(paths, &folder)?;
                has_removable_names = sys::may_remove(&folder, &metadata);
            }
            let id = sys::id_of(&file, &metadata).map_err(|error| io_error("look at", error))?;
            let (file, contended) = match kernel_queue::lock(file, id, LockMode::Exclusive, wait) {
                Ok(Waited::AtOnce(file)) => (file, false),
                Ok(Waited::InTurn(file)) => (file, true),
                Ok(Waited::TimedOut) if !wait.may_block() => {
                    return Err(wait.would_block_error(paths))
                }
                Ok(Waited::TimedOut) if wait.one_try && unheld < UNHELD_GUARD_RETRIES => {
                    // Without a lockfile the registry's lock is not held: another process only
                    // inspects it, or a thread gets the guard for a caller that has given up. Both
                    // unlock the guard at once, so this is not contention.
                    if sys::id_at(&paths.lockfile).is_ok_and(|found| found.is_some()) {
                        return Err(wait.contention_error(paths, None));
                    }
                    unheld += 1;
                    wait.token.sleep_until(Instant::now() + UNHELD_GUARD_PAUSE);
                    continue;
                }
                Ok(Waited::TimedOut) => return Err(wait.contention_error(paths, None)),
                Ok(Waited::Cancelled) => {
                    return Err(Error::Aborted { path: paths.target.clone() });
                }
                Err(error) if sys::locks_unsupported(&error) => return Ok(None),
                Err(error) => return Err(io_error("lock", error)),
            };
            let guard =
                Guard { file: Arc::new(file), id, metadata, contended, has_removable_names };
            match guard.check(paths) {
                Ok(true) => return Ok(Some(guard)),
                // The guard was deleted or replaced during the wait: this lock excludes no other
                // process.
                Ok(false) => {
                    guard.unlock();
                    wait.before_blocking(paths)?;
                    // Bounded by the deadline: on file systems whose inode numbers change, every
                    // guard looks replaced.
                    replaced += 1;
                    if replaced > REPLACED_GUARD_RETRIES {
                        wait.sleep(REPLACED_GUARD_PAUSE, paths, None)?;
                    }
                }
                Err(error) => {
                    guard.unlock();
                    return Err(error);
                }
            }
        }
    }

    /// Writes a record into the guard.
    ///
    /// The first one goes to the disk (fsync): a guard that lost its bytes in a power failure would
    /// be hard to tell from another program's file. A failure of that is not the caller's: the bytes
    /// that are lost then leave a part of a record, which is a guard, too.
    pub(crate) fn write(&self, record: &OwnerRecord) -> io::Result<Vec<u8>> {
        stopping_point::before("guard::write");
        let written = record.encode();
        sys::write_start(&self.file, &written)?;
        if first_use::is_unused_guard(&self.metadata) {
            stopping_point::before("guard::write::sync");
            let _ = sys::sync_opened(&self.file);
        }
        Ok(written)
    }

    /// Whether the locked file still has the guard's name. Fails if it is another program's file, or if
    /// the registry became a document before this guard was used.
    fn check(&self, paths: &FilePaths) -> Result<bool> {
        let io_error = |error| Error::from_io(&paths.guard, "look at", error);
        stopping_point::before("guard::check");
        if !self.is_in_place(paths)? {
            return Ok(false);
        }
        must_be_a_guard(paths, self)?;
        // Asked again: another process may have used the guard since this one opened it.
        let is_unused = || self.file.metadata().map(|now| first_use::is_unused_guard(&now));
        if first_use::is_unused_guard(&self.metadata) && is_unused().map_err(io_error)? {
            self.must_not_be_a_document(paths)?;
        }
        Ok(true)
    }

    /// Whether the locked file still has the guard's name. If not, its lock excludes no other process.
    pub(crate) fn is_in_place(&self, paths: &FilePaths) -> Result<bool> {
        let found = sys::id_at(&paths.guard);
        Ok(found.map_err(|error| Error::from_io(&paths.guard, "look at", error))? == Some(self.id))
    }

    /// Removes the guard, which is not used yet, and fails if a document call has made a lock file. The
    /// lock is held, so a process that has opened the guard finds out that it is gone.
    fn must_not_be_a_document(&self, paths: &FilePaths) -> Result<()> {
        first_use::must_not_be_a_document(paths).inspect_err(|_| {
            // If that fails, the guard stays unused, which keeps no document from going on.
            let _ = sys::remove_if_there(&paths.guard);
        })
    }

    /// Unlocks explicitly: closing the file would leave it locked as long as a child process that
    /// is just being started has a copy of the descriptor.
    fn unlock(&self) {
        stopping_point::before("kernel_lock::unlock");
        let _ = kernel_lock::unlock(&self.file);
    }
}

/// Fails if the file with the guard's name is another program's: a record is written into the
/// guard, which would destroy that file's content.
fn must_be_a_guard(paths: &FilePaths, guard: &Guard) -> Result<()> {
    if guard.metadata.len() == 0 {
        return Ok(());
    }
    let start = sys::read_start(&guard.file, MAGIC.len())
        .map_err(|error| Error::from_io(&paths.guard, "read", error))?;
    if owner_record::begins_a_record(&start) {
        return Ok(());
    }
    Err(Error::Io {
        path: paths.guard.clone(),
        operation: "use as the guard",
        source: io::Error::other("it is another program's file; move it away"),
    })
}

/// Whether a path with a guard's name leads to something that is no guard, which an update would
/// refuse. False if it can't be read.
pub(crate) fn is_foreign(path: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    if !metadata.is_file() {
        return true;
    }
    let start = sys::open_read_only(path).and_then(|file| sys::read_start(&file, MAGIC.len()));
    start.is_ok_and(|start| !owner_record::begins_a_record(&start))
}

/// Opens the guard. Creates it, and its folder, if they are missing and the caller may block.
fn open_guard(paths: &FilePaths, wait: &Wait) -> Result<(File, Metadata)> {
    if !wait.may_block() {
        let opened = sys::open_existing(&paths.guard)
            .and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        return opened.map_err(|_| wait.would_block_error(paths));
    }
    let open = || {
        stopping_point::before("guard::open_guard");
        match sys::open_existing(&paths.guard) {
            Ok(file) => return kernel_lock::must_be_a_file(&paths.guard, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                first_use::must_not_be_a_document(paths)?;
                // A missing folder is created.
                if let Ok(folder) = fs::metadata(&paths.folder) {
                    must_be_replaceable(paths, &folder)?;
                }
            }
            // The next call returns the error.
            Err(_) => {}
        }
        kernel_lock::open_existing_or_create(&paths.guard, |_| create_guard(paths))
    };
    match open() {
        Err(Error::NotFound { .. }) => {
            new_file::create_folder(&paths.folder)
                .map_err(|error| Error::from_io(&paths.folder, "create", error))?;
            open()
        }
        Err(Error::PermissionDenied { path, operation, source }) if path == paths.guard => {
            let source = match is_less_open_than_registry(paths) {
                true => {
                    // A group that may write it is another one than the registry's, or the registry has a list.
                    let step = match sys::is_writable_by_group(&paths.guard) {
                        true => "giving it the registry's group and access control list".to_owned(),
                        false => format!("`chmod g+w {}`", shell_quoted(&paths.guard)),
                    };
                    let reason = format!(
                        "it was made when fewer users might write the registry; its owner opens it by \
                         {step}, or by the next update"
                    );
                    error::explain(source, reason)
                }
                false => source,
            };
            Err(Error::PermissionDenied { path, operation, source })
        }
        opened => opened,
    }
}

/// Whether this user may write the registry, or may replace it as its folder lets the group, though it
/// may not open the guard.
fn is_less_open_than_registry(paths: &FilePaths) -> bool {
    let is_guard = || fs::symlink_metadata(&paths.guard).is_ok_and(|guard| guard.is_file());
    let is_shared = || fs::metadata(&paths.folder).is_ok_and(|at| sys::is_shared_by_group(&at));
    is_guard() && (sys::open_existing(&paths.target).is_ok() || is_shared())
}

/// Creates the guard so that every user may open it who may write the registry, or may replace it as
/// the folder lets them.
fn create_guard(paths: &FilePaths) -> io::Result<File> {
    let folder = fs::metadata(&paths.folder)?;
    let registry = Protected::at(&paths.target);
    let temp = paths.temp(&paths::nonce());
    kernel_lock::create_like(&paths.guard, &temp, &folder, registry.as_ref())
}

/// Fails if this user may not replace the registry because its folder is sticky. Called before
/// anything is created: in such a folder this user could not remove what it leaves, and its guard could
/// keep the registry's owner from updating.
fn must_be_replaceable(paths: &FilePaths, folder: &Metadata) -> Result<()> {
    match fs::metadata(&paths.target) {
        Ok(registry) if !sys::may_remove(folder, &registry) => Err(Error::PermissionDenied {
            path: paths.target.clone(),
            operation: "replace",
            source: error::refused_by_sticky_folder(),
        }),
        _ => Ok(()),
    }
}
