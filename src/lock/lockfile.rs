//! The lockfile, `<registry>.lock`: the lock that older argus versions know.
//!
//! It exists exactly while a registry's lock is held. An older argus version calls it stale when
//! its mtime is old, and takes it over then.
//!
//! The caller holds the guard, so that one process at a time decides about a lockfile. Where there
//! are no kernel locks there is no guard, and the lockfile alone excludes other processes.
//!
//! On Unix the lockfile *is* the guard, under a second name. The owner record is written into the
//! guard first, and the guard is linked to the lockfile's name then. So the lockfile never exists
//! without its record, a lockfile that a dead holder left is recognised by its inode alone and
//! taken over by writing a record, and no file is created or freed per update. A separate file,
//! without these advantages, is the lockfile where a locked file can't be read (Windows), where
//! files can't have two names, where this process could not remove the guard's second name (a sticky
//! folder with another user's guard), and where there are no kernel locks.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::files::new_file;
use crate::files::paths::{self, FilePaths};
use crate::holder::Holder;
use crate::lock::guard::Guard;
use crate::lock::owner_record::OwnerRecord;
use crate::lock::stale_lockfile::{clear_if_stale, ClearOutcome};
use crate::sys;
use crate::sys::FileId;
use crate::util::stopping_point;

/// A lockfile that this process created. [`Lockfile::remove`] removes it; dropping it does not.
#[derive(Debug)]
pub(crate) struct Lockfile {
    path: PathBuf,
    /// The path of its holder's temp file, which does not exist when the lockfile is removed.
    aside: PathBuf,
    /// Open as long as the lock is held, so that no other file can get its inode number.
    file: Arc<File>,
    id: FileId,
    /// The process that created it.
    pid: u32,
    /// The random name of this acquisition.
    nonce: String,
    /// The record as it was written.
    written: Vec<u8>,
}

/// The outcome of one try to create the lockfile.
pub(crate) enum CreateOutcome {
    /// It was created. `took_over`: a lockfile that a dead holder left was in its place.
    Created { lockfile: Lockfile, took_over: bool },
    /// Another process has one: the caller tries again later.
    Held(Holder),
    /// There is none any more: the caller tries again now. `took_over`: a stale one was removed.
    Free { took_over: bool },
    /// The guard was replaced: the caller's lock on the old one excludes no other process.
    GuardReplaced,
}

impl From<ClearOutcome> for CreateOutcome {
    fn from(outcome: ClearOutcome) -> Self {
        match outcome {
            ClearOutcome::Held(holder) => CreateOutcome::Held(holder),
            ClearOutcome::Free { took_over } => CreateOutcome::Free { took_over },
        }
    }
}

impl Lockfile {
    /// Tries once to create the lockfile of a registry. `guard` is the guard that the caller holds;
    /// `None` where there are no kernel locks.
    pub(crate) fn create(
        paths: &FilePaths,
        guard: Option<&Guard>,
        stale_after: Duration,
    ) -> Result<CreateOutcome> {
        let record = OwnerRecord::new(
            std::process::id(),
            sys::own_start(),
            sys::location().clone(),
            guard.map(|guard| guard.id),
            paths::nonce(),
            SystemTime::now(),
        );
        match guard {
            Some(guard) => Self::create_by_link(paths, guard, record, stale_after),
            None => Self::create_separately(paths, None, record, stale_after),
        }
    }

    /// Writes the record into the guard, and gives the guard the lockfile's name.
    fn create_by_link(
        paths: &FilePaths,
        guard: &Guard,
        record: OwnerRecord,
        stale_after: Duration,
    ) -> Result<CreateOutcome> {
        // This also sets the guard's mtime by the file system's clock, by which ages are measured.
        let written = guard.write(&record);
        let written = written.map_err(|error| Error::from_io(&paths.guard, "write to", error))?;
        let io_error = |operation, error| Error::from_io(&paths.lockfile, operation, error);
        if !sys::LOCKED_FILE_IS_READABLE {
            return Self::create_separately(paths, Some(guard), record, stale_after);
        }
        let linked = match guard.has_removable_names {
            true => {
                stopping_point::before("lockfile::create_by_link::link");
                sys::hard_link(&paths.guard, &paths.lockfile)
            }
            // This process could not remove the link. One that a dead holder left is taken over.
            false if sys::id_at(&paths.lockfile).is_ok_and(|id| id == Some(guard.id)) => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            false => return Self::create_separately(paths, Some(guard), record, stale_after),
        };
        let look = || {
            stopping_point::before("lockfile::create_by_link::look");
            look_at(&paths.lockfile)
        };
        let found = match linked {
            Ok(()) => look()?,
            Err(ref error) => match error.kind() {
                io::ErrorKind::AlreadyExists => look()?,
                // The guard has no name any more: another program deleted it.
                io::ErrorKind::NotFound => return Ok(CreateOutcome::GuardReplaced),
                _ if sys::links_unsupported(error) => {
                    return Self::create_separately(paths, Some(guard), record, stale_after)
                }
                // On network file systems a link that was made can be reported as failed.
                _ => look()?,
            },
        };
        if found == Some(guard.id) {
            let path = paths.lockfile.clone();
            let aside = paths.temp(&record.nonce);
            let (file, id) = (guard.file.clone(), guard.id);
            let (pid, nonce) = (record.pid, record.nonce);
            let lockfile = Lockfile { path, aside, file, id, pid, nonce, written };
            return Ok(CreateOutcome::Created { lockfile, took_over: linked.is_err() });
        }
        match linked {
            // The link was made, and another file has the lockfile's name now. An older argus
            // version may have taken the link for the stale lockfile that it had looked at before,
            // removed it, and created a lockfile of its own. So that file is never removed here. If
            // the guard was replaced before the link was made, it is a link to the new guard, and
            // the next holder of that guard takes it over.
            Ok(()) => {
                stopping_point::before("lockfile::create_by_link::look_at_guard");
                let guard_now = sys::id_at(&paths.guard)
                    .map_err(|error| Error::from_io(&paths.guard, "look at", error))?;
                Ok(if guard_now == Some(guard.id) {
                    CreateOutcome::Free { took_over: false }
                } else {
                    CreateOutcome::GuardReplaced
                })
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let written = guard.file.metadata().and_then(|metadata| metadata.modified());
                let now = written.map_err(|e| io_error("look at", e))?;
                clear_if_stale(paths, Some(guard.id), now, stale_after).map(CreateOutcome::from)
            }
            Err(error) => Err(Error::from_io(&paths.lockfile, "create", error)),
        }
    }

    /// Creates a separate lockfile, which is complete before it gets its name. Where files can't
    /// have two names it is created empty and filled at once: a crash before the first byte leaves a
    /// lockfile that looks like one of an older argus version, which other processes wait for until
    /// it is stale by age.
    fn create_separately(
        paths: &FilePaths,
        guard: Option<&Guard>,
        record: OwnerRecord,
        stale_after: Duration,
    ) -> Result<CreateOutcome> {
        let io_error = |path: &Path, operation, error| Error::from_io(path, operation, error);
        // The file is closed at once: on Windows a name that is removed while its file is open may
        // stay until the file is closed, and the lockfile is open as long as the lock is held.
        let fill = |path: &Path| -> io::Result<(SystemTime, FileId)> {
            let file = new_file::create(path, Some(0o644))?;
            stopping_point::before("lockfile::create_separately::write");
            let filled = sys::write_start(&file, &record.encode()).and_then(|()| {
                let metadata = file.metadata()?;
                Ok((metadata.modified()?, sys::id_of(&file, &metadata)?))
            });
            drop(file);
            if filled.is_err() {
                // On a full disk a part of the record may have been written. Other processes would
                // wait for such a lockfile.
                let _ = sys::remove_if_there(path);
            }
            filled
        };
        let temp = paths.temp(&paths::nonce());
        stopping_point::before("lockfile::create_separately::create");
        let (now, id) = fill(&temp).map_err(|error| io_error(&temp, "create", error))?;
        stopping_point::before("lockfile::create_separately::link");
        let mut published = sys::hard_link(&temp, &paths.lockfile);
        // On network file systems a link that was made can be reported as one that existed before.
        // This process would wait for its own lockfile. Compared while the temp file has its name:
        // afterwards another lockfile may get the number of its inode.
        if published.is_err() && sys::id_at(&paths.lockfile).is_ok_and(|at| at == Some(id)) {
            published = Ok(());
        }
        stopping_point::before("lockfile::create_separately::remove_temp");
        let _ = sys::remove_if_there(&temp);
        if matches!(&published, Err(error) if sys::links_unsupported(error)) {
            stopping_point::before("lockfile::create_separately::create_in_place");
            published = fill(&paths.lockfile).map(|_| ());
        }
        match published {
            Ok(()) => Self::open_created(paths, record),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let guard = guard.map(|guard| guard.id);
                clear_if_stale(paths, guard, now, stale_after).map(CreateOutcome::from)
            }
            // Another process has removed the temp file: without kernel locks one that is older than the
            // stale threshold counts as a dead process's. This process was frozen until now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(CreateOutcome::Free { took_over: false })
            }
            Err(error) => Err(io_error(&paths.lockfile, "create", error)),
        }
    }

    /// Opens the lockfile that was just created, unless another program has replaced it already.
    fn open_created(paths: &FilePaths, record: OwnerRecord) -> Result<CreateOutcome> {
        let io_error = |error| Error::from_io(&paths.lockfile, "open", error);
        stopping_point::before("lockfile::open_created::open");
        let file = match sys::open_existing(&paths.lockfile) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(CreateOutcome::Free { took_over: false })
            }
            opened => opened.map_err(io_error)?,
        };
        stopping_point::before("lockfile::open_created::read");
        let expected = record.encode();
        if sys::read_start(&file, expected.len()).map_err(io_error)? != expected {
            return Ok(CreateOutcome::Free { took_over: false });
        }
        let id = file.metadata().and_then(|metadata| sys::id_of(&file, &metadata));
        let (path, id) = (paths.lockfile.clone(), id.map_err(io_error)?);
        let aside = paths.temp(&record.nonce);
        let (file, pid, nonce, written) = (Arc::new(file), record.pid, record.nonce, expected);
        let lockfile = Lockfile { path, aside, file, id, pid, nonce, written };
        Ok(CreateOutcome::Created { lockfile, took_over: false })
    }

    /// Whether the lockfile's name still leads to the file that this process created, with its record in it: the fence
    /// before every write.
    pub(crate) fn is_in_place(&self) -> Result<bool> {
        if look_at(&self.path)? != Some(self.id) {
            return Ok(false);
        }
        self.has_own_record().map_err(|error| Error::from_io(&self.path, "read", error))
    }

    /// Whether the record in the file is the one that this process wrote. Where the lockfile is the guard, the next
    /// holder's lockfile is this file, too. Another process holds the lock if a network file system has taken the
    /// kernel lock from this one, as after a long sleep of the machine.
    fn has_own_record(&self) -> io::Result<bool> {
        Ok(twice(|| sys::read_start(&self.file, self.written.len()))? == self.written)
    }

    /// Renews the lockfile's mtime. It does so by writing, which every user who may write the
    /// registry may do; only a file's owner may set the time by a call.
    pub(crate) fn refresh(&self) -> io::Result<()> {
        // Not over the record of the next holder, whose fence would find another's.
        match self.has_own_record()? {
            true => sys::write_start(&self.file, &self.written),
            false => Ok(()),
        }
    }

    /// Removes the lockfile if its name still leads to the file that this process created; returns
    /// whether it did.
    pub(crate) fn remove(&self) -> Result<bool> {
        stopping_point::before("lockfile::remove::look");
        if !self.is_in_place()? {
            return Ok(false);
        }
        stopping_point::before("lockfile::remove::unlink");
        sys::remove_name(&self.path, &self.aside)
            .map_err(|error| Error::from_io(&self.path, "remove", error))?;
        Ok(true)
    }

    /// Whether this process created it, and not the parent of a forked one.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.pid == std::process::id()
    }

    /// The random name of this acquisition of the lock.
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }
}

/// The identity of a lockfile.
fn look_at(path: &Path) -> Result<Option<FileId>> {
    twice(|| sys::id_at(path)).map_err(|error| Error::from_io(path, "look at", error))
}

/// Asks again after a failure: a lockfile that stays because one answer was lost keeps older argus versions waiting for
/// ten seconds.
fn twice<T>(ask: impl Fn() -> io::Result<T>) -> io::Result<T> {
    ask().or_else(|_| ask())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::lock::wait::{LockOptions, Wait};

    /// The kernel lock was lost on a network file system, and the next holder has written its record: it was written
    /// over, and the next holder lost its lock, too.
    #[test]
    fn a_record_of_the_next_holder_is_not_renewed() {
        let dir = tempfile::tempdir().unwrap();
        let path = std::fs::canonicalize(dir.path()).unwrap().join("registry.json");
        let paths = FilePaths::resolve(&path).unwrap();
        let wait = Wait::start(&LockOptions::default());
        let guard = Guard::take(&paths, &wait).unwrap().unwrap();
        let created = Lockfile::create(&paths, Some(&guard), Duration::from_secs(10)).unwrap();
        let CreateOutcome::Created { lockfile, .. } = created else { panic!("it is not held") };
        lockfile.refresh().unwrap();
        assert!(lockfile.is_in_place().unwrap());
        let (own, location, now) = (sys::own_start(), sys::location().clone(), SystemTime::now());
        let next = OwnerRecord::new(1, own, location, Some(guard.id), paths::nonce(), now);
        guard.write(&next).unwrap();
        lockfile.refresh().unwrap();
        assert_eq!(std::fs::read(&paths.lockfile).unwrap(), next.encode());
        assert!(!lockfile.is_in_place().unwrap());
        assert!(!lockfile.remove().unwrap());
        assert!(paths.lockfile.exists());
    }
}
