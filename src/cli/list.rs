//! `list` and `watch`: the watchers of a registry.

use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argus_registry::{
    read_registry, watch_registry, Error, RegistryV1, RegistryWatch, Warning, WatcherRecord,
    REGISTRY_VERSION,
};
use serde::Serialize;

use crate::args::ListArgs;
use crate::exit::{say, Exit, Failure};
use crate::output;

/// How long after a failure a watch is tried again.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) fn list(path: &Path, args: &ListArgs) -> Result<Exit, Failure> {
    let (registry, warnings) = read(path)?;
    let listing = Listing::new(path, &registry, &warnings, args.ttl);
    listing.print(args.json)?;
    Ok(Exit::Fine)
}

pub(crate) fn watch(path: &Path, args: &ListArgs) -> Result<Exit, Failure> {
    let mut watch = watch_registry(path)?;
    #[cfg(unix)]
    crate::signals::end_with_reader();
    let (mut shown, mut told) = (false, None);
    loop {
        let failed = show_states(path, watch, args, &mut shown)?;
        let Some(mut error) = failed else { return Ok(Exit::Fine) };
        // One that can't even begin is told at once.
        if !shown {
            return Err(error.into());
        }
        // A watch goes on, whatever somebody has made of the file: it may be back soon.
        watch = loop {
            let message = error.to_string();
            if told.as_ref() != Some(&message) {
                say(&message);
                told = Some(message);
            }
            thread::park_timeout(RETRY);
            match watch_registry(path) {
                Ok(watch) => break watch,
                Err(again) => error = again,
            }
        };
    }
}

/// Prints state after state, until nobody reads them; the error if they can't be had any more.
fn show_states(
    path: &Path,
    watch: RegistryWatch,
    args: &ListArgs,
    shown: &mut bool,
) -> Result<Option<Error>, Failure> {
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
        *shown = true;
    }
    Ok(None)
}

/// Reads a registry; what is none, or one of a newer version, is a failure here.
pub(crate) fn read(path: &Path) -> Result<(RegistryV1, Vec<Warning>), Error> {
    let (registry, warnings) = read_registry(path)?;
    for warning in &warnings {
        match warning.clone() {
            Warning::Corrupt { path, reason, .. } => return Err(Error::Corrupt { path, reason }),
            Warning::UnsupportedVersion { path, found } => {
                return Err(Error::UnsupportedVersion { path, found, expected: REGISTRY_VERSION })
            }
            _ => {}
        }
    }
    Ok((registry, warnings))
}

/// How many entries are no watchers' records, and how those are called whose name can be said.
pub(crate) fn odd_entries(registry: &RegistryV1) -> (usize, Vec<String>) {
    let named = registry.ids().filter(|id| registry.watcher(id).is_none());
    (registry.len() - registry.watchers().count(), named.map(output::printable).collect())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    path: String,
    watchers: Vec<Watcher>,
    warnings: Vec<Notice>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Watcher {
    id: String,
    pid: u32,
    /// `null` if it can't be told from here.
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
struct Notice {
    code: &'static str,
    message: String,
}

impl Listing {
    fn new(path: &Path, registry: &RegistryV1, warnings: &[Warning], ttl: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // By the name that every command knows it by, whatever its record says.
        let named = registry.ids().filter_map(|id| Some((id, registry.watcher(id)?)));
        let watchers = named.map(|(id, record)| Watcher::new(id, record, now, ttl));
        let mut notices: Vec<_> = warnings
            .iter()
            .map(|warning| Notice { code: warning.code(), message: warning.to_string() })
            .collect();
        let (count, named) = odd_entries(registry);
        if count > 0 {
            let what = output::count(count, "entry is", "entries are");
            let names =
                if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
            let message = format!("{}: {what} no watcher's record{names}", path.display());
            notices.push(Notice { code: "NOT_A_RECORD", message });
        }
        let path = path.display().to_string();
        Listing { path, watchers: watchers.collect(), warnings: notices }
    }

    fn print(&self, json: bool) -> Result<(), Failure> {
        for warning in &self.warnings {
            say(&warning.message);
        }
        if json {
            return Ok(output::json(self)?);
        }
        let header = ["ID", "PID", "ALIVE", "AGE", "STATE", "ADDRESS"].map(str::to_owned).to_vec();
        let rows = self.watchers.iter().map(Watcher::row);
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        Ok(output::text(&output::table(&rows))?)
    }
}

impl Watcher {
    fn new(id: &str, record: WatcherRecord, now: Duration, ttl: Duration) -> Self {
        let alive = record.is_alive();
        let age = now.saturating_sub(Duration::from_millis(record.updated_at));
        let WatcherRecord { pid, host, port, cwd, started_at, updated_at, .. } = record;
        let expired = age.as_millis() > ttl.as_millis();
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let id = id.to_owned();
        Watcher { id, pid, alive, age_ms, expired, host, port, cwd, started_at, updated_at }
    }

    fn row(&self) -> Vec<String> {
        let alive = match self.alive {
            Some(true) => "yes",
            Some(false) => "no",
            None => "?",
        };
        vec![
            output::printable(&self.id),
            self.pid.to_string(),
            alive.to_owned(),
            output::age(Duration::from_millis(self.age_ms)),
            if self.expired { "expired" } else { "fresh" }.to_owned(),
            format!("{}:{}", output::printable(&self.host), self.port),
        ]
    }
}
