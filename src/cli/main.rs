//! The program `argus-registry`: the crate for shells, operators and scripts.

#![forbid(unsafe_code)]

mod args;
mod doctor;
mod exit;

use std::path::PathBuf;
use std::process;

use argus_registry::{registry_path, system_registry_path};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::args::{Cli, Command, RegistryArgs};
use crate::exit::{Exit, Failure};

fn main() {
    let done = Cli::try_parse().map_err(Failure::from).and_then(run);
    let exit = done.unwrap_or_else(|failure| failure.tell());
    // All locks are released by now: `exit` drops nothing.
    process::exit(exit.code());
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let Cli { registry, command } = cli;
    match command {
        Command::Doctor(doctor) => {
            doctor::run(&choose(doctor.path, &registry)?, doctor.fix, doctor.json)
        }
        Command::DoctorProbe(probe) => doctor::probe(&probe.args),
        _ => Ok(Exit::Fine),
    }
}

/// The file that is meant.
fn choose(path: Option<PathBuf>, registry: &RegistryArgs) -> Result<PathBuf, Failure> {
    match (path, &registry.registry, registry.system_registry) {
        (Some(path), None, false) => Ok(path),
        (None, Some(path), false) => Ok(path.clone()),
        (None, None, true) => Ok(system_registry_path()),
        (None, None, false) => Ok(registry_path()?),
        _ => Err(usage("only one of PATH, --registry and --system-registry can be given")),
    }
}

/// A command line that clap lets pass.
fn usage(message: &str) -> Failure {
    Cli::command().error(ErrorKind::ArgumentConflict, message).into()
}
