//! The program `argus-registry`: the crate for shells, operators and scripts.
//!
//! It uses the crate's public names only, as a program of its own would. A module of the crate lets the program
//! of another crate, which has a store of its own, offer the same commands.

mod args;
mod check;
mod doctor;
mod etcd_program;
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
#[cfg(unix)]
mod wait_signals;
#[cfg(windows)]
mod windows_command;

use std::env;
use std::ffi::OsString;
use std::process;

use clap::Parser;

use crate::cli::args::{Cli, CliCommand};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::lock_target::{path_from_args, LockTarget};

/// Runs the program that this process is, to its end.
///
/// `register` registers the stores of the program's crate. A program without a client of etcd runs
/// `argus-registry-etcd` for a path of etcd.
pub fn main(register: Option<fn()>) -> ! {
    if let Some(register) = register {
        register();
    }
    let exit = start(register.is_some()).unwrap_or_else(|error| error.print());
    // `exit` drops nothing; every lock was released when `start` returned.
    process::exit(exit.code());
}

fn start(has_etcd: bool) -> Result<Exit, CommandError> {
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
    if let Some(path) = etcd_program::path_of_etcd(&command, &registry).filter(|_| !has_etcd) {
        return etcd_program::run(&path, &words);
    }
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
