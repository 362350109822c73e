//! Errors of the operating system together with what was found to be their cause.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

use crate::error::shell::shell_quoted;
use crate::sys::{self, WriteBlock};

/// An error of the operating system, its cause, and the step that removes it.
#[derive(Debug)]
struct Explained {
    source: io::Error,
    reason: String,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.reason)
    }
}

impl StdError for Explained {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.source)
    }
}

/// Adds the cause to an error. It keeps its kind, and is the source of the result.
pub(crate) fn explain(source: io::Error, reason: impl Into<String>) -> io::Error {
    io::Error::new(source.kind(), Explained { source, reason: reason.into() })
}

/// The error of a user who may not replace or remove another user's file, because of the folder's mode.
pub(crate) fn refused_by_sticky_folder() -> io::Error {
    explain(
        io::ErrorKind::PermissionDenied.into(),
        "its folder is sticky (mode +t), so that only the owner of the file or of the folder may; run this as \
         that user",
    )
}

/// Whether the error has its cause, and the next step, in its text.
pub(super) fn is_explained(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Explained>())
}

/// Adds the cause to an error about the file at a path, if it is one that owner and mode don't show.
pub(super) fn explain_at(path: &Path, source: io::Error) -> io::Error {
    let reason = if sys::is_read_only(&source) {
        Some(
            "its file system is mounted read-only; mount it for writing, or keep the file elsewhere"
                .to_owned(),
        )
    } else if sys::is_busy(&source) && sys::is_mount_point(path) {
        Some(
            "it is a mount point of its own, as a container's bind mount of a single file, and can't \
             be replaced; mount its folder instead"
                .to_owned(),
        )
    } else if sys::is_sharing_violation(&source) {
        Some("another program has it open; close that program, or try again later".to_owned())
    } else if sys::is_not_permitted(&source) {
        match write_obstacle(path) {
            Some(WriteObstacle::Attribute { what, command }) => {
                Some(format!("{what}; `{command}` ends that"))
            }
            _ => None,
        }
    } else if source.kind() == io::ErrorKind::NotFound && sys::is_in_deleted_folder(path) {
        Some(
            "the working folder, from which this path counts, was deleted; go to another folder, or \
             give an absolute path"
                .to_owned(),
        )
    } else {
        None
    };
    match reason {
        Some(reason) => explain(source, reason),
        None => source,
    }
}

/// What keeps every user from replacing a file, whatever its owner and mode are.
#[derive(Debug)]
pub enum WriteObstacle {
    /// The file is a mount point of its own.
    MountPoint,
    /// An attribute of the file or of its folder.
    Attribute {
        /// Which of the two has which attribute.
        what: String,
        /// The shell command that takes the attribute away.
        command: String,
    },
}

/// What keeps every user from replacing the file at a path, if anything does.
pub fn write_obstacle(path: &Path) -> Option<WriteObstacle> {
    if sys::is_mount_point(path) {
        return Some(WriteObstacle::MountPoint);
    }
    let (place, block) = match (sys::write_block_of(path), path.parent()) {
        (Some(block), _) => (path, block),
        (None, Some(folder)) => (folder, sys::write_block_of(folder)?),
        (None, None) => return None,
    };
    let (name, flag) = match block {
        WriteBlock::Immutable => ("immutable", "i"),
        WriteBlock::AppendOnly => ("append-only", "a"),
    };
    Some(WriteObstacle::Attribute {
        what: format!("{} is {name}", place.display()),
        command: format!("chattr -{flag} {}", shell_quoted(place)),
    })
}
