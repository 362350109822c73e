//! The program `argus-registry`: the crate for shells, operators and scripts.

#![forbid(unsafe_code)]

mod args;
mod check;
mod doctor;
mod exit;
mod list;
mod lock_target;
mod migrate;
mod mirror;
mod output;
mod prune;
mod registry_entries;
mod run;
mod shell;
#[cfg(unix)]
mod signals;
mod status;
#[cfg(windows)]
mod windows_command;

use std::env;
use std::ffi::OsString;
use std::process;

use clap::Parser;

use crate::args::{Cli, CliCommand};
use crate::exit::{CommandError, Exit};
use crate::lock_target::{path_from_args, LockTarget};

fn main() {
    let exit = start().unwrap_or_else(|error| error.print());
    // `exit` drops nothing; every lock was released when `start` returned.
    process::exit(exit.code());
}

fn start() -> Result<Exit, CommandError> {
    #[cfg(unix)]
    signals::end_with_launcher()?;
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    if let [first, rest @ ..] = words.as_slice() {
        // The doctor's probe process. It is no command for people, so it is in no help text and no
        // completion.
        if first == "doctor-probe" {
            return doctor::probe(rest);
        }
    }
    let Cli { registry, command } = Cli::try_parse()?;
    match command {
        CliCommand::List(args) => list::list(&path_from_args(None, &registry)?, &args),
        CliCommand::Watch(args) => list::watch(&path_from_args(None, &registry)?, &args),
        CliCommand::Prune(args) => prune::prune(&path_from_args(None, &registry)?, &args),
        CliCommand::Remove(args) => prune::remove(&path_from_args(None, &registry)?, &args),
        CliCommand::Migrate(args) => migrate::run(&args, &registry),
        CliCommand::Mirror(args) => mirror::run(&args, &registry),
        CliCommand::Status(args) => {
            let target = LockTarget::from_args(args.path, args.lock_file, &registry)?;
            status::status(&target, args.json)
        }
        CliCommand::Run(args) => run::run(args, &registry),
        CliCommand::Check(args) => {
            let target = LockTarget::from_args(args.path.clone(), None, &registry)?;
            check::run(&target, &args)
        }
        CliCommand::Doctor(args) => {
            doctor::run(&path_from_args(args.path, &registry)?, args.fix, args.json)
        }
        CliCommand::Completions { shell } => shell::completions(shell),
        CliCommand::Man { command } => shell::man(command.as_deref()),
    }
}
