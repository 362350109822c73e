//! Windows: which errors mean that another program has a file open.

use std::fs::OpenOptions;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a symbolic link (a reparse point) itself.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

const DELETE: u32 = 0x0001_0000;

const ERROR_ACCESS_DENIED: i32 = 5;
const ERROR_SHARING_VIOLATION: i32 = 32;
const ERROR_DELETE_PENDING: i32 = 303;

/// Whether a call may have failed only because another program used the file at that moment.
/// "Access denied" is also the error for a file that is open and would be replaced, or is deleted and not
/// closed.
pub(crate) fn may_be_retried(error: &io::Error) -> bool {
    is_sharing_violation(error)
        || matches!(error.raw_os_error(), Some(ERROR_ACCESS_DENIED | ERROR_DELETE_PENDING))
}

/// Whether a call failed because another program has the file open, and does not permit the call.
pub(crate) fn is_sharing_violation(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_SHARING_VIOLATION)
}

/// The error of a file that another program uses.
pub(crate) fn sharing_violation() -> io::Error {
    io::Error::from_raw_os_error(ERROR_SHARING_VIOLATION)
}

/// Whether another program has the file at a path open, as far as can be found out: this opens it for
/// itself alone, for a moment.
pub(crate) fn is_in_use(path: &Path) -> bool {
    let flags = FILE_FLAG_OPEN_REPARSE_POINT;
    let opened =
        OpenOptions::new().access_mode(DELETE).share_mode(0).custom_flags(flags).open(path);
    opened.is_err_and(|error| is_sharing_violation(&error))
}
