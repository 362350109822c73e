//! What the doctor says: a line for each check as soon as it is made, or all of it as JSON.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use argus_registry::Litter;
use serde::Serialize;

use super::target::Target;
use crate::exit::Exit;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// What came of one check.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    check: &'static str,
    level: Level,
    /// What it means.
    message: String,
    /// What to do.
    next: Option<String>,
}

impl Check {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Check { check, level: Level::Ok, message: message.into(), next: None }
    }

    pub(super) fn warn(check: &'static str, message: impl Into<String>) -> Self {
        Check { level: Level::Warn, ..Check::ok(check, message) }
    }

    pub(super) fn fail(check: &'static str, message: impl Into<String>) -> Self {
        Check { level: Level::Fail, ..Check::ok(check, message) }
    }

    pub(super) fn next(self, next: impl Into<String>) -> Self {
        Check { next: Some(next.into()), ..self }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    path: PathText,
    kind: &'static str,
    beside: PathText,
    safe_to_delete: bool,
    deleted: bool,
    reason: String,
}

/// A path in JSON, which has no place for what is no Unicode.
#[derive(Debug, Serialize)]
struct PathText(String);

impl From<&Path> for PathText {
    fn from(path: &Path) -> Self {
        PathText(path.to_string_lossy().into_owned())
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    #[serde(skip)]
    json: bool,
    folder: Option<PathText>,
    file: Option<PathText>,
    /// No check failed.
    fine: bool,
    checks: Vec<Check>,
    litter: Vec<Found>,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        let (checks, litter) = (Vec::new(), Vec::new());
        Report { json, folder: None, file: None, fine: true, checks, litter }
    }

    pub(super) fn about(&mut self, target: &Target) {
        self.folder = Some(target.folder.as_path().into());
        self.file = target.file.as_deref().map(PathText::from);
    }

    pub(super) fn add(&mut self, check: Check) -> io::Result<()> {
        self.fine &= check.level != Level::Fail;
        if !self.json {
            let level = match check.level {
                Level::Ok => "ok  ",
                Level::Warn => "warn",
                Level::Fail => "FAIL",
            };
            // One write, so that the line of who is told of each check as it is made is whole.
            let mut line = format!("{level}  {}: {}\n", check.check, check.message);
            if let Some(next) = &check.next {
                line.push_str(&format!("      next: {next}\n"));
            }
            let mut output = io::stdout();
            output.write_all(line.as_bytes())?;
            output.flush()?;
        }
        self.checks.push(check);
        Ok(())
    }

    /// For the JSON; the line is a check of its own.
    pub(super) fn found(&mut self, litter: &Litter, deleted: bool) {
        let Litter { path, kind, beside, safe_to_delete, reason, .. } = litter;
        let (path, beside) = (PathBuf::as_path(path).into(), PathBuf::as_path(beside).into());
        let (kind, safe_to_delete, reason) = (kind.code(), *safe_to_delete, reason.clone());
        self.litter.push(Found { path, kind, beside, safe_to_delete, deleted, reason });
    }

    pub(super) fn end(self) -> io::Result<Exit> {
        if self.json {
            let mut text = serde_json::to_string_pretty(&self)?;
            text.push('\n');
            io::stdout().write_all(text.as_bytes())?;
        }
        Ok(if self.fine { Exit::Fine } else { Exit::Registry })
    }
}
