//! `migrate`: moving all entries of one registry to another.

use argus_registry::{migrate, open_store, Migration};
use serde::Serialize;

use crate::cli::args::{MigrateArgs, RegistryArgs};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::lock_target::usage_error;
use crate::cli::output;
use crate::cli::prune::update_options;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MigrationReport {
    from: String,
    to: String,
    moved: usize,
    /// The ids of the entries that are still in `from`.
    kept: Vec<String>,
    /// The number of entries that have come since.
    remaining: usize,
}

pub(crate) fn run(args: &MigrateArgs, registry: &RegistryArgs) -> Result<Exit, CommandError> {
    if registry.registry.is_some() || registry.system_registry {
        return Err(usage_error(
            "migrate names both registries, so --registry and --system-registry can't be given with it",
        ));
    }
    let (from, to) = (open_store(&args.from), open_store(&args.to));
    for warning in from.read()?.1 {
        output::notice(warning);
    }
    let migration = migrate(&*from, &*to, &update_options(args.wait))?;
    let (from, to) = (args.from.display().to_string(), args.to.display().to_string());
    let Migration { moved, kept, remaining, .. } = migration;
    let report = MigrationReport { from, to, moved, kept, remaining };
    if args.json {
        output::json(&report)?;
    } else {
        let entries = output::count(report.moved, "entry", "entries");
        output::text(&format!("moved {entries} from {} to {}\n", report.from, report.to))?;
    }
    if report.kept.is_empty() && report.remaining == 0 {
        return Ok(Exit::Success);
    }
    if report.kept.is_empty() {
        let entries = output::count(report.remaining, "entry", "entries");
        let message = format!("{entries} came to {} meanwhile, and stayed there", report.from);
        return Err(CommandError::new(Exit::Registry, message).next("migrate again"));
    }
    let ids: Vec<_> = report.kept.iter().map(|id| output::printable(id)).collect();
    let message = format!(
        "{} of {} stayed there, because other watchers have these ids in {}: {}",
        output::count(ids.len(), "entry", "entries"),
        report.from,
        report.to,
        ids.join(", ")
    );
    Err(CommandError::new(Exit::Registry, message)
        .next("remove one of the two entries of each id, and migrate again"))
}
