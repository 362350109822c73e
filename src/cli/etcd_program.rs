//! Paths of etcd. This program has no client of etcd, which the crate must not depend on: as git and cargo do with
//! commands that they don't have, it becomes the program that does.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::args::{CliCommand, RegistryArgs};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::lock_target::{is_etcd, path_from_args};

/// The program with a client of etcd, which the crate of that name has.
const PROGRAM: &str = "argus-registry-etcd";

/// The path of etcd that a command line names, if it names one.
pub(crate) fn path_of_etcd(command: &CliCommand, registry: &RegistryArgs) -> Option<PathBuf> {
    let given = match command {
        CliCommand::Migrate(args) => vec![args.from.clone(), args.to.clone()],
        CliCommand::Mirror(args) => vec![args.source.clone(), args.file.clone()],
        CliCommand::List(_)
        | CliCommand::Watch(_)
        | CliCommand::Prune(_)
        | CliCommand::Remove(_) => registry_or(None, registry),
        CliCommand::Status(args) if args.lock_file.is_none() => {
            registry_or(args.path.clone(), registry)
        }
        CliCommand::Run(args) if args.lock_file.is_none() => {
            registry_or(args.path.clone(), registry)
        }
        CliCommand::Check(args) => registry_or(args.path.clone(), registry),
        CliCommand::Doctor(args) => registry_or(args.path.clone(), registry),
        CliCommand::Status(_)
        | CliCommand::Run(_)
        | CliCommand::Completions { .. }
        | CliCommand::Man { .. } => Vec::new(),
    };
    given.into_iter().find(|path| is_etcd(path))
}

/// None if the command line is wrong in this, which the command says.
fn registry_or(path: Option<PathBuf>, registry: &RegistryArgs) -> Vec<PathBuf> {
    path_from_args(path, registry).into_iter().collect()
}

/// Runs the program with the client, with the arguments of this one. On Unix this process becomes it.
pub(crate) fn run(path: &Path, words: &[OsString]) -> Result<Exit, CommandError> {
    let mut command = Command::new(program());
    command.args(words);
    #[cfg(unix)]
    if let Some((name, value)) = crate::cli::signals::launcher() {
        command.env(name, value);
    }
    become_program(&mut command).map_err(|error| not_run(path, &error))
}

/// The program beside this one, else the one that `PATH` leads to.
fn program() -> PathBuf {
    let own = env::current_exe().ok();
    let beside = own.iter().filter_map(|own| own.parent());
    let beside =
        beside.map(|folder| folder.join(PROGRAM).with_extension(env::consts::EXE_EXTENSION));
    beside.into_iter().find(|program| program.is_file()).unwrap_or_else(|| PROGRAM.into())
}

#[cfg(unix)]
fn become_program(command: &mut Command) -> io::Result<Exit> {
    Err(std::os::unix::process::CommandExt::exec(command))
}

#[cfg(windows)]
fn become_program(command: &mut Command) -> io::Result<Exit> {
    crate::cli::windows_command::outlive_ctrl_c()?;
    let status = command.status()?;
    Ok(Exit::Command(status.code().unwrap_or(Exit::Registry.code())))
}

fn not_run(path: &Path, error: &io::Error) -> CommandError {
    let path = path.display();
    if error.kind() == io::ErrorKind::NotFound {
        let message = format!(
            "{path} is a registry in etcd, for which this program needs {PROGRAM}, beside itself or in PATH"
        );
        let install = format!("cargo install {PROGRAM} --features cli");
        return CommandError::new(Exit::Registry, message).next(install);
    }
    let program = Path::new(OsStr::new(PROGRAM)).display();
    CommandError::new(Exit::Registry, format!("cannot run {program} for {path}: {error}"))
}
