//! The crate's error type. Every variant names a path, and [`Error::code`] is stable.

mod display;
pub(crate) mod explained;
mod hint;
pub(crate) mod shell;
pub(crate) mod update_error;

pub(crate) use explained::{explain, refused_by_sticky_folder};

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::holder::Holder;
use crate::sys;

/// The error of a format that can't parse some bytes or print a value.
pub type FormatError = Box<dyn std::error::Error + Send + Sync>;

/// The reason why a call failed, and the file that the call was about.
///
/// Contention is [`LockBusy`](Error::LockBusy) or [`LockTimeout`](Error::LockTimeout), and never any
/// other variant, on any platform: it is the one failure that goes away by itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The call tried the lock once, and another process or thread held it.
    LockBusy {
        /// The registry that is locked or, for a document and a bare try-lock, the lock file.
        path: PathBuf,
        /// The holder, where it can be known. Of a lock file, only Linux tells it.
        holder: Option<Box<Holder>>,
    },
    /// The lock did not become free within the timeout.
    LockTimeout {
        /// The registry that is locked or, for a document, its lock file.
        path: PathBuf,
        /// How long this caller waited.
        waited: Duration,
        /// The holder, where it can be known.
        holder: Option<Box<Holder>>,
    },
    /// A program removed or replaced the lock's file while this process held the lock.
    LockLost {
        /// The file that the lock protects.
        path: PathBuf,
        /// Whether the file was written under the lock before, so that another program may have replaced
        /// what was written. Only a function that runs under the lock can have done that, and is told when
        /// it has returned. If false, the update that failed was not written.
        written: bool,
    },
    /// The file is used under another kind of lock than the caller's: a document's lock file, or an
    /// argus registry's guard and lockfile. The two kinds do not exclude each other, so a file is used
    /// under one of them only. Nothing was written.
    LockMismatch {
        /// The file that was to be used.
        path: PathBuf,
        /// The other lock's file, which was found beside it.
        in_use: PathBuf,
        /// The kind of the other lock.
        kind: LockKind,
    },
    /// A watcher claimed an id whose entry may not be replaced, and its caller allowed no suffix: the entry is
    /// of a watcher that is alive, of another host, or that can't be judged and has not expired.
    IdTaken {
        /// The registry.
        path: PathBuf,
        /// The entry's name.
        id: String,
        /// The process of the watcher that has the id, if its entry names one.
        pid: Option<u32>,
    },
    /// A heartbeat found that its watcher's entry was removed, or now belongs to another watcher.
    EntryLost {
        /// The registry.
        path: PathBuf,
        /// The entry's name.
        id: String,
    },
    /// The operating system refused access.
    PermissionDenied {
        /// The file or folder.
        path: PathBuf,
        /// The operation that failed, as a verb phrase.
        operation: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file or folder that must exist does not.
    NotFound {
        /// The missing file or folder.
        path: PathBuf,
        /// The operation that failed, as a verb phrase.
        operation: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file's bytes are not a registry.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Why the bytes can't be read as a registry.
        reason: String,
    },
    /// A document's bytes can't be parsed in its format.
    Parse {
        /// The file.
        path: PathBuf,
        /// The format's error.
        source: FormatError,
    },
    /// A document can't be printed in its format, or could not be read again. Nothing was written.
    Serialize {
        /// The file that the value was meant for.
        path: PathBuf,
        /// The format's error.
        source: FormatError,
    },
    /// The file has another schema version. A registry of a newer version is never overwritten; a
    /// document must have the version that its caller expects.
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// The version in the file, as the file's text has it.
        /// [`found_version`](Error::found_version) is its number.
        found: String,
        /// The version that the caller expects: of a registry, the one that this crate writes.
        expected: u32,
    },
    /// The file is larger than this crate reads, or would be larger than it writes
    /// ([`MAX_CONTENT_BYTES`](crate::MAX_CONTENT_BYTES)). Nothing was written.
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The size in bytes, of the file or of the new content. A file that has grown while it was read
        /// may have more.
        size: u64,
        /// Whether the new content is too large, and not the file.
        is_new: bool,
    },
    /// An argument or a new value can't be used. Nothing was written.
    InvalidValue {
        /// The file that the value was meant for.
        path: PathBuf,
        /// Why the value can't be used.
        reason: String,
    },
    /// The store of this registry can't do what the call asks for. Nothing was written.
    Unsupported {
        /// The registry.
        path: PathBuf,
        /// What the store can't do, and what to do instead.
        reason: String,
    },
    /// No server of the registry's store has answered in time, or it refused the connection. Nothing was
    /// written by this call, and nothing will be.
    Unavailable {
        /// The registry.
        path: PathBuf,
        /// What each server that was asked has done.
        reason: String,
    },
    /// The connection to the registry's store broke after the change was sent, and whether it was made could
    /// not be found out within the time of the call. It was made at most once, as a whole, or not at all;
    /// it may also be made later. Of a function under the registry's lock: it has run, what it has written is
    /// written, and whether the lock was held until its end is not known.
    OutcomeUnknown {
        /// The registry.
        path: PathBuf,
        /// Why the outcome could not be found out.
        reason: String,
    },
    /// The registry's store refused a change that is larger than it allows, or has no space left. Nothing was
    /// written.
    StoreLimit {
        /// The registry.
        path: PathBuf,
        /// Which limit it is, and what to do.
        reason: String,
    },
    /// The file system has no kernel locks, and the call needs one.
    UnsupportedFileSystem {
        /// The lock file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A call under the lock of a file was made from inside another call that holds this lock on the
    /// same thread. Waiting for the lock would never end.
    ReEntrant {
        /// The registry or document.
        path: PathBuf,
    },
    /// The caller cancelled the wait.
    Aborted {
        /// The registry or, for a document that waited for it, the lock file.
        path: PathBuf,
    },
    /// A defect of this crate: a started heartbeat or a mirror has panicked. It goes on nevertheless. A call that
    /// panics has no result, and is none of these.
    Internal {
        /// The registry or, for a mirror, its file.
        path: PathBuf,
        /// The message of the panic. The place of it is printed on standard error.
        reason: String,
    },
    /// Any other failure of the operating system, such as a full disk.
    Io {
        /// The file.
        path: PathBuf,
        /// The operation that failed, as a verb phrase.
        operation: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
}

/// The size in bytes of a file above which it is neither read nor written: 64 MiB. Registries and documents are
/// small; a larger file is not one, and reading it could take all memory.
pub const MAX_CONTENT_BYTES: u64 = 64 << 20;

/// A kind of lock under which a file is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockKind {
    /// A kernel lock on a separate lock file: the default of a document.
    LockFile,
    /// The lock of an argus registry: a guard and a lockfile.
    Registry,
}

impl Error {
    /// The stable name of the variant. Rust and JavaScript use one name.
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
            Error::TooLarge { .. } => "TOO_LARGE",
            Error::InvalidValue { .. } => "INVALID_VALUE",
            Error::Unsupported { .. } => "UNSUPPORTED",
            Error::Unavailable { .. } => "UNAVAILABLE",
            Error::OutcomeUnknown { .. } => "OUTCOME_UNKNOWN",
            Error::StoreLimit { .. } => "STORE_LIMIT",
            Error::UnsupportedFileSystem { .. } => "UNSUPPORTED_FILE_SYSTEM",
            Error::ReEntrant { .. } => "RE_ENTRANT",
            Error::Aborted { .. } => "ABORTED",
            Error::Internal { .. } => "INTERNAL",
            Error::Io { .. } => "IO",
        }
    }

    /// The path that the error is about, spelled as the caller spelled it.
    ///
    /// If the error is about the caller's file, this is the path that the caller passed, with its
    /// symbolic links. Files beside the caller's file, such as its lock file, are in the folder that the
    /// caller's path names: the lock file of `link/a.toml` is `link/a.lock`. Two paths are spelled
    /// otherwise. A [`Document`](crate::Document) makes a relative path absolute. And if the last part of
    /// the path is itself a symbolic link, a file beside the link's target is named by the target's
    /// resolved path.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Error::LockBusy { path, .. }
            | Error::LockTimeout { path, .. }
            | Error::LockLost { path, .. }
            | Error::LockMismatch { path, .. }
            | Error::IdTaken { path, .. }
            | Error::EntryLost { path, .. }
            | Error::PermissionDenied { path, .. }
            | Error::NotFound { path, .. }
            | Error::Corrupt { path, .. }
            | Error::Parse { path, .. }
            | Error::Serialize { path, .. }
            | Error::UnsupportedVersion { path, .. }
            | Error::TooLarge { path, .. }
            | Error::InvalidValue { path, .. }
            | Error::Unsupported { path, .. }
            | Error::Unavailable { path, .. }
            | Error::OutcomeUnknown { path, .. }
            | Error::StoreLimit { path, .. }
            | Error::UnsupportedFileSystem { path, .. }
            | Error::ReEntrant { path }
            | Error::Aborted { path }
            | Error::Internal { path, .. }
            | Error::Io { path, .. } => path,
        }
    }

    /// The schema version in the file as a number, for
    /// [`UnsupportedVersion`](Error::UnsupportedVersion); `None` if that is not a whole number.
    #[must_use]
    pub fn found_version(&self) -> Option<i64> {
        match self {
            Error::UnsupportedVersion { found, .. } => found.parse().ok(),
            _ => None,
        }
    }

    /// This error with its paths replaced.
    pub(crate) fn map_paths(mut self, map: impl Fn(&Path) -> PathBuf) -> Self {
        match &mut self {
            Error::LockMismatch { path, in_use, .. } => {
                *path = map(path);
                *in_use = map(in_use);
            }
            Error::LockBusy { path, .. }
            | Error::LockTimeout { path, .. }
            | Error::LockLost { path, .. }
            | Error::IdTaken { path, .. }
            | Error::EntryLost { path, .. }
            | Error::PermissionDenied { path, .. }
            | Error::NotFound { path, .. }
            | Error::Corrupt { path, .. }
            | Error::Parse { path, .. }
            | Error::Serialize { path, .. }
            | Error::UnsupportedVersion { path, .. }
            | Error::TooLarge { path, .. }
            | Error::InvalidValue { path, .. }
            | Error::Unsupported { path, .. }
            | Error::Unavailable { path, .. }
            | Error::OutcomeUnknown { path, .. }
            | Error::StoreLimit { path, .. }
            | Error::UnsupportedFileSystem { path, .. }
            | Error::ReEntrant { path }
            | Error::Aborted { path }
            | Error::Internal { path, .. }
            | Error::Io { path, .. } => *path = map(path),
        }
        self
    }

    /// The holder of the lock, for [`LockBusy`](Error::LockBusy) and
    /// [`LockTimeout`](Error::LockTimeout).
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        match self {
            Error::LockBusy { holder, .. } | Error::LockTimeout { holder, .. } => holder.as_deref(),
            _ => None,
        }
    }

    /// Maps an error of the operating system to a variant: denied, not found, invalid, or any other.
    /// Contention is never mapped here: the lock modules recognise it themselves.
    pub(crate) fn from_io(path: &Path, operation: &'static str, source: io::Error) -> Self {
        let is_read_only = sys::is_read_only(&source);
        let source = explained::explain_at(path, source);
        let path = path.to_path_buf();
        if is_read_only {
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

/// Keeps the error: the message names the path, and `io::Error::get_ref` or `into_inner` returns the
/// [`Error`].
///
/// The kind is that of the operating system's error, if there is one. Otherwise it is `WouldBlock` for
/// [`Error::LockBusy`], `TimedOut` for [`Error::LockTimeout`], `Unsupported` for
/// [`Error::UnsupportedFileSystem`] and [`Error::Unsupported`], `InvalidInput` for [`Error::InvalidValue`], `InvalidData` for
/// content that can't be read or printed or is too large, `AlreadyExists` for [`Error::IdTaken`], `NotFound` for
/// [`Error::EntryLost`], and `Other` for the rest.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::PermissionDenied { source, .. }
            | Error::NotFound { source, .. }
            | Error::Io { source, .. } => source.kind(),
            Error::LockBusy { .. } => io::ErrorKind::WouldBlock,
            Error::LockTimeout { .. } => io::ErrorKind::TimedOut,
            Error::UnsupportedFileSystem { .. } | Error::Unsupported { .. } => {
                io::ErrorKind::Unsupported
            }
            Error::InvalidValue { .. } => io::ErrorKind::InvalidInput,
            Error::TooLarge { .. }
            | Error::Corrupt { .. }
            | Error::Parse { .. }
            | Error::Serialize { .. }
            | Error::UnsupportedVersion { .. } => io::ErrorKind::InvalidData,
            Error::IdTaken { .. } => io::ErrorKind::AlreadyExists,
            Error::EntryLost { .. } => io::ErrorKind::NotFound,
            // Not `Interrupted`, after which callers try again.
            Error::Aborted { .. }
            | Error::LockLost { .. }
            | Error::LockMismatch { .. }
            | Error::Unavailable { .. }
            | Error::OutcomeUnknown { .. }
            | Error::StoreLimit { .. }
            | Error::Internal { .. }
            | Error::ReEntrant { .. } => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
