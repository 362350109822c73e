//! A held lock, and what can be done while it is held.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

use napi::bindgen_prelude::Either;
use napi::Env;
use napi_derive::napi;

use super::convert::{addon_result, AddonFailure, AddonResult};
use super::held_folder::LockedFolder;
use super::threads::{in_background, Background, WorkerPool};
use super::FileText;
use crate::content::registry_v1::BYTE_ORDER_MARK;
use crate::document::lock::HeldLock;
use crate::error::Result;
use crate::files::shared_file::{self, CommitOptions, FileContent, WriteLock};
use crate::lock::wait::Wait;
use crate::util::inline_budget;
use crate::util::panic_test::panic_if_asked;
use crate::util::thread_end::ThreadEndGuard;

/// A held lock, and what it protects as it was read under the lock.
pub(super) enum Locked {
    // Boxed, because what is held is large.
    File(Box<LockedContent>),
    Folder(Box<LockedFolder>),
    /// A commit that failed has released it. Whether it was taken away after an earlier commit.
    Released {
        is_lost: bool,
    },
}

/// The lock of a file and the content that was read under it.
pub(super) struct LockedContent {
    pub(super) lock: HeldLock,
    pub(super) content: Option<FileContent>,
    pub(super) new_file_mode: Option<u32>,
    /// The wait for the lock, whose deadline is that of the whole call.
    pub(super) wait: Wait,
}

/// Shared with the thread that commits; `None` once the lock is released.
type SharedLock = Arc<Mutex<Option<Locked>>>;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Releases the lock of a thread that ends. If a commit is under way under it, another thread waits for the commit: when
/// a process ends, Windows has ended the committing thread before this call, and the commit would never be over.
fn release_abandoned(shared: &SharedLock) {
    match shared.try_lock() {
        Ok(mut held) => drop(held.take()),
        Err(TryLockError::Poisoned(poisoned)) => drop(poisoned.into_inner().take()),
        Err(TryLockError::WouldBlock) => {
            let committing = shared.clone();
            let waiting = thread::Builder::new().name("argus-registry".to_owned());
            // If the system refuses the thread, the process keeps the lock until it ends.
            let _ = waiting.spawn(move || drop(lock(&committing).take()));
        }
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
    pub(super) fn new(held: Locked) -> Self {
        let shared = Arc::new(Mutex::new(Some(held)));
        let abandoned = shared.clone();
        let at_thread_end = ThreadEndGuard::new(move || release_abandoned(&abandoned));
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
    let (committed, written) = match text {
        Some(text) => {
            // JavaScript has read the text without its byte order mark. Content that is kept in another
            // file has its own mark there. A caller's codec may have put a mark before the text: a second
            // one would be read as a part of it, and each update would add one.
            let needs_mark = !keep_old
                && !text.as_bytes().starts_with(BYTE_ORDER_MARK)
                && found.is_some_and(|found| found.bytes.starts_with(BYTE_ORDER_MARK));
            let marked = needs_mark.then(|| [BYTE_ORDER_MARK, text.as_bytes()].concat());
            let bytes = marked.as_deref().unwrap_or(text.as_bytes());
            match shared_file::commit(&held.lock, found, bytes, how) {
                // A commit that releases the lock closes the new file before.
                Ok(done) if release => (Ok(done.kept), None),
                Ok(done) => (Ok(done.kept), FileContent::written(bytes.to_vec(), done.file).ok()),
                Err(error) => (Err(error), None),
            }
        }
        None => (shared_file::make_durable(held.lock.paths(), found).map(|()| None), None),
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
        // The next commit replaces what this one has written. It takes the mode, owner and attributes from the
        // open file: a file that it would have to open again, without a descriptor left, would be replaced as
        // one that is missing. After a failure the file may be the old one or the new one.
        if written.is_some() {
            held.content = written;
        } else if committed.is_err() {
            if let Ok(found) = shared_file::read(&held.lock.paths().target) {
                held.content = found;
            }
        }
        *shared = Some(Locked::File(held));
    }
    addon_result(committed, |kept| {
        let kept = kept.map(|path| path.to_string_lossy().into_owned());
        (kept.is_some() || lock_lost).then_some(CommitReport { kept, lock_lost })
    })
}
