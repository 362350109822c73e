//! A document of exceptions in TOML, as veil has it.

use std::path::Path;

use argus_registry::{Document, Error, Toml};
use jiff::fmt::temporal::Pieces;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use toml::Value;

use crate::check::{Level, Report};
use crate::output;

const VERSION: u32 = 1;

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

/// Reads it as veil does: under the shared lock, in one try; without it where the lock file may
/// neither be opened nor made.
pub(crate) fn check(path: &Path) -> Report {
    let mut report = Report::new(path);
    let exceptions = match Document::<Exceptions, Toml>::toml(path).version(VERSION).load() {
        Ok(loaded) => loaded.value,
        Err(error @ Error::NotFound { .. }) => {
            let message = format!("{} does not exist", path.display());
            let next = "if it should be there, check the path";
            report.add(Level::Warning, error.code(), message, next);
            return report;
        }
        Err(error) => {
            report.add_error(error);
            return report;
        }
    };
    if exceptions.version.is_none() {
        let next = format!("add `version = {VERSION}`");
        report.add(Level::Warning, "NO_VERSION", "it does not say its version", next);
    }
    report.entries = exceptions.exceptions.len();
    for exception in &exceptions.exceptions {
        report.judge(exception, Timestamp::now());
    }
    report
}

impl Report {
    /// Who says "until midnight" means that at midnight it is over.
    fn judge(&mut self, exception: &Exception, now: Timestamp) {
        let id = output::printable(&exception.id);
        let Some(expires_at) = &exception.expires_at else { return };
        match instant(expires_at) {
            Ok(at) if at <= now => self.add(
                Level::Expired,
                "EXPIRED",
                format!("the exception {id} has expired at {at}"),
                "remove it, or renew it",
            ),
            Ok(_) => {}
            Err(reason) => self.add(
                Level::Error,
                "INVALID_VALUE",
                format!("the expires_at of the exception {id} can't be read: {reason}"),
                "write it as 2026-12-31T23:59:59Z",
            ),
        }
    }
}

/// An instant as a string or as TOML's own.
fn instant(value: &Value) -> Result<Timestamp, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Datetime(datetime) => datetime.to_string(),
        other => return Err(format!("it is a {}", other.type_str())),
    };
    text.parse().or_else(|error: jiff::Error| {
        // The last instants of the calendar, which stand for "never", are beyond the library's.
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

    fn findings(expires_at: &str, now: &str) -> Vec<Level> {
        let text = format!("id = 'x'\nreason = 'y'\nexpires_at = {expires_at}");
        let mut report = Report::new(Path::new("e.toml"));
        report.judge(&toml::from_str(&text).unwrap(), now.parse().unwrap());
        report.findings.iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn an_exception_is_expired_from_the_very_instant_on() {
        for at in ["'2026-01-01T00:00:00Z'", "2026-01-01T00:00:00Z", "2026-01-01 01:00:00+01:00"] {
            assert_eq!(findings(at, "2025-12-31T23:59:59.999999999Z"), [], "{at}");
            assert_eq!(findings(at, "2026-01-01T00:00:00Z"), [Level::Expired], "{at}");
            assert_eq!(findings(at, "2026-01-01T00:00:00.000000001Z"), [Level::Expired], "{at}");
        }
    }

    #[test]
    fn the_end_of_the_calendar_is_never() {
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
            assert_eq!(findings(at, "2020-01-01T00:00:00Z"), [Level::Error], "{at}");
        }
    }
}
