//! The lock of a registry: guard, lockfile and a bounded wait.
//!
//! Lock order: the guard first, then the lockfile; released the other way round. The guard
//! decides among programs that use this crate, the lockfile tells everybody else. See
//! ARCHITECTURE.md for what a crash leaves behind at each step.

use std::fs::{File, Metadata};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::files::shared_file::WriteLock;
use crate::holder::Holder;
use crate::lock::guard::Guard;
use crate::lock::kernel_lock;
use crate::lock::lockfile::{Creation, Lockfile};
use crate::lock::lockfile_refresher::RefreshedLockfile;
use crate::lock::stale_lockfile::Stamp;
use crate::lock::sweep;
use crate::lock::wait::{LockOptions, Wait};
use crate::sys;

/// A lockfile may be in the way, and gone when we look, this often before the clock is asked
/// whether that can go on: even a one-try caller gets to try again after a takeover.
const CLEARING_LIMIT: u32 = 10;

/// An old argus's lockfile is judged anew this often; in between it is only seen to be there still.
const JUDGED_EVERY: Duration = Duration::from_millis(500);

/// The files that were replaced under a lock that is released by now. Closing the last descriptor
/// of a deleted file frees it, which can cost as much as all the rest of an update.
#[derive(Debug)]
pub(crate) struct Replaced {
    _files: Vec<Arc<File>>,
    /// Whether others waited for the lock.
    #[cfg(feature = "node")]
    pub(crate) contended: bool,
}

/// CommitOptions an update gets its lock and gets rid of it.
#[derive(Clone, Copy)]
pub(crate) struct Locking {
    pub(crate) take: fn(&FilePaths, &LockOptions) -> Result<RegistryLock>,
    /// Gets what is left to be closed when the lock is released.
    pub(crate) close: fn(Replaced),
}

impl Default for Locking {
    fn default() -> Self {
        Locking { take: RegistryLock::acquire_at, close: drop }
    }
}

/// The lock of one registry, held. Dropping it releases it.
#[derive(Debug)]
#[must_use = "the lock is released as soon as this value is dropped"]
pub struct RegistryLock {
    paths: FilePaths,
    guard: Option<Guard>,
    /// `None` once released.
    kept: Option<RefreshedLockfile>,
    took_over: bool,
    /// The files that were replaced under this lock: not to be closed while others wait for it.
    /// Dropped after it is released.
    replaced: Mutex<Vec<Arc<File>>>,
}

impl RegistryLock {
    /// Waits for the lock of a registry and takes it.
    ///
    /// A missing folder is created. A lock whose holder died is taken over at once; one whose
    /// holder lives never is, whatever its age.
    ///
    /// # Errors
    ///
    /// [`Error::LockTimeout`] with the holder when the time is over, [`Error::LockBusy`] if the
    /// timeout is zero, [`Error::Aborted`] if it was cancelled; [`Error::PermissionDenied`],
    /// [`Error::InvalidValue`] or [`Error::Io`] if the guard or the lockfile can't be made. A thread
    /// that waits for a lock it holds itself waits until the timeout.
    pub fn acquire(path: impl AsRef<Path>, options: &LockOptions) -> Result<Self> {
        Self::acquire_at(&FilePaths::resolve(path.as_ref())?, options)
    }

    /// The same for a name that was resolved before.
    pub(crate) fn acquire_at(paths: &FilePaths, options: &LockOptions) -> Result<Self> {
        Self::acquire_after(&Wait::start(options), paths, options)
    }

    /// The same for a wait that has begun.
    pub(crate) fn acquire_after(
        wait: &Wait,
        paths: &FilePaths,
        options: &LockOptions,
    ) -> Result<Self> {
        let mut took_over = false;
        loop {
            let guard = Guard::take(paths, wait)?;
            // Unlocks on every way out of this round but the one that keeps it.
            let mut lock = RegistryLock {
                paths: paths.clone(),
                guard,
                kept: None,
                took_over,
                replaced: Mutex::default(),
            };
            let mut rounds = 0;
            let mut delays = options.backoff.delays(sys::random_fraction);
            loop {
                match Lockfile::create(paths, lock.guard.as_ref(), options.stale_after)? {
                    Creation::Ours { lockfile, took_over } => {
                        lock.took_over |= took_over;
                        lock.kept = Some(RefreshedLockfile::new(lockfile, options.stale_after));
                        if lock.took_over || sweep::is_first_hold(paths) {
                            sweep::run(paths, lock.guard.is_none().then_some(options.stale_after));
                        }
                        return Ok(lock);
                    }
                    Creation::Free { took_over } => {
                        lock.took_over |= took_over;
                        rounds += 1;
                        if rounds > CLEARING_LIMIT {
                            wait.check(paths)?;
                        }
                    }
                    Creation::GuardReplaced => break,
                    Creation::Held(holder) => {
                        outwait(&holder, paths, wait, options.stale_after, &mut delays)?;
                    }
                }
            }
            took_over = lock.took_over;
            wait.check(paths)?;
        }
    }

    /// Takes the lock if nothing stands in the way, and nothing has to be done that is done once:
    /// making a folder or a guard, looking for what a crash has left. `None` is no answer: ask
    /// [`acquire_at`](Self::acquire_at). Does not block on a file system of this machine, and does
    /// nothing on others.
    #[cfg(feature = "node")]
    pub(crate) fn acquire_at_once(paths: &FilePaths, stale_after: Duration) -> Option<Self> {
        if !sweep::was_held(paths) {
            return None;
        }
        let guard = Guard::take_at_once(paths)?;
        let mut lock = RegistryLock {
            paths: paths.clone(),
            guard: Some(guard),
            kept: None,
            took_over: false,
            replaced: Mutex::default(),
        };
        let created = Lockfile::create(paths, lock.guard.as_ref(), stale_after);
        let (lockfile, took_over) = match created.ok()? {
            Creation::Ours { lockfile, took_over } => (Some(lockfile), took_over),
            Creation::Free { took_over } => (None, took_over),
            Creation::Held(_) | Creation::GuardReplaced => return None,
        };
        lock.took_over = took_over;
        if took_over {
            sweep::run(paths, None);
        }
        lock.kept = Some(RefreshedLockfile::new(lockfile?, stale_after));
        Some(lock)
    }

    /// Whether its files are of this machine, as far as can be told.
    #[cfg(feature = "node")]
    pub(crate) fn is_local(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| sys::is_local(&guard.file))
    }

    /// The registry, by its own name, with symbolic links followed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.paths.target
    }

    /// Whether a dead or stale holder's lock was taken over to get this one.
    #[must_use]
    pub fn took_over(&self) -> bool {
        self.took_over
    }

    /// Whether somebody else had the lock when it was asked for.
    #[must_use]
    pub fn was_contended(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.contended)
    }

    /// The fence: fails if the lockfile was taken away by a program that knows no better, in
    /// which case nothing may be written any more.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`].
    pub fn check(&self) -> Result<()> {
        match &self.kept {
            Some(kept) if kept.lockfile().is_ours()? => Ok(()),
            _ => Err(Error::LockLost { path: self.paths.target.clone() }),
        }
    }

    /// Releases the lock and hands out what may be closed at leisure.
    pub(crate) fn release_only(mut self) -> Replaced {
        #[cfg(feature = "node")]
        let contended = self.was_contended();
        let _ = self.let_go();
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        Replaced {
            _files: std::mem::take(&mut replaced),
            #[cfg(feature = "node")]
            contended,
        }
    }

    /// Releases the lock and reports a failure, which `drop` can't.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::PermissionDenied`] if the lockfile could not be removed; the
    /// kernel's lock is released all the same.
    pub fn release(mut self) -> Result<()> {
        self.let_go()
    }

    fn let_go(&mut self) -> Result<()> {
        let removed = self.kept.take().map_or(Ok(false), |kept| kept.lockfile().remove());
        let unlocked = match self.guard.take() {
            // Said, not left to closing: a child process that is just being started may still
            // have the descriptor, and would keep the lock until its exec.
            Some(guard) => kernel_lock::unlock(&guard.file)
                .map_err(|error| Error::from_io(&self.paths.guard, "unlock", error)),
            None => Ok(()),
        };
        removed.and(unlocked)
    }
}

impl WriteLock for RegistryLock {
    fn paths(&self) -> &FilePaths {
        &self.paths
    }

    fn nonce(&self) -> &str {
        self.kept.as_ref().expect("the lock is held until it is released").lockfile().nonce()
    }

    fn check(&self) -> Result<()> {
        RegistryLock::check(self)
    }

    fn replaces(&self, old: &Metadata, file: Option<Arc<File>>) {
        if let Some(guard) = &self.guard {
            // More users may write the registry by now than when the guard was made. Where we may
            // not open it to them, its owner's next update does.
            let _ = sys::widen_access(&guard.file, &guard.metadata, old);
        }
        // RefreshedLockfile open until the lock is released.
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner).extend(file);
    }
}

impl Drop for RegistryLock {
    fn drop(&mut self) {
        let _ = self.let_go();
    }
}

/// Waits until a lockfile that was judged to be held is worth being judged again.
fn outwait(
    holder: &Holder,
    paths: &FilePaths,
    wait: &Wait,
    stale_after: Duration,
    delays: &mut impl Iterator<Item = Duration>,
) -> Result<()> {
    // Whether an owner lives is asked at every look. An old argus's lockfile names none: as long as
    // it stays, it can only grow old.
    let look = || Stamp::at(&paths.lockfile).ok().flatten();
    let stamp = holder.pid.is_none().then(look).flatten();
    let judged = Instant::now();
    loop {
        wait.sleep(delays.next().unwrap_or_default(), paths, Some(holder.clone()))?;
        let is_due = judged.elapsed() > JUDGED_EVERY.min(stale_after / 4);
        if is_due || stamp.is_none() || look() != stamp {
            return Ok(());
        }
    }
}
