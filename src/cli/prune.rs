//! `prune` and `remove`: taking entries out of a registry.

use std::path::Path;
use std::time::Duration;

use argus_registry::{
    open_store, prune_stale_watchers, remove_watcher, LockOptions, OnCorrupt, OnWarning,
    PruneOptions, UpdateOptions,
};
use serde::Serialize;

use crate::cli::args::{PruneArgs, RemoveArgs};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::output;
use crate::cli::registry_entries::{read, StaleEntry};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PruneReport {
    path: String,
    dry_run: bool,
    pruned: Vec<StaleEntry>,
}

pub(crate) fn prune(path: &Path, args: &PruneArgs) -> Result<Exit, CommandError> {
    let options =
        PruneOptions { ttl: args.ttl, liveness: args.liveness, ..PruneOptions::default() };
    // The library treats a file that is no registry as an empty one; here it is an error.
    read(path)?;
    let pruned = match args.dry_run {
        true => open_store(path).stale(&options)?,
        false => prune_stale_watchers(path, &options, &update_options(args.wait))?,
    };
    let pruned: Vec<_> = pruned.iter().map(StaleEntry::new).collect();
    if args.json {
        let path = path.display().to_string();
        output::json(&PruneReport { path, dry_run: args.dry_run, pruned })?;
        return Ok(Exit::Success);
    }
    let verb = if args.dry_run { "would remove" } else { "removed" };
    let mut text: String = pruned.iter().map(|entry| format!("{verb} {entry}\n")).collect();
    let entries = match pruned.len() {
        0 => "nothing".to_owned(),
        number => output::count(number, "entry", "entries"),
    };
    text.push_str(&format!("{}: {verb} {entries}\n", path.display()));
    output::text(&text)?;
    Ok(Exit::Success)
}

pub(crate) fn remove(path: &Path, args: &RemoveArgs) -> Result<Exit, CommandError> {
    // As for `prune`: a file that is no registry is an error.
    read(path)?;
    let was_there = remove_watcher(path, args.id.as_str(), &update_options(args.wait))?;
    let outcome = if was_there { "entry removed" } else { "no such entry" };
    output::text(&format!("{}: {}: {outcome}\n", path.display(), output::printable(&args.id)))?;
    Ok(Exit::Success)
}

pub(crate) fn update_options(wait: Duration) -> UpdateOptions {
    UpdateOptions {
        lock: LockOptions { timeout: Some(wait), ..LockOptions::default() },
        // The file may have become corrupt since it was read.
        on_corrupt: OnCorrupt::Fail,
        on_warning: OnWarning::new(|warning| output::notice(warning)),
        ..UpdateOptions::default()
    }
}
