//! The one error type: every variant names the path, and [`Error::code`] is stable.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::holder::Holder;
use crate::sys;

/// What a format says of bytes that it can't parse, or of a value that it can't print.
pub type FormatError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, and with which file.
///
/// Contention ([`LockBusy`](Error::LockBusy), [`LockTimeout`](Error::LockTimeout)) is never
/// reported as any other variant, on any platform: it is the one failure that goes away by itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// One try, and somebody else holds the lock. From veil: busy is an error at once.
    LockBusy {
        /// The registry that is locked or, for a document and a bare try-lock, the lock file.
        path: PathBuf,
        /// Who holds it, where that can be known: of a lock file, Linux tells it.
        holder: Option<Box<Holder>>,
    },
    /// The lock did not come free within the timeout. From argus: waiting is bounded.
    LockTimeout {
        /// The registry that is locked or, for a document, its lock file.
        path: PathBuf,
        /// How long this caller waited.
        waited: Duration,
        /// Who holds it, where that can be known.
        holder: Option<Box<Holder>>,
    },
    /// The lockfile was taken away while we held the lock, so nothing was written.
    LockLost {
        /// The file that was to be written.
        path: PathBuf,
    },
    /// The file is used under another kind of lock than the caller's: a document's lock file, or an
    /// argus registry's guard and lockfile. The two do not exclude each other, so one file is used
    /// under one of them only.
    LockMismatch {
        /// The file that was to be used.
        path: PathBuf,
        /// The file of the other lock that is there.
        in_use: PathBuf,
        /// Which kind of lock that is.
        kind: LockKind,
    },
    /// A watcher that wants no other id claimed one that a living watcher has.
    IdTaken {
        /// The registry.
        path: PathBuf,
        /// The entry's name.
        id: String,
        /// The process of the watcher that has it, if its entry names one.
        pid: Option<u32>,
    },
    /// A heartbeat found that its watcher's entry was removed, or is another watcher's by now.
    EntryLost {
        /// The registry.
        path: PathBuf,
        /// The entry's name.
        id: String,
    },
    /// The operating system refused access.
    PermissionDenied {
        /// The file or folder that refused.
        path: PathBuf,
        /// What was being done, as a verb phrase.
        operation: &'static str,
        /// The system's own error.
        source: io::Error,
    },
    /// A file or folder that must exist does not.
    NotFound {
        /// What is missing.
        path: PathBuf,
        /// What was being done, as a verb phrase.
        operation: &'static str,
        /// The system's own error.
        source: io::Error,
    },
    /// The file's bytes are not a registry.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Why it can't be read.
        reason: String,
    },
    /// A document's bytes are not what they should be. From veil.
    Parse {
        /// The file.
        path: PathBuf,
        /// What its format says.
        source: FormatError,
    },
    /// A document can't be written in its format. Nothing was written. From veil.
    Serialize {
        /// The file that it was meant for.
        path: PathBuf,
        /// What the format says.
        source: FormatError,
    },
    /// The file was written by another schema: a registry of a newer one is never overwritten, a
    /// document has to be of its own. From argus and veil.
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// The version that it carries.
        found: String,
        /// The version that this crate writes.
        expected: u32,
    },
    /// An argument or a new value can't be used. Nothing was written.
    InvalidValue {
        /// The file that the value was meant for.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system has no kernel locks, and the caller asked for one.
    UnsupportedFileSystem {
        /// The lock file.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// An update from inside an update of the same registry: waiting for it would never end.
    ReEntrant {
        /// The registry.
        path: PathBuf,
    },
    /// The caller cancelled the wait.
    Aborted {
        /// The registry or, for a document that waited for it, the lock file.
        path: PathBuf,
    },
    /// Any other failure of the operating system, such as a full disk.
    Io {
        /// The file that the call was about.
        path: PathBuf,
        /// What was being done, as a verb phrase.
        operation: &'static str,
        /// The system's own error.
        source: io::Error,
    },
}

/// A kind of lock under which a file is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockKind {
    /// A kernel lock on a file of its own, as documents have it by default.
    LockFile,
    /// The lock of an argus registry: guard and lockfile.
    Registry,
}

impl Error {
    /// The stable name of the variant, the same in Rust and in JavaScript.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Error::LockBusy { .. } => "LOCK_BUSY",
            Error::LockTimeout { .. } => "LOCK_TIMEOUT",
            Error::LockLost { .. } => "LOCK_LOST",
            Error::LockMismatch { .. } => "LOCK_MISMATCH",
            Error::IdTaken { .. } => "ID_TAKEN",
            Error::EntryLost { .. } => "ENTRY_LOST",
            Error::PermissionDenied { .. } => "PERMISSION_DENIED",
            Error::NotFound { .. } => "NOT_FOUND",
            Error::Corrupt { .. } => "CORRUPT",
            Error::Parse { .. } => "PARSE",
            Error::Serialize { .. } => "SERIALIZE",
            Error::UnsupportedVersion { .. } => "UNSUPPORTED_VERSION",
            Error::InvalidValue { .. } => "INVALID_VALUE",
            Error::UnsupportedFileSystem { .. } => "UNSUPPORTED_FILE_SYSTEM",
            Error::ReEntrant { .. } => "RE_ENTRANT",
            Error::Aborted { .. } => "ABORTED",
            Error::Io { .. } => "IO",
        }
    }

    /// The path that the error is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Error::LockBusy { path, .. }
            | Error::LockTimeout { path, .. }
            | Error::LockLost { path }
            | Error::LockMismatch { path, .. }
            | Error::IdTaken { path, .. }
            | Error::EntryLost { path, .. }
            | Error::PermissionDenied { path, .. }
            | Error::NotFound { path, .. }
            | Error::Corrupt { path, .. }
            | Error::Parse { path, .. }
            | Error::Serialize { path, .. }
            | Error::UnsupportedVersion { path, .. }
            | Error::InvalidValue { path, .. }
            | Error::UnsupportedFileSystem { path, .. }
            | Error::ReEntrant { path }
            | Error::Aborted { path }
            | Error::Io { path, .. } => path,
        }
    }

    /// Who holds the lock, for [`LockBusy`](Error::LockBusy) and
    /// [`LockTimeout`](Error::LockTimeout).
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        match self {
            Error::LockBusy { holder, .. } | Error::LockTimeout { holder, .. } => holder.as_deref(),
            _ => None,
        }
    }

    /// Sorts a system error into denied, not found and the rest. Contention never comes this
    /// way: the lock modules recognise it themselves.
    pub(crate) fn from_io(path: &Path, operation: &'static str, source: io::Error) -> Self {
        let path = path.to_path_buf();
        if sys::is_read_only(&source) {
            return Error::PermissionDenied { path, operation, source };
        }
        match source.kind() {
            io::ErrorKind::PermissionDenied => Error::PermissionDenied { path, operation, source },
            io::ErrorKind::NotFound => Error::NotFound { path, operation, source },
            io::ErrorKind::InvalidInput => {
                Error::InvalidValue { path, reason: format!("cannot {operation} it: {source}") }
            }
            _ => Error::Io { path, operation, source },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path().display();
        match self {
            Error::LockBusy { holder, .. } => match holder {
                Some(holder) if holder.pid.is_some_and(|pid| pid != std::process::id()) => {
                    write!(
                        f,
                        "{path} is locked by another process ({holder}): busy; try again later"
                    )
                }
                Some(holder) => write!(f, "{path} is locked by {holder}: busy; try again later"),
                None => write!(
                    f,
                    "{path} is locked by another process, or elsewhere in this one: busy; try \
                     again later"
                ),
            },
            Error::LockTimeout { waited, holder, .. } => {
                write!(f, "{path} is still locked after {:.1} s", waited.as_secs_f64())?;
                match holder {
                    Some(holder) => write!(f, " by {holder}")?,
                    None => f.write_str(" by others, perhaps in turns")?,
                }
                f.write_str(match holder {
                    Some(holder) if holder.pid.is_none() => {
                        "; wait longer: if its holder is dead, it is taken over when it is stale"
                    }
                    _ => {
                        "; wait longer, or end the holder if it hangs (once it is dead, its lock is \
                         free at once)"
                    }
                })
            }
            Error::LockLost { .. } => write!(
                f,
                "the lock on {path} was taken away before the update could be written, so \
                 nothing was written; run the update again"
            ),
            Error::LockMismatch { in_use, kind, .. } => {
                let in_use = in_use.display();
                match kind {
                    LockKind::Registry => write!(
                        f,
                        "{path} is used under the lock of an argus registry ({in_use}); use it under \
                         that lock, or, if no program does any more, delete {in_use}"
                    ),
                    LockKind::LockFile => write!(
                        f,
                        "{path} is used as a document under the lock file {in_use}; use it under that \
                         lock, or, if no program does any more, delete {in_use}"
                    ),
                }
            }
            Error::IdTaken { id, pid, .. } => {
                write!(f, "the id '{id}' is another watcher's in {path}")?;
                if let Some(pid) = pid {
                    write!(f, " (process {pid})")?;
                }
                f.write_str("; end that watcher, or choose another id")
            }
            Error::EntryLost { id, .. } => write!(
                f,
                "the entry '{id}' in {path} was removed, or is another watcher's by now, so it was \
                 not renewed; announce the watcher again, or stop its heartbeat"
            ),
            Error::PermissionDenied { operation, source, .. } => {
                write!(f, "no permission to {operation} {path}: {source}; check owner and mode")
            }
            Error::NotFound { operation, source, .. } => {
                write!(f, "cannot {operation} {path}: {source}")
            }
            Error::Corrupt { reason, .. } => {
                write!(f, "{path} is not a registry: {reason}; repair it or move it away")
            }
            Error::Parse { source, .. } => {
                write!(f, "{path} can't be parsed: {source}; repair it or move it away")
            }
            Error::Serialize { source, .. } => {
                write!(f, "what was meant for {path} can't be written: {source}; nothing was")
            }
            Error::UnsupportedVersion { found, expected, .. } => {
                let is_older = found.parse().is_ok_and(|found: f64| found < f64::from(*expected));
                let remedy = if is_older { "convert the file" } else { "upgrade this program" };
                write!(
                    f,
                    "{path} has schema version {found}, this program knows {expected}; nothing was \
                     written; {remedy}"
                )
            }
            Error::InvalidValue { reason, .. } => {
                write!(f, "{path} can't be used: {reason}")
            }
            Error::UnsupportedFileSystem { source, .. } => write!(
                f,
                "the file system of {path} has no kernel locks ({source}); keep the lock file on \
                 a local disk"
            ),
            Error::ReEntrant { .. } => write!(
                f,
                "{path} is being updated by this same caller, which would wait for itself; change \
                 the value that the running update was given, or start this update after it"
            ),
            Error::Aborted { .. } => write!(f, "the update of {path} was aborted by its caller"),
            Error::Io { operation, source, .. } => {
                write!(f, "cannot {operation} {path}: {source}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::PermissionDenied { source, .. }
            | Error::NotFound { source, .. }
            | Error::UnsupportedFileSystem { source, .. }
            | Error::Io { source, .. } => Some(source),
            Error::Parse { source, .. } | Error::Serialize { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
