//! Finding the leftovers beside a file, and judging whether a process may still need them. Changes
//! nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::content::registry_v1::RegistryV1;
use crate::error::{Error, Result};
use crate::files::kept_copies::MAX_KEPT_COPIES;
use crate::files::paths::FilePaths;
use crate::files::shared_file;
use crate::litter::types::{Litter, LitterKind};
use crate::lock::guard;
use crate::lock::inspect::{self, Guarantee, LockSnapshot, LockState};
use crate::lock::kernel_lock;
use crate::lock::stale_lockfile::{FoundLockfile, Verdict};
use crate::sys;
use crate::util::age::age_in_words;

/// A larger file is not read to find out whether it is a registry.
const MAX_REGISTRY_BYTES: u64 = 16 << 20;

/// The files beside a registry or document, and the state of its locks.
pub(crate) struct Survey<'a> {
    paths: &'a FilePaths,
    temps: Vec<PathBuf>,
    /// The kept copies and when each was made, in milliseconds since 1970, oldest first.
    kept_copies: Vec<(u64, PathBuf)>,
    /// The registry's lock, if the file is a registry.
    pub(crate) registry: Option<LockSnapshot>,
    /// The lock files that carry a kernel lock, if the file is a document.
    pub(crate) lock_files: Vec<PathBuf>,
}

/// Whether a process may be writing a file's temp files, and why.
enum TempWriter {
    /// No process is.
    Absent(&'static str),
    /// No process is writing a temp file that is older than the threshold. A younger one may be in use.
    AbsentForOldFiles(&'static str),
    Possible(String),
}

impl<'a> Survey<'a> {
    pub(crate) fn of(paths: &'a FilePaths, stale_after: Duration) -> Result<Self> {
        let fail = |error| Error::from_io(&paths.folder, "list", error);
        // Before the locks are looked at: a file listed now, which is still there when no process holds
        // the lock, is litter. A file listed afterwards could belong to a process that has just begun.
        let temps = paths.leftover_temps().map_err(fail)?;
        let kept_copies = paths.kept_copies().map_err(fail)?;
        let mut lock_files = vec![paths.target.with_extension("lock")];
        let mut registry = None;
        if is_registry(paths) {
            let seen = inspect::take_snapshot(paths, stale_after)?;
            lock_files.retain(|file| *file != paths.lockfile);
            // An older argus takes no kernel lock. So a lockfile without an owner that carries one is
            // the lock file of a document.
            let without_owner = seen.found.as_ref().filter(|found| found.record.is_none());
            if without_owner.is_some_and(|found| found.has_kernel_lock() == Some(true)) {
                lock_files.push(paths.lockfile.clone());
            }
            registry = Some(seen);
        } else {
            lock_files.push(paths.lockfile.clone());
        }
        lock_files.retain(|file| *file != paths.target);
        lock_files.retain(|file| fs::symlink_metadata(file).is_ok_and(|found| found.is_file()));
        lock_files.dedup();
        Ok(Survey { paths, temps, kept_copies, registry, lock_files })
    }

    pub(crate) fn litter(&self, stale_after: Duration) -> Vec<Litter> {
        let mut litter = Vec::new();
        let mut add = |path: &Path, kind, (safe_to_delete, reason): (bool, String)| {
            let (path, beside) = (path.to_path_buf(), self.paths.target.clone());
            litter.push(Litter { path, kind, beside, safe_to_delete, reason });
        };
        if let Some(seen) = &self.registry {
            if let Some(reason) = self.guard_mismatch(seen) {
                add(&self.paths.guard, LitterKind::Guard, (false, reason));
            }
            if guard::is_foreign(&self.paths.guard) {
                let reason = "has a guard's name but is not this library's guard, so every update \
                              fails until it is moved away";
                add(&self.paths.guard, LitterKind::InTheWay, (false, reason.to_owned()));
            }
            if let Some((kind, judged)) = self.leftover_lockfile(seen, stale_after) {
                add(&self.paths.lockfile, kind, judged);
            }
        }
        if !self.temps.is_empty() {
            let writer = self.temp_writer();
            for temp in &self.temps {
                if let Some(judged) =
                    judge_temp(temp, &writer, self.registry.is_some(), stale_after)
                {
                    add(temp, LitterKind::TempFile, judged);
                }
            }
        }
        let kept = self.kept_copies.len();
        for (index, (unix_ms, path)) in self.kept_copies.iter().enumerate() {
            let reason = describe_kept_copy(path, *unix_ms, (index + 1, kept));
            add(path, LitterKind::KeptContent, (false, reason));
        }
        litter
    }

    /// The reason to report the guard, if the lockfile was made under another guard.
    fn guard_mismatch(&self, seen: &LockSnapshot) -> Option<String> {
        let found = seen.found.as_ref()?;
        let named = found.record.as_ref()?.guard?;
        let there = sys::id_at(&self.paths.guard).ok()?;
        if there == Some(named) {
            return None;
        }
        let what = match there {
            None => "was removed",
            Some(_) => {
                "is not the guard under which the lockfile was made (it was replaced, or the folder \
                 was copied)"
            }
        };
        Some(if seen.state == LockState::Held {
            format!(
                "{what} while {} holds the lock. Change neither it nor the lockfile: other processes \
                 still wait for that holder, and once it releases the lock, the next update puts the \
                 files in order",
                found.holder().name()
            )
        } else {
            format!(
                "{what}; no process holds the lock, and the next update puts the files in order"
            )
        })
    }

    /// A lockfile without a holder, or one whose date would keep it from becoming stale.
    fn leftover_lockfile(
        &self,
        seen: &LockSnapshot,
        stale_after: Duration,
    ) -> Option<(LitterKind, (bool, String))> {
        let found = seen.found.as_ref()?;
        if self.lock_files.contains(&self.paths.lockfile) {
            return None;
        }
        let kind = LitterKind::Lockfile;
        let from_the_future =
            || found.verdict(SystemTime::now(), stale_after) == Verdict::FromTheFuture;
        match seen.state {
            LockState::Stale => {}
            LockState::Held if from_the_future() => {
                let reason = "is dated in the future, since a clock was set back; the next update \
                              sets its date to now, and takes it over once it is stale";
                return Some((kind, (false, reason.to_owned())));
            }
            _ => return None,
        }
        if fs::symlink_metadata(&self.paths.lockfile).is_ok_and(|metadata| metadata.is_dir()) {
            let reason =
                "is a folder with a lockfile's name, so every update fails until it is moved \
                          away";
            return Some((LitterKind::InTheWay, (false, reason.to_owned())));
        }
        if let Some(why) = self.unreadable_guard(seen) {
            return Some((kind, (false, format!("can't be judged: {why}"))));
        }
        let reason = match &found.record {
            Some(_) => {
                format!(
                    "was left by {}, which is gone; an update takes it over",
                    found.holder().name()
                )
            }
            None => format!(
                "names no owner and was not touched for over {} s, so the process that made it (an \
                 older argus) has abandoned it; an update takes it over",
                stale_after.as_secs()
            ),
        };
        Some((kind, (true, reason)))
    }

    /// Why the guard's lock can't be looked at; `None` if it can, or if there is no guard.
    fn unreadable_guard(&self, seen: &LockSnapshot) -> Option<String> {
        if seen.guard_held.is_some() || !sys::id_at(&self.paths.guard).is_ok_and(|id| id.is_some())
        {
            return None;
        }
        Some(format!("this user can't open {}", self.paths.guard.display()))
    }

    fn temp_writer(&self) -> TempWriter {
        for lock_file in &self.lock_files {
            let held = sys::open_read_only(lock_file).and_then(|file| kernel_lock::is_held(&file));
            let lock_file = lock_file.display();
            match held {
                Ok(false) => {}
                Ok(true) => {
                    return TempWriter::Possible(format!(
                        "another process holds the lock of {lock_file}, and may be writing it"
                    ))
                }
                Err(error) => {
                    return TempWriter::Possible(format!(
                        "whether a process holds the lock of {lock_file} can't be known ({error})"
                    ))
                }
            }
        }
        let Some(seen) = &self.registry else {
            return match self.lock_files.is_empty() {
                true => TempWriter::Possible(
                    "there is no lock file beside the file, so whether a process is writing it can't \
                     be known: delete it when no program that writes the file is running"
                        .to_owned(),
                ),
                // The program may nevertheless use another lock file, in any place.
                false => TempWriter::AbsentForOldFiles(
                    "only its age tells that no process is writing it under a lock file elsewhere",
                ),
            };
        };
        if let Some(why) = self.unreadable_guard(seen) {
            return TempWriter::Possible(format!(
                "whether a process is writing it can't be known: {why}"
            ));
        }
        match (&seen.guard_held, seen.state, &seen.found) {
            (_, LockState::Held, Some(found)) => TempWriter::Possible(format!(
                "the lock is held by {}, which may be writing it",
                found.holder().name()
            )),
            (Some(Ok(true)), ..) => TempWriter::Possible(
                "another process holds the lock, and may be writing it".to_owned(),
            ),
            (Some(Err(error)), ..) if !sys::locks_unsupported(error) => TempWriter::Possible(
                format!("whether a process holds the lock can't be known ({error})"),
            ),
            _ if seen.guarantee == Guarantee::LockfileOnly => TempWriter::AbsentForOldFiles(
                "without kernel locks only its age tells that no process is writing it",
            ),
            _ => TempWriter::Absent(
                "only the lock's holder writes temp files, and no process holds it",
            ),
        }
    }
}

/// How large and old a kept copy is, and what a person can do about it; not what it holds, which may be private. `position` is its place among all copies of
/// the file, oldest first, and their number.
fn describe_kept_copy(path: &Path, unix_ms: u64, position: (usize, usize)) -> String {
    let (number, count) = position;
    let size = fs::symlink_metadata(path).map_or(0, |found| found.len());
    let age = Duration::from_millis(sys::now_ms().saturating_sub(unix_ms));
    format!(
        "holds {size} bytes that could not be read when they were replaced {} ago, perhaps their only copy: look at it, and delete it yourself when none of it is needed. It is \
         number {number} of {count}, oldest first; at most {MAX_KEPT_COPIES} are kept of a file, and \
         then the oldest one is removed for a new one",
        age_in_words(age)
    )
}

/// Whether a temp file is safe to delete, and why; `None` if it is gone: a process was using it.
fn judge_temp(
    temp: &Path,
    writer: &TempWriter,
    may_be_lockfile: bool,
    stale_after: Duration,
) -> Option<(bool, String)> {
    let metadata = fs::symlink_metadata(temp).ok()?;
    Some(match writer {
        TempWriter::Absent(why) => (true, format!("was left by a process that is gone: {why}")),
        TempWriter::Possible(why) => (false, why.clone()),
        TempWriter::AbsentForOldFiles(why) => {
            let is_old = |at: SystemTime| {
                SystemTime::now().duration_since(at).is_ok_and(|age| age > stale_after)
            };
            let modified = metadata.modified().is_ok_and(is_old);
            // A lockfile that was renamed aside keeps its old modification time, although the process
            // that renamed it may still be at work. The time of the renaming tells.
            let old = modified && (!may_be_lockfile || sys::link_time(temp).is_none_or(is_old));
            let seconds = stale_after.as_secs();
            match old {
                true => (true, format!("is older than {seconds} s, and no process holds the lock")),
                false => (false, format!("is not older than {seconds} s, and {why}")),
            }
        }
    })
}

/// Whether a file is a registry, judged by its guard, its lockfile or its content.
fn is_registry(paths: &FilePaths) -> bool {
    if sys::id_at(&paths.guard).is_ok_and(|id| id.is_some()) {
        return true;
    }
    let found = FoundLockfile::find(&paths.lockfile);
    if found.is_ok_and(|found| found.is_some_and(|found| found.record.is_some())) {
        return true;
    }
    let metadata = fs::metadata(&paths.target);
    if !metadata.is_ok_and(|file| file.is_file() && file.len() <= MAX_REGISTRY_BYTES) {
        return false;
    }
    let content = shared_file::read(&paths.target).ok().flatten();
    content.is_some_and(|content| RegistryV1::parse(&paths.target, &content.bytes).is_ok())
}
