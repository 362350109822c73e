//! The guard, `<registry>.guard`: the permanent file that carries a registry's kernel lock.
//!
//! Never deleted, never truncated, not reached through a symbolic link. Whoever may write the
//! registry may open it.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, LockKind, Result};
use crate::files::atomic_write;
use crate::files::paths::{self, FilePaths};
use crate::lock::kernel_lock::{self, Mode};
use crate::lock::kernel_queue::{self, Waited};
use crate::lock::owner_record::MAGIC;
use crate::lock::wait::Wait;
use crate::sys;
use crate::sys::FileId;

/// How often in a row a guard may turn out replaced before the next look is put off.
const REPLACED_LIMIT: u32 = 10;
const REPLACED_PAUSE: Duration = Duration::from_millis(1);

/// How often, and how long apart, a one-try caller looks again at a guard that is locked though
/// nobody holds the registry's lock.
const PASSING_LIMIT: u32 = 50;
const PASSING_PAUSE: Duration = Duration::from_micros(100);

/// The guard, locked.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    pub(crate) file: Arc<File>,
    pub(crate) id: FileId,
    /// As it was when it was opened.
    pub(crate) metadata: Metadata,
    /// Whether it had to be waited for.
    pub(crate) contended: bool,
}

impl Guard {
    /// Locks the guard; `None` where the file system has no kernel locks.
    pub(crate) fn take(paths: &FilePaths, wait: &Wait) -> Result<Option<Self>> {
        let mut passing = 0;
        let mut replaced = 0;
        loop {
            wait.check_cancelled(paths)?;
            let (file, metadata) = open_guard(paths, wait)?;
            let answers_at_once = || metadata.is_file() && sys::is_local(&file);
            if !wait.may_block() && !answers_at_once() {
                return Err(wait.refused(paths));
            }
            let io_error = |operation, error| Error::from_io(&paths.guard, operation, error);
            let id = sys::id_of(&file, &metadata).map_err(|error| io_error("look at", error))?;
            let (file, contended) = match kernel_queue::lock(file, id, Mode::Exclusive, wait) {
                Ok(Waited::AtOnce(file)) => (file, false),
                Ok(Waited::InTurn(file)) => (file, true),
                Ok(Waited::TimedOut) if !wait.may_block() => return Err(wait.refused(paths)),
                Ok(Waited::TimedOut) if wait.one_try && passing < PASSING_LIMIT => {
                    // Without a lockfile nobody holds the registry's lock: somebody is just looking at
                    // it (inspect), or gets it after he has given up. That is not what busy means.
                    if sys::id_at(&paths.lockfile).is_ok_and(|found| found.is_some()) {
                        return Err(wait.over(paths, None));
                    }
                    passing += 1;
                    wait.token.sleep_until(Instant::now() + PASSING_PAUSE);
                    continue;
                }
                Ok(Waited::TimedOut) => return Err(wait.over(paths, None)),
                Ok(Waited::Cancelled) => {
                    return Err(Error::Aborted { path: paths.target.clone() });
                }
                Err(error) if sys::locks_unsupported(&error) => return Ok(None),
                Err(error) => return Err(io_error("lock", error)),
            };
            let guard = Guard { file: Arc::new(file), id, metadata, contended };
            match guard.check(paths) {
                Ok(true) => return Ok(Some(guard)),
                // Deleted or replaced while we waited: our lock excludes nobody.
                Ok(false) => {
                    guard.unlock();
                    wait.before_blocking(paths)?;
                    // Not for ever, though: there are file systems whose inode numbers don't stay.
                    replaced += 1;
                    if replaced > REPLACED_LIMIT {
                        wait.sleep(REPLACED_PAUSE, paths, None)?;
                    }
                }
                Err(error) => {
                    guard.unlock();
                    return Err(error);
                }
            }
        }
    }

    /// Whether it still has its name, now that it is locked. Fails for what is no guard.
    fn check(&self, paths: &FilePaths) -> Result<bool> {
        let found = sys::id_at(&paths.guard)
            .map_err(|error| Error::from_io(&paths.guard, "look at", error))?;
        if found != Some(self.id) {
            return Ok(false);
        }
        must_be_a_guard(paths, self).map(|()| true)
    }

    /// Said, not left to closing: a child process that is just being started may have the
    /// descriptor, too.
    fn unlock(&self) {
        let _ = kernel_lock::unlock(&self.file);
    }
}

/// The guard gets written to, so it must not be somebody's file that happens to have its name.
fn must_be_a_guard(paths: &FilePaths, guard: &Guard) -> Result<()> {
    if guard.metadata.len() == 0 {
        return Ok(());
    }
    let start = sys::read_start(&guard.file, MAGIC.len())
        .map_err(|error| Error::from_io(&paths.guard, "read", error))?;
    if begins_a_guard(&start) {
        return Ok(());
    }
    Err(Error::Io {
        path: paths.guard.clone(),
        operation: "use as the guard",
        source: io::Error::other("it is some other file; move it away"),
    })
}

/// Whether a guard may begin like this. A power failure may leave a record that was never written
/// out as zeros.
fn begins_a_guard(start: &[u8]) -> bool {
    start == MAGIC || start.iter().all(|byte| *byte == 0)
}

/// Whether what has the guard's name can't be one: an update would refuse it. What can't be read
/// is not called that.
pub(crate) fn is_something_else(path: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    if !metadata.is_file() {
        return true;
    }
    let start = sys::open_read_only(path).and_then(|file| sys::read_start(&file, MAGIC.len()));
    start.is_ok_and(|start| !begins_a_guard(&start))
}

/// Opens the guard; creates it, and its folder, if they are missing.
fn open_guard(paths: &FilePaths, wait: &Wait) -> Result<(File, Metadata)> {
    if !wait.may_block() {
        let opened = sys::open_existing(&paths.guard)
            .and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        return opened.map_err(|_| wait.refused(paths));
    }
    let open = || {
        match sys::open_existing(&paths.guard) {
            Ok(file) => return kernel_lock::must_be_a_file(&paths.guard, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => must_not_be_a_document(paths)?,
            // The next call says what else is wrong.
            Err(_) => {}
        }
        kernel_lock::open_existing_or_create(&paths.guard, |_| create_guard(paths))
    };
    match open() {
        Err(Error::NotFound { .. }) => {
            atomic_write::create_folder(&paths.folder)
                .map_err(|error| Error::from_io(&paths.folder, "create", error))?;
            open()
        }
        opened => opened,
    }
}

/// Before the first guard of a file is made: the file may be a document, under a lock file of its own.
///
/// Only the default name of a lock file can be known here, and only an empty file counts: every lock
/// file is empty, and a file with content is none.
fn must_not_be_a_document(paths: &FilePaths) -> Result<()> {
    let in_use = paths.document_lock_file();
    let is_lock_file = |found: Metadata| found.is_file() && found.len() == 0;
    // Of a name without an extension that would be the lockfile, which an older argus may have made.
    if in_use != paths.lockfile && fs::symlink_metadata(&in_use).is_ok_and(is_lock_file) {
        let path = paths.target.clone();
        return Err(Error::LockMismatch { path, in_use, kind: LockKind::LockFile });
    }
    Ok(())
}

/// Creates the guard so that whoever may write the registry may open it.
fn create_guard(paths: &FilePaths) -> io::Result<File> {
    match fs::metadata(&paths.target) {
        Ok(registry) => {
            kernel_lock::create_like(&paths.guard, &paths.temp(&paths::nonce()), &registry)
        }
        Err(_) => sys::create_new(&paths.guard, 0o666),
    }
}
