//! What the caller of a lock that was taken away has to be told.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

/// Whether a file was replaced under one acquisition of a lock, and whether the caller knows of a loss of
/// that lock.
///
/// A lock can be taken away between a commit and the release. The change was written then, and another
/// program, which has the lock or none, may have replaced it. That is not the failure of the call that
/// made the change, but its caller has to know.
#[derive(Debug, Default)]
pub(crate) struct LossReport {
    has_written: AtomicBool,
    is_reported: AtomicBool,
}

impl LossReport {
    /// Notes that the file was replaced.
    pub(crate) fn written(&self) {
        self.has_written.store(true, Ordering::Relaxed);
    }

    /// The error for a caller that asks for its lock, which is lost.
    pub(crate) fn error(&self, path: PathBuf) -> Error {
        self.is_reported.store(true, Ordering::Relaxed);
        Error::LockLost { path, written: self.has_written.load(Ordering::Relaxed) }
    }

    /// Whether a release has to look for a loss: the file was replaced, and the caller has had no error of
    /// a loss.
    pub(crate) fn is_due(&self) -> bool {
        self.has_written.load(Ordering::Relaxed) && !self.is_reported.load(Ordering::Relaxed)
    }
}
