//! The recovery step for an error, with the command of the program that helps.

use crate::error::shell::shell_command;
use crate::error::Error;

impl Error {
    /// What a person at a shell can do about the error beyond its message: often a command of the program
    /// `argus-registry`, quoted for a shell. `None` if the message says all there is to do.
    ///
    /// ```
    /// use argus_registry::{try_lock_exclusive, Error};
    ///
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("scan.lock");
    /// let lock = try_lock_exclusive(&path)?;
    /// let busy = try_lock_exclusive(&path).unwrap_err();
    /// let hint = busy.hint().unwrap();
    /// assert!(hint.starts_with("`argus-registry status ") && hint.contains("scan.lock"));
    /// # Ok::<_, Error>(())
    /// ```
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let path = self.path();
        Some(match self {
            Error::LockBusy { .. } | Error::LockTimeout { .. } => {
                format!("{} shows which process holds it", shell_command(&["status"], path))
            }
            Error::LockMismatch { in_use, .. } => {
                format!("{} shows whether a process holds it", shell_command(&["status"], in_use))
            }
            Error::PermissionDenied { .. } => {
                "run this as a user with that permission, or name another file".to_owned()
            }
            Error::InvalidValue { .. } => "check the path".to_owned(),
            Error::Corrupt { .. } => {
                "look into it; an update that is not told to fail keeps its bytes under another name and \
                 begins a new registry"
                    .to_owned()
            }
            Error::Parse { .. } => "look at the place that the message names".to_owned(),
            Error::UnsupportedVersion { .. } => {
                "`argus-registry --version` shows the version of this program".to_owned()
            }
            Error::UnsupportedFileSystem { .. } | Error::Io { .. } => {
                format!("{} tests what works in this folder", shell_command(&["doctor"], path))
            }
            // A source of this crate says what to do.
            Error::NotFound { source, .. } if source.get_ref().is_none() => {
                format!("{} tells what is missing", shell_command(&["doctor"], path))
            }
            Error::LockLost { .. }
            | Error::IdTaken { .. }
            | Error::EntryLost { .. }
            | Error::NotFound { .. }
            | Error::Serialize { .. }
            | Error::TooLarge { .. }
            | Error::Unsupported { .. }
            | Error::Unavailable { .. }
            | Error::OutcomeUnknown { .. }
            | Error::StoreLimit { .. }
            | Error::ReEntrant { .. }
            | Error::Aborted { .. }
            | Error::Internal { .. } => return None,
        })
    }
}
