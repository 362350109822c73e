//! Taking the lock of a registry or a document, and what can be done while it is held.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use napi::bindgen_prelude::Either;
use napi::Env;
use napi_derive::napi;

use super::convert::{addon_result, millis, AddonFailure, AddonResult};
use super::held_folder::{self, LockedFolder};
use super::panics::contain;
use super::threads::{
    in_background, policy, promise, run, value_of, Background, MakeValue, SettlePromise, WorkerPool,
};
use super::FileText;
use crate::content::registry_v1::BYTE_ORDER_MARK;
use crate::document::lock::{DocumentLock, HeldLock, LockRequest};
use crate::document::operations::must_exist;
use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::files::shared_file::{self, CommitOptions, FileContent, WriteLock};
use crate::folder::layout::FolderPaths;
use crate::lock::wait::{LockOptions, Wait, WaitPolicy};
use crate::util::cancel::CancelToken;
use crate::util::inline_budget;
use crate::util::panic_test::panic_if_asked;
use crate::util::thread_end::ThreadEndGuard;

/// A held lock, and what it protects as it was read under the lock.
enum Locked {
    // Boxed, because what is held is large.
    File(Box<LockedContent>),
    Folder(Box<LockedFolder>),
    /// A commit that failed has released it. Whether it was taken away after an earlier commit.
    Released {
        is_lost: bool,
    },
}

/// The lock of a file and the content that was read under it.
struct LockedContent {
    lock: HeldLock,
    content: Option<FileContent>,
    new_file_mode: Option<u32>,
    /// The wait for the lock, whose deadline is that of the whole call.
    wait: Wait,
}

/// Shared with the thread that commits; `None` once the lock is released.
type SharedLock = Arc<Mutex<Option<Locked>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let wait = Wait::start_with(options, policy(waiting));
    let _busy = wait.busy_scope();
    let lock = file.request().acquire(&wait)?;
    let content = shared_file::read(&file.paths.target)?;
    Ok(LockedContent { lock, content, new_file_mode: file.new_file_mode, wait })
}

/// Takes a lock if that needs no wait, and reads the content if that does not take long.
fn acquire_without_blocking(file: &LockableFile, options: &LockOptions) -> Option<LockedContent> {
    let wait = Wait::start_with(options, policy(WaitPolicy::DontBlock));
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

/// What to commit, and how.
#[napi(object, object_to_js = false)]
pub struct CommitRequest {
    /// The new content. Without it the content stays as it is, and is made durable.
    pub text: Option<String>,
    /// Whether the commit has to survive a power failure.
    pub durable: bool,
    /// Whether the bytes that are replaced are kept beside the file.
    pub keep_old: bool,
    /// Whether the commit releases the lock.
    pub release: bool,
}

/// What a caller has to be told of a commit.
#[napi(object, object_from_js = false)]
pub struct CommitReport {
    /// The path at which the old bytes are kept, if they are.
    pub kept: Option<String>,
    /// Whether the lock was taken away after the commit and before its release.
    pub lock_lost: bool,
}

/// A held lock. JavaScript releases it; else it is released when its thread ends.
#[napi]
pub struct LockHandle {
    shared: SharedLock,
    _at_thread_end: ThreadEndGuard,
}

#[napi]
impl LockHandle {
    fn new(held: Locked) -> Self {
        let shared = Arc::new(Mutex::new(Some(held)));
        let abandoned = shared.clone();
        let at_thread_end = ThreadEndGuard::new(move || drop(lock(&abandoned).take()));
        LockHandle { shared, _at_thread_end: at_thread_end }
    }

    /// The content that was read under the lock: its text; else, whether there is a file.
    #[napi(catch_unwind)]
    pub fn text(&self) -> Either<String, bool> {
        let content = match &*lock(&self.shared) {
            Some(Locked::Folder(folder)) => return Either::A(folder.text()),
            Some(Locked::File(held)) => FileText::from(held.content.as_ref()),
            Some(Locked::Released { .. }) | None => FileText::from(None),
        };
        content.text.map_or(Either::B(content.exists), Either::A)
    }

    /// Whether a commit that is not durable is not expected to block. For a lock from
    /// [`acquire_at_once`] the answer is yes.
    #[napi(catch_unwind)]
    pub fn commits_at_once(&self) -> bool {
        match &*lock(&self.shared) {
            Some(Locked::File(held)) => {
                allows_inline(&held.lock.paths().target) && held.lock.is_local()
            }
            // A commit may change any number of files.
            Some(Locked::Folder(_) | Locked::Released { .. }) | None => false,
        }
    }

    /// Replaces the content on another thread. The result is what the caller has to be told, if anything.
    /// A commit that is to release the lock does so also when it fails: a synchronous call may block the
    /// JavaScript thread meanwhile, so that nothing there could release it.
    #[napi(catch_unwind)]
    pub fn commit<'env>(
        &self,
        env: &'env Env,
        request: CommitRequest,
    ) -> napi::Result<Background<'env, AddonResult<Option<CommitReport>>>> {
        let shared = self.shared.clone();
        in_background(env, WorkerPool::FileWork, move || commit(&shared, &request))
    }

    /// Like [`commit`](Self::commit), on the calling thread.
    #[napi(catch_unwind)]
    pub fn commit_sync(&self, request: CommitRequest) -> AddonResult<Option<CommitReport>> {
        let commit = || commit(&self.shared, &request);
        // That an fsync takes long says nothing about the other calls.
        if request.durable {
            return commit();
        }
        inline_budget::spend(commit)
    }

    /// Fails if the lock was taken away.
    #[napi(catch_unwind)]
    pub fn check(&self) -> AddonResult<()> {
        let checked = match &*lock(&self.shared) {
            Some(Locked::File(held)) => held.lock.check_hold(),
            Some(Locked::Folder(folder)) => folder.check(),
            Some(Locked::Released { .. }) | None => Ok(()),
        };
        addon_result(checked, |()| ())
    }

    /// Releases the lock; a second call does nothing. Returns whether the lock was taken away after a
    /// commit.
    #[napi(catch_unwind)]
    pub fn release(&self) -> AddonResult<bool> {
        let held = lock(&self.shared).take();
        let release = |held| match held {
            Locked::File(held) => {
                panic_if_asked("release", &held.lock.paths().target);
                held.lock.release()
            }
            Locked::Folder(folder) => folder.release(),
            Locked::Released { is_lost } => Ok(is_lost),
        };
        addon_result(held.map_or(Ok(false), release), |is_lost| is_lost)
    }
}

/// Whether a call on this file may be made on a thread that must not block.
pub(super) fn allows_inline(file: &Path) -> bool {
    inline_budget::is_available() && shared_file::size(file).is_none_or(inline_budget::allows_size)
}

fn commit(shared: &SharedLock, request: &CommitRequest) -> AddonResult<Option<CommitReport>> {
    let mut shared = lock(shared);
    match shared.take() {
        Some(Locked::File(held)) => commit_file(&mut shared, held, request),
        Some(Locked::Folder(folder)) => commit_folder(&mut shared, folder, request),
        Some(Locked::Released { .. }) | None => {
            Either::B(AddonFailure::defect("committed after release"))
        }
    }
}

fn commit_folder(
    shared: &mut Option<Locked>,
    mut folder: Box<LockedFolder>,
    request: &CommitRequest,
) -> AddonResult<Option<CommitReport>> {
    let committed = folder.commit(request.text.as_deref(), request.durable);
    let mut lock_lost = false;
    if request.release {
        // The kernel releases the lock in any case.
        lock_lost = folder.release().unwrap_or(false);
        keep_loss(shared, &committed, lock_lost);
    } else {
        *shared = Some(Locked::Folder(folder));
    }
    addon_result(committed, |()| lock_lost.then_some(CommitReport { kept: None, lock_lost }))
}

/// A failure doesn't say whether the lock was taken away after an earlier commit: the release says it then.
fn keep_loss<T>(shared: &mut Option<Locked>, committed: &Result<T>, is_lost: bool) {
    if committed.is_err() {
        *shared = Some(Locked::Released { is_lost });
    }
}

fn commit_file(
    shared: &mut Option<Locked>,
    mut held: Box<LockedContent>,
    request: &CommitRequest,
) -> AddonResult<Option<CommitReport>> {
    let CommitRequest { ref text, durable, keep_old, release } = *request;
    let how = CommitOptions { durable, keep_old, new_file_mode: held.new_file_mode };
    let found = held.content.as_ref();
    let _busy = held.wait.busy_scope();
    let committed = match text {
        Some(text) => {
            // JavaScript has read the text without its byte order mark. Content that is kept in another
            // file has its own mark there.
            let has_mark =
                !keep_old && found.is_some_and(|found| found.bytes.starts_with(BYTE_ORDER_MARK));
            let marked = has_mark.then(|| [BYTE_ORDER_MARK, text.as_bytes()].concat());
            let bytes = marked.as_deref().unwrap_or(text.as_bytes());
            shared_file::commit(&held.lock, found, bytes, how)
        }
        None => shared_file::make_durable(held.lock.paths(), found).map(|()| None),
    };
    let mut lock_lost = false;
    if release {
        // Before the lock is released: the lock keeps the replaced file open, and decides which thread
        // closes it.
        held.content = None;
        // The kernel releases the lock in any case.
        lock_lost = held.lock.release().unwrap_or(false);
        keep_loss(shared, &committed, lock_lost);
    } else {
        // The next commit replaces what this one has written. If that can't be read, the next commit
        // only does not know the mode to keep, and the next read says why.
        if text.is_some() {
            held.content = shared_file::read(&held.lock.paths().target).ok().flatten();
        }
        *shared = Some(Locked::File(held));
    }
    addon_result(committed, |kept| {
        let kept = kept.map(|path| path.to_string_lossy().into_owned());
        (kept.is_some() || lock_lost).then_some(CommitReport { kept, lock_lost })
    })
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
