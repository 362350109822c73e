//! What `check` found, and how it is printed.

use std::path::Path;

use argus_registry::Error;
use serde::Serialize;

use crate::cli::exit::{CommandError, Exit};
use crate::cli::lock_target::lock_file_error;
use crate::cli::output;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Error,
    Expired,
    Warning,
}

/// One finding.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    #[serde(rename = "level")]
    pub(super) severity: Severity,
    /// A stable name, for programs.
    pub(super) code: &'static str,
    pub(super) message: String,
    /// What the person at the shell can do about it; empty if there is no advice.
    pub(super) next: String,
}

/// All findings in one file.
#[derive(Debug, Serialize)]
pub(super) struct CheckReport {
    path: String,
    /// How many watchers or exceptions the file has.
    pub(super) entries: usize,
    pub(super) findings: Vec<Finding>,
}

impl CheckReport {
    pub(super) fn new(path: &Path) -> Self {
        CheckReport { path: path.display().to_string(), entries: 0, findings: Vec::new() }
    }

    pub(super) fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        message: impl ToString,
        next: impl Into<String>,
    ) {
        let finding = Finding { severity, code, message: message.to_string(), next: next.into() };
        self.findings.push(finding);
    }

    pub(super) fn add_error(&mut self, error: Error) {
        let code = error.code();
        if let CommandError::Failed { message, next, .. } = lock_file_error(error) {
            let message = output::one_line(&message);
            self.add(Severity::Error, code, message, next.unwrap_or_default());
        }
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    fn summary(&self) -> String {
        format!(
            "{}: {}, {}, {} expired, {}",
            self.path,
            output::count(self.entries, "entry", "entries"),
            output::count(self.count(Severity::Error), "error", "errors"),
            self.count(Severity::Expired),
            output::count(self.count(Severity::Warning), "warning", "warnings"),
        )
    }

    /// One line for each finding, and a summary.
    pub(super) fn text(&self) -> String {
        let lines = self.findings.iter().map(|finding| {
            let severity = match finding.severity {
                Severity::Error => "error",
                Severity::Expired => "expired",
                Severity::Warning => "warning",
            };
            let next = match finding.next.as_str() {
                "" => String::new(),
                next => format!("; {next}"),
            };
            format!("{severity}: {}{next}\n", finding.message)
        });
        lines.chain([format!("{}\n", self.summary())]).collect()
    }

    /// The error with which `check` ends: that of the first error, else of the first expired entry.
    /// With `strict`, warnings count as errors.
    pub(super) fn command_error(&self, strict: bool) -> Option<CommandError> {
        let first = |severity| self.findings.iter().find(|finding| finding.severity == severity);
        let warning = || first(Severity::Warning).filter(|_| strict);
        let (exit, finding) = first(Severity::Error)
            .or_else(warning)
            .map(|finding| (Exit::Registry, finding))
            .or_else(|| Some((Exit::Expired, first(Severity::Expired)?)))?;
        let error = CommandError::new(exit, format!("{}; {}", self.summary(), finding.message));
        Some(match finding.next.is_empty() {
            true => error,
            false => error.next(&finding.next),
        })
    }
}
