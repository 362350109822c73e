//! What the operating system says of files and processes, in one form for all platforms.

use serde::{Deserialize, Serialize};

/// The identity of a file while somebody has it open: device and inode, or what the platform has
/// in their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// The place a process runs in. Two processes can judge each other only in the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessLocation {
    pub(crate) host: String,
    /// `None` where the platform has none to tell.
    pub(crate) boot: Option<String>,
    /// `None` where the platform has no pid namespaces.
    pub(crate) pid_namespace: Option<u64>,
}

/// What the operating system says of a process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessState {
    Gone,
    /// It runs; when it started, in the platform's own unit, if the platform tells.
    Running {
        started: Option<u64>,
    },
}
