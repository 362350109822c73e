//! The lockfile of another holder: reading it, judging whether it is stale, and removing a stale
//! one.
//!
//! The caller holds the guard, so that among the processes that use this crate one decides at a
//! time. Older argus versions don't know the guard. Such a process checks a lockfile's mtime and
//! then deletes whichever file has the lockfile's name by that time. So this module never deletes
//! by its name a file that it has not judged.

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
use crate::util::stopping_point;

/// How many bytes of a lockfile are read: more than a record has.
const READ_LIMIT: usize = 4 * RECORD_SIZE;

/// A lockfile as this process found it.
pub(crate) struct FoundLockfile {
    identity: LockfileIdentity,
    pub(crate) modified: SystemTime,
    /// Open while the lockfile is judged, so that no other file can get its inode number.
    file: Option<File>,
    pub(crate) record: Option<OwnerRecord>,
    /// Whether its record was written in part.
    is_cut: bool,
}

/// What tells a lockfile from the next one of its name. File systems reuse an inode number at once,
/// but not together with the mtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LockfileIdentity {
    id: FileId,
    modified: SystemTime,
}

impl LockfileIdentity {
    /// A name for this lockfile that no other lockfile has, in the form of a nonce.
    fn nonce(&self) -> String {
        let since_1970 = self.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("{:016x}{:016x}", self.id.inode, since_1970.as_nanos() as u64)
    }

    /// The identity of the lockfile at a path; `None` if there is none.
    pub(crate) fn at(path: &Path) -> io::Result<Option<Self>> {
        match (fs::symlink_metadata(path), sys::id_at(path)?) {
            (Ok(metadata), Some(id)) => {
                Ok(Some(LockfileIdentity { id, modified: metadata.modified()? }))
            }
            (Err(error), _) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(None),
        }
    }
}

/// What a lockfile's kernel lock, record and age say of its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Held,
    /// Its holder is gone, or it is stale by age: it may be removed.
    Stale,
    /// Its mtime is further in the future than the stale threshold, because the clock was set back:
    /// it would not become stale by age for long.
    FromTheFuture,
}

impl FoundLockfile {
    /// Reads a lockfile; `None` if there is none.
    pub(crate) fn find(path: &Path) -> io::Result<Option<Self>> {
        stopping_point::before("stale_lockfile::find::look");
        let Some(identity) = LockfileIdentity::at(path)? else {
            return Ok(None);
        };
        stopping_point::before("stale_lockfile::find::open");
        // What can't be opened, or is not a regular file, has no record, and is judged by its age.
        let file = sys::open_read_only(path).ok().filter(|file| {
            let metadata = file.metadata();
            metadata.is_ok_and(|metadata| {
                metadata.is_file() && sys::id_of(file, &metadata).is_ok_and(|id| id == identity.id)
            })
        });
        stopping_point::before("stale_lockfile::verdict");
        let bytes = file.as_ref().and_then(|file| sys::read_start(file, READ_LIMIT).ok());
        let record = bytes.as_deref().and_then(OwnerRecord::parse);
        let is_cut = |bytes: &Vec<u8>| bytes.len() < READ_LIMIT && OwnerRecord::is_cut(bytes);
        let is_cut = bytes.as_ref().is_some_and(is_cut);
        Ok(Some(FoundLockfile { identity, modified: identity.modified, file, record, is_cut }))
    }

    /// Whether both are the lockfile of one acquisition of the lock.
    pub(crate) fn is_same_hold(&self, other: &FoundLockfile) -> bool {
        let nonce =
            |found: &FoundLockfile| found.record.as_ref().map(|record| record.nonce.clone());
        self.identity.id == other.identity.id && nonce(self) == nonce(other)
    }

    /// Whether this lockfile is the second name of this guard.
    pub(crate) fn is_link_to(&self, guard: FileId) -> bool {
        self.identity.id == guard
    }

    /// Whether a kernel lock on this file is held; `None` if that can't be found out.
    pub(crate) fn has_kernel_lock(&self) -> Option<bool> {
        kernel_lock::is_held(self.file.as_ref()?).ok()
    }

    /// Whether the process lives that the record names.
    pub(crate) fn owner_liveness(&self) -> Liveness {
        match &self.record {
            Some(record) => record.judge(sys::location(), sys::process_state),
            None => Liveness::Unknown,
        }
    }

    /// If this lockfile is a guard's second name: whether that guard's kernel lock is held. `None`
    /// if it is a separate file, or if that can't be found out.
    pub(crate) fn has_guard_lock(&self) -> Option<bool> {
        let guard = self.record.as_ref()?.guard?;
        if guard != self.identity.id {
            return None;
        }
        self.has_kernel_lock()
    }

    /// Whether this file is a copy of a lockfile: its record says that it is a guard's second name,
    /// and it is not.
    fn is_copy(&self) -> bool {
        let guard = self.record.as_ref().and_then(|record| record.guard);
        sys::LOCKED_FILE_IS_READABLE && guard.is_some_and(|guard| guard != self.identity.id)
    }

    /// Judges a lockfile that was not created under the caller's guard.
    pub(crate) fn verdict(&self, now: SystemTime, stale_after: Duration) -> Verdict {
        let by_proof = match (self.has_guard_lock(), self.owner_liveness()) {
            (Some(locked), _) => Some(locked),
            // An older argus version takes no kernel lock: this is a document's lock file, and
            // held.
            _ if self.record.is_none() && self.has_kernel_lock() == Some(true) => Some(true),
            // The lockfile is a copy, as in a copied folder: that its owner lives does not mean
            // that it is held.
            (None, Liveness::Alive) if self.is_copy() => None,
            (None, liveness) => liveness.as_option(),
        };
        match by_proof {
            Some(true) => Verdict::Held,
            Some(false) => Verdict::Stale,
            None => match now.duration_since(self.modified) {
                Ok(age) if age > stale_after => Verdict::Stale,
                Ok(_) => Verdict::Held,
                Err(ahead) if ahead.duration() > stale_after => Verdict::FromTheFuture,
                Err(_) => Verdict::Held,
            },
        }
    }

    /// The holder, as errors and statuses name it.
    pub(crate) fn holder(&self) -> Holder {
        let alive = match (self.owner_liveness(), self.has_guard_lock()) {
            // The next holder has the guard, and has not written its record yet.
            (Liveness::Dead, Some(true)) => None,
            (_, Some(true)) => Some(true),
            (liveness, _) => liveness.as_option(),
        };
        match &self.record {
            Some(record) => record.holder(alive),
            None => Holder { pid: None, host: None, since: Some(self.modified), alive },
        }
    }
}

/// The outcome of [`clear_if_stale`].
pub(crate) enum ClearOutcome {
    /// The lockfile is held.
    Held(Holder),
    /// There is none any more. `took_over`: a stale one was removed.
    Free { took_over: bool },
}

/// Removes the lockfile of another holder if it is stale. `guard` is the one that the caller holds;
/// `now` is the time by the file system's clock.
pub(crate) fn clear_if_stale(
    paths: &FilePaths,
    guard: Option<FileId>,
    now: SystemTime,
    stale_after: Duration,
) -> Result<ClearOutcome> {
    let io_error = |error| Error::from_io(&paths.lockfile, "look at", error);
    let Some(found) = FoundLockfile::find(&paths.lockfile).map_err(io_error)? else {
        return Ok(ClearOutcome::Free { took_over: false });
    };
    let is_of_this_guard = |record: &OwnerRecord| guard.is_some() && record.guard == guard;
    // Under a guard, a record is in part in the lockfile only while its process writes it there, where
    // files can't have two names. That process holds the guard, unless the guard was deleted; then it
    // finds that its lockfile was removed, and tries again.
    let was_cut = || guard.is_some() && found.is_cut && found.has_kernel_lock() != Some(true);
    let is_stale = if found.record.as_ref().is_some_and(is_of_this_guard) || was_cut() {
        // Its owner has released or lost the guard, which the caller holds now, and left the
        // lockfile.
        true
    } else {
        match found.verdict(now, stale_after) {
            Verdict::Held => false,
            Verdict::Stale => true,
            // With the current time as its mtime it becomes stale by age, for older argus versions,
            // too. If this process may not set the mtime, the lockfile is removed: it would stay
            // for ever.
            Verdict::FromTheFuture => {
                stopping_point::before("stale_lockfile::clear_if_stale::date");
                found.file.as_ref().is_none_or(|file| file.set_modified(now).is_err())
            }
        }
    };
    if !is_stale {
        return Ok(ClearOutcome::Held(found.holder()));
    }
    let took_over = match guard {
        Some(_) => remove_stale(paths, &found)?,
        None => match remove_stale_without_guard(paths, &found, stale_after)? {
            Some(took_over) => took_over,
            // Nothing changes until that process has removed the lockfile, or its claim is old. So the
            // caller has to pause before it tries again, or it would keep a processor busy.
            None => return Ok(ClearOutcome::Held(found.holder())),
        },
    };
    Ok(ClearOutcome::Free { took_over })
}

/// Removes a stale lockfile, and never a fresh one. Returns whether it did.
///
/// An older argus version may replace the stale lockfile by a fresh one after it was judged. So the
/// lockfile is renamed first, compared with the judged one under its new name, and put back if it
/// is another one.
fn remove_stale(paths: &FilePaths, found: &FoundLockfile) -> Result<bool> {
    let io_error = |operation, error| Error::from_io(&paths.lockfile, operation, error);
    stopping_point::before("stale_lockfile::remove_stale::look");
    let current =
        LockfileIdentity::at(&paths.lockfile).map_err(|error| io_error("look at", error))?;
    if current != Some(found.identity) {
        return Ok(false);
    }
    if fs::symlink_metadata(&paths.lockfile).is_ok_and(|metadata| metadata.is_dir()) {
        let source = io::Error::other("it is a folder, not a lockfile; remove it");
        return Err(Error::Io { path: paths.lockfile.clone(), operation: "take over", source });
    }
    let aside = paths.temp(&paths::nonce());
    stopping_point::before("stale_lockfile::remove_stale::rename");
    match sys::rename(&paths.lockfile, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(|error| io_error("take over", error))?,
    }
    stopping_point::before("stale_lockfile::remove_stale::look_aside");
    let moved = LockfileIdentity::at(&aside).map_err(|error| io_error("look at", error))?;
    let is_judged = moved == Some(found.identity);
    if !is_judged {
        // If a third lockfile was created in the meantime, this one can't be put back.
        stopping_point::before("stale_lockfile::remove_stale::link_back");
        let is_free = || {
            stopping_point::before("stale_lockfile::remove_stale::look_again");
            sys::id_at(&paths.lockfile).is_ok_and(|id| id.is_none())
        };
        match sys::hard_link(&aside, &paths.lockfile) {
            Err(error) if sys::links_unsupported(&error) && is_free() => {
                stopping_point::before("stale_lockfile::remove_stale::rename_back");
                let _ = sys::rename(&aside, &paths.lockfile);
            }
            _ => {}
        }
    }
    stopping_point::before("stale_lockfile::remove_stale::remove_aside");
    sys::remove_if_there(&aside).map_err(|error| Error::from_io(&aside, "remove", error))?;
    Ok(is_judged)
}

/// Like [`remove_stale`], where there are no kernel locks and so several processes may decide at a
/// time.
///
/// If two processes that have judged one stale lockfile both removed it, the second would rename
/// the fresh lockfile of the first. So each claims the lockfile first, by a hard link whose name
/// only one of them can create. If the claim turns out to be a link to another lockfile than the
/// judged one, it is removed, and nothing else is touched.
///
/// `None`: another process has claimed it.
fn remove_stale_without_guard(
    paths: &FilePaths,
    found: &FoundLockfile,
    stale_after: Duration,
) -> Result<Option<bool>> {
    let io_error = |operation, error| Error::from_io(&paths.lockfile, operation, error);
    let claim = paths.temp(&found.identity.nonce());
    stopping_point::before("stale_lockfile::remove_stale_without_guard::claim");
    match sys::hard_link(&paths.lockfile, &claim) {
        Ok(()) => {}
        // Files can't have two names here either, so that the check by `remove_stale` has to
        // suffice.
        Err(error) if sys::links_unsupported(&error) => {
            return remove_stale(paths, found).map(Some)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(false)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Ok(remove_abandoned_claim(&claim, stale_after).then_some(false));
        }
        Err(error) => return Err(io_error("claim", error)),
    }
    // Whatever comes of it, the claim is removed: it would keep all others from clearing until it is stale.
    stopping_point::before("stale_lockfile::remove_stale_without_guard::look");
    let cleared = match LockfileIdentity::at(&claim) {
        Ok(claimed) if claimed == Some(found.identity) => remove_stale(paths, found),
        Ok(_) => Ok(false),
        Err(error) => Err(io_error("look at", error)),
    };
    if let (Ok(true), Some(record)) = (&cleared, &found.record) {
        // Only the temp file of the lockfile's owner: those of other processes may be in use.
        stopping_point::before("stale_lockfile::remove_stale_without_guard::remove_temp");
        let _ = sys::remove_if_there(&paths.temp(&record.nonce));
    }
    stopping_point::before("stale_lockfile::remove_stale_without_guard::remove_claim");
    let _ = sys::remove_if_there(&claim);
    cleared.map(Some)
}

/// Removes a claim whose process died before it could: one that is older than the stale threshold.
/// Returns whether it did.
fn remove_abandoned_claim(claim: &Path, stale_after: Duration) -> bool {
    stopping_point::before("stale_lockfile::remove_abandoned_claim");
    let created = sys::link_time(claim);
    let age = created.and_then(|created| SystemTime::now().duration_since(created).ok());
    age.is_some_and(|age| age > stale_after) && sys::remove_if_there(claim).is_ok()
}
