//! What is printed: a line for each configuration, the shortest orders, and the page's part.

use std::thread;

use crate::catalogue;
use crate::configuration::Configuration;
use crate::explore::{explore, Found, Trace};
use crate::model::Action;
use crate::mutations;
use crate::state::Limit;

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A row of the table that scripts/proof.mjs prints.
fn row(what: &str, size: &str, seconds: f64, violations: usize, detail: &str) {
    println!(
        "proof: {{\"what\":{what:?},\"size\":{size:?},\"seconds\":{seconds:.3},\
         \"violations\":{violations},\"detail\":{detail:?}}}"
    );
}

/// A number with a comma between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Explores, and prints a line for each configuration and the order of each surprise.
pub fn check(long: bool, name: &str) -> bool {
    let mut is_good = true;
    for configuration in catalogue::all() {
        if configuration.long_only && !long || !configuration.name.starts_with(name) {
            continue;
        }
        let found = explore(&configuration, threads());
        let surprises = found.surprises(&configuration);
        print_surprises(&configuration, &found, &surprises);
        let states = found.states;
        let size = format!("{} states, {} deep", grouped(states), found.depth);
        let what = format!("{}: {}", configuration.name, configuration.covers);
        row(&what, &size, found.time.as_secs_f64(), surprises.len(), &surprises.join("; "));
        is_good &= surprises.is_empty();
    }
    mutations() && is_good
}

fn print_surprises(configuration: &Configuration, found: &Found, surprises: &[String]) {
    if surprises.is_empty() {
        return;
    }
    println!("\n{}: {}", configuration.name, surprises.join("; "));
    for (name, trace) in &found.broken {
        println!("\nnot true: {name}\n{}", order(trace));
    }
    for (limit, trace) in &found.limits {
        if !configuration.limits.contains(limit) {
            println!("\nlimit {limit:?}\n{}", order(trace));
        }
    }
}

/// Leaves out each check in turn.
pub fn mutations() -> bool {
    let mut is_good = true;
    for check in mutations::all() {
        let found = check.explore(threads());
        let is_caught = !found.broken.is_empty();
        let names: Vec<&str> = found.broken.iter().map(|(name, _)| *name).collect();
        let what = format!("without {}", check.what);
        let size = match is_caught {
            true => format!("breaks: {}", names.join(", ")),
            false => format!("{} states, nothing breaks", grouped(found.states)),
        };
        let detail = "the model does not see that this check is missing";
        row(&what, &size, found.time.as_secs_f64(), usize::from(!is_caught), detail);
        is_good &= is_caught;
    }
    is_good
}

/// The actions of a trace, one in each line.
fn order(trace: &Trace) -> String {
    let names: Vec<String> =
        trace.start.fs.names().iter().map(|(name, _)| format!("{name:?}")).collect();
    let mut lines = vec![format!("at first: {}", names.join(", "))];
    lines.extend(trace.actions.iter().map(|action| describe(*action)));
    lines.join("\n")
}

fn process(pid: u8) -> char {
    char::from(b'A' + pid)
}

pub fn describe(action: Action) -> String {
    match action {
        Action::Step(pid, step) => format!("{}  {}", process(pid), step.name()),
        Action::Queue(pid) => format!("{}  kernel_queue::serve_next", process(pid)),
        Action::Refresh(pid) => format!("{}  lockfile::refresh", process(pid)),
        Action::Submit(pid) => format!("{}  one more update is asked for", process(pid)),
        Action::Abort(pid) => format!("{}  an update is cancelled", process(pid)),
        Action::Timeout(pid) => format!("{}  the wait is over", process(pid)),
        Action::Crash(pid) => format!("{}  is killed", process(pid)),
        Action::ClockForward => {
            "-  over 10 s pass while all holders are frozen, or the clock is set forward".into()
        }
        Action::ClockBack => "-  the clock is set back by over 10 s".into(),
        Action::TimePasses => "-  all wait, and over 10 s pass".into(),
        Action::DeleteGuard => "-  another program deletes the guard".into(),
        Action::DeleteLockFile => "-  another program deletes the lock file".into(),
        Action::PowerFailure { keeps_data, .. } => {
            let lost = if keeps_data { "" } else { ", and with it what was not synced" };
            format!("-  the power fails{lost}")
        }
    }
}

/// The part of docs/concepts/proof.md that comes from the model.
pub fn page() -> bool {
    let mut shortest: Vec<(Limit, Configuration, Trace)> = Vec::new();
    println!(
        "### Configurations\n\n| configuration | what it covers | limits it meets |\n|---|---|---|"
    );
    for configuration in catalogue::all() {
        let limits: Vec<String> =
            configuration.limits.iter().map(|limit| format!("`{limit:?}`")).collect();
        let long = if configuration.long_only { " (`--long`)" } else { "" };
        println!(
            "| {}{long} | {} | {} |",
            configuration.name,
            configuration.covers,
            limits.join(", ")
        );
        if configuration.long_only && !configuration.limits.contains(&Limit::GuardDeleted) {
            continue;
        }
        if configuration.limits.is_empty() {
            continue;
        }
        // One thread, so that the order is the shortest, and the same each time.
        let found = explore(&configuration, 1);
        for (limit, trace) in found.limits {
            let known = shortest.iter().position(|(known, ..)| *known == limit);
            match known {
                Some(place) if shortest[place].2.actions.len() <= trace.actions.len() => {}
                Some(place) => shortest[place] = (limit, configuration.clone(), trace),
                None => shortest.push((limit, configuration.clone(), trace)),
            }
        }
    }
    println!("\n### Without each check\n\n| left out | where it is | what is not true any more |\n|---|---|---|");
    let mut is_good = true;
    for check in mutations::all() {
        let found = check.explore(1);
        let first = found.broken.first().map_or("nothing", |(name, _)| name);
        is_good &= !found.broken.is_empty();
        println!("| {} | `{}` | {first} |", check.what, check.place);
    }
    println!("\n### The known limits, in the fewest steps");
    shortest.sort_by_key(|(limit, ..)| *limit);
    for (limit, configuration, trace) in shortest {
        println!("\n#### {limit:?}\n\n{}\n", limit.meaning());
        println!("Found in \"{}\", {} actions.\n", configuration.name, trace.actions.len());
        println!("```text\n{}\n```", order(&trace));
    }
    is_good
}
