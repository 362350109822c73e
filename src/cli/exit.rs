//! How the program ends: its exit codes, and what it says of a failure.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use argus_registry::Error;

use crate::output;

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Fine,
    /// The command line can't be understood.
    Usage,
    /// Busy, denied, corrupt, of a newer version, ...
    Registry,
    /// Entries past their time to live, exceptions past their expiry.
    Expired,
    /// Of the command that was run.
    Command(i32),
}

impl Exit {
    pub(crate) fn code(self) -> i32 {
        match self {
            Exit::Fine => 0,
            Exit::Usage => 1,
            Exit::Registry => 2,
            Exit::Expired => 3,
            Exit::Command(code) => code,
        }
    }
}

/// Why a command did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    Failed {
        exit: Exit,
        /// What happened, with the path and, if there is one, the holder.
        message: String,
        /// What to do, unless the message says that.
        next: Option<String>,
    },
    /// The command line asks for what does not go together.
    Usage(clap::Error),
    /// Whoever read the output has seen enough.
    Unread,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure::Failed { exit, message: message.into(), next: None }
    }

    /// Adds what to do next; a command is best named as [`hint`] does it.
    pub(crate) fn next(self, next: impl Into<String>) -> Self {
        match self {
            Failure::Failed { exit, message, .. } => {
                Failure::Failed { exit, message, next: Some(next.into()) }
            }
            other => other,
        }
    }

    /// Says what failed; returns the exit code.
    pub(crate) fn tell(&self) -> Exit {
        match self {
            Failure::Failed { exit, message, next } => {
                say(message);
                if let Some(next) = next {
                    // Nobody to tell it to is no reason to fail otherwise.
                    let _ = writeln!(io::stderr(), "  next: {}", output::harmless(next));
                }
                *exit
            }
            Failure::Usage(error) => {
                let _ = error.print();
                match error.use_stderr() {
                    true => Exit::Usage,
                    // Help was asked for.
                    false => Exit::Fine,
                }
            }
            Failure::Unread => Exit::Fine,
        }
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        Failure::Usage(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let path = error.path();
        let next = match &error {
            Error::LockBusy { .. } | Error::LockTimeout { .. } => {
                format!("{} shows who holds it", hint(&["status"], path))
            }
            Error::PermissionDenied { .. } => {
                "run this as somebody who may, or name another file".to_owned()
            }
            Error::NotFound { .. } | Error::InvalidValue { .. } => "check the path".to_owned(),
            Error::Corrupt { .. } => {
                "look into it; the next update would keep its bytes under another name, and begin \
                 a new registry"
                    .to_owned()
            }
            Error::Parse { .. } => "correct the file".to_owned(),
            Error::UnsupportedVersion { .. } => {
                "`argus-registry --version` shows which this is".to_owned()
            }
            Error::UnsupportedFileSystem { .. } | Error::Io { .. } => {
                format!("{} finds out what this folder can do", hint(&["doctor"], path))
            }
            _ => "run it again".to_owned(),
        };
        Failure::new(Exit::Registry, error.to_string()).next(next)
    }
}

/// A failure to print.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::Unread;
        }
        Failure::new(Exit::Registry, format!("cannot write the output: {error}"))
            .next("check where standard output goes to")
    }
}

/// A line on standard error. Nobody to tell it to is no reason to fail.
pub(crate) fn say(message: impl Display) {
    let message = output::harmless(&message.to_string());
    let _ = writeln!(io::stderr(), "argus-registry: {message}");
}

/// A command of this program, to be copied into a shell.
pub(crate) fn hint(words: &[&str], path: &Path) -> String {
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
    fn a_hint_can_be_pasted() {
        assert_eq!(hint(&["status"], Path::new("/a/b.json")), "`argus-registry status /a/b.json`");
        assert_eq!(hint(&["status"], Path::new("/it's")), r"`argus-registry status '/it'\''s'`");
    }

    #[test]
    fn whoever_stops_reading_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.tell(), Exit::Fine);
        assert!(matches!(failure.next("x"), Failure::Unread));
    }
}
