//! `run`: a command under a lock.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use argus_registry::{
    inspect_lock, lock_exclusive, lock_shared, KernelLock, LockOptions, RegistryLock,
};

use crate::args::{RegistryArgs, RunArgs};
use crate::exit::{say, Exit, Failure};
#[cfg(unix)]
use crate::signals::Signals;
use crate::target::{explain, usage, Target};

/// Tells the command what is locked around it. A list, as `PATH` is one, since one `run` may be
/// inside another's.
const LOCKED: &str = "ARGUS_REGISTRY_LOCKED";
/// The same of what is shared, which others may share, too.
const SHARED: &str = "ARGUS_REGISTRY_SHARED";

/// A lock, held while the command runs. The command does not inherit it: every file is opened
/// close-on-exec.
enum Held {
    Registry(Box<RegistryLock>),
    LockFile(KernelLock),
}

pub(crate) fn run(args: RunArgs, registry: &RegistryArgs) -> Result<Exit, Failure> {
    let target = Target::choose(args.path, args.lock_file, registry)?;
    if args.shared && matches!(target, Target::Registry(_)) {
        return Err(usage(
            "--shared is for lock files: whoever reads a registry takes no lock, so there is \
             nothing to share; leave it out, or name a lock file with --lock-file",
        ));
    }
    let path = identity(&target)?;
    let told = if args.shared { SHARED } else { LOCKED };
    // Who would only share it can do so inside of one who shares it.
    let excluding: &[_] = if args.shared { &[LOCKED] } else { &[LOCKED, SHARED] };
    for variable in excluding {
        refuse_to_wait_for_oneself(&path, variable, &env::var_os(variable).unwrap_or_default())?;
    }
    let options = LockOptions { timeout: Some(args.wait), ..LockOptions::default() };
    let held = match &target {
        Target::Registry(path) => Held::Registry(Box::new(RegistryLock::acquire(path, &options)?)),
        Target::LockFile { lock_file, .. } => {
            let lock = if args.shared { lock_shared } else { lock_exclusive };
            Held::LockFile(lock(lock_file, &options).map_err(explain)?)
        }
    };
    // Whoever is signalled until here just ends, and leaves no lock behind.
    let locked = with(&path, &env::var_os(told).unwrap_or_default());
    let status = execute(&args.command, told, &locked)?;
    let exit = exit_of(status);
    if held.is_kept() {
        held.release();
        return Ok(exit);
    }
    let message = format!(
        "the lock of {} was taken away while the command ran, so others may have been at the file",
        path.display()
    );
    if exit != Exit::Command(0) {
        say(message);
        return Ok(exit);
    }
    Err(Failure::new(Exit::Registry, message).next(
        "look at what the command has done, and find out who deletes the lock's files: an argus \
         without this library, or a clean-up",
    ))
}

/// By what name a lock is known from inside: one name, however it was reached.
fn identity(target: &Target) -> Result<PathBuf, Failure> {
    match target {
        Target::Registry(path) => Ok(inspect_lock(path, LockOptions::default().stale_after)?.path),
        Target::LockFile { lock_file, .. } => {
            let folder = lock_file.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize();
            Ok(match (folder, lock_file.file_name()) {
                (Ok(folder), Some(name)) => folder.join(name),
                // To lock it will fail, and say why.
                _ => lock_file.clone(),
            })
        }
    }
}

fn refuse_to_wait_for_oneself(path: &Path, variable: &str, locked: &OsStr) -> Result<(), Failure> {
    let is_locked = locked == path.as_os_str() || env::split_paths(locked).any(|one| one == path);
    if !is_locked {
        return Ok(());
    }
    let message = format!(
        "this is the command of a `run` that holds the lock of {}, so it would wait for itself",
        path.display()
    );
    Err(Failure::new(Exit::Registry, message).next(format!(
        "run the inner command directly: the lock is held around it. If that `run` is over, \
         unset {variable}"
    )))
}

/// The list with one more. A path that no list can hold stands alone.
fn with(path: &Path, locked: &OsStr) -> OsString {
    let others = env::split_paths(locked).filter(|other| !other.as_os_str().is_empty());
    env::join_paths(others.chain([path.to_path_buf()])).unwrap_or_else(|_| path.into())
}

fn execute(words: &[OsString], told: &str, locked: &OsStr) -> Result<ExitStatus, Failure> {
    let [program, arguments @ ..] = words else { return Err(usage("there is no command to run")) };
    let mut command = Command::new(program);
    command.args(arguments).env(told, locked);
    // Before the command is there, or a signal in between would end only this program.
    #[cfg(unix)]
    let signals = Signals::catch().map_err(|error| {
        Failure::new(Exit::Registry, format!("cannot catch signals: {error}"))
            .next("nothing was run; run it again")
    })?;
    let child = command.spawn().map_err(|error| not_run(program, &error))?;
    #[cfg(unix)]
    let ended = signals.forward_to(child);
    #[cfg(not(unix))]
    let ended = {
        let mut child = child;
        child.wait()
    };
    ended.map_err(|error| {
        let message = format!("cannot wait for {}: {error}", program.to_string_lossy());
        Failure::new(Exit::Registry, message).next("find out whether it still runs")
    })
}

/// As shells have it.
fn not_run(program: &OsStr, error: &io::Error) -> Failure {
    let name = program.to_string_lossy();
    match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(Exit::Command(127), format!("cannot run {name}: there is no such command"))
                .next("check its name, and PATH")
        }
        _ => Failure::new(Exit::Command(126), format!("cannot run {name}: {error}"))
            .next("check whether it may be executed"),
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Exit::Command(128 + signal);
    }
    Exit::Command(status.code().unwrap_or(1))
}

impl Held {
    /// Whether it has excluded others all along.
    fn is_kept(&self) -> bool {
        match self {
            Held::Registry(lock) => lock.check().is_ok(),
            Held::LockFile(lock) => lock.is_in_place().unwrap_or(false),
        }
    }

    fn release(self) {
        let released = match self {
            Held::Registry(lock) => lock.release(),
            Held::LockFile(lock) => lock.release(),
        };
        // The kernel lets go of it in any case.
        if let Err(error) = released {
            say(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_locked_around_a_command_is_a_list() {
        let one = with(Path::new("/a"), OsStr::new(""));
        assert_eq!(one, "/a");
        let two = with(Path::new("/b"), &one);
        for path in ["/a", "/b"] {
            assert!(refuse_to_wait_for_oneself(Path::new(path), LOCKED, &two).is_err(), "{path}");
        }
        refuse_to_wait_for_oneself(Path::new("/c"), LOCKED, &two).unwrap();
        refuse_to_wait_for_oneself(Path::new("/a"), LOCKED, OsStr::new("")).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_no_list_can_hold_is_refused_all_the_same() {
        let odd = with(Path::new("/a:b"), OsStr::new("/x"));
        assert!(refuse_to_wait_for_oneself(Path::new("/a:b"), LOCKED, &odd).is_err());
    }
}
