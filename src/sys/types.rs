//! Types for what the operating system tells of files and processes, alike on all platforms.

use serde::{Deserialize, Serialize};

/// The identity of a file: device and inode, or what the platform has in their place. It is unique
/// only while a process has the file open, because file systems reuse inode numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// What tells whether a file is the one that it was, with the content that it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    pub(crate) id: FileId,
    pub(crate) size: u64,
    /// When the content was modified. A program can set it.
    pub(crate) modified: FileTime,
    /// When the content or anything else of the file was changed last.
    pub(crate) changed: FileTime,
}

/// A time as the file system has it, since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileTime {
    pub(crate) seconds: i64,
    pub(crate) subsec_nanos: u32,
}

/// An attribute of a file or folder that keeps even its owner from changing it (`chattr`).
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "it is looked for on Linux only"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteBlock {
    Immutable,
    AppendOnly,
}

/// Where a process runs. A process can tell whether another one is alive only if both have one
/// location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessLocation {
    pub(crate) host: String,
    /// The boot id; `None` where the platform has none.
    pub(crate) boot: Option<String>,
    /// `None` where the platform has no pid namespaces.
    pub(crate) pid_namespace: Option<u64>,
}

/// What the operating system says of a process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessState {
    Gone,
    Running {
        /// When it started, in the platform's own unit; `None` if the platform does not tell.
        started: Option<u64>,
    },
}

/// A process of a pid namespace below this process's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NestedProcess {
    /// Its number in this process's namespace.
    pub(crate) pid: u32,
    /// Its number in its own one.
    pub(crate) inner_pid: u32,
}
