//! Conditions that are no errors but should be known: [`Warning`], and the function that receives
//! them.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The function that receives each [`Warning`].
#[derive(Clone)]
pub struct OnWarning(Arc<dyn Fn(&Warning) + Send + Sync>);

impl OnWarning {
    /// Calls a function. Any thread that updates may call it.
    pub fn new(call: impl Fn(&Warning) + Send + Sync + 'static) -> Self {
        OnWarning(Arc::new(call))
    }

    pub(crate) fn call(&self, warning: &Warning) {
        (self.0)(warning);
    }
}

impl Default for OnWarning {
    /// Writes to standard error: a warning is about data that a person may miss.
    fn default() -> Self {
        OnWarning::new(|warning| to_standard_error(format_args!("{warning}")))
    }
}

/// Without `eprintln!`, which panics where standard error has no reader, as in a daemon.
pub(crate) fn to_standard_error(message: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "argus-registry: {message}");
}

impl fmt::Debug for OnWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnWarning")
    }
}

/// What an update does about content that can't be parsed. A registry's default is `Keep`, a document's
/// is `Fail`.
///
/// A registry is written by programs only, and its watchers would go unseen until a person repaired it;
/// their next heartbeats and announcements fill a new one. A document may hold the
/// settings that a person wrote, and a mistyped comma must not replace them by empty ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCorrupt {
    /// The update starts from an empty registry, or from the document's
    /// [`empty`](crate::Document::empty) value. The bytes are kept beside the file, as
    /// `<name>.corrupt-*`, and a [`Warning`] says where.
    Keep,
    /// The update is refused, and nothing is moved or written: with
    /// [`Error::Corrupt`](crate::Error::Corrupt) for a registry, with
    /// [`Error::Parse`](crate::Error::Parse) for a document.
    Fail,
}

/// A condition of a registry or a document that is no error, but that a person should know of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The registry does not exist yet; it reads as empty.
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no registry and reads as empty; or it was a document that could not be parsed,
    /// and was replaced.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Why the bytes can't be read.
        reason: String,
        /// The file in which the bytes were kept, if the file was replaced.
        kept: Option<PathBuf>,
    },
    /// The file was empty, so it could not be parsed, and was replaced. There are no bytes to keep.
    ReplacedEmpty {
        /// The file.
        path: PathBuf,
    },
    /// An entry of a registry in a folder can't be read, and is missing from what was read. Its file is
    /// kept, and no call replaces or deletes it.
    DamagedEntry {
        /// The entry's file.
        path: PathBuf,
        /// Why the entry can't be read.
        reason: String,
    },
    /// The file has a newer schema version. It reads as empty, and is never overwritten.
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: String,
    },
    /// A document was updated, and its text could not be changed to the new value in place: the value's own
    /// text was written. Members, entries and comments that its type does not know are lost.
    UnknownLost {
        /// The file.
        path: PathBuf,
    },
    /// The file was written, and its lock was taken away before the call released it. Another program may
    /// have replaced what was written.
    LockLost {
        /// The file.
        path: PathBuf,
    },
}

impl Warning {
    /// Content that was replaced: with the path at which it is kept, or empty.
    pub(crate) fn of_replaced(path: PathBuf, reason: String, kept: Option<PathBuf>) -> Self {
        match kept {
            Some(_) => Warning::Corrupt { path, reason, kept },
            None => Warning::ReplacedEmpty { path },
        }
    }

    /// The file that it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Warning::Missing { path }
            | Warning::Corrupt { path, .. }
            | Warning::ReplacedEmpty { path }
            | Warning::DamagedEntry { path, .. }
            | Warning::UnsupportedVersion { path, .. }
            | Warning::UnknownLost { path }
            | Warning::LockLost { path } => path,
        }
    }

    /// The stable name of the kind of condition. Rust and JavaScript use one name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Warning::Missing { .. } => "NOT_FOUND",
            Warning::Corrupt { .. } | Warning::ReplacedEmpty { .. } => "CORRUPT",
            Warning::DamagedEntry { .. } => "DAMAGED_ENTRY",
            Warning::UnsupportedVersion { .. } => "UNSUPPORTED_VERSION",
            Warning::UnknownLost { .. } => "UNKNOWN_LOST",
            Warning::LockLost { .. } => "LOCK_LOST",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Missing { path } => {
                write!(f, "{} does not exist yet; reading it as empty", path.display())
            }
            Warning::Corrupt { path, reason, kept: None } => {
                write!(f, "{} is not a registry ({reason}); reading it as empty", path.display())
            }
            Warning::Corrupt { path, reason, kept: Some(kept) } => write!(
                f,
                "{} could not be read ({reason}); it was replaced, and its bytes are kept in {}",
                path.display(),
                kept.display()
            ),
            Warning::ReplacedEmpty { path } => {
                write!(f, "{} was empty, which can't be read; it was replaced", path.display())
            }
            Warning::DamagedEntry { path, reason } => write!(
                f,
                "the entry in {} can't be read ({reason}); reading the registry without it; repair the \
                 file or move it away",
                path.display()
            ),
            Warning::UnsupportedVersion { path, found } => write!(
                f,
                "{} has schema version {found}, which this program does not know; reading it as \
                 empty",
                path.display()
            ),
            Warning::UnknownLost { path } => write!(
                f,
                "{} was updated, but its text could not be changed in place, so that comments and fields \
                 which its program does not know are lost",
                path.display()
            ),
            Warning::LockLost { path } => write!(
                f,
                "{} was written, but its lock was taken away meanwhile, so another program may have \
                 replaced what was written; read it, and update it again if the change is missing",
                path.display()
            ),
        }
    }
}
