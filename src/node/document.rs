//! Documents: their names and lock files, and reading one under its lock.

use napi::Env;
use napi_derive::napi;

use super::convert::{addon_result, AddonResult};
use super::held_lock::{policy, AcquireRequest};
use super::threads::{in_background, Background, WorkerPool};
use super::{utf8_path, FileText};
use crate::document::lock::{LockChoice, LockFile};
use crate::document::operations::load_content;
use crate::error::Result;
use crate::files::paths::FilePaths;
use crate::lock::wait::{Wait, WaitPolicy};

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
#[napi]
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
    let lock_path = utf8_path(choice.resolve(&paths)?.file(&paths).to_path_buf())?;
    Ok(DocumentPaths { path: utf8_path(paths.target)?, lock_path })
}

/// What a document's file holds.
#[napi(object, object_from_js = false)]
pub struct LoadedText {
    /// `None` if its bytes are not UTF-8.
    pub text: Option<String>,
    /// Whether it was read under the document's lock.
    pub locked: bool,
}

fn load(request: &AcquireRequest, waiting: WaitPolicy) -> Result<LoadedText> {
    let file = request.file()?;
    let wait = Wait::start_with(&request.options(), policy(waiting));
    let (content, unlocked) = load_content(&file.request(), &wait)?;
    Ok(LoadedText { text: FileText::from(Some(&content)).text, locked: unlocked.is_none() })
}

/// Reads a document under its shared lock, off the calling thread.
#[napi]
pub fn load_document(
    env: &Env,
    request: AcquireRequest,
) -> napi::Result<Background<'_, AddonResult<LoadedText>>> {
    in_background(env, WorkerPool::LockWaits, move || {
        addon_result(load(&request, WaitPolicy::Block), |loaded| loaded)
    })
}

/// Reads a document under its shared lock, on the calling thread.
#[napi]
pub fn load_document_sync(request: AcquireRequest) -> AddonResult<LoadedText> {
    addon_result(load(&request, WaitPolicy::Block), |loaded| loaded)
}
