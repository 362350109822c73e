//! Taking a registry's lock, and what can be done while it is held.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use napi::bindgen_prelude::Either;
use napi::{Env, Unknown};
use napi_derive::napi;

use super::convert::{millis, outcome, Failure};
use super::thread_end::Owner;
use super::threads::{conversion, in_background, promise, run, Convert, Pool, Settle};
use super::Text;
use crate::error::Result;
use crate::files::paths::FilePaths;
use crate::files::shared_file::{self, CommitOptions, FileContent, NEW_FILE_MODE};
use crate::lock::registry_lock::RegistryLock;
use crate::lock::wait::{LockOptions, ThreadPolicy, Wait, WaitPolicy};
use crate::util::cancel::CancelToken;
use crate::util::inline_budget;

/// A held lock and the content read under it.
struct Held {
    lock: RegistryLock,
    content: Option<FileContent>,
}

/// Shared with the thread that commits; `None` once released.
type Shared = Arc<Mutex<Option<Held>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a call may do on a thread that may wait this way. The files that it replaces are always closed
/// by another thread: JavaScript waits for the call.
pub(super) fn policy(waiting: WaitPolicy) -> ThreadPolicy {
    ThreadPolicy { waiting, defers_close: true }
}

fn acquire(path: &str, options: &LockOptions, waiting: WaitPolicy) -> Result<Held> {
    let paths = FilePaths::of_resolved(path.as_ref())?;
    let lock = RegistryLock::acquire_at(&paths, &Wait::start_with(options, policy(waiting)))?;
    let content = shared_file::read(lock.path())?;
    Ok(Held { lock, content })
}

/// Takes a lock if that needs no wait, and reads what does not take long.
fn acquire_without_blocking(path: &str, options: &LockOptions) -> Option<Held> {
    let paths = FilePaths::of_resolved(path.as_ref()).ok()?;
    let wait = Wait::start_with(options, policy(WaitPolicy::DontBlock));
    let lock = RegistryLock::acquire_at(&paths, &wait).ok()?;
    let opened = shared_file::open(&paths.target)
        .ok()?
        .filter(|opened| inline_budget::allows_size(opened.len()));
    // One that is missing or large has more to it than this.
    let content = Some(opened?.read().ok()?);
    Some(Held { lock, content })
}

/// `elapsed_ms` of the timeout are over already.
pub(super) fn lock_options(timeout_ms: f64, elapsed_ms: f64, stale_ms: f64) -> LockOptions {
    let since = millis(elapsed_ms).and_then(|elapsed| Instant::now().checked_sub(elapsed));
    LockOptions {
        timeout: millis(timeout_ms),
        since: Some(since.unwrap_or_else(Instant::now)),
        stale_after: millis(stale_ms).unwrap_or(Duration::MAX),
        ..LockOptions::default()
    }
}

/// A wait for a lock, on a thread of its own.
///
/// What the thread gets goes into a slot that this object owns, not to JavaScript directly: if
/// the JavaScript thread ends first (`worker.terminate()`), dropping this object releases the lock,
/// which nobody would ever ask for.
#[napi]
pub struct Acquisition {
    path: String,
    options: LockOptions,
    token: CancelToken,
    slot: Arc<Mutex<Slot>>,
    /// Settles the promise of the wait, if nobody has. Not only the thread that waits does: it may
    /// stand in the kernel's queue for as long as somebody else holds the lock.
    settle: Arc<Mutex<Option<Settle>>>,
    _owner: Owner,
}

enum Slot {
    Waiting,
    Done(Box<Result<Held>>),
    /// Nobody wants it any more.
    Closed,
}

#[napi]
impl Acquisition {
    /// Prepares the wait.
    #[napi(constructor)]
    pub fn new(path: String, timeout_ms: f64, elapsed_ms: f64, stale_ms: f64) -> Self {
        let token = CancelToken::new();
        let mut options = lock_options(timeout_ms, elapsed_ms, stale_ms);
        options.cancel = Some(token.clone());
        let slot = Arc::new(Mutex::new(Slot::Waiting));
        let abandoned = (token.clone(), slot.clone());
        let owner = Owner::new(move || abandon(&abandoned.0, &abandoned.1));
        Acquisition { path, options, token, slot, settle: Arc::default(), _owner: owner }
    }

    /// Waits. The promise says only that the wait is over: [`take`](Self::take) has the rest.
    #[napi]
    pub fn start<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        let (path, options, slot) = (self.path.clone(), self.options.clone(), self.slot.clone());
        let (settle, promise) = promise(env)?;
        *lock(&self.settle) = Some(settle);
        let settle = self.settle.clone();
        let wait = move || {
            // JavaScript watches the clock, and takes what there is.
            let acquired = acquire(&path, &options, WaitPolicy::BlockInKernel);
            let mut slot = lock(&slot);
            // A lock that nobody wants is released right here, as it is dropped.
            if matches!(*slot, Slot::Waiting) {
                *slot = Slot::Done(Box::new(acquired));
            }
            conversion(())
        };
        run(Pool::Waits, Box::new(wait), Box::new(move |convert| tell(&settle, convert)));
        Ok(promise)
    }

    /// The lock, once the wait is over; if its time is over before, why there is none.
    #[napi]
    pub fn take(&self) -> Either<Hold, Failure> {
        let slot = std::mem::replace(&mut *lock(&self.slot), Slot::Closed);
        match slot {
            Slot::Done(acquired) => outcome(*acquired, Hold::new),
            Slot::Waiting => {
                self.token.cancel();
                tell(&self.settle, conversion(()));
                let over = |paths| Wait::start(&self.options).contention_error(&paths, None);
                let paths = FilePaths::of_resolved(self.path.as_ref());
                Either::B(paths.map_or_else(Failure::from, |paths| over(paths).into()))
            }
            Slot::Closed => Either::B(Failure::internal("a defect of argus-registry: taken twice")),
        }
    }

    /// Ends the wait, and releases what it has got already: the collector would, but nobody knows
    /// when.
    #[napi]
    pub fn cancel(&self) {
        abandon(&self.token, &self.slot);
        tell(&self.settle, conversion(()));
    }
}

fn tell(settle: &Mutex<Option<Settle>>, convert: Convert) {
    let settle = lock(settle).take();
    if let Some(settle) = settle {
        settle(convert);
    }
}

/// Ends a wait, and releases what it got.
fn abandon(token: &CancelToken, slot: &Mutex<Slot>) {
    token.cancel();
    *lock(slot) = Slot::Closed;
}

impl Drop for Acquisition {
    fn drop(&mut self) {
        abandon(&self.token, &self.slot);
    }
}

/// A held lock. Released when JavaScript says so or when its thread ends.
#[napi]
pub struct Hold {
    shared: Shared,
    _owner: Owner,
}

/// What a commit returns: where the bad content that was replaced is kept, if any was. No object,
/// which would cost as much as some of the system calls.
type Committed = Either<Option<String>, Failure>;

#[napi]
impl Hold {
    fn new(held: Held) -> Self {
        let shared = Arc::new(Mutex::new(Some(held)));
        let abandoned = shared.clone();
        Hold { shared, _owner: Owner::new(move || drop(lock(&abandoned).take())) }
    }

    /// The content that was read under the lock: as text, else whether there is a file.
    #[napi]
    pub fn text(&self) -> Either<String, bool> {
        let held = lock(&self.shared);
        let Text { text, exists } =
            Text::from(held.as_ref().and_then(|held| held.content.as_ref()));
        text.map_or(Either::B(exists), Either::A)
    }

    /// Whether a commit that is not durable does not block, as far as can be told. Of a lock that
    /// was acquired at once it is known.
    #[napi]
    pub fn commits_at_once(&self) -> bool {
        lock(&self.shared)
            .as_ref()
            .is_some_and(|held| allows_inline(held.lock.path()) && held.lock.is_local())
    }

    /// Replaces the content, off the calling thread; then, with `release`, releases the lock.
    #[napi]
    pub fn commit<'env>(
        &self,
        env: &'env Env,
        text: String,
        durable: bool,
        keep_old: bool,
        release: bool,
    ) -> napi::Result<Unknown<'env>> {
        let shared = self.shared.clone();
        in_background(env, Pool::Work, move || commit(&shared, &text, durable, keep_old, release))
    }

    /// The same on the calling thread.
    #[napi]
    pub fn commit_sync(
        &self,
        text: String,
        durable: bool,
        keep_old: bool,
        release: bool,
    ) -> Committed {
        let commit = || commit(&self.shared, &text, durable, keep_old, release);
        // That an fsync takes long says nothing of the rest.
        if durable {
            return commit();
        }
        inline_budget::spend(commit)
    }

    /// Fails if the lock was taken away.
    #[napi]
    pub fn check(&self) -> Option<Failure> {
        let checked = lock(&self.shared).as_ref().map(|held| held.lock.check());
        checked.and_then(Result::err).map(Failure::from)
    }

    /// Releases the lock; a second call does nothing.
    #[napi]
    pub fn release(&self) -> Option<Failure> {
        let held = lock(&self.shared).take()?;
        held.lock.release().err().map(Failure::from)
    }
}

/// Whether a call on this file may be made on a thread that must not block.
pub(super) fn allows_inline(file: &Path) -> bool {
    inline_budget::is_available() && shared_file::size(file).is_none_or(inline_budget::allows_size)
}

fn commit(shared: &Shared, text: &str, durable: bool, keep_old: bool, release: bool) -> Committed {
    let mut shared = lock(shared);
    let Some(mut held) = shared.take() else {
        return Either::B(Failure::internal("a defect of argus-registry: committed after release"));
    };
    let how = CommitOptions { durable, keep_old, new_file_mode: NEW_FILE_MODE };
    let committed = shared_file::commit(&held.lock, held.content.as_ref(), text.as_bytes(), how);
    // What is replaced next is what was written now. If it can't be read, the next commit only
    // does not know the mode to keep, and the next read will say why.
    if !release {
        held.content = shared_file::read(held.lock.path()).ok().flatten();
        *shared = Some(held);
    } else {
        // First: the lock keeps the replaced file open, and decides which thread closes it.
        held.content = None;
        // The update is committed; the kernel releases the lock in any case.
        let _ = held.lock.release();
    }
    outcome(committed, |kept| kept.map(|path| path.to_string_lossy().into_owned()))
}

/// Takes a lock on the calling thread if that needs no wait and nothing else that may block.
#[napi]
pub fn acquire_at_once(path: String, stale_ms: f64) -> Option<Hold> {
    if !inline_budget::is_available() {
        return None;
    }
    let options = lock_options(0.0, 0.0, stale_ms);
    inline_budget::spend(|| acquire_without_blocking(&path, &options)).map(Hold::new)
}

/// Waits for a lock on the calling thread, and takes it.
#[napi]
pub fn acquire_sync(
    path: String,
    timeout_ms: f64,
    elapsed_ms: f64,
    stale_ms: f64,
) -> Either<Hold, Failure> {
    let options = lock_options(timeout_ms, elapsed_ms, stale_ms);
    outcome(acquire(&path, &options, WaitPolicy::Block), Hold::new)
}
