//! The doctor's report: a line for each check as soon as it is done, or all of it as JSON at the
//! end.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use argus_registry::Litter;
use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::output;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum DoctorLevel {
    Ok,
    Warn,
    Fail,
}

/// The outcome of one check.
#[derive(Debug, Serialize)]
pub(super) struct DoctorCheck {
    #[serde(rename = "check")]
    name: &'static str,
    level: DoctorLevel,
    /// What was found, and what follows from it.
    message: String,
    /// What the person at the shell can do about it.
    next: Option<String>,
}

impl DoctorCheck {
    pub(super) fn ok(name: &'static str, message: impl Into<String>) -> Self {
        DoctorCheck { name, level: DoctorLevel::Ok, message: message.into(), next: None }
    }

    /// For something that works, with a restriction to know about.
    pub(super) fn warn(name: &'static str, message: impl Into<String>) -> Self {
        DoctorCheck { level: DoctorLevel::Warn, ..DoctorCheck::ok(name, message) }
    }

    pub(super) fn fail(name: &'static str, message: impl Into<String>) -> Self {
        DoctorCheck { level: DoctorLevel::Fail, ..DoctorCheck::ok(name, message) }
    }

    pub(super) fn next(self, next: impl Into<String>) -> Self {
        DoctorCheck { next: Some(next.into()), ..self }
    }
}

/// A file that a crashed process left, in the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportedLitter {
    path: PathText,
    kind: &'static str,
    beside: PathText,
    safe_to_delete: bool,
    deleted: bool,
    reason: String,
}

/// A path in JSON. What is no Unicode in it is replaced: JSON can't hold it.
#[derive(Debug, Serialize)]
struct PathText(String);

impl From<&Path> for PathText {
    fn from(path: &Path) -> Self {
        PathText(path.to_string_lossy().into_owned())
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DoctorReport {
    #[serde(skip)]
    json: bool,
    folder: Option<PathText>,
    file: Option<PathText>,
    /// Whether no check failed.
    fine: bool,
    checks: Vec<DoctorCheck>,
    litter: Vec<ReportedLitter>,
}

impl DoctorReport {
    pub(super) fn new(json: bool) -> Self {
        let (checks, litter) = (Vec::new(), Vec::new());
        DoctorReport { json, folder: None, file: None, fine: true, checks, litter }
    }

    /// Sets which folder, and which file in it, the report is about.
    pub(super) fn set_target(&mut self, folder: &Path, file: Option<&Path>) {
        self.folder = Some(folder.into());
        self.file = file.map(PathText::from);
    }

    /// Adds a check, and prints its line unless JSON was asked for.
    pub(super) fn add(&mut self, check: DoctorCheck) -> io::Result<()> {
        self.fine &= check.level != DoctorLevel::Fail;
        if !self.json {
            let level = match check.level {
                DoctorLevel::Ok => "ok  ",
                DoctorLevel::Warn => "warn",
                DoctorLevel::Fail => "FAIL",
            };
            let mut line = format!("{level}  {}: {}\n", check.name, check.message);
            if let Some(next) = &check.next {
                line.push_str(&format!("      next: {next}\n"));
            }
            // At once, and in one write: a program that reads along gets whole lines.
            output::text(&line)?;
        }
        self.checks.push(check);
        Ok(())
    }

    /// Adds a left file to the JSON. Its line is that of a check, which the caller adds.
    pub(super) fn add_litter(&mut self, litter: &Litter, deleted: bool) {
        let Litter { path, kind, beside, safe_to_delete, reason, .. } = litter;
        let (path, beside) = (PathBuf::as_path(path).into(), PathBuf::as_path(beside).into());
        let (kind, safe_to_delete, reason) = (kind.code(), *safe_to_delete, reason.clone());
        self.litter.push(ReportedLitter { path, kind, beside, safe_to_delete, deleted, reason });
    }

    /// Prints the JSON if it was asked for, and returns how the program ends.
    pub(super) fn end(self) -> io::Result<Exit> {
        if self.json {
            let mut text = serde_json::to_string_pretty(&self)?;
            text.push('\n');
            io::stdout().write_all(text.as_bytes())?;
        }
        Ok(if self.fine { Exit::Success } else { Exit::Registry })
    }
}
