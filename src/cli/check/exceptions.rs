//! The check of a document of exceptions in TOML, as veil has it.

use std::collections::HashSet;
use std::path::Path;

use argus_registry::{Document, Error, Toml};
use jiff::fmt::temporal::Pieces;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use toml::Value;

use super::report::{CheckReport, Severity};
use crate::cli::output;

const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Exceptions {
    version: Option<u32>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Serialize, Deserialize)]
struct Exception {
    id: String,
    reason: String,
    created_at: Option<Value>,
    created_by: Option<String>,
    expires_at: Option<Value>,
}

/// Reads the document as veil does: under the shared lock, in one try; without a lock if this user
/// may neither open nor create the lock file.
pub(super) fn check(path: &Path) -> CheckReport {
    let mut report = CheckReport::new(path);
    let document = Document::<Exceptions, Toml>::toml(path).version(SCHEMA_VERSION);
    let exceptions = match document.load() {
        Ok(loaded) => {
            if let Some(reason) = loaded.unlocked {
                let message = format!("it was read without its lock: {reason}");
                let next = "check it again as a user that may write the lock file, on a local disk";
                report.add(Severity::Warning, "UNLOCKED", output::one_line(&message), next);
            }
            loaded.value
        }
        Err(error @ Error::NotFound { .. }) => {
            let message = format!("{} does not exist", path.display());
            let next = "if it should be there, check the path";
            report.add(Severity::Warning, error.code(), message, next);
            return report;
        }
        Err(error) => {
            report.add_error(error);
            return report;
        }
    };
    if exceptions.version.is_none() {
        let next = format!("add `version = {SCHEMA_VERSION}`");
        report.add(Severity::Warning, "NO_VERSION", "it has no `version`", next);
    }
    report.entries = exceptions.exceptions.len();
    let mut ids = HashSet::new();
    for exception in &exceptions.exceptions {
        if !ids.insert(&exception.id) {
            let message = format!("the id {} is that of several", output::printable(&exception.id));
            let next = "remove all but one of them, or give each an id of its own";
            report.add(Severity::Warning, "DUPLICATE_ID", message, next);
        }
        check_dates(&mut report, exception);
        check_expiry(&mut report, exception, Timestamp::now());
    }
    report
}

/// veil reads dates as strings, and refuses a document in which one is TOML's own date and time.
fn check_dates(report: &mut CheckReport, exception: &Exception) {
    let dates = [("created_at", &exception.created_at), ("expires_at", &exception.expires_at)];
    for (name, date) in dates {
        let Some(date) = date.as_ref().filter(|date| !date.is_str()) else { continue };
        let id = output::printable(&exception.id);
        let message =
            format!("the {name} of the exception {id} is a {}, not a string", date.type_str());
        report.add(Severity::Warning, "NOT_A_STRING", message, "put it in quotes: veil refuses it");
    }
}

/// An exception is expired from the instant of its expiry on: "until midnight" ends at midnight.
fn check_expiry(report: &mut CheckReport, exception: &Exception, now: Timestamp) {
    let id = output::printable(&exception.id);
    let Some(expires_at) = &exception.expires_at else { return };
    match instant(expires_at) {
        Ok(at) if at <= now => report.add(
            Severity::Expired,
            "EXPIRED",
            format!("the exception {id} has expired at {at}"),
            "remove it, or renew it",
        ),
        Ok(_) => {}
        Err(reason) => report.add(
            Severity::Error,
            "INVALID_VALUE",
            format!("the expires_at of the exception {id} can't be read: {reason}"),
            "write it as 2026-12-31T23:59:59Z",
        ),
    }
}

/// Reads an instant, which is a string or TOML's own date and time.
fn instant(value: &Value) -> Result<Timestamp, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Datetime(datetime) => datetime.to_string(),
        other => return Err(format!("it is a {}", other.type_str())),
    };
    text.parse().or_else(|error: jiff::Error| {
        // The last instants of the year 9999 stand for "never", and are beyond jiff's calendar.
        match Pieces::parse(&text) {
            Ok(pieces) if pieces.date().year() == 9999 && pieces.offset().is_some() => {
                Ok(Timestamp::MAX)
            }
            _ => Err(output::printable(&error.to_string())),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(expires_at: &str, now: &str) -> Vec<Severity> {
        let text = format!("id = 'x'\nreason = 'y'\nexpires_at = {expires_at}");
        let mut report = CheckReport::new(Path::new("e.toml"));
        check_expiry(&mut report, &toml::from_str(&text).unwrap(), now.parse().unwrap());
        report.findings.iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn an_exception_is_expired_from_the_instant_of_its_expiry_on() {
        for at in ["'2026-01-01T00:00:00Z'", "2026-01-01T00:00:00Z", "2026-01-01 01:00:00+01:00"] {
            assert_eq!(findings(at, "2025-12-31T23:59:59.999999999Z"), [], "{at}");
            assert_eq!(findings(at, "2026-01-01T00:00:00Z"), [Severity::Expired], "{at}");
            assert_eq!(findings(at, "2026-01-01T00:00:00.000000001Z"), [Severity::Expired], "{at}");
        }
    }

    #[test]
    fn the_end_of_the_year_9999_means_never() {
        for at in ["'9999-12-31T23:59:59Z'", "9999-12-31T23:59:59.999Z"] {
            assert_eq!(findings(at, "2026-01-01T00:00:00Z"), [], "{at}");
        }
    }

    #[test]
    fn an_expiry_that_names_no_instant_is_an_error() {
        for at in [
            "'soon'",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "00:00:00",
            "9999-12-31T23:59:59",
            "1",
            "''",
            "[]",
        ] {
            assert_eq!(findings(at, "2020-01-01T00:00:00Z"), [Severity::Error], "{at}");
        }
    }
}
