//! What the servers answer, as the core's errors.

use std::io;
use std::path::Path;

use argus_registry::Error;
use tonic::{Code, Status};

/// Why one server has not done what it was asked.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It was not asked: no connection was made.
    NotSent(String),
    /// No connection was made, since one of the two sides does not trust the other.
    Untrusted(String),
    /// It may have been asked, and may yet do it.
    NoAnswer(String),
    /// It has refused.
    Refused(Status),
}

impl Trouble {
    /// The trouble of a request that was sent.
    pub(crate) fn of(status: Status) -> Self {
        // A client learns that the server refuses its certificate from what it reads first. The server has read no
        // request then.
        if let Some(reason) = alert(&status) {
            return Trouble::Untrusted(reason);
        }
        // Servers that are behind with their work: they have not begun it. Other exhausted resources are limits.
        if status.code() == Code::ResourceExhausted
            && status.message().contains("too many requests")
        {
            return Trouble::NotSent(message(&status));
        }
        match status.code() {
            // etcd answers that it does not know either: no leader, a leader that has changed, a time that was over.
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::Aborted
            | Code::DataLoss => Trouble::NoAnswer(message(&status)),
            _ => Trouble::Refused(status),
        }
    }

    /// The trouble of making a connection.
    pub(crate) fn of_connecting(error: &tonic::transport::Error) -> Self {
        let reason = cause(error);
        // A proxy that has no server behind it at the moment. Nothing was said of trust.
        if is_at_end(error) {
            let reason =
                format!("the connection was closed during the handshake of TLS ({reason})");
            return Trouble::NotSent(reason);
        }
        let is_tls =
            ["certificate", "handshake", "TLS", "tls", "fatal alert", "InvalidContentType"];
        match is_tls.iter().any(|word| reason.contains(word)) {
            true => Trouble::Untrusted(reason),
            false => Trouble::NotSent(reason),
        }
    }

    pub(crate) fn reason(&self) -> String {
        match self {
            Trouble::NotSent(reason) | Trouble::Untrusted(reason) | Trouble::NoAnswer(reason) => {
                reason.clone()
            }
            Trouble::Refused(status) => message(status),
        }
    }
}

/// The innermost cause of an error.
fn cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => cause(source),
        None => error.to_string(),
    }
}

/// Whether the cause of an error is that a connection was closed before all was read.
fn is_at_end(error: &(dyn std::error::Error + 'static)) -> bool {
    let own = error.downcast_ref::<io::Error>();
    own.is_some_and(|own| own.kind() == io::ErrorKind::UnexpectedEof)
        || error.source().is_some_and(is_at_end)
}

/// What the server's alert about the client's certificate says, if it has sent one.
fn alert(status: &Status) -> Option<String> {
    let reason = cause(status);
    let is_alert = reason.contains("fatal alert")
        && ["Certificate", "UnknownCA", "AccessDenied", "Handshake"]
            .iter()
            .any(|word| reason.contains(word));
    is_alert.then_some(reason)
}

fn message(status: &Status) -> String {
    let message = status.message().trim_start_matches("etcdserver: ");
    match message.is_empty() {
        true => status.code().to_string(),
        false => message.replace("; ", ", "),
    }
}

pub(crate) fn is_lease_missing(status: &Status) -> bool {
    status.code() == Code::NotFound && status.message().contains("lease")
}

pub(crate) fn is_compacted(status: &Status) -> bool {
    status.code() == Code::OutOfRange && status.message().contains("compacted")
}

/// Whether the token by which the servers know the user is not valid any more.
pub(crate) fn is_token_old(status: &Status) -> bool {
    status.code() == Code::Unauthenticated || status.message().contains("revision of auth store")
}

pub(crate) fn is_auth_off(status: &Status) -> bool {
    status.message().contains("authentication is not enabled")
}

/// What an error says, as a part of another message. That nothing was written is left to that message.
pub(crate) fn reason_of(error: Error) -> String {
    match error {
        Error::Unavailable { reason, .. } => reason,
        other => other.to_string().replace("; ", ", "),
    }
}

/// The error of a request that was refused.
pub(crate) fn refused(path: &Path, status: &Status) -> Error {
    let (path, reason) = (path.to_path_buf(), message(status));
    let denied = |why: &str| {
        let source = format!("{reason}: {why}");
        let source = io::Error::new(io::ErrorKind::PermissionDenied, source);
        Error::PermissionDenied { path: path.clone(), operation: "use", source }
    };
    let limit =
        |why: &str| Error::StoreLimit { path: path.clone(), reason: format!("{reason}; {why}") };
    match status.code() {
        Code::ResourceExhausted if reason.contains("space") => limit(
            "compact and defragment it or raise its quota, then disarm the alarm (`etcdctl alarm disarm`)",
        ),
        Code::ResourceExhausted => limit("make it smaller, or make several of it"),
        Code::InvalidArgument if reason.contains("too large") || reason.contains("too many") => {
            limit("make it smaller, or make several of it")
        }
        Code::InvalidArgument if reason.contains("user name is empty") => {
            denied("the servers ask for a user, and the options name none")
        }
        Code::InvalidArgument if reason.contains("authentication failed") => {
            denied("the servers do not know this user with this password")
        }
        Code::PermissionDenied => {
            denied("the user needs a role with read and write permission for the registry's prefix")
        }
        Code::Unauthenticated => denied("the servers do not accept the user"),
        _ => Error::Io { path, operation: "use", source: io::Error::other(reason) },
    }
}

/// The error of a connection that one of both sides has refused.
pub(crate) fn untrusted(path: &Path, reason: String) -> Error {
    let advice = match reason.contains("UnknownIssuer") || reason.contains("NotValidForName") {
        true => "the server's certificate is not valid by the authority's certificates that were given, or for its name",
        false => "check the authority's certificates, the client certificate, and whether the servers use TLS",
    };
    let source = io::Error::new(io::ErrorKind::PermissionDenied, format!("{reason}: {advice}"));
    Error::PermissionDenied { path: path.to_path_buf(), operation: "connect to", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It told the caller to make the change smaller.
    #[test]
    fn servers_that_are_behind_with_their_work_are_asked_again() {
        let busy = Status::resource_exhausted("etcdserver: too many requests");
        assert!(matches!(Trouble::of(busy), Trouble::NotSent(_)));
        for message in ["etcdserver: mvcc: database space exceeded", "message larger than max"] {
            let Trouble::Refused(status) = Trouble::of(Status::resource_exhausted(message)) else {
                panic!("{message} does not go away by waiting");
            };
            assert_eq!(refused(Path::new("etcd://h:1/p"), &status).code(), "STORE_LIMIT");
        }
    }
}
