//! How the program ends: its exit codes, and what it prints about an error.

use std::io;

pub(crate) use argus_registry::shell_command as hint;
use argus_registry::Error;

use crate::cli::output;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Success,
    /// The command line can't be understood.
    Usage,
    /// Busy, denied, corrupt, of a newer version, ...
    Registry,
    /// Entries are past their time to live, or exceptions past their expiry.
    Expired,
    /// The exit code of the command that `run` has run.
    Command(i32),
}

impl Exit {
    pub(crate) fn code(self) -> i32 {
        match self {
            Exit::Success => 0,
            Exit::Usage => 1,
            Exit::Registry => 2,
            Exit::Expired => 3,
            Exit::Command(code) => code,
        }
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum CommandError {
    Failed {
        exit: Exit,
        /// What happened, with the path and, if there is one, the holder.
        message: String,
        /// What the person at the shell can do, unless the message says so.
        next: Option<String>,
    },
    /// The arguments can't be understood or don't go together, or help was asked for.
    Usage(clap::Error),
    /// The reader of standard output has closed it, as `head` does after its last line.
    OutputClosed,
}

impl CommandError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        CommandError::Failed { exit, message: message.into(), next: None }
    }

    /// Adds the next step. Name a command of this program by [`hint`].
    pub(crate) fn next(self, next: impl Into<String>) -> Self {
        match self {
            CommandError::Failed { exit, message, .. } => {
                CommandError::Failed { exit, message, next: Some(next.into()) }
            }
            other => other,
        }
    }

    /// Prints the error on standard error, and returns how the program ends.
    ///
    /// A standard error that can't be written changes nothing about that.
    pub(crate) fn print(&self) -> Exit {
        match self {
            CommandError::Failed { exit, message, next } => {
                output::notice(message);
                if let Some(next) = next {
                    output::next_step(next);
                }
                *exit
            }
            CommandError::Usage(error) => {
                let _ = error.print();
                match error.use_stderr() {
                    true => Exit::Usage,
                    // Help or the version was asked for.
                    false => Exit::Success,
                }
            }
            CommandError::OutputClosed => Exit::Success,
        }
    }
}

impl From<clap::Error> for CommandError {
    fn from(error: clap::Error) -> Self {
        CommandError::Usage(error)
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        let (message, next) = (error.to_string(), error.hint());
        CommandError::Failed { exit: Exit::Registry, message, next }
    }
}

/// An error while the output was written.
impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return CommandError::OutputClosed;
        }
        CommandError::new(Exit::Registry, format!("cannot write the output: {error}"))
            .next("check where standard output goes to")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_output_is_success() {
        let error = CommandError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.print(), Exit::Success);
        assert!(matches!(error.next("x"), CommandError::OutputClosed));
    }
}
