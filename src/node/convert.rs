//! Values that cross the border between Rust and JavaScript.

use std::time::Duration;

use napi::bindgen_prelude::Either;
use napi_derive::napi;

use crate::error::Error;
use crate::holder::Holder;
use crate::store::failure::{FailureFields, HolderFields};

/// What every call that can fail returns: its value as it is, or a failure, which carries a tag.
///
/// Only failures are tagged. An object around each value would cost about as much as the call
/// itself: 1.4 µs on top of 0.3 µs in a loop of calls that do nothing else, five times per update.
pub(super) type AddonResult<T> = Either<T, AddonFailure>;

/// A failure of a call. `lib/errors.js` turns it into a `RegistryError`.
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
    /// A failure of a call that needs something of the system which it has refused.
    pub(super) fn refused(message: &str) -> Self {
        AddonFailure { code: "IO", message: message.to_owned(), ..AddonFailure::defect("") }
    }

    /// A defect of this library.
    pub(super) fn defect(what: &str) -> Self {
        AddonFailure {
            failed: true,
            code: "INTERNAL",
            message: format!("a defect of argus-registry: {what}; please report it"),
            path: String::new(),
            holder: None,
            cause: None,
            errno: None,
            cause_code: None,
        }
    }
}

/// A result of the core, as the addon returns it.
pub(super) fn addon_result<T, U>(
    result: Result<T, Error>,
    convert: impl FnOnce(T) -> U,
) -> AddonResult<U> {
    match result {
        Ok(value) => Either::A(convert(value)),
        Err(error) => Either::B(error.into()),
    }
}

/// A number of milliseconds; `None` for one that no clock can hold, such as `Infinity`.
pub(super) fn millis(ms: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(ms / 1000.0).ok()
}
