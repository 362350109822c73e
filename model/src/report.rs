//! What is printed: a line for each configuration, the shortest orders, and the page's part.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use crate::cases::{Case, Explored, LeftOut};
use crate::catalogue;
use crate::configuration::Configuration;
use crate::etcd;
use crate::exchange;
use crate::explore::{explore, Found, Trace};
use crate::folder;
use crate::model::Action;
use crate::mutations;
use crate::step::Step;

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A row of the table that scripts/proof.mjs prints.
pub fn row(what: &str, size: &str, seconds: f64, violations: usize, detail: &str) {
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
    // All are run, also after a failure.
    let are_good = [mutations(), exchange(), stores(long)];
    is_good && are_good == [true; 3]
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

fn store_cases() -> Vec<Case> {
    folder::cases().into_iter().chain(etcd::cases()).collect()
}

fn store_checks() -> Vec<LeftOut> {
    folder::left_out().into_iter().chain(etcd::left_out()).collect()
}

/// What was found of a case and is not expected, and what is expected and was not found.
fn surprises(case: &Case, explored: &Explored) -> Vec<String> {
    let found = explored.found.iter().map(|(name, _)| *name);
    let unexpected = found.clone().filter(|name| Some(*name) != case.finds);
    let mut surprises: Vec<String> = unexpected.map(|name| format!("not true: {name}")).collect();
    let missing = case.finds.filter(|expected| !found.clone().any(|name| name == *expected));
    surprises.extend(missing.map(|name| format!("an expected limit not found: {name}")));
    surprises
}

/// Explores the models of the other stores, and leaves out each of their checks in turn.
pub fn stores(long: bool) -> bool {
    let mut is_good = true;
    for case in store_cases().into_iter().filter(|case| long || !case.long_only) {
        let explored = (case.explore)(threads());
        let surprises = surprises(&case, &explored);
        for (name, actions) in &explored.found {
            if Some(*name) != case.finds {
                println!("\n{}, {name}:\n{}", case.name, actions.join("\n"));
            }
        }
        let what = format!("{}: {}", case.name, case.covers);
        let size = format!("{} states, {} deep", grouped(explored.states), explored.depth);
        let seconds = explored.time.as_secs_f64();
        row(&what, &size, seconds, surprises.len(), &surprises.join("; "));
        is_good &= surprises.is_empty();
    }
    for check in store_checks() {
        let explored = (check.explore)(threads());
        let is_caught = !explored.found.is_empty();
        let size = match explored.found.first() {
            Some((name, _)) => format!("breaks: {name}"),
            None => format!("{} states, nothing breaks", grouped(explored.states)),
        };
        let what = format!("without {}", check.what);
        let detail = "the model does not see that this check is missing";
        row(&what, &size, explored.time.as_secs_f64(), usize::from(!is_caught), detail);
        is_good &= is_caught;
    }
    is_good
}

/// Tries an exchange in the place of the rename.
pub fn exchange() -> bool {
    let mut is_good = true;
    for case in exchange::all() {
        let found = explore(&case.configuration, threads());
        let broken = case.broken(&found);
        let is_expected = broken.map(|(name, _)| *name) == case.breaks;
        let size = match broken {
            Some((name, _)) => format!("breaks: {name}"),
            None => format!("{} states, nothing breaks", grouped(found.states)),
        };
        if let Some((_, trace)) = broken {
            println!("\n{}\n{}", case.configuration.name, order(trace));
        }
        let what = format!("exchange: {}", case.configuration.name);
        let seconds = found.time.as_secs_f64();
        let detail = "what docs/concepts/proof.md says of an exchange is not so";
        row(&what, &size, seconds, usize::from(!is_expected), detail);
        is_good &= is_expected;
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
        Action::Queue(pid) => {
            format!("{}  kernel_queue::serve_next (the waiting thread)", process(pid))
        }
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

/// What begins and ends the page's part that comes from the model.
const BEGIN: &str = "<!-- made by `npm run proof:page` -->\n";
const END: &str = "<!-- end -->";

/// Compares the page with what the model says, or writes it.
pub fn page(path: &str, writes: bool) -> bool {
    let started = Instant::now();
    let page = fs::read_to_string(path).expect("the page can be read");
    let (head, rest) = page.split_once(BEGIN).expect("the page has a part of the model's");
    let (part, tail) = rest.split_once(END).expect("that part has an end");
    let (made, is_complete) = made_part();
    if writes {
        #[allow(clippy::disallowed_methods, reason = "a page in a working copy is no shared file")]
        fs::write(path, format!("{head}{BEGIN}{made}{END}{tail}"))
            .expect("the page can be written");
        return is_complete;
    }
    let is_good = is_complete && part == made;
    let unknown = steps_without_a_function();
    row("the steps are functions of the source", "src/", 0.0, unknown.len(), &unknown.join(", "));
    let seconds = started.elapsed().as_secs_f64();
    let detail = "docs/concepts/proof.md is not what `npm run proof:page` makes";
    row("the page shows what the model finds", path, seconds, usize::from(!is_good), detail);
    is_good && unknown.is_empty()
}

/// The steps whose names are not those of a module of the source and of a function in it.
fn steps_without_a_function() -> Vec<&'static str> {
    let mut modules = Vec::new();
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../src"))];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the source can be read") {
            let path = entry.expect("the source can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).expect("the source can be read");
                modules.push((path.file_stem().expect("it has a name").to_owned(), text));
            }
        }
    }
    let is_known = |name: &str| {
        let mut parts = name.split("::");
        let (Some(module), Some(function)) = (parts.next(), parts.next()) else { return true };
        let starts = [format!("fn {function}("), format!("fn {function}<")];
        modules
            .iter()
            .any(|(found, text)| found == module && starts.iter().any(|start| text.contains(start)))
    };
    let names = Step::ALL.iter().map(|step| step.name()).chain(folder::names());
    // Older argus is another program, and the exchange is not built.
    let is_elsewhere =
        |name: &str| name.starts_with("older_argus::") || name.starts_with("exchange");
    names.filter(|name| !is_elsewhere(name) && !is_known(name)).collect()
}

/// The part of the page, and whether the model has found everything that it shows.
fn made_part() -> (String, bool) {
    let mut text = String::from(
        "\n### Configurations\n\n| configuration | what it covers | limits it meets |\n|---|---|---|\n",
    );
    for configuration in catalogue::all() {
        let limits: Vec<String> =
            configuration.limits.iter().map(|limit| format!("`{limit:?}`")).collect();
        let long = if configuration.long_only { " (`--long`)" } else { "" };
        let (name, covers) = (configuration.name, configuration.covers);
        text += &format!("| {name}{long} | {covers} | {} |\n", limits.join(", "));
    }
    let stores = store_cases();
    let mut store_rows = String::new();
    for case in &stores {
        let long = if case.long_only { " (`--long`)" } else { "" };
        let limits = case.finds.map_or(String::new(), |limit| format!("`{limit}`"));
        store_rows += &format!("| {}{long} | {} | {limits} |\n", case.name, case.covers);
    }
    text += &store_rows;
    text += "\n### Without each check\n\n| left out | where it is | what is not true any more |\n|---|---|---|\n";
    let mut is_complete = true;
    for check in mutations::all() {
        let found = check.explore(1);
        let first = found.broken.first().map_or("nothing", |(name, _)| name);
        is_complete &= !found.broken.is_empty();
        text += &format!("| {} | `{}` | {first} |\n", check.what, check.place);
    }
    for check in store_checks() {
        let explored = (check.explore)(1);
        let first = explored.found.first().map_or("nothing", |(name, _)| name);
        is_complete &= !explored.found.is_empty();
        text += &format!("| {} | `{}` | {first} |\n", check.what, check.place);
    }
    text += "\n### The known limits, in the fewest steps\n";
    for (limit, configuration) in catalogue::demonstrations() {
        // One thread, so that the order is the shortest, and always that one.
        let found = explore(&configuration, 1);
        let Some((_, trace)) = found.limits.iter().find(|(shown, _)| *shown == limit) else {
            is_complete = false;
            continue;
        };
        text += &format!("\n#### {limit:?}\n\n{}\n\n", limit.meaning());
        text += &format!("```text\n{}\n```\n", order(trace));
    }
    let case = stores.iter().find(|case| case.finds == Some(etcd::UNSEEN));
    let found = case.map_or(Vec::new(), |case| (case.explore)(1).found);
    match found.into_iter().find(|(name, _)| *name == etcd::UNSEEN) {
        Some((limit, actions)) => {
            let (meaning, order) = (etcd::UNSEEN_MEANING, actions.join("\n"));
            text += &format!("\n#### {limit}\n\n{meaning}\n\n```text\n{order}\n```\n");
        }
        None => is_complete = false,
    }
    text += exchange::INTRODUCTION;
    text += "\n| processes | what is not true any more |\n|---|---|\n";
    let mut orders = String::new();
    for case in exchange::all() {
        let found = explore(&case.configuration, 1);
        let broken = case.broken(&found);
        is_complete &= broken.map(|(name, _)| *name) == case.breaks;
        let name = case.configuration.name;
        text += &format!("| {name} | {} |\n", broken.map_or("", |(name, _)| name));
        if let Some((_, trace)) = broken {
            orders += &format!("\n{}{}:\n\n", name[..1].to_uppercase(), &name[1..]);
            orders += &format!("```text\n{}\n```\n", order(trace));
        }
    }
    (text + &orders + "\n", is_complete)
}
