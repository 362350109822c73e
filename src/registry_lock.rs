//! The lock of a registry: guard, lockfile and a bounded wait.
//!
//! Lock order: the guard first, then the lockfile; released the other way round. The guard
//! decides among programs that use this crate, the lockfile tells everybody else. See
//! ARCHITECTURE.md for what a crash leaves behind at each step.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::backoff::Backoff;
use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::keeper::Kept;
use crate::kernel_lock;
use crate::lockfile::{Creation, Guard, Lockfile};
use crate::owner::{Holder, MAGIC};
use crate::paths::{self, RegistryPaths};
use crate::sys;
use crate::takeover::Found;
use crate::wait_line::{self, Waited};

/// A lockfile may be in the way, and gone when we look, this often before the clock is asked
/// whether that can go on: even a one-try caller gets to try again after a takeover.
const CLEARING_LIMIT: u32 = 10;

/// How often in a row a guard may turn out replaced before the next look is put off.
const REPLACED_LIMIT: u32 = 10;
const REPLACED_PAUSE: Duration = Duration::from_millis(1);

/// How often, and how long apart, a one-try caller looks again at a guard that is locked though
/// nobody holds the registry's lock.
const PASSING_LIMIT: u32 = 50;
const PASSING_PAUSE: Duration = Duration::from_micros(100);

/// How to wait for a lock.
#[derive(Debug, Clone)]
pub struct LockOptions {
    /// How long to wait for the lock; zero is one try, `None` waits without bound. Default 2 s,
    /// as in argus.
    pub timeout: Option<Duration>,
    /// Since when the timeout counts, for a caller that has waited elsewhere already. Default: the
    /// moment of the call.
    pub since: Option<Instant>,
    /// When a lockfile that can't be judged otherwise counts as abandoned: one of an older argus,
    /// or of another host. Default 10 s, as in argus.
    pub stale_after: Duration,
    /// The pauses between two looks at a lockfile of an older argus. A lock held by this library
    /// is not polled: the kernel wakes the waiter.
    pub backoff: Backoff,
    /// Ends the wait early, from another thread.
    pub cancel: Option<CancelToken>,
}

impl Default for LockOptions {
    fn default() -> Self {
        LockOptions {
            timeout: Some(Duration::from_secs(2)),
            since: None,
            stale_after: Duration::from_secs(10),
            backoff: Backoff::default(),
            cancel: None,
        }
    }
}

/// The lock of one registry, held. Dropping it releases it.
#[derive(Debug)]
#[must_use = "the lock is released as soon as this value is dropped"]
pub struct RegistryLock {
    paths: RegistryPaths,
    guard: Option<Guard>,
    /// `None` once released.
    kept: Option<Kept>,
    took_over: bool,
    /// The files that were replaced under this lock. Closing the last descriptor of a deleted file
    /// frees it, which can cost as much as all the rest of an update: not while others wait.
    /// Dropped after the lock is released.
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
        Self::acquire_at(&RegistryPaths::resolve(path.as_ref())?, options)
    }

    /// The same for a name that was resolved before.
    pub(crate) fn acquire_at(paths: &RegistryPaths, options: &LockOptions) -> Result<Self> {
        let wait = Wait::start(options);
        let mut took_over = false;
        loop {
            let guard = take_guard(paths, &wait)?;
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
                        lock.kept = Some(Kept::new(lockfile, options.stale_after));
                        if lock.took_over || is_first_of_process(paths) {
                            lock.sweep(options.stale_after);
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
                        wait.sleep(delays.next().unwrap_or_default(), paths, Some(holder))?;
                    }
                }
            }
            took_over = lock.took_over;
            wait.check(paths)?;
        }
    }

    /// The registry, by its own name, with symbolic links followed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.paths.registry
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
            _ => Err(Error::LockLost { path: self.paths.registry.clone() }),
        }
    }

    /// A name beside the registry that is this hold's own, for the file that will replace it.
    pub(crate) fn temp_path(&self) -> PathBuf {
        self.paths.temp(self.nonce())
    }

    /// A name beside the registry to keep bad content under.
    pub(crate) fn keepsake_path(&self, unix_ms: u128) -> PathBuf {
        self.paths.keepsake(unix_ms, self.nonce())
    }

    /// Opens the guard to whoever may write the registry, which may be more users by now than when
    /// the guard was made. Where we may not, its owner's next update does.
    pub(crate) fn open_to_users_of(&self, registry: &Metadata) {
        if let Some(guard) = &self.guard {
            let _ = sys::widen_access(&guard.file, &guard.metadata, registry);
        }
    }

    /// Keeps a file that was replaced open until the lock is released.
    pub(crate) fn close_late(&self, replaced: Option<Arc<File>>) {
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner).extend(replaced);
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.paths.folder
    }

    /// Releases the lock and hands out what may be closed at leisure.
    #[cfg(feature = "node")]
    pub(crate) fn release_only(mut self) -> Vec<Arc<File>> {
        let _ = self.let_go();
        std::mem::take(&mut self.replaced.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn nonce(&self) -> &str {
        self.kept.as_ref().expect("the lock is held until it is released").lockfile().nonce()
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

    /// Deletes what dead holders left: they can't, and under the guard nobody else is at work here.
    /// Without a guard somebody may be, so then only what is old.
    fn sweep(&self, stale_after: Duration) {
        for temp in self.paths.leftover_temps().unwrap_or_default() {
            let is_old = || {
                let made = sys::link_time(&temp);
                made.and_then(|made| SystemTime::now().duration_since(made).ok())
                    .is_some_and(|age| age > stale_after)
            };
            if self.guard.is_some() || is_old() {
                let _ = sys::remove_if_there(&temp);
            }
        }
    }
}

impl Drop for RegistryLock {
    fn drop(&mut self) {
        let _ = self.let_go();
    }
}

/// Whether this process has not had this lock before. A crash may leave a temp file and no
/// lockfile that would tell of it, so every process looks once.
fn is_first_of_process(paths: &RegistryPaths) -> bool {
    static SEEN: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    !seen.contains(&paths.registry) && seen.insert(paths.registry.clone())
}

/// Creates a folder so that it would survive a power failure, like what is put in it. It happens
/// once in a registry's life, so nobody has to be able to do without.
fn create_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<_> = folder.ancestors().take_while(|folder| !folder.is_dir()).collect();
    fs::create_dir_all(folder)?;
    for parent in missing.iter().filter_map(|created| created.parent()) {
        sys::sync_folder(parent)?;
    }
    Ok(())
}

/// Locks the guard; `None` where the file system has no kernel locks.
fn take_guard(paths: &RegistryPaths, wait: &Wait) -> Result<Option<Guard>> {
    let mut passing = 0;
    let mut replaced = 0;
    loop {
        wait.check_cancelled(paths)?;
        let (file, metadata) = open_guard(paths)?;
        let io_error = |operation, error| Error::from_io(&paths.guard, operation, error);
        let id = sys::id_of(&file, &metadata).map_err(|error| io_error("look at", error))?;
        let (file, contended) = match wait_line::lock(file, id, wait.deadline, &wait.token) {
            Ok(Waited::AtOnce(file)) => (file, false),
            Ok(Waited::InTurn(file)) => (file, true),
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
                return Err(Error::Aborted { path: paths.registry.clone() });
            }
            Err(error) if sys::locks_unsupported(&error) => return Ok(None),
            Err(error) => return Err(io_error("lock", error)),
        };
        let length = metadata.len();
        let guard = Guard { file: Arc::new(file), id, metadata, contended };
        let still_there = sys::id_at(&paths.guard).map_err(|error| io_error("look at", error));
        match still_there {
            Ok(found) if found == Some(id) => {}
            // Deleted or replaced while we waited: our lock excludes nobody.
            found => {
                let _ = kernel_lock::unlock(&guard.file);
                found?;
                // Not for ever, though: there are file systems whose inode numbers don't stay.
                replaced += 1;
                if replaced > REPLACED_LIMIT {
                    wait.sleep(REPLACED_PAUSE, paths, None)?;
                }
                continue;
            }
        }
        if let Err(error) = must_be_a_guard(paths, &guard, length) {
            let _ = kernel_lock::unlock(&guard.file);
            return Err(error);
        }
        return Ok(Some(guard));
    }
}

/// The guard gets written to, so it must not be somebody's file that happens to have its name.
fn must_be_a_guard(paths: &RegistryPaths, guard: &Guard, length: u64) -> Result<()> {
    if length == 0 {
        return Ok(());
    }
    let start = sys::read_start(&guard.file, MAGIC.len())
        .map_err(|error| Error::from_io(&paths.guard, "read", error))?;
    // A power failure may leave a record that was never written out as zeros.
    if start == MAGIC || start.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    Err(Error::Io {
        path: paths.guard.clone(),
        operation: "use as the guard",
        source: io::Error::other("it is some other file; move it away"),
    })
}

/// Opens the guard; creates it, and its folder, if they are missing.
fn open_guard(paths: &RegistryPaths) -> Result<(File, Metadata)> {
    let open = || kernel_lock::open_existing_or_create(&paths.guard, |_| create_guard(paths));
    match open() {
        Err(Error::NotFound { .. }) => {
            create_folder(&paths.folder)
                .map_err(|error| Error::from_io(&paths.folder, "create", error))?;
            open()
        }
        opened => opened,
    }
}

/// Creates the guard so that whoever may write the registry may open it. It gets its name when it
/// is complete, or somebody could find it before he is allowed to open it.
fn create_guard(paths: &RegistryPaths) -> io::Result<File> {
    let Ok(registry) = fs::metadata(&paths.registry) else {
        return sys::create_new(&paths.guard, 0o666);
    };
    let temp = paths.temp(&paths::nonce());
    let file = sys::create_new(&temp, 0o600)?;
    let named = sys::copy_access(&file, &registry)
        .and_then(|()| sys::hard_link(&temp, &paths.guard))
        .map(|()| file);
    let _ = sys::remove_if_there(&temp);
    match named {
        // Somebody who took over a dead holder's lock has swept our file away with its litter.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(io::ErrorKind::AlreadyExists.into())
        }
        Err(error) if sys::links_unsupported(&error) => {
            let file = sys::create_new(&paths.guard, 0o600)?;
            sys::copy_access(&file, &registry)?;
            Ok(file)
        }
        named => named,
    }
}

/// One caller's patience.
struct Wait {
    started: Instant,
    one_try: bool,
    deadline: Option<Instant>,
    token: CancelToken,
}

impl Wait {
    fn start(options: &LockOptions) -> Self {
        let started = options.since.unwrap_or_else(Instant::now);
        Wait {
            started,
            one_try: options.timeout.is_some_and(|timeout| timeout.is_zero()),
            // A timeout beyond what a clock can hold is none.
            deadline: options.timeout.and_then(|timeout| started.checked_add(timeout)),
            token: options.cancel.clone().unwrap_or_default(),
        }
    }

    fn check_cancelled(&self, paths: &RegistryPaths) -> Result<()> {
        if self.token.is_cancelled() {
            return Err(Error::Aborted { path: paths.registry.clone() });
        }
        Ok(())
    }

    fn check(&self, paths: &RegistryPaths) -> Result<()> {
        self.check_cancelled(paths)?;
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(self.over(paths, None));
        }
        Ok(())
    }

    /// Sleeps, unless the time is over.
    fn sleep(&self, pause: Duration, paths: &RegistryPaths, holder: Option<Holder>) -> Result<()> {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(self.over(paths, holder));
        }
        let until = now + pause;
        self.token.sleep_until(self.deadline.map_or(until, |deadline| until.min(deadline)));
        self.check_cancelled(paths)
    }

    /// The error of a wait that is over: names the holder if one can be seen.
    fn over(&self, paths: &RegistryPaths, holder: Option<Holder>) -> Error {
        // A holder that stands still between guard and lockfile has left its record in the guard.
        let found = [&paths.lockfile, &paths.guard].into_iter().find_map(|file| {
            let found = Found::look(file).ok().flatten();
            found.filter(|found| file == &paths.lockfile || found.is_locked() == Some(true))
        });
        let holder = holder.or_else(|| found.map(|found| found.holder())).map(Box::new);
        let path = paths.registry.clone();
        if self.one_try {
            return Error::LockBusy { path, holder };
        }
        Error::LockTimeout { path, waited: self.started.elapsed(), holder }
    }
}
