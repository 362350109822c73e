//! What lies beside a file, and whether anybody needs it: looked at, never touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::content::registry_v1::RegistryV1;
use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::files::shared_file;
use crate::lock::guard;
use crate::lock::inspect::{self, Guarantee, LockSnapshot, LockState};
use crate::lock::kernel_lock;
use crate::lock::stale_lockfile::{FoundLockfile, Verdict};
use crate::sys;

/// A larger file is not read to find out whether it is a registry.
const LARGEST_REGISTRY: u64 = 16 << 20;

/// Something that was left behind, or is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Litter {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: LitterKind,
    /// What [`clear_litter`](crate::clear_litter) has to be called with for it: the registry or
    /// document that it lies beside; a probe folder itself.
    pub beside: PathBuf,
    /// Whether [`clear_litter`](crate::clear_litter) would delete it now.
    pub safe_to_delete: bool,
    /// Why it is safe to delete, or why not and what to do: a sentence without its subject.
    pub reason: String,
}

/// What was left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LitterKind {
    /// New content that was never put in its place, or another file that lives for a moment only:
    /// `.<name>.<32 digits>.tmp`.
    TempFile,
    /// The lockfile of a registry whose holder is gone.
    Lockfile,
    /// The guard was removed or replaced while somebody held it, or does not belong to the lockfile
    /// beside it.
    Guard,
    /// What has the name of a guard or a lockfile and can't be one: updates fail over it.
    InTheWay,
    /// Bytes that could not be read when they were replaced, and were kept: `<name>.corrupt-*`.
    Keepsake,
    /// The folder of a [`ProbeFolder`](crate::ProbeFolder) whose process was killed.
    ProbeFolder,
}

impl LitterKind {
    /// The stable name of the kind.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            LitterKind::TempFile => "TEMP_FILE",
            LitterKind::Lockfile => "LOCKFILE",
            LitterKind::Guard => "GUARD",
            LitterKind::InTheWay => "IN_THE_WAY",
            LitterKind::Keepsake => "KEEPSAKE",
            LitterKind::ProbeFolder => "PROBE_FOLDER",
        }
    }
}

/// What lies beside a file.
pub(crate) struct Beside<'a> {
    paths: &'a FilePaths,
    temps: Vec<PathBuf>,
    keepsakes: Vec<PathBuf>,
    /// Its lock, if it is a registry.
    pub(crate) registry: Option<LockSnapshot>,
    /// The lock files that carry a kernel lock, if it is a document.
    pub(crate) lock_files: Vec<PathBuf>,
}

/// Whether somebody may be writing a file's temp files.
enum Writer {
    Nobody(&'static str),
    /// Only those that are older than the threshold are known to be nobody's.
    NobodyForLong(&'static str),
    Perhaps(String),
}

impl<'a> Beside<'a> {
    pub(crate) fn look(paths: &'a FilePaths, stale_after: Duration) -> Result<Self> {
        let fail = |error| Error::from_io(&paths.folder, "list", error);
        // Before the locks: what is there now and still there then, with nobody at work, is litter.
        let temps = paths.leftover_temps().map_err(fail)?;
        let keepsakes = paths.keepsakes().map_err(fail)?;
        let mut lock_files = vec![paths.target.with_extension("lock")];
        let mut registry = None;
        if is_registry(paths) {
            let seen = inspect::take_snapshot(paths, stale_after)?;
            lock_files.retain(|file| *file != paths.lockfile);
            // Old argus locks nothing: then it is the lock file of somebody's document.
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
        Ok(Beside { paths, temps, keepsakes, registry, lock_files })
    }

    pub(crate) fn litter(&self, stale_after: Duration) -> Vec<Litter> {
        let mut litter = Vec::new();
        let mut add = |path: &Path, kind, (safe_to_delete, reason): (bool, String)| {
            let (path, beside) = (path.to_path_buf(), self.paths.target.clone());
            litter.push(Litter { path, kind, beside, safe_to_delete, reason });
        };
        if let Some(seen) = &self.registry {
            if let Some(reason) = self.guard_accident(seen) {
                add(&self.paths.guard, LitterKind::Guard, (false, reason));
            }
            if guard::is_foreign(&self.paths.guard) {
                let reason = "is no guard of this library, though it has a guard's name, so every \
                              update fails until it is moved away";
                add(&self.paths.guard, LitterKind::InTheWay, (false, reason.to_owned()));
            }
            if let Some((kind, judged)) = self.left_lockfile(seen, stale_after) {
                add(&self.paths.lockfile, kind, judged);
            }
        }
        if !self.temps.is_empty() {
            let writer = self.writer();
            for temp in &self.temps {
                if let Some(judged) =
                    judge_temp(temp, &writer, self.registry.is_some(), stale_after)
                {
                    add(temp, LitterKind::TempFile, judged);
                }
            }
        }
        for kept in &self.keepsakes {
            let reason = "holds bytes that could not be read when they were replaced, perhaps the \
                          only copy: look at it, and delete it yourself when nothing in it is \
                          missed";
            add(kept, LitterKind::Keepsake, (false, reason.to_owned()));
        }
        litter
    }

    /// What happened to the guard, if the lockfile was made under another one.
    fn guard_accident(&self, seen: &LockSnapshot) -> Option<String> {
        let found = seen.found.as_ref()?;
        let named = found.record.as_ref()?.guard?;
        let there = sys::id_at(&self.paths.guard).ok()?;
        if there == Some(named) {
            return None;
        }
        let what = match there {
            None => "was removed",
            Some(_) => {
                "is not the one that the lockfile was made under (it was replaced, or the \
                        folder was copied)"
            }
        };
        Some(if seen.state == LockState::Held {
            format!(
                "{what} while {} holds the lock. Leave it and the lockfile alone: others wait for \
                 that holder all the same, and it mends itself when that lets go",
                found.holder().name()
            )
        } else {
            format!("{what}; nobody holds the lock, and the next update mends it")
        })
    }

    /// A lockfile that nobody holds, or that would not grow old.
    fn left_lockfile(
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
                let reason =
                    "is dated in the future, by a clock that was set back; the next update \
                              dates it now, and takes it over when it has grown old";
                return Some((kind, (false, reason.to_owned())));
            }
            _ => return None,
        }
        if fs::symlink_metadata(&self.paths.lockfile).is_ok_and(|metadata| metadata.is_dir()) {
            let reason = "is a folder, though it has a lockfile's name, so every update fails \
                          until it is moved away";
            return Some((LitterKind::InTheWay, (false, reason.to_owned())));
        }
        if let Some(why) = self.guard_is_closed(seen) {
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
                "names no owner and was not touched for over {} s, so whoever made it (an older \
                 argus) has abandoned it; an update takes it over",
                stale_after.as_secs()
            ),
        };
        Some((kind, (true, reason)))
    }

    fn guard_is_closed(&self, seen: &LockSnapshot) -> Option<String> {
        if seen.guard_held.is_some() || !sys::id_at(&self.paths.guard).is_ok_and(|id| id.is_some())
        {
            return None;
        }
        Some(format!("this user can't open {}", self.paths.guard.display()))
    }

    fn writer(&self) -> Writer {
        for lock_file in &self.lock_files {
            let held = sys::open_read_only(lock_file).and_then(|file| kernel_lock::is_held(&file));
            let lock_file = lock_file.display();
            match held {
                Ok(false) => {}
                Ok(true) => {
                    return Writer::Perhaps(format!(
                        "another process holds the lock of {lock_file}, and may be writing it"
                    ))
                }
                Err(error) => {
                    return Writer::Perhaps(format!(
                        "whether somebody holds the lock of {lock_file} can't be known ({error})"
                    ))
                }
            }
        }
        let Some(seen) = &self.registry else {
            return match self.lock_files.is_empty() {
                true => Writer::Perhaps(
                    "there is no lock file beside the file, so whether somebody is writing it \
                     can't be known: delete it when none of the programs that do is running"
                        .to_owned(),
                ),
                // Its lock file may be another one all the same, which is the program's own choice.
                false => Writer::NobodyForLong(
                    "its age alone tells that nobody is writing it under a lock file elsewhere",
                ),
            };
        };
        if let Some(why) = self.guard_is_closed(seen) {
            return Writer::Perhaps(format!(
                "whether somebody is writing it can't be known: {why}"
            ));
        }
        match (&seen.guard_held, seen.state, &seen.found) {
            (_, LockState::Held, Some(found)) => Writer::Perhaps(format!(
                "the lock is held by {}, who may be writing it",
                found.holder().name()
            )),
            (Some(Ok(true)), ..) => {
                Writer::Perhaps("another process holds the lock, and may be writing it".to_owned())
            }
            (Some(Err(error)), ..) if !sys::locks_unsupported(error) => {
                Writer::Perhaps(format!("whether somebody holds the lock can't be known ({error})"))
            }
            _ if seen.guarantee == Guarantee::LockfileOnly => Writer::NobodyForLong(
                "without kernel locks that alone tells that nobody is writing it",
            ),
            _ => Writer::Nobody("only who holds the lock writes one, and nobody does"),
        }
    }
}

/// `None` if it is gone by now: it was somebody's who was at work.
fn judge_temp(
    temp: &Path,
    writer: &Writer,
    lockfiles: bool,
    stale_after: Duration,
) -> Option<(bool, String)> {
    let metadata = fs::symlink_metadata(temp).ok()?;
    Some(match writer {
        Writer::Nobody(why) => (true, format!("was left by a process that is gone: {why}")),
        Writer::Perhaps(why) => (false, why.clone()),
        Writer::NobodyForLong(why) => {
            let is_old = |at: SystemTime| {
                SystemTime::now().duration_since(at).is_ok_and(|age| age > stale_after)
            };
            let modified = metadata.modified().is_ok_and(is_old);
            // A lockfile that was moved aside is as old as it was.
            let old = modified && (!lockfiles || sys::link_time(temp).is_none_or(is_old));
            let seconds = stale_after.as_secs();
            match old {
                true => (true, format!("is older than {seconds} s, and nobody holds the lock")),
                false => (false, format!("is not older than {seconds} s, and {why}")),
            }
        }
    })
}

/// Whether a file is a registry, with a guard and a lockfile.
fn is_registry(paths: &FilePaths) -> bool {
    if sys::id_at(&paths.guard).is_ok_and(|id| id.is_some()) {
        return true;
    }
    let found = FoundLockfile::find(&paths.lockfile);
    if found.is_ok_and(|found| found.is_some_and(|found| found.record.is_some())) {
        return true;
    }
    let looks = fs::metadata(&paths.target);
    if !looks.is_ok_and(|file| file.is_file() && file.len() <= LARGEST_REGISTRY) {
        return false;
    }
    let content = shared_file::read(&paths.target).ok().flatten();
    content.is_some_and(|content| RegistryV1::parse(&paths.target, &content.bytes).is_ok())
}
