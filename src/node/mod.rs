//! What JavaScript calls, behind `lib/`: conversions at the border, and no policy.
//!
//! Two rules keep this simple. No call here throws: a failure is a value ([`Failure`]), which
//! `lib/errors.js` turns into a `RegistryError`. And no JavaScript is called back: the updater
//! runs in JavaScript, between the call that takes the lock and the one that commits.

mod convert;
mod entries;
mod hold;
mod thread_end;
mod threads;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::{Either, Object};
use napi::{Env, Unknown};
use napi_derive::napi;

use crate::error::Error;
use crate::files::default_path;
use crate::files::paths::FilePaths;
use crate::files::shared_file;
use crate::lock::file_lock::{try_lock_exclusive, try_lock_shared, KernelLock};
use crate::lock::inspect::{inspect_lock, Guarantee, LockState};
use convert::{millis, Failure, HolderInfo};
use thread_end::Owner;
use threads::{in_background, Pool};

/// Whose addon this is: JavaScript uses none of another version.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// A file's content as JavaScript reads it.
#[napi(object, object_from_js = false)]
pub struct Text {
    /// `None` if there is no file, or if its bytes are not UTF-8.
    pub text: Option<String>,
    /// Whether there is a file.
    pub exists: bool,
}

impl Text {
    fn from(content: Option<&shared_file::FileContent>) -> Self {
        let text = content.and_then(|content| std::str::from_utf8(&content.bytes).ok());
        Text { text: text.map(str::to_owned), exists: content.is_some() }
    }
}

fn read_text(path: PathBuf) -> Either<Text, Failure> {
    match shared_file::read(&path) {
        Ok(content) => Either::A(Text::from(content.as_ref())),
        Err(error) => Either::B(error.into()),
    }
}

/// Reads a file without a lock, on the calling thread.
#[napi]
pub fn read_sync(path: String) -> Either<Text, Failure> {
    read_text(path.into())
}

/// Reads a file without a lock, off the calling thread.
#[napi]
pub fn read(env: &Env, path: String) -> napi::Result<Unknown<'_>> {
    in_background(env, Pool::Work, move || read_text(path.into()))
}

/// The one name of a registry: absolute, with symbolic links followed.
#[napi]
pub fn resolve(path: String) -> Either<String, Failure> {
    let name = FilePaths::resolve(path.as_ref()).and_then(|paths| {
        // A name that is nearly the same would be another file.
        paths.target.into_os_string().into_string().map_err(|name| Error::InvalidValue {
            path: name.into(),
            reason: "JavaScript can't name it: its real name is not UTF-8".to_owned(),
        })
    });
    convert::outcome(name, |name| name)
}

/// Who holds a registry's lock, as far as can be seen.
#[napi]
pub fn holder_now(path: String) -> Option<HolderInfo> {
    inspect_lock(path, Duration::MAX).ok()?.holder.as_ref().map(HolderInfo::from)
}

/// Where argus keeps its registry, with these variables. JavaScript's environment need not be the
/// process's: what is assigned to `process.env` stays within a worker thread, and within Bun.
#[napi]
pub fn default_path(variables: Object<'_>) -> Either<String, Failure> {
    let variable = |name: &str| variables.get::<String>(name).ok().flatten().map(OsString::from);
    let path = default_path::registry_path_from(variable);
    convert::outcome(path, |path| path.to_string_lossy().into_owned())
}

/// What `inspectLock` returns.
#[napi(object, object_from_js = false)]
pub struct Status {
    /// The registry.
    pub path: String,
    /// `free`, `held` or `stale`.
    pub state: &'static str,
    /// Who holds it.
    pub holder: Option<HolderInfo>,
    /// `kernel-lock`, `lockfile-only` or `unknown`.
    pub guarantee: &'static str,
}

/// Looks at a registry's lock.
#[napi]
pub fn inspect(env: &Env, path: String, stale_ms: f64) -> napi::Result<Unknown<'_>> {
    in_background(env, Pool::Work, move || {
        let stale_after = millis(stale_ms).unwrap_or(Duration::MAX);
        convert::outcome(inspect_lock(&path, stale_after), |status| Status {
            path: status.path.to_string_lossy().into_owned(),
            state: match status.state {
                LockState::Free => "free",
                LockState::Held => "held",
                LockState::Stale => "stale",
            },
            holder: status.holder.as_ref().map(HolderInfo::from),
            guarantee: match status.guarantee {
                Guarantee::KernelLock => "kernel-lock",
                Guarantee::LockfileOnly => "lockfile-only",
                Guarantee::Unknown => "unknown",
            },
        })
    })
}

/// A held kernel lock.
#[napi]
pub struct TryLock {
    lock: Arc<Mutex<Option<KernelLock>>>,
    _owner: Owner,
}

impl TryLock {
    fn new(lock: KernelLock) -> Self {
        let lock = Arc::new(Mutex::new(Some(lock)));
        let abandoned = lock.clone();
        TryLock { lock, _owner: Owner::new(move || drop(take(&abandoned))) }
    }
}

fn take(lock: &Mutex<Option<KernelLock>>) -> Option<KernelLock> {
    lock.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[napi]
impl TryLock {
    /// Releases it; a second call does nothing.
    #[napi]
    pub fn release(&self) -> Option<Failure> {
        take(&self.lock)?.release().err().map(Failure::from)
    }
}

/// Takes a kernel lock in one try.
#[napi]
pub fn try_lock(path: String, shared: bool) -> Either<TryLock, Failure> {
    let lock = if shared { try_lock_shared(path) } else { try_lock_exclusive(path) };
    convert::outcome(lock, TryLock::new)
}
