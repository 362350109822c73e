//! The guard, `<registry>.guard`: the permanent file that carries a registry's kernel lock.
//!
//! Never deleted, never truncated, not reached through a symbolic link. Whoever may write the
//! registry may open it.

use std::cell::Cell;
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
use crate::util::cancel::CancelToken;

/// How often in a row a guard may turn out replaced before the next look is put off.
const REPLACED_LIMIT: u32 = 10;
const REPLACED_PAUSE: Duration = Duration::from_millis(1);

/// How often, and how long apart, a one-try caller looks again at a guard that is locked though
/// nobody holds the registry's lock.
const PASSING_LIMIT: u32 = 50;
const PASSING_PAUSE: Duration = Duration::from_micros(100);

/// How long a document waits for the maker of a new guard to keep it or to take it back. That is a matter
/// of microseconds, unless the maker's thread gets no processor.
const DECISION_LIMIT: Duration = Duration::from_secs(1);

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
            let OpenGuard { file, metadata, is_locked } = open_guard(paths, wait)?;
            let answers_at_once = || metadata.is_file() && sys::is_local(&file);
            if !wait.may_block() && !answers_at_once() {
                return Err(wait.refused(paths));
            }
            let io_error = |operation, error| Error::from_io(&paths.guard, operation, error);
            let id = sys::id_of(&file, &metadata).map_err(|error| io_error("look at", error))?;
            // Not queued behind those that have found the new guard and wait for its lock already.
            let locked = match is_locked {
                true => Ok(Waited::AtOnce(file)),
                false => kernel_queue::lock(file, id, Mode::Exclusive, wait),
            };
            let (file, contended) = match locked {
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
            let checked = guard.check(paths).and_then(|is_in_place| {
                if is_in_place && is_locked {
                    guard.take_back_from_a_document(paths)?;
                }
                Ok(is_in_place)
            });
            match checked {
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

    /// Removes a guard that was just made, and fails, if the file has become a document meanwhile.
    ///
    /// A document and a registry call may come to a new file at once: both look for the other's file
    /// before they make their own. So both look again when theirs is there: the document goes on, and the
    /// guard goes, which its first holder may remove, because others that have opened it find that out.
    /// [`is_in_use`] waits for that.
    fn take_back_from_a_document(&self, paths: &FilePaths) -> Result<()> {
        let checked = must_not_be_a_document(paths);
        if checked.is_err() {
            let _ = sys::remove_if_there(&paths.guard);
        }
        checked
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
    let start = sys::open_for_look(path).and_then(|file| sys::read_start(&file, MAGIC.len()));
    start.is_ok_and(|start| !begins_a_guard(&start))
}

/// A guard that is open.
struct OpenGuard {
    file: File,
    metadata: Metadata,
    /// Whether it was made by this call, and locked before it had its name.
    is_locked: bool,
}

/// Opens the guard; creates it, and its folder, if they are missing.
fn open_guard(paths: &FilePaths, wait: &Wait) -> Result<OpenGuard> {
    let found = |(file, metadata)| OpenGuard { file, metadata, is_locked: false };
    if !wait.may_block() {
        let opened = sys::open_existing(&paths.guard)
            .and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        return opened.map(found).map_err(|_| wait.refused(paths));
    }
    let open = || {
        match sys::open_existing(&paths.guard) {
            Ok(file) => return kernel_lock::must_be_a_file(&paths.guard, file).map(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => must_not_be_a_document(paths)?,
            // The next call says what else is wrong.
            Err(_) => {}
        }
        let is_locked = Cell::new(false);
        let create = |_: &Path| {
            create_guard(paths).map(|(file, locked)| {
                is_locked.set(locked);
                file
            })
        };
        let (file, metadata) = kernel_lock::open_existing_or_create(&paths.guard, create)?;
        Ok(OpenGuard { file, metadata, is_locked: is_locked.get() })
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
pub(crate) fn must_not_be_a_document(paths: &FilePaths) -> Result<()> {
    let in_use = paths.document_lock_file();
    let is_lock_file = |found: Metadata| found.is_file() && found.len() == 0;
    // Of a name without an extension that would be the lockfile, which an older argus may have made.
    if in_use != paths.lockfile && fs::symlink_metadata(&in_use).is_ok_and(is_lock_file) {
        let path = paths.target.clone();
        return Err(Error::LockMismatch { path, in_use, kind: LockKind::LockFile });
    }
    Ok(())
}

/// Whether the file is used under its guard.
///
/// A guard that was just made may be taken back from a document: as long as it is locked and there is no
/// lockfile, its holder has not decided.
pub(crate) fn is_in_use(paths: &FilePaths) -> bool {
    let end = Instant::now() + DECISION_LIMIT;
    while paths.guard.exists() {
        let is_held = sys::open_for_look(&paths.guard).and_then(|file| kernel_lock::is_held(&file));
        let has_lockfile = sys::id_at(&paths.lockfile).is_ok_and(|found| found.is_some());
        if has_lockfile || !is_held.unwrap_or(false) || Instant::now() >= end {
            return paths.guard.exists();
        }
        CancelToken::new().sleep_until(Instant::now() + PASSING_PAUSE);
    }
    false
}

/// Creates the guard so that all users that may write the registry may open it; says whether it is locked.
fn create_guard(paths: &FilePaths) -> io::Result<(File, bool)> {
    let registry = fs::metadata(&paths.target).ok();
    let mode = if registry.is_some() { 0o600 } else { 0o666 };
    let is_locked = Cell::new(false);
    let complete = |file: &File| {
        // Where there are no kernel locks, the caller finds that out.
        is_locked.set(kernel_lock::attempt(file, Mode::Exclusive).unwrap_or(false));
        registry.as_ref().map_or(Ok(()), |registry| sys::copy_access(file, registry))
    };
    let temp = paths.temp(&paths::nonce());
    let file = kernel_lock::create_complete(&paths.guard, &temp, mode, complete)?;
    Ok((file, is_locked.get()))
}
