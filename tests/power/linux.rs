//! The program on Linux, whose calls on x64 the tracer knows.

mod check;
mod folder;
mod recorder;
mod states;
#[allow(dead_code, reason = "tests/faults/ uses the rest of it")]
#[path = "../support/tracer/mod.rs"]
mod tracer;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use serde_json::json;

use recorder::{Event, Recorder, Recording};
use states::FileSystem;
use tracer::Traced;

/// An operation of tests/fixtures/one_operation.rs, and what is there before it.
struct Scenario {
    operation: &'static str,
    prepared: &'static str,
    prepare: fn(&Path),
    /// What the registry is called; a folder with a separator at its end.
    name: &'static str,
}

const fn of_file(operation: &'static str, prepared: &'static str, prepare: fn(&Path)) -> Scenario {
    Scenario { operation, prepared, prepare, name: "registry.json" }
}

const fn of_folder(
    operation: &'static str,
    prepared: &'static str,
    prepare: fn(&Path),
) -> Scenario {
    Scenario { operation, prepared, prepare, name: "registry/" }
}

const SCENARIOS: &[Scenario] = &[
    of_file("update", "a registry", check::registry),
    of_file("update", "nothing", |_| {}),
    of_file("update", "corrupt content", check::corrupt),
    of_file("update", "a dead holder's lockfile", check::with_lockfile),
    of_file("update", "an unused guard", check::unused_guard),
    of_file("update-warm", "a registry", check::registry),
    of_file("update-fast-first", "a registry", check::registry),
    of_file("announce", "a registry", check::registry),
    of_folder("update", "a folder", check::registry),
    of_folder("announce", "a folder", check::registry),
    of_folder("remove", "a folder", check::registry),
    of_folder("update-several", "a folder", folder::with_several_entries),
    of_folder(folder::SETTLE, "an update that began", |path| folder::with_update(path, "prepare")),
    of_folder(folder::SETTLE, "one to be finished", |path| folder::with_update(path, "commit")),
];

fn record(scenario: &Scenario) -> std::io::Result<Recording> {
    let folder = check::folder();
    let root = folder.path().canonicalize()?;
    let path = root.join(scenario.name);
    (scenario.prepare)(&path);
    let own = env::current_exe()?;
    let built = own.parent().and_then(Path::parent).map(Path::to_path_buf).unwrap_or_default();
    let program: PathBuf = built.join("examples/one_operation");
    let mut command = Command::new(program);
    command.arg(scenario.operation).arg(&path);
    let traced = Traced::start(&mut command, true)?;
    let mut recorder = Recorder::new(&root);
    let ended = traced.run(&mut recorder, Duration::from_secs(20))?;
    if ended.lines != ["ok"] {
        return Err(std::io::Error::other(format!("{ended:?}")));
    }
    Ok(recorder.recording)
}

/// What the states of one recording have shown.
#[derive(Default)]
struct Found {
    states: usize,
    violations: Vec<String>,
    expected: BTreeMap<&'static str, usize>,
}

fn judge(scenario: &Scenario, recording: &Recording, file_system: FileSystem, found: &mut Found) {
    let Scenario { operation, prepared, name, .. } = scenario;
    let states = states::after_a_crash(recording, file_system);
    found.states += states.len();
    for state in &states {
        let violations = match name.ends_with('/') {
            true => folder::check(operation, recording, state),
            false => check::check(recording, state),
        };
        for violation in violations {
            match check::expected(operation, state, &violation) {
                Some(reason) => *found.expected.entry(reason).or_default() += 1,
                None => found.violations.push(format!(
                    "{operation} after {prepared} on {}: {violation}: {state}",
                    file_system.name()
                )),
            }
        }
    }
}

/// A library that leaves out a sync has to be found out: else this program shows nothing.
fn find_left_out_syncs(scenario: &Scenario, recording: &Recording) -> Vec<String> {
    let mutations: [(&str, fn(&Event) -> bool); 2] = [
        ("the file's", |event| matches!(event, Event::SyncFile { .. })),
        ("the folder's", |event| matches!(event, Event::SyncFolder { .. })),
    ];
    let mut missed = Vec::new();
    for (which, left_out) in mutations {
        let mut found = Found::default();
        judge(scenario, &recording.without(left_out), FileSystem::Posix, &mut found);
        println!(
            "without {which} sync: {} violations in {} states",
            found.violations.len(),
            found.states
        );
        if found.violations.is_empty() {
            missed.push(format!("an update without {which} sync is not found out"));
        }
    }
    missed
}

fn run() -> Result<Found, String> {
    let prints_calls = env::args().any(|argument| argument == "--calls");
    let mut found = Found::default();
    println!("{:<18} {:<24} {:<6} {:>8} {:>7}", "operation", "before", "disk", "changes", "states");
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        let Scenario { operation, prepared, .. } = scenario;
        let recording =
            record(scenario).map_err(|e| format!("{operation} can't be recorded: {e}"))?;
        for event in recording.events.iter().filter(|_| prints_calls) {
            println!("    {event}");
        }
        for file_system in FileSystem::ALL {
            let before = found.states;
            judge(scenario, &recording, file_system, &mut found);
            let (disk, changes) = (file_system.name(), recording.events.len());
            let states = found.states - before;
            println!("{operation:<18} {prepared:<24} {disk:<6} {changes:>8} {states:>7}");
        }
        if index == 0 {
            found.violations.extend(find_left_out_syncs(scenario, &recording));
        }
    }
    let (guards, violations) = check::guards_after_a_reboot();
    found.states += guards;
    found.violations.extend(violations);
    Ok(found)
}

pub(crate) fn main() -> ExitCode {
    let started = Instant::now();
    let found = match run() {
        Ok(found) => found,
        Err(problem) => {
            eprintln!("The power failures could not be run: {problem}");
            return ExitCode::from(2);
        }
    };
    for violation in &found.violations {
        println!("VIOLATION {violation}");
    }
    for (reason, count) in found.expected {
        println!("expected, {count} times: {reason}");
    }
    let what = format!(
        "power failures in {} operations, on {} kinds of disk",
        SCENARIOS.len(),
        FileSystem::ALL.len()
    );
    println!("{what}: {} states, {} violations", found.states, found.violations.len());
    let row = json!({
        "what": what,
        "size": format!("{} states", found.states),
        "seconds": started.elapsed().as_secs_f64(),
        "violations": found.violations.len(),
        "detail": found.violations.join("; "),
    });
    // For the table of scripts/proof.mjs.
    println!("proof: {row}");
    if found.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
