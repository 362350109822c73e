//! The recovery step for an error, with the command of the program that helps.

use std::path::Path;

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
                "look into it; the next update would keep its bytes under another name, and begin \
                 a new registry"
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
            | Error::ReEntrant { .. }
            | Error::Aborted { .. } => return None,
        })
    }
}

/// A command of the program `argus-registry` with a path, quoted so that it can be pasted into a shell.
#[doc(hidden)]
#[must_use]
pub fn shell_command(words: &[&str], path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%\\".contains(c);
    let path = match path.chars().all(is_plain) && !path.is_empty() {
        true => path,
        false => format!("'{}'", path.replace('\'', r"'\''")),
    };
    format!("`argus-registry {} {path}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let command = |path: &str| shell_command(&["status"], Path::new(path));
        assert_eq!(command("/a/b.json"), "`argus-registry status /a/b.json`");
        assert_eq!(command("/it's"), r"`argus-registry status '/it'\''s'`");
    }
}
