//! The messages of [`Error`]: what failed, on which path, and what a person can do about it.

use std::fmt;

use crate::error::explained::is_explained;
use crate::error::{Error, LockKind, MAX_CONTENT_BYTES};

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
                // To end a process is advised only if it is known to be the holder and to run: any
                // other process may have its number by now.
                f.write_str(match holder {
                    // In a container another one's process may have the same number.
                    Some(holder)
                        if holder.pid == Some(std::process::id()) && holder.alive == Some(true) =>
                    {
                        "; wait longer, or release it elsewhere in this process, which holds it"
                    }
                    Some(holder) if holder.pid.is_some() && holder.alive == Some(true) => {
                        "; wait longer, or end the holder if it hangs (once it is dead, its lock is \
                         free at once)"
                    }
                    Some(_) => {
                        "; wait longer: if the holder is dead, its lock is taken over once it is stale"
                    }
                    None => "; wait longer",
                })
            }
            Error::LockLost { written: false, .. } => write!(
                f,
                "the lock on {path} was taken away before the update could be written, so it was not \
                 written; run the update again"
            ),
            Error::LockLost { written: true, .. } => write!(
                f,
                "the lock on {path} was taken away after the file was written under it, so another \
                 program may have replaced what was written; read the file before you update it again"
            ),
            Error::LockMismatch { in_use, kind, .. } => {
                let in_use = in_use.display();
                match kind {
                    LockKind::Registry => write!(
                        f,
                        "{path} is used under the lock of an argus registry ({in_use}); use it under \
                         that lock, or delete {in_use} if no program uses that lock any more"
                    ),
                    LockKind::LockFile => write!(
                        f,
                        "{path} is used as a document under the lock file {in_use}; use it under that \
                         lock, or delete {in_use} if no program uses it any more"
                    ),
                }
            }
            Error::IdTaken { id, pid, .. } => {
                write!(f, "the id '{id}' is another watcher's in {path}")?;
                if let Some(pid) = pid {
                    write!(f, " (process {pid})")?;
                }
                f.write_str("; choose another id, or wait until that watcher has ended or its entry has expired")
            }
            Error::EntryLost { id, .. } => write!(
                f,
                "the entry '{id}' in {path} was removed, or is another watcher's by now, so it was \
                 not renewed; announce the watcher again, or stop its heartbeat"
            ),
            Error::PermissionDenied { operation, source, .. } => {
                write!(f, "no permission to {operation} {path}: {source}")?;
                match is_explained(source) {
                    true => Ok(()),
                    false => f.write_str("; check owner and mode"),
                }
            }
            Error::NotFound { operation, source, .. } => {
                write!(f, "cannot {operation} {path}: {source}")?;
                // A source of this crate says what to do.
                f.write_str(if source.get_ref().is_none() { "; check the path" } else { "" })
            }
            Error::Corrupt { reason, .. } => {
                write!(f, "{path} is not a registry: {reason}; repair it or move it away")
            }
            Error::Parse { source, .. } => {
                write!(f, "{path} can't be parsed: {source}; repair it or move it away")
            }
            Error::Serialize { source, .. } => {
                write!(
                    f,
                    "the new value of {path} can't be printed, so it was not written: {source}; correct the \
                     value"
                )
            }
            Error::UnsupportedVersion { found, expected, .. } => {
                let is_older = found.parse().is_ok_and(|found: f64| found < f64::from(*expected));
                let remedy = if is_older { "convert the file" } else { "upgrade this program" };
                write!(
                    f,
                    "{path} has schema version {found}, this program knows {expected}; {remedy}"
                )
            }
            Error::TooLarge { size, is_new, .. } => {
                let limit = MAX_CONTENT_BYTES;
                match is_new {
                    true => write!(
                        f,
                        "the new content of {path} has {size} bytes, more than the {limit} that a \
                         file may have, and was not written; remove some of it"
                    ),
                    false => write!(
                        f,
                        "{path} has {size} bytes or more, and files of over {limit} bytes are not read; \
                         make it smaller or move it away"
                    ),
                }
            }
            Error::InvalidValue { reason, .. } => {
                write!(f, "{path} can't be used: {reason}")
            }
            Error::Unsupported { reason, .. } => {
                write!(f, "the store of {path} can't do this: {reason}")
            }
            Error::Unavailable { reason, .. } => {
                write!(
                    f,
                    "{path} is not available, and nothing was written: {reason}; try again once a server \
                     of it answers"
                )
            }
            Error::OutcomeUnknown { reason, .. } => write!(
                f,
                "the outcome of a call on {path} is not known: {reason}; read the registry before you make it \
                 again"
            ),
            Error::StoreLimit { reason, .. } => {
                write!(f, "the store of {path} refused the change: {reason}")
            }
            Error::UnsupportedFileSystem { source, .. } => write!(
                f,
                "the file system of {path} has no kernel locks ({source}); keep the lock file on \
                 a local disk"
            ),
            Error::ReEntrant { .. } => write!(
                f,
                "{path} is already being updated by this caller, which would wait for itself; change \
                 the value that the running update was given, or start this update after it"
            ),
            Error::Aborted { .. } => write!(f, "the update of {path} was aborted by its caller"),
            Error::Internal { reason, .. } => {
                write!(f, "a defect of argus-registry, with {path}: {reason}; please report it")
            }
            Error::Io { operation, source, .. } => {
                write!(f, "cannot {operation} {path}: {source}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::holder::Holder;

    fn path() -> PathBuf {
        "a".into()
    }

    fn system_error() -> io::Error {
        io::Error::from_raw_os_error(5)
    }

    /// An error of each variant, one after the other: a new variant does not compile without its place.
    fn after(error: &Error) -> Option<Error> {
        let (operation, source) = ("read", system_error());
        Some(match error {
            Error::LockBusy { holder: None, .. } => {
                let holder = Holder { pid: Some(7), host: None, since: None, alive: Some(true) };
                Error::LockBusy { path: path(), holder: Some(Box::new(holder)) }
            }
            Error::LockBusy { .. } => {
                Error::LockTimeout { path: path(), waited: Duration::from_secs(2), holder: None }
            }
            Error::LockTimeout { .. } => Error::LockLost { path: path(), written: false },
            Error::LockLost { written: false, .. } => {
                Error::LockLost { path: path(), written: true }
            }
            Error::LockLost { .. } => {
                Error::LockMismatch { path: path(), in_use: path(), kind: LockKind::Registry }
            }
            Error::LockMismatch { kind: LockKind::Registry, .. } => {
                Error::LockMismatch { path: path(), in_use: path(), kind: LockKind::LockFile }
            }
            Error::LockMismatch { .. } => {
                Error::IdTaken { path: path(), id: "app".to_owned(), pid: Some(7) }
            }
            Error::IdTaken { .. } => Error::EntryLost { path: path(), id: "app".to_owned() },
            Error::EntryLost { .. } => Error::PermissionDenied { path: path(), operation, source },
            Error::PermissionDenied { .. } => Error::NotFound { path: path(), operation, source },
            Error::NotFound { .. } => Error::Corrupt { path: path(), reason: "a list".to_owned() },
            Error::Corrupt { .. } => Error::Parse { path: path(), source: source.into() },
            Error::Parse { .. } => Error::Serialize { path: path(), source: source.into() },
            Error::Serialize { .. } => {
                Error::UnsupportedVersion { path: path(), found: "2".to_owned(), expected: 1 }
            }
            Error::UnsupportedVersion { .. } => {
                Error::TooLarge { path: path(), size: 9, is_new: false }
            }
            Error::TooLarge { is_new: false, .. } => {
                Error::TooLarge { path: path(), size: 9, is_new: true }
            }
            Error::TooLarge { .. } => {
                Error::InvalidValue { path: path(), reason: "a list".to_owned() }
            }
            Error::InvalidValue { .. } => {
                let reason = "it keeps entries alone; keep a note elsewhere".to_owned();
                Error::Unsupported { path: path(), reason }
            }
            Error::Unsupported { .. } => {
                Error::Unavailable { path: path(), reason: "it refused".to_owned() }
            }
            Error::Unavailable { .. } => {
                Error::OutcomeUnknown { path: path(), reason: "no answer".to_owned() }
            }
            Error::OutcomeUnknown { .. } => {
                let reason = "no space is left; raise its quota".to_owned();
                Error::StoreLimit { path: path(), reason }
            }
            Error::StoreLimit { .. } => Error::UnsupportedFileSystem { path: path(), source },
            Error::UnsupportedFileSystem { .. } => Error::ReEntrant { path: path() },
            Error::ReEntrant { .. } => Error::Aborted { path: path() },
            Error::Aborted { .. } => Error::Internal { path: path(), reason: "a panic".to_owned() },
            Error::Internal { .. } => Error::Io { path: path(), operation, source },
            Error::Io { .. } => return None,
        })
    }

    /// A message says what is wrong, and after a semicolon what to do. Where only the caller's argument or
    /// the system can tell what that is, the hint has a first step instead. A caller that aborts its own
    /// call needs none.
    #[test]
    fn a_message_ends_in_one_remedy_which_the_hint_does_not_repeat() {
        let first = Error::LockBusy { path: path(), holder: None };
        for error in std::iter::successors(Some(first), after) {
            let (message, hint) = (error.to_string(), error.hint());
            let remedies = message.split("; ").skip(1).collect::<Vec<_>>();
            let expected = match error {
                Error::InvalidValue { .. } | Error::Io { .. } | Error::Aborted { .. } => 0,
                _ => 1,
            };
            assert_eq!(remedies.len(), expected, "{message}");
            let is_abort = matches!(error, Error::Aborted { .. });
            assert!(expected == 1 || hint.is_some() || is_abort, "no remedy: {message}");
            let hint = hint.unwrap_or_default();
            let verb = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
            assert!(remedies.iter().all(|remedy| verb(remedy) != verb(&hint)), "{message}: {hint}");
        }
    }

    /// The number in a record of another boot may be that of any process by now.
    #[test]
    fn to_end_a_process_is_advised_only_if_it_is_known_to_hold_the_lock_and_to_run() {
        let message = |holder: Option<Holder>| {
            let waited = Duration::from_secs(2);
            Error::LockTimeout { path: "a".into(), waited, holder: holder.map(Box::new) }
                .to_string()
        };
        let holder = |pid, alive| Holder { pid, host: None, since: None, alive };
        for (holder, is_advised) in [
            (Some(holder(Some(7), Some(true))), true),
            (Some(holder(Some(7), None)), false),
            (Some(holder(Some(7), Some(false))), false),
            (Some(holder(Some(std::process::id()), Some(true))), false),
            (Some(holder(None, None)), false),
            (Some(holder(None, Some(true))), false),
            (None, false),
        ] {
            let message = message(holder);
            assert_eq!(message.contains("end the holder"), is_advised, "{message}");
            assert!(message.contains("wait longer"), "{message}");
        }
    }

    /// The first process of every container has the number 1.
    #[test]
    fn a_holder_with_the_number_of_this_process_is_this_one_only_if_it_is_known_to_run() {
        for (alive, is_own) in [(Some(true), true), (None, false), (Some(false), false)] {
            let pid = Some(std::process::id());
            let holder = Some(Box::new(Holder { pid, host: None, since: None, alive }));
            let waited = Duration::from_secs(2);
            let message = Error::LockTimeout { path: "a".into(), waited, holder }.to_string();
            assert_eq!(message.contains("in this process"), is_own, "{message}");
        }
    }
}
