//! Values that cross the border.

use std::error::Error as _;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use napi::bindgen_prelude::Either;
use napi_derive::napi;

use crate::error::Error;
use crate::holder::Holder;

/// An error, to become a `RegistryError`.
#[napi(object, object_from_js = false)]
pub struct Failure {
    /// [`Error::code`].
    pub code: &'static str,
    /// The whole message.
    pub message: String,
    /// The path that it is about.
    pub path: String,
    /// Who holds the lock.
    pub holder: Option<HolderInfo>,
    /// The operating system's own message.
    pub cause: Option<String>,
    /// The operating system's number.
    pub errno: Option<i32>,
    /// Node's name for this kind of error, for systems whose numbers have no such names.
    pub cause_code: Option<&'static str>,
}

/// Who holds a lock.
#[napi(object, object_from_js = false)]
pub struct HolderInfo {
    /// The process.
    pub pid: Option<u32>,
    /// Its host.
    pub host: Option<String>,
    /// Since when, in milliseconds since 1970.
    pub since: Option<f64>,
    /// Whether it lives; missing if that can't be told.
    pub alive: Option<bool>,
}

impl From<&Holder> for HolderInfo {
    fn from(holder: &Holder) -> Self {
        let since = holder.since.and_then(|since| since.duration_since(UNIX_EPOCH).ok());
        HolderInfo {
            pid: holder.pid,
            host: holder.host.clone(),
            since: since.map(|since| since.as_millis() as f64),
            alive: holder.alive,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        Failure {
            code: error.code(),
            message: error.to_string(),
            path: error.path().to_string_lossy().into_owned(),
            holder: error.holder().map(HolderInfo::from),
            cause: cause.map(ToString::to_string),
            errno: cause.and_then(io::Error::raw_os_error),
            cause_code: cause.and_then(|cause| name_of(cause.kind())),
        }
    }
}

impl Failure {
    /// A failure of this library itself.
    pub(super) fn internal(message: &str) -> Self {
        Failure {
            code: "IO",
            message: message.to_owned(),
            path: String::new(),
            holder: None,
            cause: None,
            errno: None,
            cause_code: None,
        }
    }
}

fn name_of(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::NotFound => "ENOENT",
        io::ErrorKind::PermissionDenied => "EACCES",
        io::ErrorKind::AlreadyExists => "EEXIST",
        io::ErrorKind::StorageFull => "ENOSPC",
        io::ErrorKind::NotADirectory => "ENOTDIR",
        io::ErrorKind::IsADirectory => "EISDIR",
        io::ErrorKind::ReadOnlyFilesystem => "EROFS",
        _ => return None,
    })
}

/// A result, as one of two values.
pub(super) fn outcome<T, U>(
    result: Result<T, Error>,
    convert: impl FnOnce(T) -> U,
) -> Either<U, Failure> {
    match result {
        Ok(value) => Either::A(convert(value)),
        Err(error) => Either::B(error.into()),
    }
}

/// A number of milliseconds; `None` for one beyond all clocks, such as `Infinity`.
pub(super) fn millis(ms: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(ms / 1000.0).ok()
}
