//! Values that cross the border between Rust and JavaScript.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argus_registry::store_parts::{FailureFields, HolderFields};
use argus_registry::{CancelToken, Error, Holder, LockOptions};
use napi::bindgen_prelude::Either;
use napi_derive::napi;

/// What every call that can fail returns: its value as it is, or a failure, which carries a tag.
pub(crate) type AddonResult<T> = Either<T, AddonFailure>;

/// A failure of a call. The core's `lib/errors.js` turns it into a `RegistryError`.
#[napi(object, object_from_js = false)]
pub struct AddonFailure {
    /// The tag: no value of a call has a member of this name.
    #[napi(ts_type = "true")]
    pub failed: bool,
    /// The stable code.
    #[napi(ts_type = "RegistryErrorCode")]
    pub code: &'static str,
    /// The whole message.
    pub message: String,
    /// The path that the failure is about.
    pub path: String,
    /// The holder of the lock, for a lock that is busy.
    pub holder: Option<HolderInfo>,
    /// The operating system's own message.
    pub cause: Option<String>,
    /// The operating system's error number.
    pub errno: Option<i32>,
    /// Node's name for this kind of error, for systems whose numbers have no such names.
    pub cause_code: Option<&'static str>,
}

/// The holder of a lock.
#[napi(object, object_from_js = false)]
pub struct HolderInfo {
    /// The holder's process id.
    pub pid: Option<u32>,
    /// The holder's host name.
    pub host: Option<String>,
    /// When it took the lock, in milliseconds since 1970.
    pub since: Option<f64>,
    /// Whether its process lives; missing if that can't be found out.
    pub alive: Option<bool>,
}

impl From<HolderFields> for HolderInfo {
    fn from(HolderFields { pid, host, since, alive }: HolderFields) -> Self {
        HolderInfo { pid, host, since, alive }
    }
}

impl From<&Holder> for HolderInfo {
    fn from(holder: &Holder) -> Self {
        HolderFields::from(holder).into()
    }
}

impl From<Error> for AddonFailure {
    fn from(error: Error) -> Self {
        let FailureFields { code, message, path, holder, cause, errno, cause_code } = error.into();
        let holder = holder.map(HolderInfo::from);
        AddonFailure { failed: true, code, message, path, holder, cause, errno, cause_code }
    }
}

impl AddonFailure {
    /// A defect of this library.
    pub(crate) fn defect(what: &str) -> Self {
        AddonFailure {
            failed: true,
            code: "INTERNAL",
            message: format!("a defect of argus-registry-etcd: {what}; please report it"),
            path: String::new(),
            holder: None,
            cause: None,
            errno: None,
            cause_code: None,
        }
    }
}

/// A result of the store, as the addon returns it.
pub(crate) fn addon_result<T, U>(
    result: Result<T, Error>,
    convert: impl FnOnce(T) -> U,
) -> AddonResult<U> {
    match result {
        Ok(value) => Either::A(convert(value)),
        Err(error) => Either::B(error.into()),
    }
}

/// A number of milliseconds; `None` for one that no clock can hold, such as `Infinity`.
pub(crate) fn millis(ms: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(ms / 1000.0).ok()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a call asks for, and how long it may take.
#[napi(object, object_to_js = false)]
#[derive(Clone)]
pub struct AcquireRequest {
    /// The registry, by its one name.
    pub path: String,
    /// How long the call may take, in milliseconds.
    pub timeout_ms: f64,
    /// How much of that is over already.
    pub elapsed_ms: f64,
    /// Whether the registry's lock is asked for. An update needs none.
    pub exclusive: Option<bool>,
    /// How often this call has made an update that was refused.
    pub refusals: Option<u32>,
}

impl AcquireRequest {
    pub(crate) fn options(&self, cancel: CancelToken) -> LockOptions {
        let since = millis(self.elapsed_ms).and_then(|elapsed| Instant::now().checked_sub(elapsed));
        LockOptions {
            timeout: millis(self.timeout_ms),
            since: Some(since.unwrap_or_else(Instant::now)),
            cancel: Some(cancel),
            ..LockOptions::default()
        }
    }
}
