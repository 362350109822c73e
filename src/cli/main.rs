//! The program `argus-registry`: the crate for shells, operators and scripts.

#![forbid(unsafe_code)]

mod args;
mod check;
mod doctor;
mod exceptions;
mod exit;
mod list;
mod output;
mod prune;
mod run;
mod shell;
#[cfg(unix)]
mod signals;
mod status;
mod target;

use std::env;
use std::ffi::OsString;
use std::process;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::target::{choose, Target};

fn main() {
    let exit = start().unwrap_or_else(|failure| failure.tell());
    // All locks are released by now: `exit` drops nothing.
    process::exit(exit.code());
}

fn start() -> Result<Exit, Failure> {
    #[cfg(unix)]
    signals::end_with_launcher()?;
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    if let [first, rest @ ..] = words.as_slice() {
        // What `doctor` starts: for nobody else, so in no help and no completion.
        if first == "doctor-probe" {
            return doctor::probe(rest);
        }
    }
    let Cli { registry, command } = Cli::try_parse()?;
    match command {
        Command::List(args) => list::list(&choose(None, &registry)?, &args),
        Command::Watch(args) => list::watch(&choose(None, &registry)?, &args),
        Command::Prune(args) => prune::prune(&choose(None, &registry)?, &args),
        Command::Remove(args) => prune::remove(&choose(None, &registry)?, &args),
        Command::Status(args) => {
            status::status(&Target::choose(args.path, args.lock_file, &registry)?, args.json)
        }
        Command::Run(args) => run::run(args, &registry),
        Command::Check(args) => {
            check::check(&Target::choose(args.path.clone(), None, &registry)?, &args)
        }
        Command::Doctor(args) => doctor::run(&choose(args.path, &registry)?, args.fix, args.json),
        Command::Completions { shell } => shell::completions(shell),
        Command::Man { command } => shell::man(command.as_deref()),
    }
}
