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
use crate::util::deferred_drop;

/// A lockfile may be in the way, and gone when we look, this often before the clock is asked
/// whether that can go on: even a one-try caller gets to try again after a takeover.
const CLEARING_LIMIT: u32 = 10;

/// An old argus's lockfile is judged anew this often; in between it is only seen to be there still.
const JUDGED_EVERY: Duration = Duration::from_millis(500);

/// The lock of one registry, held. Dropping it releases it.
#[derive(Debug)]
#[must_use = "the lock is released as soon as this value is dropped"]
pub struct RegistryLock {
    paths: FilePaths,
    guard: Option<Guard>,
    /// `None` once released.
    kept: Option<RefreshedLockfile>,
    took_over: bool,
    was_contended: bool,
    /// The files that were replaced under this lock. They are closed after the release: closing the
    /// last descriptor of a deleted file frees it, which can cost as much as the rest of an update,
    /// and other processes may be waiting.
    replaced: Mutex<Vec<Arc<File>>>,
    /// Whether another thread closes them.
    defers_close: bool,
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
        Self::acquire_at(&FilePaths::resolve(path.as_ref())?, &Wait::start(options))
    }

    /// Like [`acquire`](Self::acquire), for a path that is already resolved, as the wait's policy
    /// allows.
    pub(crate) fn acquire_at(paths: &FilePaths, wait: &Wait) -> Result<Self> {
        if !wait.may_block() && !sweep::was_held(paths) {
            return Err(wait.refused(paths));
        }
        let acquired = Self::acquire_by(paths, wait);
        if wait.may_block() {
            return acquired;
        }
        // Whatever was in the way is the blocking call's to deal with and to name.
        acquired.map_err(|_| wait.refused(paths))
    }

    fn acquire_by(paths: &FilePaths, wait: &Wait) -> Result<Self> {
        let mut took_over = false;
        loop {
            let guard = Guard::take(paths, wait)?;
            if guard.is_none() {
                wait.before_blocking(paths)?;
            }
            // Unlocks on every way out of this round but the one that keeps it.
            let mut lock = RegistryLock {
                paths: paths.clone(),
                was_contended: guard.as_ref().is_some_and(|guard| guard.contended),
                guard,
                kept: None,
                took_over,
                replaced: Mutex::default(),
                defers_close: wait.policy.defers_close,
            };
            let mut rounds = 0;
            let mut delays = wait.backoff.delays(sys::random_fraction);
            loop {
                match Lockfile::create(paths, lock.guard.as_ref(), wait.stale_after)? {
                    Creation::Ours { lockfile, took_over } => {
                        lock.took_over |= took_over;
                        lock.kept = Some(RefreshedLockfile::new(lockfile, wait.stale_after));
                        if lock.took_over || sweep::is_first_hold(paths) {
                            sweep::run(paths, lock.guard.is_none().then_some(wait.stale_after));
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
                        wait.before_blocking(paths)?;
                        outwait(&holder, paths, wait, &mut delays)?;
                    }
                }
            }
            took_over = lock.took_over;
            wait.before_blocking(paths)?;
            wait.check(paths)?;
        }
    }

    /// Whether its files are of this machine, as far as can be told.
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
        self.was_contended
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
        self.close_replaced();
        removed.and(unlocked)
    }

    fn close_replaced(&mut self) {
        let replaced =
            std::mem::take(self.replaced.get_mut().unwrap_or_else(PoisonError::into_inner));
        // Where other processes wait, the files are closed here: a holder that came back for the lock
        // at once would get it before the waiting process that the kernel has just woken.
        if self.defers_close && !self.was_contended && !replaced.is_empty() {
            deferred_drop::drop_later(replaced);
        }
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

    fn before_replace(&self, old: &Metadata, file: Option<Arc<File>>) {
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
    delays: &mut impl Iterator<Item = Duration>,
) -> Result<()> {
    // Whether an owner lives is asked at every look. An old argus's lockfile names none: as long as
    // it stays, it can only grow old.
    let look = || Stamp::at(&paths.lockfile).ok().flatten();
    let stamp = holder.pid.is_none().then(look).flatten();
    let judged = Instant::now();
    loop {
        wait.sleep(delays.next().unwrap_or_default(), paths, Some(holder.clone()))?;
        let is_due = judged.elapsed() > JUDGED_EVERY.min(wait.stale_after / 4);
        if is_due || stamp.is_none() || look() != stamp {
            return Ok(());
        }
    }
}
