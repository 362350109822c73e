//! The lock of a registry: guard, lockfile and a bounded wait.
//!
//! Lock order: the guard first, then the lockfile; they are released in the opposite order. The
//! guard excludes programs that use this crate. The lockfile excludes older argus versions, which
//! don't know the guard. ARCHITECTURE.md lists what a crash leaves behind at each step.

use std::fs::{self, File, Metadata};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::files::paths::{is_folder, FilePaths};
use crate::files::shared_file::WriteLock;
use crate::holder::Holder;
use crate::lock::guard::Guard;
use crate::lock::kernel_lock;
use crate::lock::lockfile::{CreateOutcome, Lockfile};
use crate::lock::lockfile_refresher::RefreshedLockfile;
use crate::lock::loss::LossReport;
use crate::lock::reentry::UpdateScope;
use crate::lock::stale_lockfile::LockfileIdentity;
use crate::lock::sweep;
use crate::lock::wait::{LockOptions, Wait};
use crate::sys;
use crate::util::deferred_drop;
use crate::util::stopping_point;
use crate::warning::{OnWarning, Warning};

/// How often a caller that found another lockfile, which is gone by now, tries again without a look
/// at its deadline. So even a one-try caller, whose deadline has passed from the start, tries again
/// after a takeover.
const RETRIES_BEFORE_DEADLINE_CHECK: u32 = 10;

/// How often a lockfile that names no owner is judged. In between it is only checked that it has
/// not changed.
const OWNERLESS_JUDGE_INTERVAL: Duration = Duration::from_millis(500);

/// The held lock of a registry. Dropping it releases the lock. A forked process that drops its copy leaves the lock to
/// its parent.
#[derive(Debug)]
#[must_use = "the lock is released as soon as this value is dropped"]
pub struct RegistryLock {
    paths: FilePaths,
    guard: Option<Guard>,
    /// `None` once released.
    lockfile: Option<RefreshedLockfile>,
    took_over: bool,
    was_contended: bool,
    /// The files that were replaced under this lock. They are closed after the release, by another
    /// thread: closing the last descriptor of a deleted file waits until its content is on the disk,
    /// which can take as long as the rest of an update, and other processes may be waiting.
    replaced: Mutex<Vec<Arc<File>>>,
    loss: LossReport,
    /// Receives the warning of a loss after a write.
    on_warning: Mutex<Option<OnWarning>>,
}

impl RegistryLock {
    /// Waits for the lock of a registry and acquires it.
    ///
    /// A missing folder is created. The lock of a dead holder is taken over at once. The lock of a
    /// live holder is never taken over, whatever its age.
    ///
    /// # Errors
    ///
    /// - [`Error::LockTimeout`], with the holder, if the lock is still held after the timeout. A
    ///   thread that waits for a lock which it has acquired by this function gets this error, too.
    /// - [`Error::ReEntrant`] from inside an updater, or a closure of
    ///   [`with_registry_lock`](crate::with_registry_lock), that runs on this thread under this lock.
    /// - [`Error::LockBusy`] if the lock is held and the timeout is zero.
    /// - [`Error::LockMismatch`] if the file is used as a document under a lock file.
    /// - [`Error::Unsupported`] for a registry in a folder, in which watchers enter and renew themselves
    ///   without its lock.
    /// - [`Error::Aborted`] if the caller cancelled the wait.
    /// - [`Error::PermissionDenied`], [`Error::InvalidValue`] or [`Error::Io`] if the guard or the
    ///   lockfile can't be created.
    pub fn acquire(path: impl AsRef<Path>, options: &LockOptions) -> Result<Self> {
        refuse_folder(path.as_ref())?;
        let paths = FilePaths::resolve(path.as_ref())?;
        UpdateScope::refuse_inside(&paths.target, path.as_ref())?;
        let wait = Wait::start(options);
        let _busy = wait.busy_scope();
        Self::acquire_at(&paths, &wait).map_err(|error| paths.error_as_given(error))
    }

    /// Like [`acquire`](Self::acquire), for a path that is already resolved, as the wait's policy
    /// allows.
    pub(crate) fn acquire_at(paths: &FilePaths, wait: &Wait) -> Result<Self> {
        if !wait.may_block() && (sys::OPENING_MAY_WAIT || !sweep::was_held(paths)) {
            return Err(wait.would_block_error(paths));
        }
        let acquired = Self::acquire_by(paths, wait);
        if wait.may_block() {
            return acquired;
        }
        // Whatever the reason is, the blocking call that follows handles and reports it.
        acquired.map_err(|_| wait.would_block_error(paths))
    }

    fn acquire_by(paths: &FilePaths, wait: &Wait) -> Result<Self> {
        let mut took_over = false;
        loop {
            let guard = Guard::take(paths, wait)?;
            if guard.is_none() {
                wait.before_blocking(paths)?;
            }
            // Dropped, which unlocks the guard, on every way out of this round that does not return
            // it.
            let mut lock = RegistryLock {
                paths: paths.clone(),
                was_contended: guard.as_ref().is_some_and(|guard| guard.contended),
                guard,
                lockfile: None,
                took_over,
                replaced: Mutex::default(),
                loss: LossReport::default(),
                on_warning: Mutex::default(),
            };
            let mut retries = 0;
            let mut delays = wait.backoff.delays(sys::random_fraction);
            loop {
                match Lockfile::create(paths, lock.guard.as_ref(), wait.stale_after)? {
                    CreateOutcome::Created { lockfile, took_over } => {
                        lock.took_over |= took_over;
                        lock.lockfile = Some(RefreshedLockfile::new(lockfile, wait.stale_after));
                        // Asked first, because it also notes the hold.
                        if sweep::is_first_hold(paths) || lock.took_over {
                            sweep::run(paths, lock.guard.is_none().then_some(wait.stale_after));
                        }
                        return Ok(lock);
                    }
                    CreateOutcome::Free { took_over } => {
                        lock.took_over |= took_over;
                        retries += 1;
                        if retries > RETRIES_BEFORE_DEADLINE_CHECK {
                            wait.check(paths)?;
                        }
                    }
                    CreateOutcome::GuardReplaced => break,
                    CreateOutcome::Held(holder) => {
                        wait.before_blocking(paths)?;
                        wait_for_lockfile_change(&holder, paths, wait, &mut delays)?;
                        // Under a guard that was deleted during the wait this process would clear
                        // away lockfiles beside the holder of the next guard. A lockfile that it put
                        // back after that holder's release would keep it waiting for no process.
                        let guard = lock.guard.as_ref();
                        let is_replaced = |guard: &Guard| {
                            stopping_point::before("guard::is_in_place");
                            guard.is_in_place(paths).map(|is_in_place| !is_in_place)
                        };
                        if guard.map_or(Ok(false), is_replaced)? {
                            break;
                        }
                    }
                }
            }
            took_over = lock.took_over;
            wait.before_blocking(paths)?;
            wait.check(paths)?;
        }
    }

    /// Whether its files are known to be on a file system of this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| sys::is_local(&guard.file))
    }

    /// The path of the registry, with symbolic links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.paths.target
    }

    /// Whether a stale lock, such as that of a dead holder, was taken over to acquire this one.
    #[must_use]
    pub fn took_over(&self) -> bool {
        self.took_over
    }

    /// Whether another process or thread held the lock when this one was requested.
    #[must_use]
    pub fn was_contended(&self) -> bool {
        self.was_contended
    }

    /// Fails if another program has removed or replaced the lockfile. The holder must not write any
    /// more then.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`], which says whether the registry was written under this lock;
    /// [`Error::PermissionDenied`] or [`Error::Io`] if the system can't tell.
    pub fn check(&self) -> Result<()> {
        match self.is_in_place()? {
            true => Ok(()),
            false => Err(self.loss.error(self.paths.as_given(&self.paths.target))),
        }
    }

    fn is_in_place(&self) -> Result<bool> {
        self.lockfile.as_ref().map_or(Ok(false), |refreshed| refreshed.lockfile().is_in_place())
    }

    /// Has the release call this function with [`Warning::LockLost`] if the lockfile was taken away after
    /// the registry was written.
    pub(crate) fn warn_of_loss(&self, on_warning: &OnWarning) {
        *self.on_warning.lock().unwrap_or_else(PoisonError::into_inner) = Some(on_warning.clone());
    }

    /// Releases the lock. Unlike dropping the value, it reports a failure.
    ///
    /// If the registry was [written](Self::write) under this lock, and the lockfile was taken away since,
    /// the last write's `on_warning` is called with [`Warning::LockLost`]. Dropping the value does that,
    /// too.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::PermissionDenied`] if the lockfile could not be removed; the
    /// kernel lock is released in any case.
    pub fn release(self) -> Result<()> {
        self.release_and_tell().map(|_| ())
    }

    /// Like [`release`](Self::release); returns whether the lockfile was taken away after the registry
    /// was written.
    pub(crate) fn release_and_tell(mut self) -> Result<bool> {
        self.release_lock()
    }

    fn release_lock(&mut self) -> Result<bool> {
        let Some(refreshed) = self.lockfile.take() else {
            return self.unlock_guard().map(|()| false);
        };
        if !refreshed.lockfile().is_of_this_process() {
            // A forked process's copy. The lock is its parent's, which still holds it. Not unlocked either: the
            // parent's descriptor would be, too.
            self.guard = None;
            return Ok(false);
        }
        let removed = refreshed.lockfile().remove();
        let unlocked = self.unlock_guard();
        let is_lost = matches!(removed, Ok(false)) && self.loss.is_due();
        let on_warning = self.on_warning.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(on_warning) = on_warning.filter(|_| is_lost) {
            let path = self.paths.as_given(&self.paths.target);
            on_warning.call(&Warning::LockLost { path });
        }
        removed?;
        unlocked.map(|()| is_lost)
    }

    fn unlock_guard(&mut self) -> Result<()> {
        let unlocked = match self.guard.take() {
            // Unlocked explicitly: closing the file would leave it locked as long as a child
            // process that is just being started has a copy of the descriptor, until its exec.
            Some(guard) => {
                stopping_point::before("kernel_lock::unlock");
                kernel_lock::unlock(&guard.file)
                    .map_err(|error| Error::from_io(&self.paths.guard, "unlock", error))
            }
            None => Ok(()),
        };
        self.close_replaced();
        unlocked
    }

    fn close_replaced(&mut self) {
        let replaced =
            std::mem::take(self.replaced.get_mut().unwrap_or_else(PoisonError::into_inner));
        // Where other processes wait, this thread closes the files: without that delay a holder
        // that asks for the lock again would get it before the waiting process that the kernel has
        // woken.
        if !self.was_contended && !replaced.is_empty() {
            deferred_drop::drop_later(replaced);
        }
    }
}

impl WriteLock for RegistryLock {
    fn paths(&self) -> &FilePaths {
        &self.paths
    }

    fn nonce(&self) -> &str {
        self.lockfile.as_ref().expect("the lock is held until it is released").lockfile().nonce()
    }

    fn check(&self) -> Result<()> {
        match self.is_in_place()? {
            true => Ok(()),
            // Whatever was written under this lock before, the update that asks now is not.
            false => Err(Error::LockLost {
                path: self.paths.as_given(&self.paths.target),
                written: false,
            }),
        }
    }

    fn written(&self) {
        self.loss.written();
    }

    fn before_replace(&self, old: &Metadata, file: Option<Arc<File>>) {
        if let Some(guard) = &self.guard {
            // More users may be allowed to write the registry now than when the guard was created.
            // If this process may not grant them access to the guard, the next update of its owner
            // does.
            let folder = || fs::metadata(&self.paths.folder).ok();
            let acl = || file.as_ref().and_then(|file| sys::acl_of(file));
            let _ = sys::widen_access(&guard.file, &guard.metadata, old, folder, acl);
        }
        // Kept open until the lock is released.
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner).extend(file);
    }
}

impl Drop for RegistryLock {
    fn drop(&mut self) {
        let _ = self.release_lock();
    }
}

/// Fails for the path of a folder.
pub(crate) fn refuse_folder(path: &Path) -> Result<()> {
    match is_folder(path) {
        true => Err(no_lock_in_folder(path)),
        false => Ok(()),
    }
}

/// The error of a caller that would keep a registry in a folder as it is: no lock does.
pub(crate) fn no_lock_in_folder(path: &Path) -> Error {
    let reason =
        "in a folder watchers enter and renew themselves without its lock, so no lock keeps it as \
                  it is; change it by an update, or use a registry file";
    Error::Unsupported { path: path.to_path_buf(), reason: reason.to_owned() }
}

/// Waits until a lockfile that was judged to be held should be judged again.
fn wait_for_lockfile_change(
    holder: &Holder,
    paths: &FilePaths,
    wait: &Wait,
    delays: &mut impl Iterator<Item = Duration>,
) -> Result<()> {
    // A lockfile that names its owner is judged after every pause, because the owner may have died.
    // One of an older argus version names none: as long as it is not replaced, only its age can
    // change.
    let identify = || LockfileIdentity::at(&paths.lockfile).ok().flatten();
    let identity = holder.pid.is_none().then(identify).flatten();
    let judged = Instant::now();
    stopping_point::before("registry_lock::wait_for_lockfile_change");
    loop {
        wait.sleep(delays.next().unwrap_or_default(), paths, Some(holder.clone()))?;
        let is_due = judged.elapsed() > OWNERLESS_JUDGE_INTERVAL.min(wait.stale_after / 4);
        if is_due || identity.is_none() || identify() != identity {
            return Ok(());
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A hold that began with a takeover was not noted as the first one: the process listed its folder once
    /// more at the next, and a call that must not block was refused once more.
    #[test]
    fn a_hold_that_took_over_is_the_first_one() {
        let dir = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(dir.path()).unwrap();
        let (made, moved) = (folder.join("made"), folder.join("moved"));
        let registry = |folder: &Path| folder.join("registry.json");
        RegistryLock::acquire(registry(&made), &LockOptions::default()).unwrap().release().unwrap();
        sys::rename(&made, &moved).unwrap();
        let paths = FilePaths::resolve(&registry(&moved)).unwrap();
        sys::hard_link(&paths.guard, &paths.lockfile).unwrap();
        let lock = RegistryLock::acquire(&paths.target, &LockOptions::default()).unwrap();
        assert!(lock.took_over());
        assert!(sweep::was_held(&paths));
    }
}
