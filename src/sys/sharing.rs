//! Unix: a file that a program has open can be opened, replaced and deleted.

use std::io;
use std::path::Path;

use rustix::io::Errno;

/// Always false.
pub(crate) fn may_be_retried(_error: &io::Error) -> bool {
    false
}

/// Always false.
pub(crate) fn is_sharing_violation(_error: &io::Error) -> bool {
    false
}

/// The error of a file that another program uses.
pub(crate) fn sharing_violation() -> io::Error {
    Errno::BUSY.into()
}

/// Always false.
pub(crate) fn is_in_use(_path: &Path) -> bool {
    false
}
