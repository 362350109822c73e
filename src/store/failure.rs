//! What a binding to another language tells of an error.

use std::error::Error as _;
use std::io;
use std::time::UNIX_EPOCH;

use crate::error::Error;
use crate::holder::Holder;

/// The fields of an error, as values that any language has.
#[derive(Debug)]
pub struct FailureFields {
    /// The stable code.
    pub code: &'static str,
    /// The whole message.
    pub message: String,
    /// The path that the failure is about.
    pub path: String,
    /// The holder of the lock, for a lock that is busy.
    pub holder: Option<HolderFields>,
    /// The operating system's own message.
    pub cause: Option<String>,
    /// The operating system's error number.
    pub errno: Option<i32>,
    /// Node's name for this kind of error, for systems whose numbers have no such names.
    pub cause_code: Option<&'static str>,
}

/// The holder of a lock.
#[derive(Debug)]
pub struct HolderFields {
    /// The holder's process id.
    pub pid: Option<u32>,
    /// The holder's host name.
    pub host: Option<String>,
    /// When it took the lock, in milliseconds since 1970.
    pub since: Option<f64>,
    /// Whether its process lives; `None` if that can't be found out.
    pub alive: Option<bool>,
}

impl From<&Holder> for HolderFields {
    fn from(holder: &Holder) -> Self {
        let since = holder.since.and_then(|since| since.duration_since(UNIX_EPOCH).ok());
        HolderFields {
            pid: holder.pid,
            host: holder.host.clone(),
            since: since.map(|since| since.as_millis() as f64),
            alive: holder.alive,
        }
    }
}

impl From<Error> for FailureFields {
    fn from(error: Error) -> Self {
        let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        FailureFields {
            code: error.code(),
            message: error.to_string(),
            path: error.path().to_string_lossy().into_owned(),
            holder: error.holder().map(HolderFields::from),
            cause: cause.map(ToString::to_string),
            errno: cause.and_then(|cause| {
                // An error with an explanation has the system's own as its source.
                let own = || cause.get_ref()?.source()?.downcast_ref::<io::Error>()?.raw_os_error();
                cause.raw_os_error().or_else(own)
            }),
            cause_code: cause.and_then(|cause| node_error_code(cause.kind())),
        }
    }
}

fn node_error_code(kind: io::ErrorKind) -> Option<&'static str> {
    // By the names of the kinds: Rust 1.82 has some of them, and does not let others name them.
    Some(match &*format!("{kind:?}") {
        "NotFound" => "ENOENT",
        "PermissionDenied" => "EACCES",
        "AlreadyExists" => "EEXIST",
        "StorageFull" => "ENOSPC",
        "NotADirectory" => "ENOTDIR",
        "IsADirectory" => "EISDIR",
        "ReadOnlyFilesystem" => "EROFS",
        _ => return None,
    })
}
