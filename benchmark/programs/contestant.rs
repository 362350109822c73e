//! The crate in the benchmark: one process of several, which updates a registry again and again.
//!
//! `contestant SETTINGS` warms up on a registry of its own, prints `ready`, waits for a line on its
//! standard input with the instant to start at (in milliseconds since 1970), and prints in one
//! line of JSON how long each update took. The settings and the answer are those of
//! `benchmark/children/worker.mjs`, in JSON.

#![allow(clippy::disallowed_methods, reason = "the pauses of a benchmark are not cancelled")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, thread};

use argus_registry::{
    announce_watcher, heartbeat_watcher, read_registry, update_registry, UpdateOptions,
    WatcherRecord,
};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

const WARM_UP_UPDATES: u32 = 30;

#[derive(Deserialize)]
struct Settings {
    path: PathBuf,
    operation: Operation,
    index: usize,
    durable: bool,
    load: Load,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Operation {
    Update,
    Heartbeat,
    Announce,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", rename_all_fields = "camelCase")]
enum Load {
    /// One update after the other, for a time.
    Closed { seconds: f64 },
    /// One update per period, whether or not the last one is done by then.
    Open { seconds: f64, period_ms: f64, phase_ms: f64 },
    /// A single one.
    Once,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    /// In milliseconds. Rejected updates are among them: they have waited like the others.
    latencies: Vec<f64>,
    acknowledged: u32,
    /// The updates that were acknowledged before the time was over.
    within: u32,
    window_ms: f64,
    cpu_ms: Option<f64>,
    errors: BTreeMap<&'static str, u32>,
}

struct Watcher<'a> {
    path: &'a Path,
    operation: Operation,
    options: UpdateOptions,
    /// The watcher's own record, as it has it in memory.
    record: WatcherRecord,
    beats: u64,
}

impl<'a> Watcher<'a> {
    fn new(path: &'a Path, settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let (registry, _) = read_registry(path)?;
        let id = format!("watcher-{}", settings.index);
        let record = registry.watcher(&id).ok_or("the registry lacks this watcher")?;
        let options = UpdateOptions { durable: settings.durable, ..UpdateOptions::default() };
        Ok(Watcher { path, operation: settings.operation, options, record, beats: 0 })
    }

    fn beat(&mut self) -> argus_registry::Result<()> {
        match self.operation {
            Operation::Update => update_registry(self.path, &self.options, |registry| {
                let mut record = registry.watcher(&self.record.id).unwrap_or_default();
                let beats = beats_of(&record) + 1;
                set_beats(&mut record, beats);
                registry.set_watcher(record);
                Ok::<_, argus_registry::Error>(())
            })
            .map(|_| ()),
            Operation::Heartbeat | Operation::Announce => {
                let mut record = self.record.clone();
                set_beats(&mut record, self.beats + 1);
                match self.operation {
                    Operation::Announce => announce_watcher(self.path, record, &self.options)?,
                    _ => _ = heartbeat_watcher(self.path, record, &self.options)?,
                }
                self.beats += 1;
                Ok(())
            }
        }
    }
}

/// The crate gives no access to fields that it doesn't know, so the count is in one that it knows.
fn set_beats(record: &mut WatcherRecord, beats: u64) {
    record.match_ = Some(json!({ "beats": beats }));
}

fn beats_of(record: &WatcherRecord) -> u64 {
    let beats = record.match_.as_ref().and_then(|value| value.get("beats"));
    beats.and_then(Value::as_u64).unwrap_or(0)
}

/// A watcher runs for hours: what counts is a warm cache, not the first milliseconds.
fn warm_up(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let folder = settings.path.with_file_name(format!("warm-up-{}", settings.index));
    let own = folder.join("registry.json");
    fs::create_dir(&folder)?;
    fs::copy(&settings.path, &own)?;
    let mut watcher = Watcher::new(&own, settings)?;
    for _ in 0..WARM_UP_UPDATES {
        watcher.beat()?;
    }
    Ok(())
}

fn sleep_until(at: Instant) {
    thread::sleep(at.saturating_duration_since(Instant::now()));
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The processor time that all threads of this process have used until now.
#[cfg(unix)]
fn cpu_ms() -> Option<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(time.tv_sec as f64 * 1_000.0 + time.tv_nsec as f64 / 1e6)
}

#[cfg(not(unix))]
fn cpu_ms() -> Option<f64> {
    None
}

fn run(watcher: &mut Watcher<'_>, load: &Load) -> Outcome {
    let cpu_before = cpu_ms();
    let started = Instant::now();
    let mut outcome = Outcome::default();
    match *load {
        Load::Closed { seconds } => {
            let end = started + Duration::from_secs_f64(seconds);
            outcome.window_ms = seconds * 1_000.0;
            while Instant::now() < end {
                outcome.call(watcher, Instant::now(), end);
            }
        }
        Load::Open { seconds, period_ms, phase_ms } => {
            let end = started + Duration::from_secs_f64(seconds);
            outcome.window_ms = seconds * 1_000.0;
            let mut after_ms = phase_ms;
            while after_ms < outcome.window_ms {
                // The latency counts from when the update should have begun, so that one that had
                // to wait for the one before doesn't look fast.
                let intended = started + Duration::from_secs_f64(after_ms / 1_000.0);
                sleep_until(intended);
                outcome.call(watcher, intended, end);
                after_ms += period_ms;
            }
        }
        Load::Once => outcome.call(watcher, started, started),
    }
    outcome.cpu_ms = cpu_ms().zip(cpu_before).map(|(after, before)| after - before);
    outcome
}

impl Outcome {
    fn call(&mut self, watcher: &mut Watcher<'_>, begun: Instant, end: Instant) {
        let called = watcher.beat();
        let done = Instant::now();
        self.latencies.push(milliseconds(done - begun));
        match called {
            Ok(()) => {
                self.acknowledged += 1;
                self.within += u32::from(done <= end);
            }
            Err(error) => *self.errors.entry(error.code()).or_default() += 1,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1).ok_or("usage: contestant SETTINGS")?;
    let settings: Settings = serde_json::from_str(&argument)?;
    warm_up(&settings)?;
    let mut watcher = Watcher::new(&settings.path, &settings)?;
    let mut output = io::stdout();
    writeln!(output, "ready")?;
    output.flush()?;
    let mut start_at = String::new();
    if io::stdin().read_line(&mut start_at)? == 0 {
        return Err("the standard input ended before the start signal".into());
    }
    let start_at = UNIX_EPOCH + Duration::from_secs_f64(start_at.trim().parse::<f64>()? / 1_000.0);
    thread::sleep(start_at.duration_since(SystemTime::now()).unwrap_or_default());
    let outcome = run(&mut watcher, &settings.load);
    writeln!(output, "{}", serde_json::to_string(&outcome)?)?;
    Ok(())
}
