//! The argus lockfile, `<registry>.lock`: the signal that every program understands, old argus
//! included. There exactly while the lock is held; stale for old argus when its mtime is old.
//!
//! Who calls this holds the guard, so that one process at a time decides what becomes of a
//! lockfile. (Where there are no kernel locks, nobody does, and the lockfile is all there is.)
//!
//! How it is made: on Unix the lockfile *is* the guard, under a second name. The owner record is
//! written into the guard first, then linked: so there is no moment in which the lockfile exists
//! without its record, a leftover of ours is known by its inode alone and taken over by writing
//! a record, and no file is created or freed per update. A lockfile of its own, which takes all
//! that instead, is used where a locked file can't be read (Windows), where files can't have two
//! names, and where there are no kernel locks.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::files::paths::{self, FilePaths};
use crate::holder::Holder;
use crate::lock::guard::Guard;
use crate::lock::owner_record::OwnerRecord;
use crate::lock::stale_lockfile::{deal_with_another, Outcome};
use crate::sys;
use crate::sys::FileId;

/// A lockfile that we made. Releasing it is explicit: see [`Lockfile::remove`].
#[derive(Debug)]
pub(crate) struct Lockfile {
    path: PathBuf,
    /// Open as long as we hold the lock: no other file can get its inode number meanwhile.
    file: Arc<File>,
    id: FileId,
    record: OwnerRecord,
}

/// What one try to make the lockfile came to.
pub(crate) enum Creation {
    /// It is ours. `took_over`: a dead or stale holder's lockfile was in the way.
    Ours { lockfile: Lockfile, took_over: bool },
    /// Somebody else has one: look again later.
    Held(Holder),
    /// The way is free: try again now. `took_over`: because a stale lockfile was cleared away.
    Free { took_over: bool },
    /// Somebody replaced the guard file: the lock we hold on the old one excludes nobody.
    GuardReplaced,
}

impl From<Outcome> for Creation {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Held(holder) => Creation::Held(holder),
            Outcome::Free { took_over } => Creation::Free { took_over },
        }
    }
}

impl Lockfile {
    /// Tries once to make the lockfile of a registry.
    pub(crate) fn create(
        paths: &FilePaths,
        guard: Option<&Guard>,
        stale_after: Duration,
    ) -> Result<Creation> {
        let record = OwnerRecord::new(
            std::process::id(),
            sys::own_start(),
            sys::location().clone(),
            guard.map(|guard| guard.id),
            paths::nonce(),
            SystemTime::now(),
        );
        match guard {
            Some(guard) => Self::create_under(paths, guard, record, stale_after),
            None => Self::create_separately(paths, None, record, stale_after),
        }
    }

    fn create_under(
        paths: &FilePaths,
        guard: &Guard,
        record: OwnerRecord,
        stale_after: Duration,
    ) -> Result<Creation> {
        // Also dates the guard by the file system's own clock, which ages are measured by.
        sys::write_start(&guard.file, &record.encode())
            .map_err(|error| Error::from_io(&paths.guard, "write to", error))?;
        let io_error = |operation, error| Error::from_io(&paths.lockfile, operation, error);
        if !sys::LOCKED_FILE_IS_READABLE {
            return Self::create_separately(paths, Some(guard), record, stale_after);
        }
        let linked = sys::hard_link(&paths.guard, &paths.lockfile);
        let found = match linked {
            Ok(()) => sys::id_at(&paths.lockfile).map_err(|e| io_error("look at", e))?,
            Err(ref error) => match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    sys::id_at(&paths.lockfile).map_err(|e| io_error("look at", e))?
                }
                // The guard's name is gone: somebody deleted it.
                io::ErrorKind::NotFound => return Ok(Creation::GuardReplaced),
                _ if sys::links_unsupported(error) => {
                    return Self::create_separately(paths, Some(guard), record, stale_after)
                }
                _ => None,
            },
        };
        if found == Some(guard.id) {
            let path = paths.lockfile.clone();
            let lockfile = Lockfile { path, file: guard.file.clone(), id: guard.id, record };
            return Ok(Creation::Ours { lockfile, took_over: linked.is_err() });
        }
        match linked {
            // What is there now is not to be removed, whatever it is: an old argus that took our
            // link for the stale lockfile it had seen has put a fresh one of its own there. If it
            // is a link to a new guard, made by us, that guard's next holder takes it over.
            Ok(()) => {
                let guard_now = sys::id_at(&paths.guard)
                    .map_err(|error| Error::from_io(&paths.guard, "look at", error))?;
                Ok(if guard_now == Some(guard.id) {
                    Creation::Free { took_over: false }
                } else {
                    Creation::GuardReplaced
                })
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let written = guard.file.metadata().and_then(|metadata| metadata.modified());
                let now = written.map_err(|e| io_error("look at", e))?;
                deal_with_another(paths, Some(guard.id), now, stale_after).map(Creation::from)
            }
            Err(error) => Err(Error::from_io(&paths.lockfile, "create", error)),
        }
    }

    /// A lockfile of its own, complete before it gets its name. Where files can't have two names
    /// it is created empty and filled at once: a crash in between leaves a lockfile that looks
    /// like an old argus's, and costs the stale threshold.
    fn create_separately(
        paths: &FilePaths,
        guard: Option<&Guard>,
        record: OwnerRecord,
        stale_after: Duration,
    ) -> Result<Creation> {
        let io_error = |path: &Path, operation, error| Error::from_io(path, operation, error);
        // Closed at once: on Windows a name that is removed while its file is open may stay until
        // the file is closed, and this one is open as long as the lock is held.
        let fill = |path: &Path| -> io::Result<SystemTime> {
            let file = sys::create_new(path, 0o644)?;
            sys::write_start(&file, &record.encode())?;
            file.metadata()?.modified()
        };
        let temp = paths.temp(&paths::nonce());
        let now = fill(&temp).map_err(|error| io_error(&temp, "create", error))?;
        let mut published = sys::hard_link(&temp, &paths.lockfile);
        let _ = sys::remove_if_there(&temp);
        if matches!(&published, Err(error) if sys::links_unsupported(error)) {
            published = fill(&paths.lockfile).map(|_| ());
        }
        match published {
            Ok(()) => Self::open_own(paths, record),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let guard = guard.map(|guard| guard.id);
                deal_with_another(paths, guard, now, stale_after).map(Creation::from)
            }
            Err(error) => Err(io_error(&paths.lockfile, "create", error)),
        }
    }

    /// Opens the lockfile that was just made, unless somebody has already replaced it.
    fn open_own(paths: &FilePaths, record: OwnerRecord) -> Result<Creation> {
        let io_error = |error| Error::from_io(&paths.lockfile, "open", error);
        let file = match sys::open_existing(&paths.lockfile) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Creation::Free { took_over: false })
            }
            opened => opened.map_err(io_error)?,
        };
        let expected = record.encode();
        if sys::read_start(&file, expected.len()).map_err(io_error)? != expected {
            return Ok(Creation::Free { took_over: false });
        }
        let id = file.metadata().and_then(|metadata| sys::id_of(&file, &metadata));
        let (path, id) = (paths.lockfile.clone(), id.map_err(io_error)?);
        let lockfile = Lockfile { path, file: Arc::new(file), id, record };
        Ok(Creation::Ours { lockfile, took_over: false })
    }

    /// Whether the lockfile's name still stands for our file: the fence before every write.
    pub(crate) fn is_ours(&self) -> Result<bool> {
        let found = sys::id_at(&self.path);
        Ok(found.map_err(|error| Error::from_io(&self.path, "look at", error))? == Some(self.id))
    }

    /// Makes the lockfile fresh again. By writing, which whoever may write the registry may do;
    /// setting the time by a call would be the owner's alone.
    pub(crate) fn refresh(&self) -> io::Result<()> {
        sys::write_start(&self.file, &self.record.encode())
    }

    /// Removes the lockfile if it is still ours; says whether it was.
    pub(crate) fn remove(&self) -> Result<bool> {
        if !self.is_ours()? {
            return Ok(false);
        }
        sys::remove_if_there(&self.path)
            .map_err(|error| Error::from_io(&self.path, "remove", error))?;
        Ok(true)
    }

    /// Names this hold.
    pub(crate) fn nonce(&self) -> &str {
        &self.record.nonce
    }
}
