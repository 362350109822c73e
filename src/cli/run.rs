//! `run`: runs a command while holding a lock.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use argus_registry::{
    canonicalize, inspect_lock, lock_exclusive, lock_shared, open_store, CancelToken, Error,
    KernelLock, LockOptions, RegistryLock, RegistryStore,
};

use crate::cli::args::{RegistryArgs, RunArgs};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::lock_target::{is_etcd, lock_file_error, usage_error, LockTarget};
use crate::cli::output;
#[cfg(unix)]
use crate::cli::signals::SignalForwarder;
#[cfg(unix)]
use crate::cli::wait_signals::SignalsWhileWaiting;
#[cfg(windows)]
use crate::cli::windows_command;

/// The environment variable that tells the command which locks are held exclusively while it runs.
/// It is a list as the variable `PATH` is, because one `run` may run inside another.
const EXCLUSIVE_LOCKS_VARIABLE: &str = "ARGUS_REGISTRY_LOCKED";
/// Like [`EXCLUSIVE_LOCKS_VARIABLE`], for the locks that are held shared: a nested `run` may share
/// them, too.
const SHARED_LOCKS_VARIABLE: &str = "ARGUS_REGISTRY_SHARED";

/// The lock that is held while the command runs. The command does not inherit it: every file is
/// opened close-on-exec.
enum CommandLock {
    Registry(Box<RegistryLock>),
    LockFile(KernelLock),
}

pub(crate) fn run(args: RunArgs, registry: &RegistryArgs) -> Result<Exit, CommandError> {
    let target = LockTarget::from_args(args.path, args.lock_file, registry)?;
    if args.shared && matches!(target, LockTarget::Registry(_)) {
        return Err(usage_error(
            "--shared is for lock files: reading a registry takes no lock, so there is nothing to \
             share; leave it out, or name a lock file with --lock-file",
        ));
    }
    let path = lock_identity(&target)?;
    // A shared lock excludes only the exclusive one.
    let (variable, conflicting): (_, &[_]) = match args.shared {
        true => (SHARED_LOCKS_VARIABLE, &[EXCLUSIVE_LOCKS_VARIABLE]),
        false => (EXCLUSIVE_LOCKS_VARIABLE, &[EXCLUSIVE_LOCKS_VARIABLE, SHARED_LOCKS_VARIABLE]),
    };
    for variable in conflicting {
        refuse_nested_lock(&path, variable, &env::var_os(variable).unwrap_or_default())?;
    }
    let options = LockOptions { timeout: Some(args.wait), ..LockOptions::default() };
    let execute = |may_start: &dyn Fn() -> bool| {
        let locks = append(&path, &env::var_os(variable).unwrap_or_default());
        execute(&args.command, variable, &locks, may_start)
    };
    if let LockTarget::Registry(registry) = &target {
        if is_etcd(registry) {
            return run_on_store(&*open_store(registry), &options, execute);
        }
    }
    let lock = match &target {
        LockTarget::Registry(path) => {
            CommandLock::Registry(Box::new(RegistryLock::acquire(path, &options)?))
        }
        LockTarget::LockFile { lock_file, .. } => {
            let acquire = if args.shared { lock_shared } else { lock_exclusive };
            CommandLock::LockFile(acquire(lock_file, &options).map_err(lock_file_error)?)
        }
    };
    // Until here a signal ends this process, and no lock stays behind: the kernel releases it.
    let exit = exit_of(execute(&|| true)?);
    if lock.is_still_held() {
        lock.release();
        return Ok(exit);
    }
    lock_was_lost(
        exit,
        &path,
        "look at what the command has done, and find the program that deletes the lock's files: an \
         argus version without this library, or a clean-up script",
    )
}

/// Runs the command while a store holds its lock. `execute` is given what tells whether the command may start.
fn run_on_store(
    store: &dyn RegistryStore,
    options: &LockOptions,
    execute: impl Fn(&dyn Fn() -> bool) -> Result<ExitStatus, CommandError>,
) -> Result<Exit, CommandError> {
    let token = CancelToken::new();
    #[cfg(unix)]
    let waiting = SignalsWhileWaiting::new(token.clone()).map_err(|error| no_signals(&error))?;
    let may_start = || {
        #[cfg(unix)]
        return waiting.end();
        #[cfg(not(unix))]
        true
    };
    let options = LockOptions { cancel: Some(token), ..options.clone() };
    let mut executed = None;
    let held = store.hold_lock(&options, &mut || executed = Some(execute(&may_start)));
    #[cfg(unix)]
    if !matches!(executed, Some(Ok(_))) {
        waiting.obey();
    }
    let Some(status) = executed else {
        held?;
        return Err(CommandError::new(Exit::Registry, "the lock was held, and no command was run"));
    };
    let exit = exit_of(status?);
    match held {
        Ok(()) => Ok(exit),
        Err(Error::LockLost { .. }) => lock_was_lost(
            exit,
            store.path(),
            "look at what the command has done: this program was frozen, or no server answered, for \
             longer than the lock's lease",
        ),
        // The command has run, and whether the lock was held to its end is not known.
        Err(error) if exit != Exit::Command(0) => {
            output::notice(error);
            Ok(exit)
        }
        Err(error) => {
            // The error alone could read as if the command had not been run.
            let message =
                format!("the command has ended with 0, and its lock could not be released: {error}");
            Err(CommandError::new(Exit::Registry, message))
        }
    }
}

/// How the program ends when the lock was lost while the command ran.
fn lock_was_lost(exit: Exit, path: &Path, next: &str) -> Result<Exit, CommandError> {
    let message = format!(
        "the lock of {} was taken away while the command ran, so other processes may have changed \
         it meanwhile",
        path.display()
    );
    if exit != Exit::Command(0) {
        output::notice(message);
        return Ok(exit);
    }
    Err(CommandError::new(Exit::Registry, message).next(next))
}

/// The path by which a lock is listed in the environment: the one path, whichever PATH led to it.
fn lock_identity(target: &LockTarget) -> Result<PathBuf, CommandError> {
    match target {
        LockTarget::Registry(path) => {
            Ok(inspect_lock(path, LockOptions::default().stale_after)?.path)
        }
        LockTarget::LockFile { lock_file, .. } => {
            let folder = lock_file.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = canonicalize(folder.unwrap_or(Path::new(".")));
            Ok(match (folder, lock_file.file_name()) {
                (Ok(folder), Some(name)) => folder.join(name),
                // The attempt to lock it will fail, with the reason.
                _ => lock_file.clone(),
            })
        }
    }
}

/// Refuses a lock that an outer `run` holds: it is released only after this process has ended.
fn refuse_nested_lock(path: &Path, variable: &str, locks: &OsStr) -> Result<(), CommandError> {
    let listed = PathBuf::from(listed(path));
    if !env::split_paths(locks).any(|lock| lock == listed) {
        return Ok(());
    }
    let message = format!(
        "the outer `run` that started this one holds the lock of {}, so this one would wait for \
         itself",
        path.display()
    );
    Err(CommandError::new(Exit::Registry, message).next(format!(
        "run the inner command directly: the outer `run` holds the lock for it. If that `run` has \
         ended, unset {variable}"
    )))
}

/// The list with one more path.
fn append(path: &Path, locks: &OsStr) -> OsString {
    let others = env::split_paths(locks).filter(|other| !other.as_os_str().is_empty());
    env::join_paths(others.chain([PathBuf::from(listed(path))])).expect("it has no separator")
}

/// A path as it is in the list: as it is, but for what the list separates paths by and quotes them with.
/// Every path of etcd has a colon.
fn listed(path: &Path) -> String {
    let mut listed = String::new();
    let escape = |bytes: &[u8], listed: &mut String| {
        bytes.iter().for_each(|byte| listed.push_str(&format!("%{byte:02x}")));
    };
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '%' | '"' => escape(&[character as u8], &mut listed),
                ':' if cfg!(unix) => escape(b":", &mut listed),
                ';' if cfg!(windows) => escape(b";", &mut listed),
                _ => listed.push(character),
            }
        }
        escape(chunk.invalid(), &mut listed);
    }
    listed
}

fn execute(
    words: &[OsString],
    variable: &str,
    locks: &OsStr,
    may_start: &dyn Fn() -> bool,
) -> Result<ExitStatus, CommandError> {
    let [program, arguments @ ..] = words else {
        return Err(usage_error("there is no command to run"));
    };
    #[cfg(windows)]
    let program = &windows_command::find_command(program);
    let mut command = Command::new(program);
    command.args(arguments).env(variable, locks);
    // Before the command starts: a signal between its start and this call would end only this
    // program, and the command would go on without its lock.
    #[cfg(unix)]
    let signals = SignalForwarder::new().map_err(|error| no_signals(&error))?;
    #[cfg(windows)]
    windows_command::outlive_ctrl_c().map_err(|error| {
        CommandError::new(Exit::Registry, format!("cannot catch Ctrl-C: {error}"))
            .next("nothing was run; run it again")
    })?;
    if !may_start() {
        return Err(CommandError::new(Exit::Registry, "a signal came, and nothing was run"));
    }
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
        CommandError::new(Exit::Registry, message).next("find out whether it still runs")
    })
}

#[cfg(unix)]
fn no_signals(error: &io::Error) -> CommandError {
    CommandError::new(Exit::Registry, format!("cannot catch signals: {error}"))
        .next("nothing was run; run it again")
}

/// The error of a command that can't be started, with the exit code that shells use for it.
fn not_run(program: &OsStr, error: &io::Error) -> CommandError {
    let name = program.to_string_lossy();
    let (code, reason, next) = match error.kind() {
        io::ErrorKind::NotFound => {
            (127, "there is no such command".to_owned(), "check its name, and the variable PATH")
        }
        _ => (126, error.to_string(), "check whether it may be executed"),
    };
    CommandError::new(Exit::Command(code), format!("cannot run {name}: {reason}")).next(next)
}

fn exit_of(status: ExitStatus) -> Exit {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Exit::Command(128 + signal);
    }
    Exit::Command(status.code().unwrap_or(1))
}

impl CommandLock {
    /// Whether its files are still in place, so that it has excluded other processes until now.
    fn is_still_held(&self) -> bool {
        match self {
            CommandLock::Registry(lock) => lock.check().is_ok(),
            CommandLock::LockFile(lock) => lock.is_in_place().unwrap_or(false),
        }
    }

    fn release(self) {
        let released = match self {
            CommandLock::Registry(lock) => lock.release(),
            CommandLock::LockFile(lock) => lock.release(),
        };
        // The kernel releases its lock in any case, so this is no failure.
        if let Err(error) = released {
            output::notice(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locks_that_are_held_for_a_command_are_a_list() {
        let one = append(Path::new("/a"), OsStr::new(""));
        assert_eq!(one, "/a");
        let two = append(Path::new("/b"), &one);
        let refuse = |path: &str, locks: &OsStr| {
            refuse_nested_lock(Path::new(path), EXCLUSIVE_LOCKS_VARIABLE, locks)
        };
        for path in ["/a", "/b"] {
            assert!(refuse(path, &two).is_err(), "{path}");
        }
        refuse("/c", &two).unwrap();
        refuse("/a", OsStr::new("")).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_no_list_can_hold_is_refused_too() {
        let path = Path::new("/a:b");
        let locks = append(path, OsStr::new("/x"));
        assert!(refuse_nested_lock(path, EXCLUSIVE_LOCKS_VARIABLE, &locks).is_err());
    }
}
