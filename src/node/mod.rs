//! What JavaScript calls, behind `lib/`: conversions at the border, and no policy.
//!
//! Two rules keep this simple. No call here throws: a failure is a value
//! ([`AddonFailure`](convert::AddonFailure)), which `lib/errors.js` turns into a `RegistryError`. Only a
//! panic is thrown, which every export catches (`catch_unwind`), because it would end the process
//! otherwise. And no JavaScript is called back: the updater runs in JavaScript, between the call that takes
//! the lock and the one that commits.
//!
//! `scripts/typings.mjs` writes the types of all this to `lib/addon/addon.d.ts`.

mod acquisition;
mod convert;
mod document;
mod entries;
mod folder;
mod held_folder;
mod held_lock;
mod messages;
mod mirror;
mod panics;
mod reads;
mod threads;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::Object;
use napi::Env;
use napi_derive::napi;

use crate::content::registry_v1::{BYTE_ORDER_MARK, REGISTRY_VERSION};
use crate::error::{Error, MAX_CONTENT_BYTES};
use crate::files::default_path;
use crate::files::paths::{is_folder, FilePaths};
use crate::files::shared_file;
use crate::folder::layout::FolderPaths;
use crate::lock::file_lock::{try_lock_exclusive, try_lock_shared, KernelLock};
use crate::lock::inspect::{Guarantee, LockState};
use crate::lock::wait::LockOptions;
use crate::registry::entries::DEFAULT_TTL_MS;
use crate::store::calls::inspect_lock;
use crate::store::heartbeat::{HeartbeatOptions, MAX_JITTER};
use crate::util::inline_budget::INLINE_SIZE_LIMIT;
use crate::util::thread_end::ThreadEndGuard;
use convert::{addon_result, millis, AddonResult, HolderInfo};
use threads::{in_background, Background, WorkerPool};

/// The version of the border: of what `lib/` and this addon expect of each other. `lib/addon/border.js` has
/// the number too, and says when it changes; `lib/` uses an addon with its own number only.
const BORDER_VERSION: u32 = 1;

/// The version of the border between `lib/` and this addon: `lib/` uses no addon with another one.
#[napi(catch_unwind)]
pub fn border_version() -> u32 {
    BORDER_VERSION
}

/// The version of the package that this addon belongs to, for error messages.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// What `lib/` shares with the core: defaults and limits.
#[napi(object, object_from_js = false)]
pub struct CoreConstants {
    /// The schema version of registries.
    pub registry_version: u32,
    /// How long a call waits for a lock, in milliseconds.
    pub timeout_ms: f64,
    /// The age at which a lockfile that can't be judged otherwise counts as abandoned.
    pub stale_ms: f64,
    /// The age at which a watcher's entry is pruned.
    pub ttl_ms: f64,
    /// The longest pause between two heartbeats.
    pub heartbeat_interval_ms: f64,
    /// The share of a pause by which it is shortened at most, at random.
    pub heartbeat_jitter: f64,
    /// The size in bytes of a file above which it is neither read nor written.
    pub max_content_bytes: f64,
    /// The size in bytes up to which a file is read and written on a thread that must not block.
    pub inline_size_limit: f64,
}

/// What `lib/` shares with the core. Its modules ask once each, when they are loaded.
#[napi(catch_unwind)]
pub fn core_constants() -> CoreConstants {
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let lock = LockOptions::default();
    CoreConstants {
        registry_version: REGISTRY_VERSION,
        timeout_ms: lock.timeout.map_or(f64::INFINITY, ms),
        stale_ms: ms(lock.stale_after),
        ttl_ms: DEFAULT_TTL_MS as f64,
        heartbeat_interval_ms: ms(HeartbeatOptions::default().interval),
        heartbeat_jitter: MAX_JITTER,
        max_content_bytes: MAX_CONTENT_BYTES as f64,
        inline_size_limit: INLINE_SIZE_LIMIT as f64,
    }
}

/// A file's content as JavaScript reads it.
#[napi(object, object_from_js = false)]
pub struct FileText {
    /// Missing if there is no file, or if its bytes are not UTF-8.
    pub text: Option<String>,
    /// Whether there is a file.
    pub exists: bool,
}

impl FileText {
    /// Without a byte order mark, which `JSON.parse` refuses. A commit puts it back.
    fn from(content: Option<&shared_file::FileContent>) -> Self {
        FileText::of_bytes(content.map(|content| &*content.bytes))
    }

    fn of_bytes(content: Option<&[u8]>) -> Self {
        let text = content.and_then(|bytes| {
            let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
            std::str::from_utf8(bytes).ok()
        });
        FileText { text: text.map(str::to_owned), exists: content.is_some() }
    }
}

fn read_text(path: PathBuf) -> AddonResult<FileText> {
    addon_result(shared_file::read(&path), |content| FileText::from(content.as_ref()))
}

/// Reads a file without a lock, on the calling thread.
#[napi(catch_unwind)]
pub fn read_sync(path: String) -> AddonResult<FileText> {
    read_text(path.into())
}

/// Reads a file without a lock, off the calling thread.
#[napi(catch_unwind)]
pub fn read(env: &Env, path: String) -> napi::Result<Background<'_, AddonResult<FileText>>> {
    in_background(env, WorkerPool::FileWork, move || read_text(path.into()))
}

/// The one name of a registry: absolute, with symbolic links followed. That of a folder ends in a separator.
#[napi(catch_unwind)]
pub fn resolve(path: String) -> AddonResult<String> {
    let path = path.as_ref();
    let name = match is_folder(path) {
        // With an empty name at its end, which puts a separator before it.
        true => FolderPaths::resolve(path).and_then(|paths| utf8_path(paths.root.join(""))),
        false => FilePaths::resolve(path).and_then(|paths| utf8_path(paths.target)),
    };
    addon_result(name, |name| name)
}

/// A path as JavaScript names it.
fn utf8_path(path: PathBuf) -> Result<String, Error> {
    // A name with other characters in the place of the invalid bytes would be another file.
    path.into_os_string().into_string().map_err(|name| Error::InvalidValue {
        path: name.into(),
        reason: "JavaScript can't name it: its real name is not UTF-8".to_owned(),
    })
}

/// The holder of a registry's lock; `null` if the lock is free or its holder can't be found out.
#[napi(catch_unwind)]
pub fn holder_now(path: String) -> Option<HolderInfo> {
    inspect_lock(&path, Duration::MAX).ok()?.holder.as_ref().map(HolderInfo::from)
}

/// Where argus keeps its registry, with these variables. JavaScript's environment need not be the
/// process's: what is assigned to `process.env` stays within a worker thread, and within Bun.
#[napi(catch_unwind)]
pub fn default_path(variables: Object<'_>) -> AddonResult<String> {
    let variable = |name: &str| variables.get::<String>(name).ok().flatten().map(OsString::from);
    addon_result(default_path::registry_path_from(variable).and_then(utf8_path), |path| path)
}

/// What `inspectLock` returns.
#[napi(object, object_from_js = false)]
pub struct LockReport {
    /// The registry.
    pub path: String,
    /// What was found.
    #[napi(ts_type = "'free' | 'held' | 'stale'")]
    pub state: &'static str,
    /// The holder, or the last one if the lock is stale.
    pub holder: Option<HolderInfo>,
    /// What excludes two holders.
    #[napi(ts_type = "'kernel-lock' | 'lockfile-only' | 'unknown'")]
    pub guarantee: &'static str,
}

/// Looks at a registry's lock.
#[napi(catch_unwind)]
pub fn inspect(
    env: &Env,
    path: String,
    stale_ms: f64,
) -> napi::Result<Background<'_, AddonResult<LockReport>>> {
    in_background(env, WorkerPool::FileWork, move || {
        let stale_after = millis(stale_ms).unwrap_or(Duration::MAX);
        addon_result(inspect_lock(&path, stale_after), |status| LockReport {
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
                // Of no registry that this addon opens.
                Guarantee::Lease | Guarantee::Unknown => "unknown",
            },
        })
    })
}

/// A held kernel lock.
#[napi]
pub struct TryLock {
    lock: Arc<Mutex<Option<KernelLock>>>,
    _at_thread_end: ThreadEndGuard,
}

impl TryLock {
    fn new(lock: KernelLock) -> Self {
        let lock = Arc::new(Mutex::new(Some(lock)));
        let abandoned = lock.clone();
        let at_thread_end = ThreadEndGuard::new(move || drop(take(&abandoned)));
        TryLock { lock, _at_thread_end: at_thread_end }
    }
}

fn take(lock: &Mutex<Option<KernelLock>>) -> Option<KernelLock> {
    lock.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[napi]
impl TryLock {
    /// Releases it; a second call does nothing.
    #[napi(catch_unwind)]
    pub fn release(&self) -> AddonResult<()> {
        addon_result(take(&self.lock).map_or(Ok(()), KernelLock::release), |()| ())
    }
}

/// Takes a kernel lock in one try.
#[napi(catch_unwind)]
pub fn try_lock(path: String, shared: bool) -> AddonResult<TryLock> {
    let lock = if shared { try_lock_shared(path) } else { try_lock_exclusive(path) };
    addon_result(lock, TryLock::new)
}
