//! `prune` and `remove`: taking entries out of a registry.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argus_registry::{
    prune_stale_watchers, remove_watcher, stale_watchers, LockOptions, OnWarning, PruneOptions,
    PruneReason, PrunedWatcher, UpdateOptions, WatcherRecord,
};
use serde::Serialize;

use crate::args::{PruneArgs, RemoveArgs};
use crate::exit::{say, Exit, Failure};
use crate::list::read;
use crate::output;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pruned {
    path: String,
    dry_run: bool,
    pruned: Vec<Entry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    id: String,
    reason: &'static str,
    /// `null` if the entry was no watcher's record.
    pid: Option<u32>,
    age_ms: Option<u64>,
}

pub(crate) fn prune(path: &Path, args: &PruneArgs) -> Result<Exit, Failure> {
    let options =
        PruneOptions { ttl: args.ttl, liveness: args.liveness, ..PruneOptions::default() };
    // To the library what is no registry is an empty one, with nothing to prune.
    let (registry, _) = read(path)?;
    let pruned = match args.dry_run {
        true => stale_watchers(&registry, &options),
        false => prune_stale_watchers(path, &options, &update_options(args.wait))?,
    };
    let pruned: Vec<_> = pruned.iter().map(Entry::new).collect();
    if args.json {
        let path = path.display().to_string();
        output::json(&Pruned { path, dry_run: args.dry_run, pruned })?;
        return Ok(Exit::Fine);
    }
    let did = if args.dry_run { "would remove" } else { "removed" };
    let mut text: String = pruned.iter().map(|entry| format!("{did} {entry}\n")).collect();
    let what = match pruned.len() {
        0 => "nothing".to_owned(),
        number => output::count(number, "entry", "entries"),
    };
    text.push_str(&format!("{}: {did} {what}\n", path.display()));
    output::text(&text)?;
    Ok(Exit::Fine)
}

pub(crate) fn remove(path: &Path, args: &RemoveArgs) -> Result<Exit, Failure> {
    read(path)?;
    let was_there = remove_watcher(path, args.id.as_str(), &update_options(args.wait))?;
    let what = if was_there { "entry removed" } else { "no such entry" };
    output::text(&format!("{}: {}: {what}\n", path.display(), output::printable(&args.id)))?;
    Ok(Exit::Fine)
}

fn update_options(wait: Duration) -> UpdateOptions {
    UpdateOptions {
        lock: LockOptions { timeout: Some(wait), ..LockOptions::default() },
        on_warning: OnWarning::new(|warning| say(warning)),
        ..UpdateOptions::default()
    }
}

impl Entry {
    pub(crate) fn new(pruned: &PrunedWatcher) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age = |record: &WatcherRecord| {
            let age = now.saturating_sub(Duration::from_millis(record.updated_at));
            u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
        };
        let record = pruned.watcher();
        Entry {
            id: pruned.id(),
            reason: match pruned.reason() {
                PruneReason::Expired => "expired",
                _ => "dead",
            },
            pid: record.as_ref().map(|record| record.pid),
            age_ms: record.as_ref().map(age),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", output::printable(&self.id), self.reason)?;
        if let Some(pid) = self.pid {
            write!(f, ", process {pid}")?;
        }
        if let Some(ms) = self.age_ms {
            write!(f, ", last heartbeat {} ago", output::age(Duration::from_millis(ms)))?;
        }
        Ok(())
    }
}
