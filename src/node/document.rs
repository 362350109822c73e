//! Documents: their names and lock files, and reading one under its lock.

use std::path::{self, Path, PathBuf};

use napi::Env;
use napi_derive::napi;

use super::acquisition::AcquireRequest;
use super::convert::{addon_result, AddonResult};
use super::threads::{in_background, Background, WorkerPool};
use super::{utf8_path, FileText};
use crate::document::lock_choice::{LockChoice, LockFile};
use crate::document::operations::load_content;
use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::lock::wait::{LockOptions, Wait, WaitPolicy};
use crate::sys;
use crate::util::cancel::CancelToken;
use crate::util::thread_end::ThreadEndGuard;

/// A path that counts from the current folder of this moment, made absolute. Unlike Node's `resolve` it
/// keeps each `..`: what that leads to depends on the symbolic links before it.
#[napi(catch_unwind)]
pub fn absolute_path(path: String) -> AddonResult<String> {
    let absolute = path::absolute(&path)
        .map_err(|error| Error::from_io(path.as_ref(), "resolve", error))
        .and_then(utf8_path);
    addon_result(absolute, |path| path)
}

/// The one name of a document, and the file that carries its lock.
#[napi(object, object_from_js = false)]
pub struct DocumentPaths {
    /// The document: absolute, with symbolic links followed.
    pub path: String,
    /// Its lock file, or the guard of a registry's lock.
    pub lock_path: String,
}

/// Resolves a document's path. `lock_file` is the caller's choice, if it made one; with
/// `registry_lock` the document is used under the lock of a registry instead.
#[napi(catch_unwind)]
pub fn resolve_document(
    path: String,
    lock_file: Option<String>,
    registry_lock: bool,
) -> AddonResult<DocumentPaths> {
    let choice = match lock_file {
        _ if registry_lock => LockChoice::Registry,
        Some(lock_file) => LockChoice::LockFile(LockFile::At(lock_file.into())),
        None => LockChoice::LockFile(LockFile::default()),
    };
    addon_result(resolve(&path, &choice), |paths| paths)
}

fn resolve(path: &str, choice: &LockChoice) -> Result<DocumentPaths> {
    let paths = FilePaths::resolve(path.as_ref())?;
    let lock_path = in_real_folder(choice.resolve(&paths)?.file(&paths));
    Ok(DocumentPaths { path: utf8_path(paths.target)?, lock_path: utf8_path(lock_path)? })
}

/// A lock file's path with the symbolic links followed that lead to its folder: JavaScript knows a lock
/// by this name, and two names of one lock file would be two locks to it. The file itself must not be a
/// symbolic link, which locking it says.
fn in_real_folder(lock_file: &Path) -> PathBuf {
    let folder = lock_file.parent().and_then(|folder| sys::canonicalize(folder).ok());
    match (folder, lock_file.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => lock_file.to_path_buf(),
    }
}

/// What a document's file holds.
#[napi(object, object_from_js = false)]
pub struct LoadedText {
    /// `None` if its bytes are not UTF-8.
    pub text: Option<String>,
    /// Whether it was read under the document's lock.
    pub locked: bool,
}

fn load(request: &AcquireRequest, options: &LockOptions) -> Result<LoadedText> {
    let file = request.file()?;
    let wait = Wait::start_with(options, WaitPolicy::Block);
    let _busy = wait.busy_scope();
    let (content, unlocked) = load_content(&file.request(), &wait)?;
    Ok(LoadedText { text: FileText::from(Some(&content)).text, locked: unlocked.is_none() })
}

/// One reading of a document under its shared lock, on another thread. Its wait for the lock ends when it
/// is cancelled, or when the JavaScript thread ends.
#[napi]
pub struct DocumentLoad {
    request: AcquireRequest,
    token: CancelToken,
    _at_thread_end: ThreadEndGuard,
}

#[napi]
impl DocumentLoad {
    /// Prepares it.
    #[napi(constructor, catch_unwind)]
    pub fn new(request: AcquireRequest) -> Self {
        let token = CancelToken::new();
        let abandoned = token.clone();
        let at_thread_end = ThreadEndGuard::new(move || abandoned.cancel());
        DocumentLoad { request, token, _at_thread_end: at_thread_end }
    }

    /// Reads.
    #[napi(catch_unwind)]
    pub fn start<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<Background<'env, AddonResult<LoadedText>>> {
        let request = self.request.clone();
        let options = LockOptions { cancel: Some(self.token.clone()), ..request.options() };
        in_background(env, WorkerPool::LockWaits, move || {
            addon_result(load(&request, &options), |loaded| loaded)
        })
    }

    /// Ends the wait, if it is not over.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.token.cancel();
    }
}

/// Reads a document under its shared lock, on the calling thread.
#[napi(catch_unwind)]
pub fn load_document_sync(request: AcquireRequest) -> AddonResult<LoadedText> {
    addon_result(load(&request, &request.options()), |loaded| loaded)
}

impl Drop for DocumentLoad {
    /// A worker that was terminated no longer waits.
    fn drop(&mut self) {
        self.token.cancel();
    }
}
