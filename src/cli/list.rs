//! `list` and `watch`: the watchers of a registry.

use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argus_registry::{
    age_in_words, open_store, watch_registry, Error, RegistryV1, RegistryWatch, Warning,
    WatcherRecord,
};
use serde::Serialize;

use crate::cli::args::ListArgs;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::output;
use crate::cli::registry_entries::{self, NonRecords};

/// How long `watch` waits after a failure before it watches again.
const WATCH_RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) fn list(path: &Path, args: &ListArgs) -> Result<Exit, CommandError> {
    let (registry, warnings) = registry_entries::read(path)?;
    let listing = Listing::new(path, &registry, &warnings, args.ttl);
    listing.print(args.json)?;
    Ok(Exit::Success)
}

pub(crate) fn watch(path: &Path, args: &ListArgs) -> Result<Exit, CommandError> {
    let mut watch = watch_registry(path)?;
    #[cfg(unix)]
    crate::cli::signals::end_with_reader();
    let (mut any_shown, mut last_error) = (false, None);
    loop {
        let failed = show_states(path, watch, args, &mut any_shown)?;
        let Some(mut error) = failed else { return Ok(Exit::Success) };
        // A watch that can't even begin fails at once: the path is probably wrong.
        if !any_shown {
            return Err(error.into());
        }
        // A watch that has begun goes on, whatever the file has become: a registry may be back
        // soon.
        watch = loop {
            let message = error.to_string();
            if last_error.as_ref() != Some(&message) {
                output::notice(&message);
                last_error = Some(message);
            }
            thread::park_timeout(WATCH_RETRY_INTERVAL);
            match watch_registry(path) {
                Ok(watch) => break watch,
                Err(next_error) => error = next_error,
            }
        };
    }
}

/// Prints each state of the registry until the watch ends; returns the error that ended it.
fn show_states(
    path: &Path,
    watch: RegistryWatch,
    args: &ListArgs,
    any_shown: &mut bool,
) -> Result<Option<Error>, CommandError> {
    for state in watch {
        let (registry, warnings) = match state {
            Ok(state) => state,
            Err(error) => return Ok(Some(error)),
        };
        let listing = Listing::new(path, &registry, &warnings, args.ttl);
        if !args.json {
            let now = output::instant(SystemTime::now()).unwrap_or_default();
            let watchers = output::count(listing.watchers.len(), "watcher", "watchers");
            output::text(&format!("\n{now} {}: {watchers}\n", path.display()))?;
        }
        listing.print(args.json)?;
        *any_shown = true;
    }
    Ok(None)
}

/// What `list` prints, and `watch` after each change.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    path: String,
    watchers: Vec<ListedWatcher>,
    warnings: Vec<ListedWarning>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedWatcher {
    id: String,
    pid: u32,
    /// `null` if this process can't tell.
    alive: Option<bool>,
    age_ms: u64,
    expired: bool,
    host: String,
    port: u16,
    cwd: Option<String>,
    started_at: u64,
    updated_at: u64,
}

#[derive(Serialize)]
struct ListedWarning {
    code: &'static str,
    message: String,
}

impl Listing {
    fn new(path: &Path, registry: &RegistryV1, warnings: &[Warning], ttl: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // The id is the entry's name in the file, which `remove` takes: the record may name
        // another.
        let records = registry.ids().filter_map(|id| Some((id, registry.watcher(id)?)));
        let store = open_store(path);
        let watchers = records.map(|(id, record)| {
            let alive = store.is_alive(id, &record);
            ListedWatcher::new(id, record, alive, now, ttl)
        });
        let mut listed_warnings: Vec<_> = warnings
            .iter()
            .map(|warning| ListedWarning { code: warning.code(), message: warning.to_string() })
            .collect();
        let NonRecords { count, ids } = NonRecords::of(registry);
        if count > 0 {
            let entries = output::count(count, "entry is", "entries are");
            let ids = if ids.is_empty() { String::new() } else { format!(": {}", ids.join(", ")) };
            let message = format!("{}: {entries} no watcher's record{ids}", path.display());
            listed_warnings.push(ListedWarning { code: "NOT_A_RECORD", message });
        }
        let path = path.display().to_string();
        Listing { path, watchers: watchers.collect(), warnings: listed_warnings }
    }

    fn print(&self, json: bool) -> Result<(), CommandError> {
        for warning in &self.warnings {
            output::notice(&warning.message);
        }
        if json {
            return Ok(output::json(self)?);
        }
        let header = ["ID", "PID", "ALIVE", "AGE", "STATE", "ADDRESS"].map(str::to_owned);
        let rows = self.watchers.iter().map(ListedWatcher::row);
        Ok(output::table(std::iter::once(header).chain(rows))?)
    }
}

impl ListedWatcher {
    fn new(
        id: &str,
        record: WatcherRecord,
        alive: Option<bool>,
        now: Duration,
        ttl: Duration,
    ) -> Self {
        let age = now.saturating_sub(Duration::from_millis(record.updated_at));
        let WatcherRecord { pid, host, port, cwd, started_at, updated_at, .. } = record;
        let expired = age.as_millis() > ttl.as_millis();
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let id = id.to_owned();
        ListedWatcher { id, pid, alive, age_ms, expired, host, port, cwd, started_at, updated_at }
    }

    fn row(&self) -> [String; 6] {
        let alive = match self.alive {
            Some(true) => "yes",
            Some(false) => "no",
            None => "?",
        };
        [
            self.id.clone(),
            self.pid.to_string(),
            alive.to_owned(),
            age_in_words(Duration::from_millis(self.age_ms)),
            if self.expired { "expired" } else { "fresh" }.to_owned(),
            format!("{}:{}", self.host, self.port),
        ]
    }
}
