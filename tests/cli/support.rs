//! The program, a folder for each test, and the outcome of a run.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use argus_registry::{canonicalize, update_registry, Error, UpdateOptions, WatcherRecord};
use serde_json::Value;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_argus-registry");

/// The program, without the environment variables that change what it does.
pub(crate) fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    // The tests may themselves be run under `argus-registry run`.
    command.env_remove("ARGUS_REGISTRY_LOCKED").stdin(Stdio::null());
    for name in ["ARGUS_REGISTRY_PATH", "ARGUS_HOME"] {
        command.env_remove(name);
    }
    command
}

/// A shell that runs a script: `unix` or, there, `windows`.
pub(crate) fn shell_words<'a>(unix: &'a str, windows: &'a str) -> [&'a str; 3] {
    match cfg!(windows) {
        true => ["cmd", "/c", windows],
        false => ["sh", "-c", unix],
    }
}

/// A folder of a test's own, which is removed after the test.
pub(crate) struct Folder {
    _dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = canonicalize(dir.path()).unwrap();
        Folder { _dir: dir, path }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The names of its files, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Writes a file, in place.
    pub(crate) fn put(&self, name: &str, text: &str) -> &Self {
        fs::File::create(self.path(name)).unwrap().write_all(text.as_bytes()).unwrap();
        self
    }

    /// Adds watchers to the registry `r.json`: `expired` had its last heartbeat an hour ago, `dead`
    /// has a pid that no process has, and every other one is this process's and fresh.
    pub(crate) fn registry(&self, ids: &[&str]) -> &Self {
        update_registry(self.path("r.json"), &UpdateOptions::default(), |registry| {
            for id in ids {
                let mut record = WatcherRecord::new(*id, "127.0.0.1", 9222);
                match *id {
                    "expired" => record.updated_at -= 3_600_000,
                    "dead" => record.pid = 0,
                    _ => {}
                }
                registry.set_watcher(record);
            }
            Ok::<_, Error>(())
        })
        .unwrap();
        self
    }

    /// The program in this folder, with arguments that are separated by spaces.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = program();
        command.args(words_here(arguments)).current_dir(&self.path);
        command
    }

    pub(crate) fn run(&self, arguments: &str) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }
}

/// The words of a command line. On Windows the last command in it, if that is one of Unix, is replaced by
/// the one that does there what it does. A file is renamed there, and not removed: the name of a removed
/// file may stay as long as a program has the file open.
fn words_here(arguments: &str) -> Vec<String> {
    let words: Vec<_> = arguments.split_whitespace().collect();
    let command = words.iter().rposition(|word| *word == "--").map_or(words.len(), |end| end + 1);
    let replacement = match words[command..] {
        ["true"] => "cmd /c exit 0".to_owned(),
        ["false"] => "cmd /c exit 1".to_owned(),
        ["rm", file] => format!("cmd /c ren {file} {file}.taken"),
        _ => words[command..].join(" "),
    };
    let here = match cfg!(windows) {
        true => replacement,
        false => words[command..].join(" "),
    };
    words[..command].iter().copied().chain(here.split_whitespace()).map(str::to_owned).collect()
}

/// How a run of the program ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Outcome {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The one line of JSON that it printed.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.matches('\n').count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
