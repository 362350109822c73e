//! `check`: what is wrong with a registry, or with a document of exceptions.

use std::path::Path;
use std::time::Duration;

use argus_registry::{
    inspect_lock, stale_watchers, Error, Guarantee, LockOptions, LockState, PruneOptions,
    PruneReason,
};
use serde::Serialize;

use crate::args::CheckArgs;
use crate::exceptions;
use crate::exit::{hint, Exit, Failure};
use crate::list::{odd_entries, read};
use crate::output;
use crate::prune::Entry;
use crate::target::{usage, Target};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Error,
    Expired,
    Warning,
}

/// One thing that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// A stable name.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) next: String,
}

/// All that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) path: String,
    /// How many watchers or exceptions there are.
    pub(crate) entries: usize,
    pub(crate) findings: Vec<Finding>,
}

pub(crate) fn check(target: &Target, args: &CheckArgs) -> Result<Exit, Failure> {
    let report = match target {
        Target::Registry(path) => registry(path, args.ttl),
        Target::LockFile { document: Some(document), .. } if is_toml(document) => {
            exceptions::check(document)
        }
        // Whatever carries its lock, it can only be a registry.
        Target::LockFile { document: Some(document), .. } => registry(document, args.ttl),
        Target::LockFile { lock_file, document: None } => {
            return Err(usage(&format!(
                "{} is a lock file, which has no content to check; name the document, or see who \
                 holds it with {}",
                lock_file.display(),
                hint(&["status", "--lock-file"], lock_file)
            )))
        }
    };
    let printed = if args.json { output::json(&report) } else { output::text(&report.text()) };
    match (report.failure(args.strict), printed) {
        // It stands, even if nobody has read why.
        (Some(failure), _) => Err(failure),
        (None, printed) => Ok(printed.map(|()| Exit::Fine)?),
    }
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

fn registry(path: &Path, ttl: Duration) -> Report {
    let mut report = Report::new(path);
    let (registry, warnings) = match read(path) {
        Ok(read) => read,
        Err(error) => {
            report.add_error(error);
            return report;
        }
    };
    report.entries = registry.len();
    for warning in warnings {
        let next = "an update makes it; if it should be there, check the path";
        report.add(Level::Warning, warning.code(), warning, next);
    }
    let judged = stale_watchers(&registry, &PruneOptions { ttl, liveness: true, now: None });
    for stale in judged {
        let (level, code, prune): (_, _, &[_]) = match stale.reason() {
            PruneReason::Expired => (Level::Expired, "EXPIRED", &["prune", "--registry"]),
            _ => (Level::Warning, "DEAD", &["prune", "--liveness", "--registry"]),
        };
        let next = format!("if its watcher is gone, {} removes it", hint(prune, path));
        report.add(level, code, Entry::new(&stale), next);
    }
    let (odd, named) = odd_entries(&registry);
    let unnamed = (named.len() < odd).then(|| output::count(odd - named.len(), "more", "more"));
    for id in named.into_iter().chain(unnamed) {
        let message = format!("{id} is no watcher's record");
        report.add(Level::Warning, "NOT_A_RECORD", message, "remove it, or correct who wrote it");
    }
    report.look_at_lock(path);
    report
}

impl Report {
    pub(crate) fn new(path: &Path) -> Self {
        Report { path: path.display().to_string(), entries: 0, findings: Vec::new() }
    }

    pub(crate) fn add(
        &mut self,
        level: Level,
        code: &'static str,
        message: impl ToString,
        next: impl Into<String>,
    ) {
        let finding = Finding { level, code, message: message.to_string(), next: next.into() };
        self.findings.push(finding);
    }

    pub(crate) fn add_error(&mut self, error: Error) {
        let code = error.code();
        if let Failure::Failed { message, next, .. } = crate::target::explain(error) {
            let message = output::one_line(&message);
            self.add(Level::Error, code, message, next.unwrap_or_default());
        }
    }

    fn look_at_lock(&mut self, path: &Path) {
        let status = match inspect_lock(path, LockOptions::default().stale_after) {
            Ok(status) => status,
            Err(error) => return self.add_error(error),
        };
        if status.state == LockState::Stale {
            let holder = status.holder.map(|holder| format!(", by {holder}")).unwrap_or_default();
            let message = format!("a lockfile was left behind{holder}");
            let next = "nothing: the next update takes it over";
            self.add(Level::Warning, "STALE_LOCKFILE", message, next);
        }
        if status.guarantee == Guarantee::LockfileOnly {
            let message = "its file system has no kernel locks, so the lockfile alone has to do";
            self.add(Level::Warning, "LOCKFILE_ONLY", message, "keep it on a local disk");
        }
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    fn summary(&self) -> String {
        format!(
            "{}: {}, {}, {} expired, {}",
            self.path,
            output::count(self.entries, "entry", "entries"),
            output::count(self.count(Level::Error), "error", "errors"),
            self.count(Level::Expired),
            output::count(self.count(Level::Warning), "warning", "warnings"),
        )
    }

    fn text(&self) -> String {
        let lines = self.findings.iter().map(|finding| {
            let level = match finding.level {
                Level::Error => "error",
                Level::Expired => "expired",
                Level::Warning => "warning",
            };
            let next = match finding.next.as_str() {
                "" => String::new(),
                next => format!("; {next}"),
            };
            format!("{level}: {}{next}\n", finding.message)
        });
        lines.chain([format!("{}\n", self.summary())]).collect()
    }

    /// The failure that it amounts to: of errors, else of what has expired.
    fn failure(&self, strict: bool) -> Option<Failure> {
        let first = |level| self.findings.iter().find(|finding| finding.level == level);
        let warning = || first(Level::Warning).filter(|_| strict);
        let (exit, finding) = first(Level::Error)
            .or_else(warning)
            .map(|finding| (Exit::Registry, finding))
            .or_else(|| Some((Exit::Expired, first(Level::Expired)?)))?;
        let failure = Failure::new(exit, format!("{}; {}", self.summary(), finding.message));
        Some(match finding.next.is_empty() {
            true => failure,
            false => failure.next(&finding.next),
        })
    }
}
