//! Somebody else's lockfile: look at it, judge it, and clear it away if nobody holds it.
//!
//! Who calls this holds the guard, so that one process decides, among those that use this crate.
//! Old argus decides for itself all the while: it looks at a lockfile's date, then deletes
//! whatever has its name by then. So nothing here deletes by name what it has not looked at.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::files::paths::{self, FilePaths};
use crate::holder::Holder;
use crate::lock::kernel_lock;
use crate::lock::owner_record::{Liveness, OwnerRecord, RECORD_SIZE};
use crate::sys;
use crate::sys::FileId;

/// A lockfile as it was found.
pub(crate) struct Found {
    stamp: Stamp,
    pub(crate) modified: SystemTime,
    /// Open while we judge it: its inode number can't become another file's meanwhile.
    file: Option<File>,
    pub(crate) record: Option<OwnerRecord>,
}

/// What tells one lockfile from the next: file systems reuse inode numbers at once, but not
/// together with the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    id: FileId,
    modified: SystemTime,
}

impl Stamp {
    /// A name for this lockfile that no other has, in the form of a nonce.
    fn name(&self) -> String {
        let since_1970 = self.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("{:016x}{:016x}", self.id.inode, since_1970.as_nanos() as u64)
    }

    /// That of the lockfile that is there now; `None` if there is none.
    pub(crate) fn at(path: &Path) -> io::Result<Option<Self>> {
        match (fs::symlink_metadata(path), sys::id_at(path)?) {
            (Ok(metadata), Some(id)) => Ok(Some(Stamp { id, modified: metadata.modified()? })),
            (Err(error), _) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(None),
        }
    }
}

/// What a found lockfile means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Held,
    /// Nobody holds it any more: it may be cleared away.
    LeftBehind,
    /// Its date is so far in the future that it would not grow old for long: left by a clock that
    /// was set back.
    FromTheFuture,
}

impl Found {
    /// Looks at a lockfile; `None` if there is none.
    pub(crate) fn look(path: &Path) -> io::Result<Option<Self>> {
        let Some(stamp) = Stamp::at(path)? else {
            return Ok(None);
        };
        // What can't be opened, or is no file at all, is judged by its age like any other.
        let file = sys::open_read_only(path).ok().filter(|file| {
            let metadata = file.metadata();
            metadata.is_ok_and(|metadata| {
                metadata.is_file() && sys::id_of(file, &metadata).is_ok_and(|id| id == stamp.id)
            })
        });
        let record = file
            .as_ref()
            .and_then(|file| sys::read_start(file, 4 * RECORD_SIZE).ok())
            .and_then(|bytes| OwnerRecord::parse(&bytes));
        Ok(Some(Found { stamp, modified: stamp.modified, file, record }))
    }

    /// Whether both are the lockfile of one hold.
    pub(crate) fn is_same_hold(&self, other: &Found) -> bool {
        let nonce = |found: &Found| found.record.as_ref().map(|record| record.nonce.clone());
        self.stamp.id == other.stamp.id && nonce(self) == nonce(other)
    }

    /// Whether somebody holds a kernel lock on this very file; `None` if that can't be asked.
    pub(crate) fn carries_a_lock(&self) -> Option<bool> {
        kernel_lock::is_held(self.file.as_ref()?).ok()
    }

    /// Whether the owner lives, by what its record says of its process.
    pub(crate) fn owner_liveness(&self) -> Liveness {
        match &self.record {
            Some(record) => record.judge(sys::location(), sys::process_state),
            None => Liveness::Unknown,
        }
    }

    /// Whether this file carries its holder's kernel lock itself, being a guard's second name;
    /// `None` if it does not, or if that can't be asked.
    pub(crate) fn is_locked(&self) -> Option<bool> {
        let guard = self.record.as_ref()?.guard?;
        if guard != self.stamp.id {
            return None;
        }
        self.carries_a_lock()
    }

    /// Whether this is not the guard's second name that its record says it is.
    fn is_copy(&self) -> bool {
        let guard = self.record.as_ref().and_then(|record| record.guard);
        sys::LOCKED_FILE_IS_READABLE && guard.is_some_and(|guard| guard != self.stamp.id)
    }

    /// Judges a lockfile that is not under a guard of ours.
    pub(crate) fn verdict(&self, now: SystemTime, stale_after: Duration) -> Verdict {
        let by_proof = match (self.is_locked(), self.owner_liveness()) {
            (Some(locked), _) => Some(locked),
            // Old argus locks nothing: somebody has it for his document's lock file, and holds it.
            _ if self.record.is_none() && self.carries_a_lock() == Some(true) => Some(true),
            // A copy of a lockfile (a copied folder): its holder's life says nothing of it.
            (None, Liveness::Alive) if self.is_copy() => None,
            (None, liveness) => liveness.as_option(),
        };
        match by_proof {
            Some(true) => Verdict::Held,
            Some(false) => Verdict::LeftBehind,
            None => match now.duration_since(self.modified) {
                Ok(age) if age > stale_after => Verdict::LeftBehind,
                Ok(_) => Verdict::Held,
                Err(ahead) if ahead.duration() > stale_after => Verdict::FromTheFuture,
                Err(_) => Verdict::Held,
            },
        }
    }

    /// Who holds it, for messages.
    pub(crate) fn holder(&self) -> Holder {
        let alive = self.is_locked().filter(|locked| *locked);
        let alive = alive.or_else(|| self.owner_liveness().as_option());
        match &self.record {
            Some(record) => record.holder(alive),
            None => Holder { pid: None, host: None, since: Some(self.modified), alive },
        }
    }
}

/// What became of a lockfile that was in the way.
pub(crate) enum Outcome {
    /// Somebody holds it: look again later.
    Held(Holder),
    /// The way is free. `took_over`: because a stale lockfile was cleared away.
    Free { took_over: bool },
}

/// Somebody else's lockfile is in the way. `guard` is the one that the caller holds; `now` is by the file system's own clock.
pub(crate) fn deal_with_another(
    paths: &FilePaths,
    guard: Option<FileId>,
    now: SystemTime,
    stale_after: Duration,
) -> Result<Outcome> {
    let io_error = |error| Error::from_io(&paths.lockfile, "look at", error);
    let Some(found) = Found::look(&paths.lockfile).map_err(io_error)? else {
        return Ok(Outcome::Free { took_over: false });
    };
    let under_our_guard = |record: &OwnerRecord| guard.is_some() && record.guard == guard;
    let left_behind = if found.record.as_ref().is_some_and(under_our_guard) {
        // Its owner let go of the guard, which we hold now, without cleaning up.
        true
    } else {
        match found.verdict(now, stale_after) {
            Verdict::Held => false,
            Verdict::LeftBehind => true,
            // Dated now, it grows old like any other, for old argus too. Where we may not date
            // it, clearing it away is what keeps it from being there for ever.
            Verdict::FromTheFuture => {
                found.file.as_ref().is_none_or(|file| file.set_modified(now).is_err())
            }
        }
    };
    if !left_behind {
        return Ok(Outcome::Held(found.holder()));
    }
    let took_over = match guard {
        Some(_) => clear_away(paths, &found)?,
        None => clear_away_alone(paths, &found, stale_after)?,
    };
    Ok(Outcome::Free { took_over })
}

/// Takes a stale lockfile out of the way without ever deleting a fresh one.
///
/// Old argus looks, then deletes: in between, the stale lockfile may have become somebody's fresh
/// one. So it is moved aside, looked at again, and put back if it is not the one we judged. Says
/// whether it was.
fn clear_away(paths: &FilePaths, found: &Found) -> Result<bool> {
    let io_error = |operation, error| Error::from_io(&paths.lockfile, operation, error);
    let now_there = Stamp::at(&paths.lockfile).map_err(|error| io_error("look at", error))?;
    if now_there != Some(found.stamp) {
        return Ok(false);
    }
    if fs::symlink_metadata(&paths.lockfile).is_ok_and(|metadata| metadata.is_dir()) {
        let source = io::Error::other("it is a folder that has been there for long; remove it");
        return Err(Error::Io { path: paths.lockfile.clone(), operation: "take over", source });
    }
    let aside = paths.temp(&paths::nonce());
    match sys::rename(&paths.lockfile, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(|error| io_error("take over", error))?,
    }
    let moved = Stamp::at(&aside).map_err(|error| io_error("look at", error))?;
    let is_judged = moved == Some(found.stamp);
    if !is_judged {
        // If a third one has come meanwhile, there is no place to put this one back.
        match sys::hard_link(&aside, &paths.lockfile) {
            Err(error)
                if sys::links_unsupported(&error)
                    && sys::id_at(&paths.lockfile).is_ok_and(|id| id.is_none()) =>
            {
                let _ = sys::rename(&aside, &paths.lockfile);
            }
            _ => {}
        }
    }
    sys::remove_if_there(&aside).map_err(|error| Error::from_io(&aside, "remove", error))?;
    Ok(is_judged)
}

/// The same where there is no guard, and so nobody to decide alone.
///
/// Two that judge one stale lockfile must not both clear the way: the second would move aside the
/// fresh one of the first. So they claim it first, by a name that only one of them can make; and a
/// claim that caught another lockfile than the judged one is dropped without touching anything.
fn clear_away_alone(paths: &FilePaths, found: &Found, stale_after: Duration) -> Result<bool> {
    let io_error = |operation, error| Error::from_io(&paths.lockfile, operation, error);
    let claim = paths.temp(&found.stamp.name());
    match sys::hard_link(&paths.lockfile, &claim) {
        Ok(()) => {}
        // Files can't have two names here either, so looking again has to do.
        Err(error) if sys::links_unsupported(&error) => return clear_away(paths, found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            drop_dead_claim(&claim, stale_after);
            return Ok(false);
        }
        Err(error) => return Err(io_error("claim", error)),
    }
    let caught = Stamp::at(&claim).map_err(|error| io_error("look at", error))?;
    let cleared = match caught == Some(found.stamp) {
        true => clear_away(paths, found),
        false => Ok(false),
    };
    if let (Ok(true), Some(record)) = (&cleared, &found.record) {
        // Only this holder's: others may be at work here.
        let _ = sys::remove_if_there(&paths.temp(&record.nonce));
    }
    let _ = sys::remove_if_there(&claim);
    cleared
}

/// Drops a claim whose maker died with it.
fn drop_dead_claim(claim: &Path, stale_after: Duration) {
    let made = sys::link_time(claim);
    let age = made.and_then(|made| SystemTime::now().duration_since(made).ok());
    if age.is_some_and(|age| age > stale_after) {
        let _ = sys::remove_if_there(claim);
    }
}
