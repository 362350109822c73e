//! `check`: what is wrong with a registry, or with a document of exceptions.

mod exceptions;
mod registry;
mod report;

use std::path::Path;

use crate::cli::args::CheckArgs;
use crate::cli::exit::{hint, CommandError, Exit};
use crate::cli::lock_target::{usage_error, LockTarget};
use crate::cli::output;

pub(crate) fn run(target: &LockTarget, args: &CheckArgs) -> Result<Exit, CommandError> {
    let report = match target {
        LockTarget::Registry(path) => registry::check(path, args.ttl),
        LockTarget::LockFile { document: Some(document), .. } if is_toml(document) => {
            exceptions::check(document)
        }
        // JSON: whichever file carries its lock, only the content of a registry can be checked.
        LockTarget::LockFile { document: Some(document), .. } => {
            registry::check(document, args.ttl)
        }
        LockTarget::LockFile { lock_file, document: None } => {
            return Err(usage_error(&format!(
                "{} is a lock file, which has no content to check; name the document, or see which \
                 process holds the lock with {}",
                lock_file.display(),
                hint(&["status", "--lock-file"], lock_file)
            )))
        }
    };
    let printed = if args.json { output::json(&report) } else { output::text(&report.text()) };
    match (report.command_error(args.strict), printed) {
        // The exit code tells the findings, even if the report could not be printed.
        (Some(error), _) => Err(error),
        (None, printed) => Ok(printed.map(|()| Exit::Success)?),
    }
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}
