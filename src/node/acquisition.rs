//! Taking the lock of a registry or a document: on the calling thread, or by a wait on another.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use napi::bindgen_prelude::Either;
use napi::Env;
use napi_derive::napi;

use super::convert::{addon_result, millis, AddonFailure, AddonResult};
use super::held_folder::{self, LockedFolder};
use super::held_lock::{lock, LockHandle, Locked, LockedContent};
use super::panics::contain;
use super::threads::{promise, run, value_of, Background, MakeValue, SettlePromise, WorkerPool};
use crate::document::lock::LockRequest;
use crate::document::lock_choice::DocumentLock;
use crate::document::operations::must_exist;
use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::files::shared_file;
use crate::folder::layout::FolderPaths;
use crate::lock::wait::{LockOptions, Wait, WaitPolicy};
use crate::util::cancel::CancelToken;
use crate::util::inline_budget;
use crate::util::panic_test::panic_if_asked;
use crate::util::thread_end::ThreadEndGuard;

fn acquire(request: &AcquireRequest, options: &LockOptions, waiting: WaitPolicy) -> Result<Locked> {
    if request.is_folder() {
        let paths = FolderPaths::resolve(request.path.as_ref())?;
        let held = LockedFolder::acquire(paths, options, waiting)?;
        return Ok(Locked::Folder(Box::new(held)));
    }
    let held = acquire_file(&request.file()?, options, waiting)?;
    Ok(Locked::File(Box::new(held)))
}

fn acquire_file(
    file: &LockableFile,
    options: &LockOptions,
    waiting: WaitPolicy,
) -> Result<LockedContent> {
    if file.must_exist {
        must_exist(&file.paths)?;
    }
    let wait = Wait::start_with(options, waiting);
    let _busy = wait.busy_scope();
    let lock = file.request().acquire(&wait)?;
    let content = shared_file::read(&file.paths.target)?;
    Ok(LockedContent { lock, content, new_file_mode: file.new_file_mode, wait })
}

/// Takes a lock if that needs no wait, and reads the content if that does not take long.
fn acquire_without_blocking(file: &LockableFile, options: &LockOptions) -> Option<LockedContent> {
    let wait = Wait::start_with(options, WaitPolicy::DontBlock);
    let lock = file.request().acquire(&wait).ok()?;
    let opened = shared_file::open(&file.paths.target)
        .ok()?
        .filter(|opened| inline_budget::allows_size(opened.len()));
    // A file that is missing or large takes more than a thread that must not block should do.
    let content = Some(opened?.read().ok()?);
    Some(LockedContent { lock, content, new_file_mode: file.new_file_mode, wait })
}

/// A lock that a call asks for, and how long the call waits for it.
#[napi(object, object_to_js = false)]
#[derive(Clone)]
pub struct AcquireRequest {
    /// The registry, by its one name.
    pub path: String,
    /// How long the call may take, in milliseconds.
    pub timeout_ms: f64,
    /// How much of that is over already.
    pub elapsed_ms: f64,
    /// The age at which a lockfile that can't be judged otherwise counts as abandoned.
    pub stale_ms: f64,
    /// The lock file of a document. Without it the lock is a registry's.
    pub lock_file: Option<String>,
    /// The permission bits of a file that is new, less the umask.
    pub new_file_mode: Option<u32>,
    /// Whether a missing file is an error, found before anything is made beside it.
    pub must_exist: Option<bool>,
    /// Whether the path is that of a folder.
    pub folder: Option<bool>,
}

/// A file and its lock, by names that are resolved.
pub(super) struct LockableFile {
    pub(super) paths: FilePaths,
    lock: DocumentLock,
    new_file_mode: Option<u32>,
    must_exist: bool,
}

impl LockableFile {
    pub(super) fn request(&self) -> LockRequest<'_> {
        LockRequest { paths: &self.paths, lock: &self.lock, new_file_mode: self.new_file_mode }
    }
}

impl AcquireRequest {
    pub(super) fn file(&self) -> Result<LockableFile> {
        let registry = DocumentLock::Registry;
        let lock_file = self.lock_file.as_ref();
        Ok(LockableFile {
            paths: FilePaths::of_resolved(self.path.as_ref())?,
            lock: lock_file.map_or(registry, |name| DocumentLock::LockFile(name.into())),
            new_file_mode: self.new_file_mode.map(|mode| mode & 0o666),
            must_exist: self.must_exist == Some(true),
        })
    }

    fn is_folder(&self) -> bool {
        self.folder == Some(true)
    }

    /// The error of a wait for the lock that is over.
    fn timed_out(&self, wait: &Wait) -> Result<Error> {
        match self.is_folder() {
            true => held_folder::timed_out(self.path.as_ref(), wait),
            false => self.file().map(|file| file.request().timed_out(wait)),
        }
    }

    pub(super) fn options(&self) -> LockOptions {
        panic_if_asked("options", self.path.as_ref());
        let since = millis(self.elapsed_ms).and_then(|elapsed| Instant::now().checked_sub(elapsed));
        LockOptions {
            timeout: millis(self.timeout_ms),
            since: Some(since.unwrap_or_else(Instant::now)),
            stale_after: millis(self.stale_ms).unwrap_or(Duration::MAX),
            ..LockOptions::default()
        }
    }
}

/// A wait for a lock, on a thread of its own.
///
/// The thread puts the lock into a state that this object owns, and does not pass it to JavaScript: if
/// the JavaScript thread ends first (`worker.terminate()`), dropping this object releases the lock,
/// which no other code would do.
#[napi]
pub struct Acquisition {
    request: AcquireRequest,
    options: LockOptions,
    token: CancelToken,
    state: Arc<Mutex<AcquisitionState>>,
    /// Settles the promise of the wait; empty once it is settled. Not only the thread that waits
    /// settles it: that thread may be blocked in the kernel for as long as another process holds the
    /// lock.
    settle: Arc<Mutex<Option<SettlePromise>>>,
    _at_thread_end: ThreadEndGuard,
}

enum AcquisitionState {
    Waiting,
    Done(Box<Result<Locked, Box<AddonFailure>>>),
    /// The lock was taken, or the wait was cancelled: a lock that comes now is released.
    Closed,
}

#[napi]
impl Acquisition {
    /// Prepares the wait.
    #[napi(constructor, catch_unwind)]
    pub fn new(request: AcquireRequest) -> Self {
        let token = CancelToken::new();
        let mut options = request.options();
        options.cancel = Some(token.clone());
        let state = Arc::new(Mutex::new(AcquisitionState::Waiting));
        let abandoned = (token.clone(), state.clone());
        let at_thread_end = ThreadEndGuard::new(move || abandon(&abandoned.0, &abandoned.1));
        let settle = Arc::default();
        Acquisition { request, options, token, state, settle, _at_thread_end: at_thread_end }
    }

    /// Waits. The promise says only that the wait is over: [`take`](Self::take) has its result.
    #[napi(catch_unwind)]
    pub fn start<'env>(&self, env: &'env Env) -> napi::Result<Background<'env, AddonResult<()>>> {
        let (request, options) = (self.request.clone(), self.options.clone());
        let state = self.state.clone();
        let (settle, promise) = promise(env)?;
        *lock(&self.settle) = Some(settle);
        let settle = self.settle.clone();
        let wait = move || {
            // JavaScript has a timer for the timeout, and takes what there is by then.
            let acquired = contain(|| {
                acquire(&request, &options, WaitPolicy::BlockInKernel)
                    .map_err(|error| Box::new(AddonFailure::from(error)))
            });
            let acquired = acquired.and_then(|acquired| acquired);
            let mut state = lock(&state);
            // A lock that comes too late is dropped here, which releases it.
            if matches!(*state, AcquisitionState::Waiting) {
                *state = AcquisitionState::Done(Box::new(acquired));
            }
            value_of(())
        };
        let settle = Box::new(move |make_value| settle_once(&settle, make_value));
        run(WorkerPool::LockWaits, Box::new(wait), settle);
        Ok(promise)
    }

    /// The lock, once the wait is over. If the wait is not over, ends it with the error of a timeout.
    #[napi(catch_unwind)]
    pub fn take(&self) -> AddonResult<LockHandle> {
        let state = std::mem::replace(&mut *lock(&self.state), AcquisitionState::Closed);
        match state {
            AcquisitionState::Done(acquired) => match *acquired {
                Ok(held) => Either::A(LockHandle::new(held)),
                Err(failure) => Either::B(*failure),
            },
            AcquisitionState::Waiting => {
                self.token.cancel();
                settle_once(&self.settle, value_of(()));
                let wait = Wait::start(&self.options);
                let error = self.request.timed_out(&wait);
                Either::B(error.unwrap_or_else(|error| error).into())
            }
            AcquisitionState::Closed => Either::B(AddonFailure::defect("taken twice")),
        }
    }

    /// Ends the wait, and releases the lock if the wait has got it already. The garbage collector would
    /// do that too, at a time that can't be known.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        abandon(&self.token, &self.state);
        settle_once(&self.settle, value_of(()));
    }
}

fn settle_once(settle: &Mutex<Option<SettlePromise>>, make_value: MakeValue) {
    let settle = lock(settle).take();
    if let Some(settle) = settle {
        settle(make_value);
    }
}

/// Ends a wait, and releases the lock that it has got. A wait whose lock was taken is over: the holder goes
/// on with its token, and the garbage collector may drop the wait's object long before the lock is released.
fn abandon(token: &CancelToken, state: &Mutex<AcquisitionState>) {
    let state = std::mem::replace(&mut *lock(state), AcquisitionState::Closed);
    if !matches!(state, AcquisitionState::Closed) {
        token.cancel();
    }
}

impl Drop for Acquisition {
    fn drop(&mut self) {
        abandon(&self.token, &self.state);
    }
}

/// Takes a lock on the calling thread if that needs no wait and no other call that may block.
#[napi(catch_unwind)]
pub fn acquire_at_once(path: String, stale_ms: f64) -> Option<LockHandle> {
    if !inline_budget::is_available() {
        return None;
    }
    let request = AcquireRequest {
        path,
        timeout_ms: 0.0,
        elapsed_ms: 0.0,
        stale_ms,
        lock_file: None,
        new_file_mode: None,
        must_exist: None,
        folder: None,
    };
    let file = request.file().ok()?;
    let acquire = || acquire_without_blocking(&file, &request.options());
    inline_budget::spend(acquire).map(|held| LockHandle::new(Locked::File(Box::new(held))))
}

/// Waits for a lock on the calling thread, and takes it.
#[napi(catch_unwind)]
pub fn acquire_sync(request: AcquireRequest) -> AddonResult<LockHandle> {
    addon_result(acquire(&request, &request.options(), WaitPolicy::Block), LockHandle::new)
}
