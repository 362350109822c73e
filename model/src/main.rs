//! Checks a model of argus-registry's protocol: all orders of the steps of a few processes.

mod cases;
mod catalogue;
mod commit;
mod configuration;
mod document;
mod etcd;
mod exchange;
mod explore;
mod file_system;
mod folder;
mod guard;
mod lockfile;
mod model;
mod mutations;
mod process;
mod replay;
mod report;
mod stale_lockfile;
mod state;
mod step;

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "argus-registry-model COMMAND

  check [--long] [NAME]   explores all configurations, or those whose name begins so
  stores [--long]         explores the folder store and the store in etcd
  exchange                tries an exchange of the new file and the old one
  mutations               leaves out each check of the protocol in turn
  replay [--long] PROGRAM [SEED]
                          replays orders on the real code: PROGRAM stops at each step
  page [--write] FILE     compares the page with what the model says, or writes it";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let is_good = match args.as_slice() {
        ["check"] => report::check(false, ""),
        ["check", "--long"] => report::check(true, ""),
        ["check", name] | ["check", "--long", name] => report::check(true, name),
        ["stores"] => report::stores(false),
        ["stores", "--long"] => report::stores(true),
        ["exchange"] => report::exchange(),
        ["mutations"] => report::mutations(),
        ["replay", "--long", program, seed @ ..] => replay(program, true, seed),
        ["replay", program, seed @ ..] => replay(program, false, seed),
        ["page", path] => report::page(path, false),
        ["page", "--write", path] => report::page(path, true),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The first seed of a replay is random unless it is named.
fn replay(program: &str, long: bool, seed: &[&str]) -> bool {
    let random = || RandomState::new().hash_one(()) >> 32;
    let seed = seed.first().and_then(|seed| seed.parse().ok()).unwrap_or_else(random);
    println!("replay: seed {seed}");
    replay::replay(Path::new(program), long, seed)
}
