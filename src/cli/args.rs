//! The command line: every command, argument and help text.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

const EXIT_CODES_HELP: &str = "\
Exit codes:
  0  success
  1  usage: the command line can't be understood
  2  registry error: busy, denied, corrupt, of a newer version, missing (check --strict) ...
  3  expired: check found entries past their time to live, or exceptions past their expiry
`run` passes on the exit code of its command; 128 + N if signal N ended it, 127 if there is no such
command, 126 if it can't be executed.

Results, as tables or as JSON (--json), go to standard output; failures and warnings go to standard
error. If the reader of standard output closes it, the program ends quietly, with exit code 0.";

/// Inspect, lock and clean up a small state file that several processes share: an argus registry
/// (JSON with one entry per watcher process), or a document with a lock file of its own (such as
/// veil's exceptions in TOML).
#[derive(Debug, Parser)]
#[command(
    name = "argus-registry",
    version,
    after_help = EXIT_CODES_HELP,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

/// Which registry a command uses if its command line has no PATH.
#[derive(Debug, Clone, Args)]
pub(crate) struct RegistryArgs {
    /// Use this registry: a file, a folder, or etcd://host:port/prefix, for which the program
    /// argus-registry-etcd is needed. Without it: $ARGUS_REGISTRY_PATH, else registry.json in $ARGUS_HOME,
    /// else .argus/registry.json in $HOME (on Windows %USERPROFILE%), else in the home folder that
    /// the system has for the user
    #[arg(long, value_name = "PATH", global = true, conflicts_with = "system_registry")]
    pub(crate) registry: Option<PathBuf>,
    /// Use the system-wide registry: /var/lib/argus/registry.json; on macOS
    /// /Library/Application Support/argus/registry.json; on Windows
    /// %ProgramData%\argus\registry.json
    #[arg(long, global = true)]
    pub(crate) system_registry: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// List the watchers
    ///
    /// A table of all watchers: id, process, whether the process is alive (? if this process can't
    /// tell), how long ago the last heartbeat was, whether that is longer than the time to live,
    /// and the address. A registry that does not exist is empty.
    List(ListArgs),
    /// List the watchers now, and again after every change, until interrupted
    ///
    /// The system's file events wake the program; waiting costs no CPU. With --json, each state is
    /// one line.
    Watch(ListArgs),
    /// Remove entries that are past their time to live
    ///
    /// Prints the removed entries. If there is nothing to remove, it takes no lock.
    Prune(PruneArgs),
    /// Remove one entry, whichever process it belongs to
    ///
    /// If there is no such entry, the program says so; that is no error.
    Remove(RemoveArgs),
    /// Move all entries of one registry to another
    ///
    /// A path that ends in a separator, or that is a folder, is a registry in a folder; one that begins
    /// with etcd:// is a registry in etcd; every other one is a registry file. Each entry is added to TO before it is removed from FROM, and those that come
    /// meanwhile are moved, too. An entry stays in FROM if another watcher has its id in TO; the exit
    /// code is 2 then. A watcher that still renews its entry in FROM finds it lost: let watchers use TO
    /// first, or start them again.
    Migrate(MigrateArgs),
    /// Keep a registry file in step with another registry, for programs that know only the file
    ///
    /// SOURCE is a registry in a folder, in etcd or in a file. Its entries are copied to FILE, and those that other
    /// programs write into FILE are copied to SOURCE, until the program is interrupted. An entry is
    /// renewed, changed and removed on the side on which it was written first; a live watcher's entry of
    /// SOURCE comes back if it is removed from FILE. If different watchers have one id on the two
    /// sides, each side keeps its own.
    ///
    /// One mirror works on FILE at a time. Further ones wait, and one of them takes over when that one
    /// ends. Start several, on every machine that shares the registry, so that one is always there.
    Mirror(MirrorArgs),
    /// Show which process holds the lock of a file
    ///
    /// For a registry: whether its lock is held, by which process, since when, whether that process
    /// is alive, and what the file system guarantees. For a lock file of a document: whether it is
    /// free, shared or held exclusively, and by which processes, where the system tells.
    ///
    /// A PATH with a guard (PATH.guard) beside it is a registry. A PATH that ends in `.toml`, or
    /// beside which there is a file with the extension `lock`, is a document with that lock file. A
    /// PATH that ends in `.lock` is a lock file itself, unless it is the lockfile of a registry.
    /// Every other PATH is a registry: a document with another lock file needs --lock-file.
    ///
    /// Nothing is created. The inspection takes the lock for a moment, so another program that
    /// tries the lock only once may find it busy at that moment.
    Status(StatusArgs),
    /// Run a command while holding the lock of a file
    ///
    /// The program takes the lock, runs the command, releases the lock, and passes on the command's
    /// exit code. For the meaning of PATH see `status --help`.
    ///
    /// SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1 and SIGUSR2 are forwarded to the command, except a
    /// signal that the terminal has sent to the command already. (Only Linux tells which process
    /// sent SIGINT or SIGQUIT; on other systems these two are not forwarded in the foreground of a
    /// terminal.) Before the command runs, a signal ends this program.
    ///
    /// The command does not inherit the lock. If this program is killed with SIGKILL, the lock is
    /// free at once, and the command goes on without it.
    ///
    /// The command's environment variable ARGUS_REGISTRY_LOCKED lists the locks that are held
    /// exclusively, ARGUS_REGISTRY_SHARED those that are held shared. With these a nested `run` of
    /// one of those files fails at once instead of waiting for itself.
    Run(RunArgs),
    /// Find what is wrong with a registry, or with a document of exceptions in TOML
    ///
    /// A registry: errors are a corrupt file, a file of a newer version, and a file that this user
    /// may not read; entries can be past their time to live; warnings are a missing file, an entry
    /// that is no watcher's record, entries of dead processes, a lockfile that a dead process left,
    /// and a file system without kernel locks.
    ///
    /// A document (a PATH that ends in `.toml`): `version = 1`, and `[[exceptions]]` with `id`,
    /// `reason` and, optionally, `created_at`, `created_by` and `expires_at`. An exception is
    /// expired from the instant that `expires_at` names, that instant included.
    ///
    /// Exit code 2 for errors, else 3 if anything has expired, else 0.
    Check(CheckArgs),
    /// Test what locks and files can do in a folder, and find the files that dead processes left
    /// there
    ///
    /// Shows with real processes that locks exclude, that replacing a file is atomic for readers,
    /// and that data reaches the disk.
    Doctor(DoctorArgs),
    /// Print a shell's completions
    Completions {
        /// The shell that will read them
        shell: Shell,
    },
    /// Print the man page of the program, or of one command
    Man {
        /// The command to describe. Without it: the program
        command: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// An entry whose last heartbeat is longer ago is expired
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) ttl: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// An entry whose last heartbeat is longer ago is removed
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) ttl: Duration,
    /// Also remove younger entries whose process is dead. Not for a registry that several hosts or
    /// containers share
    #[arg(long)]
    pub(crate) liveness: bool,
    /// Remove nothing; print the entries that would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How long to wait for the lock; 0 means one try
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) wait: Duration,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The entry's id
    pub(crate) id: String,
    /// How long to wait for the lock; 0 means one try
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) wait: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The registry whose entries are moved
    pub(crate) from: PathBuf,
    /// The registry that gets them. It is created if it is missing
    pub(crate) to: PathBuf,
    /// How long to wait for each lock; 0 means one try
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) wait: Duration,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorArgs {
    /// The registry that is mirrored
    pub(crate) source: PathBuf,
    /// The registry file that is kept in step with it. It is created if it is missing
    pub(crate) file: PathBuf,
    /// How long to wait for the lock of either; 0 means one try. A mirror that does not get it tries again
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) wait: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The registry, document or lock file. Default: the registry
    pub(crate) path: Option<PathBuf>,
    /// Use this file as the lock file, whatever its name
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    pub(crate) lock_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The registry, document or lock file. Default: the registry
    pub(crate) path: Option<PathBuf>,
    /// Use this file as the lock file, whatever its name. It is created if it is missing, and is
    /// not deleted afterwards
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    pub(crate) lock_file: Option<PathBuf>,
    /// Share the lock with other processes that share it. For lock files only: reading a registry
    /// takes no lock
    #[arg(long, conflicts_with = "exclusive")]
    pub(crate) shared: bool,
    /// Hold the lock exclusively. This is the default
    #[arg(long)]
    pub(crate) exclusive: bool,
    /// How long to wait for the lock. Without it: one try
    #[arg(long, value_name = "SECONDS", default_value = "0", hide_default_value = true, value_parser = seconds)]
    pub(crate) wait: Duration,
    /// The command and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The registry or document. Default: the registry
    pub(crate) path: Option<PathBuf>,
    /// Treat warnings as errors
    #[arg(long)]
    pub(crate) strict: bool,
    /// A registry's entry whose last heartbeat is longer ago is expired
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) ttl: Duration,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The registry, document or folder. Default: the registry
    pub(crate) path: Option<PathBuf>,
    /// Delete the files that are safe to delete, and nothing else
    #[arg(long)]
    pub(crate) fix: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Parses a duration in seconds, with or without a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let invalid = || "it has to be a number of seconds, such as 2 or 0.5".to_owned();
    let seconds: f64 = text.parse().map_err(|_| invalid())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| invalid())
}

/// What the fuzzer calls with bytes of its own, and a test with the corpus: arguments, each of which ends with
/// a zero byte. Panics when they show a defect.
#[cfg(any(test, fuzzing))]
pub(crate) fn parse_words(data: &[u8]) {
    #[cfg(unix)]
    let word = <OsString as std::os::unix::ffi::OsStringExt>::from_vec;
    #[cfg(not(unix))]
    let word = |bytes: Vec<u8>| OsString::from(String::from_utf8_lossy(&bytes).into_owned());
    let words = data.split(|byte| *byte == 0).map(|bytes| word(bytes.to_vec()));
    let words: Vec<OsString> = std::iter::once("argus-registry".into()).chain(words).collect();
    match Cli::try_parse_from(&words) {
        Ok(cli) => {
            assert!(cli.registry.registry.is_none() || !cli.registry.system_registry);
            match cli.command {
                CliCommand::Run(args) => {
                    assert!(!args.command.is_empty());
                    assert!(!args.shared || !args.exclusive);
                    assert!(args.path.is_none() || args.lock_file.is_none());
                }
                CliCommand::Status(args) => {
                    assert!(args.path.is_none() || args.lock_file.is_none());
                }
                _ => {}
            }
        }
        Err(error) => assert!(!error.render().to_string().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_accepts_the_definitions() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_corpus_of_the_fuzzer() {
        let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        // The published crate is without it.
        if fuzz.exists() {
            let inputs: Vec<_> =
                std::fs::read_dir(fuzz.join("corpus/arguments")).unwrap().collect();
            assert!(!inputs.is_empty());
            for input in inputs {
                let path = input.unwrap().path();
                println!("{}", path.display());
                parse_words(&std::fs::read(&path).unwrap());
            }
        }
    }

    #[test]
    fn seconds_are_numbers_and_not_negative() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "-1", "2s", "NaN", "inf", "1e30"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
