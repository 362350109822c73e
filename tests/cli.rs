//! The program, as it is: every exit code, signals, and what becomes of locks. What it runs here are
//! Unix's commands.
#![cfg(unix)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use argus_registry::{
    update_registry, Error, LockOptions, RegistryLock, UpdateOptions, WatcherRecord,
};
use serde_json::Value;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_argus-registry"));
    // The tests may themselves be run under the program.
    command.env_remove("ARGUS_REGISTRY_LOCKED").stdin(Stdio::null());
    for name in ["ARGUS_REGISTRY_PATH", "ARGUS_HOME"] {
        command.env_remove(name);
    }
    command
}

/// A folder to work in, with what the tests call by name.
struct Folder {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(dir.path()).unwrap();
        Folder { _dir: dir, path }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn put(&self, name: &str, text: &str) -> &Self {
        fs::File::create(self.path(name)).unwrap().write_all(text.as_bytes()).unwrap();
        self
    }

    /// A registry of this process, as it were, and of others that are expired or dead.
    fn registry(&self, ids: &[&str]) -> &Self {
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

    /// Runs the program in this folder; the arguments are separated by spaces.
    fn command(&self, arguments: &str) -> Command {
        let mut command = program();
        command.args(arguments.split_whitespace()).current_dir(&self.path);
        command
    }

    fn run(&self, arguments: &str) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn json(&self) -> Value {
        assert_eq!(self.stdout.matches('\n').count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn try_once() -> LockOptions {
    LockOptions::one_try()
}

/// A lock of plain fs2, as veil has it.
struct PlainFs2(fs::File);

#[allow(clippy::disallowed_methods, reason = "a program that knows nothing of this crate")]
fn plain_fs2(path: &Path, exclusive: bool) -> std::io::Result<PlainFs2> {
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).truncate(false).read(true).write(true).open(path)?;
    match exclusive {
        true => fs2::FileExt::try_lock_exclusive(&file)?,
        false => fs2::FileExt::try_lock_shared(&file)?,
    }
    Ok(PlainFs2(file))
}

impl Drop for PlainFs2 {
    /// Closing would not do: another test may just be starting a process, which has the descriptor
    /// until its exec.
    #[allow(clippy::disallowed_methods, reason = "a program that knows nothing of this crate")]
    fn drop(&mut self) {
        fs2::FileExt::unlock(&self.0).unwrap();
    }
}

/// What has to stay while the program runs.
type Stays = Option<Box<dyn std::any::Any>>;

struct Case {
    arguments: &'static str,
    set_up: fn(&Folder) -> Stays,
    code: i32,
    /// What a failure names: the path, and whatever else has to be in it.
    names: &'static [&'static str],
}

fn case(
    arguments: &'static str,
    set_up: fn(&Folder) -> Stays,
    code: i32,
    names: &'static [&'static str],
) -> Case {
    Case { arguments, set_up, code, names }
}

fn nothing(_: &Folder) -> Stays {
    None
}

fn fresh(folder: &Folder) -> Stays {
    folder.registry(&["app"]);
    None
}

fn expired(folder: &Folder) -> Stays {
    folder.registry(&["app", "expired"]);
    None
}

fn dead(folder: &Folder) -> Stays {
    folder.registry(&["app", "dead"]);
    None
}

fn odd(folder: &Folder) -> Stays {
    folder.put("r.json", r#"{"version":1,"updatedAt":1,"watchers":{"odd":3}}"#);
    None
}

fn corrupt(folder: &Folder) -> Stays {
    folder.put("r.json", "{");
    None
}

fn newer(folder: &Folder) -> Stays {
    folder.put("r.json", r#"{"version":2,"updatedAt":1,"watchers":{}}"#);
    None
}

fn left_behind(folder: &Folder) -> Stays {
    folder.registry(&["app"]);
    // As a crash leaves it: the guard's second name.
    let (guard, lockfile) = (folder.path("r.json.guard"), folder.path("r.json.lock"));
    #[allow(clippy::disallowed_methods, reason = "what a crash leaves, made by hand")]
    fs::hard_link(guard, lockfile).unwrap();
    None
}

fn busy(folder: &Folder) -> Stays {
    folder.registry(&["app", "expired"]);
    Some(Box::new(RegistryLock::acquire(folder.path("r.json"), &try_once()).unwrap()))
}

fn exceptions(folder: &Folder, text: &str) -> Stays {
    folder.put("e.toml", &format!("version = 1\n{text}"));
    None
}

const PAST: &str = "[[exceptions]]\nid = 'a'\nreason = 'r'\nexpires_at = 2020-01-01T00:00:00Z\n";
const FUTURE: &str =
    "[[exceptions]]\nid = 'b'\nreason = 'r'\nexpires_at = '9000-01-01T00:00:00Z'\n";
const UNREADABLE: &str = "[[exceptions]]\nid = 'c'\nreason = 'r'\nexpires_at = 'soon'\n";

fn busy_document(folder: &Folder) -> Stays {
    exceptions(folder, FUTURE);
    Some(Box::new(plain_fs2(&folder.path("e.lock"), true).unwrap()))
}

fn shared_document(folder: &Folder) -> Stays {
    exceptions(folder, FUTURE);
    Some(Box::new(plain_fs2(&folder.path("e.lock"), false).unwrap()))
}

fn cases() -> Vec<Case> {
    vec![
        // 0
        case("--help", nothing, 0, &[]),
        case("run --help", nothing, 0, &[]),
        case("help check", nothing, 0, &[]),
        case("--version", nothing, 0, &[]),
        case("list --registry r.json", nothing, 0, &[]),
        case("--registry r.json list --json", expired, 0, &[]),
        case("list --registry r.json", odd, 0, &[]),
        case("prune --registry r.json", nothing, 0, &[]),
        case("prune --registry r.json --json --dry-run", busy, 0, &[]),
        case("prune --registry r.json --liveness", dead, 0, &[]),
        case("prune --registry r.json", expired, 0, &[]),
        case("remove --registry r.json app", fresh, 0, &[]),
        case("remove --registry r.json nobody", fresh, 0, &[]),
        case("remove --registry r.json nobody", nothing, 0, &[]),
        case("status r.json", nothing, 0, &[]),
        case("status nowhere/r.json", nothing, 0, &[]),
        case("status --registry r.json", busy, 0, &[]),
        case("status r.json", left_behind, 0, &[]),
        case("status e.toml", busy_document, 0, &[]),
        case("status e.lock --json", shared_document, 0, &[]),
        case("status --lock-file e.lock", nothing, 0, &[]),
        case("run r.json -- true", nothing, 0, &[]),
        case("run --registry r.json --exclusive -- true", fresh, 0, &[]),
        case("run e.toml --shared -- true", shared_document, 0, &[]),
        case("run --lock-file any -- true", nothing, 0, &[]),
        case("check r.json", nothing, 0, &[]),
        case("check --registry r.json --strict", fresh, 0, &[]),
        case("check r.json", odd, 0, &[]),
        case("check r.json", dead, 0, &[]),
        case("check r.json", left_behind, 0, &[]),
        case("check r.json --ttl 7200", expired, 0, &[]),
        case("check e.toml", nothing, 0, &[]),
        case("check e.toml --strict", |folder| exceptions(folder, FUTURE), 0, &[]),
        case("check e.toml --strict", shared_document, 0, &[]),
        // 1
        case("", nothing, 1, &["Usage"]),
        case("bogus", nothing, 1, &["bogus", "--help"]),
        case("list --bogus", nothing, 1, &["--bogus", "--help"]),
        case(
            "list --registry r.json --system-registry",
            nothing,
            1,
            &["--system-registry", "--help"],
        ),
        case(
            "--registry r.json list --system-registry",
            nothing,
            1,
            &["--system-registry", "--help"],
        ),
        case("list r.json", nothing, 1, &["r.json", "--help"]),
        case("watch --ttl -1", nothing, 1, &["--help"]),
        case("prune --ttl soon", nothing, 1, &["soon", "--help"]),
        case("prune --wait=-1", nothing, 1, &["-1", "--help"]),
        case("remove", nothing, 1, &["<ID>", "--help"]),
        case("status r.json --registry r.json", nothing, 1, &["PATH", "--help"]),
        case("status r.json --system-registry", nothing, 1, &["PATH", "--help"]),
        case("status r.json --lock-file l", nothing, 1, &["--lock-file", "--help"]),
        case("status --registry r.json --lock-file l", nothing, 1, &["--lock-file", "--help"]),
        case("run r.json", nothing, 1, &["COMMAND", "--help"]),
        case("run r.json --", nothing, 1, &["COMMAND", "--help"]),
        case("run r.json true", nothing, 1, &["true", "--help"]),
        case("run r.json --registry r.json -- true", nothing, 1, &["PATH", "--help"]),
        case("run r.json --shared --exclusive -- true", nothing, 1, &["--exclusive", "--help"]),
        case(
            "run r.json --shared -- true",
            nothing,
            1,
            &["takes no lock", "--lock-file", "--help"],
        ),
        case("check r.json --system-registry", nothing, 1, &["PATH", "--help"]),
        case("check e.lock", nothing, 1, &["e.lock", "status", "--help"]),
        case("doctor r.json --registry r.json", nothing, 1, &["PATH", "--help"]),
        case("completions cobol", nothing, 1, &["cobol", "--help"]),
        case("man bogus", nothing, 1, &["bogus", "--help"]),
        // 2
        case("list --registry r.json", corrupt, 2, &["r.json", "next: "]),
        case("list --registry r.json --json", newer, 2, &["r.json", "version 2", "next: "]),
        case("list --registry .", nothing, 2, &["next: "]),
        case("watch --registry new/", nothing, 2, &["new/", "next: "]),
        case("prune --registry r.json", corrupt, 2, &["r.json", "next: "]),
        case("prune --registry r.json", newer, 2, &["r.json", "next: "]),
        case("prune --registry r.json --wait 0", busy, 2, &["r.json", "process", "busy", "status"]),
        case(
            "prune --registry r.json --wait 0.1",
            busy,
            2,
            &["r.json", "process", "0.1 s", "status"],
        ),
        case("remove --registry r.json app", corrupt, 2, &["r.json", "next: "]),
        case("remove --registry r.json app --wait 0", busy, 2, &["r.json", "process", "status"]),
        case("status .", nothing, 2, &["next: "]),
        case("status --lock-file .", nothing, 2, &["next: "]),
        case("run r.json -- true", busy, 2, &["r.json", "process", "busy", "status"]),
        case("run r.json --wait 0.1 -- true", busy, 2, &["r.json", "process", "0.1 s", "status"]),
        case("run e.toml -- true", shared_document, 2, &["e.lock", "busy", "status --lock-file"]),
        case(
            "run e.toml --shared -- true",
            busy_document,
            2,
            &["e.lock", "busy", "status --lock-file"],
        ),
        case(
            "run e.lock --wait 0.1 -- true",
            busy_document,
            2,
            &["e.lock", "0.1 s", "status --lock-file"],
        ),
        case("run --lock-file nowhere/l -- true", nothing, 2, &["nowhere/l", "next: "]),
        case("check r.json", corrupt, 2, &["r.json", "next: "]),
        case("check r.json", newer, 2, &["r.json", "version 2", "next: "]),
        case("check r.json --strict", nothing, 2, &["r.json", "does not exist", "next: "]),
        case("check r.json --strict", odd, 2, &["r.json", "odd", "next: "]),
        case("check r.json --strict", dead, 2, &["r.json", "dead", "next: "]),
        case("check r.json --strict --json", left_behind, 2, &["r.json", "left behind", "next: "]),
        case("check e.toml --strict", nothing, 2, &["e.toml", "does not exist", "next: "]),
        case("check e.toml", |folder| exceptions(folder, "["), 2, &["e.toml", "next: "]),
        case(
            "check e.toml",
            |folder| exceptions(folder, "[[exceptions]]\nid = 'a'"),
            2,
            &["e.toml", "reason"],
        ),
        case(
            "check e.toml",
            |folder| {
                folder.put("e.toml", "version = 2");
                None
            },
            2,
            &["e.toml", "version 2"],
        ),
        case(
            "check e.toml --strict",
            |folder| {
                folder.put("e.toml", "");
                None
            },
            2,
            &["e.toml", "version", "next: "],
        ),
        case(
            "check e.toml",
            |folder| exceptions(folder, UNREADABLE),
            2,
            &["e.toml", "expires_at", "next: "],
        ),
        case("check e.toml", busy_document, 2, &["e.lock", "busy", "status --lock-file"]),
        // Both: 2 wins.
        case(
            "check e.toml",
            |folder| exceptions(folder, &[PAST, UNREADABLE].concat()),
            2,
            &["e.toml", "next: "],
        ),
        case(
            "check r.json --strict",
            |folder| {
                folder.registry(&["expired", "dead"]);
                None
            },
            2,
            &["r.json", "next: "],
        ),
        // 3
        case("check r.json", expired, 3, &["r.json", "expired", "prune"]),
        case("check --registry r.json --strict", expired, 3, &["r.json", "expired", "prune"]),
        case(
            "check r.json",
            |folder| {
                folder.registry(&["expired", "dead"]);
                None
            },
            3,
            &["r.json", "prune"],
        ),
        case(
            "check r.json --ttl 0.000001 --json",
            |folder| {
                folder.registry(&["expired"]);
                None
            },
            3,
            &["r.json", "prune"],
        ),
        case(
            "check e.toml",
            |folder| exceptions(folder, &[FUTURE, PAST].concat()),
            3,
            &["e.toml", "2020-01-01", "next: "],
        ),
        // The command's own.
        case("run r.json -- false", nothing, 1, &[]),
        case("run r.json -- no-such-command", nothing, 127, &["no-such-command", "next: "]),
        case("run r.json -- ./r.json", fresh, 126, &["./r.json", "next: "]),
    ]
}

#[test]
fn every_exit_code_of_every_command() {
    for Case { arguments, set_up, code, names } in cases() {
        let folder = Folder::new();
        let stays = set_up(&folder);
        let ran = folder.run(arguments);
        assert_eq!(ran.code, Some(code), "{arguments}: {ran:?}");
        for name in names {
            assert!(ran.stderr.contains(name), "{arguments}: no {name:?} in {}", ran.stderr);
        }
        assert!(code == 0 || !names.is_empty() || ran.stderr.is_empty(), "{arguments}: {ran:?}");
        drop(stays);
    }
}

/// The name by which an entry can be removed, and nothing that a terminal would obey.
#[test]
fn what_a_file_says_is_shown_as_it_is_and_obeyed_by_no_terminal() {
    let folder = Folder::new();
    let entry = r#"{"id":"other","host":"127.0.0.1","port":1,"pid":1,"startedAt":1,"updatedAt":1}"#;
    let registry = r#"{"version":1,"updatedAt":1,"watchers":{"key\u001b[31m":ENTRY}}"#;
    folder.put("r.json", &registry.replace("ENTRY", entry));
    let listed = folder.run("list --registry r.json").stdout;
    assert!(listed.contains(r"key\u{1b}[31m") && !listed.contains("other"), "{listed}");
    folder.put("e.toml", "version = 1\n\u{1b}]0;title\u{7} = ");
    let checked = folder.run("check e.toml");
    assert_eq!(checked.code, Some(2));
    for text in [&checked.stdout, &checked.stderr] {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
    let lines: Vec<_> = checked.stdout.lines().collect();
    assert!(matches!(lines[..], [finding, _] if finding.starts_with("error: ")), "{lines:?}");
    let odd = folder.path("\u{1b}[31m.json");
    folder.put("\u{1b}[31m.json", "{");
    let corrupt = Ran::of(program().args(["list", "--registry"]).arg(&odd).output().unwrap());
    assert!(corrupt.code == Some(2) && !corrupt.stderr.contains('\u{1b}'), "{corrupt:?}");
    let status = Ran::of(program().arg("status").arg(odd).output().unwrap());
    assert!(status.code == Some(0) && !status.stdout.contains('\u{1b}'), "{status:?}");
}

#[test]
fn who_shares_a_lock_may_share_it_again_inside() {
    let folder = Folder::new();
    let program = env!("CARGO_BIN_EXE_argus-registry");
    for (outer, inner, code) in [
        ("--shared", "--shared", 0),
        ("--shared", "--exclusive", 2),
        ("--exclusive", "--shared", 2),
        ("--exclusive", "--exclusive", 2),
    ] {
        let inner = format!("{program} run --lock-file s.lock {inner} --wait 60 -- true");
        let ran = folder.run(&format!("run --lock-file s.lock {outer} -- {inner}"));
        assert_eq!(ran.code, Some(code), "{outer} {inner}: {ran:?}");
        assert!(code == 0 || ran.stderr.contains("wait for itself"), "{ran:?}");
    }
}

/// A document in JSON was taken for a registry, which got a guard and was no document any more.
#[test]
fn a_document_in_json_has_its_own_lock() {
    let folder = Folder::new();
    folder.put("d.json", r#"{"count":1}"#);
    let held = plain_fs2(&folder.path("d.lock"), true).unwrap();
    let ran = folder.run("run d.json -- true");
    assert!(ran.code == Some(2) && ran.stderr.contains("d.lock"), "{ran:?}");
    assert_eq!(folder.run("status d.json --json").json()["state"], "exclusive");
    drop(held);
    assert_eq!(folder.run("run d.json -- true").code, Some(0));
    assert_eq!(folder.names(), ["d.json", "d.lock"]);
    // Its lock file and a registry's lockfile have one name: nobody is made to wait for a guess.
    let ran = folder.run("run d.json.lock -- true");
    assert!(ran.code == Some(1) && ran.stderr.contains("--lock-file"), "{ran:?}");
    assert_eq!(folder.names(), ["d.json", "d.lock"]);
}

#[test]
fn what_is_meant_for_programs_is_json_and_says_what_the_tables_say() {
    let folder = Folder::new();
    folder.registry(&["app", "dead", "expired"]);
    let listed = folder.run("list --registry r.json --json").json();
    let watchers = listed["watchers"].as_array().unwrap();
    let facts: Vec<_> = watchers
        .iter()
        .map(|watcher| (&watcher["id"], &watcher["alive"], &watcher["expired"]))
        .map(|(id, alive, expired)| (id.as_str().unwrap(), alive.as_bool(), expired.as_bool()))
        .collect();
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(facts, [("app", yes, no), ("dead", no, no), ("expired", yes, yes)]);
    let table = folder.run("list --registry r.json").stdout;
    let rows: Vec<Vec<_>> =
        table.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    let pid = std::process::id().to_string();
    assert_eq!(rows[0], ["ID", "PID", "ALIVE"]);
    assert_eq!(rows[1..3], [["app", &pid, "yes"], ["dead", "0", "no"]]);
    let checked = folder.run("check r.json --json").json();
    let levels = checked["findings"].as_array().unwrap().iter();
    let levels: Vec<_> = levels.map(|finding| finding["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["warning", "expired"]);
    assert_eq!(checked["entries"], 3);
    for (dry_run, left) in [("--dry-run", 3), ("", 1)] {
        let pruned = folder.run(&format!("prune --registry r.json --liveness --json {dry_run}"));
        let pruned = pruned.json();
        assert_eq!(pruned["pruned"].as_array().unwrap().len(), 2, "{pruned}");
        let listed = folder.run("list --registry r.json --json").json();
        assert_eq!(listed["watchers"].as_array().unwrap().len(), left);
    }
    let status = folder.run("status r.json --json").json();
    assert_eq!((&status["state"], &status["kind"]), (&"free".into(), &"registry".into()));
    let held = busy(&folder);
    let status = folder.run("status r.json --json").json();
    assert_eq!(status["state"], "held");
    assert_eq!(status["holders"][0]["pid"], std::process::id());
    assert_eq!(status["holders"][0]["alive"], true);
    assert!(status["holders"][0]["since"].as_str().unwrap().ends_with('Z'));
    drop(held);
    let corrupt = folder.put("r.json", "{").run("check r.json --json");
    assert_eq!(corrupt.json()["findings"][0]["code"], "CORRUPT");
}

#[test]
fn a_lock_file_s_status_is_that_of_the_kernel_and_nothing_is_made_by_looking() {
    let folder = Folder::new();
    let status = |arguments: &str| folder.run(&format!("status --json {arguments}")).json();
    assert_eq!(status("e.toml")["state"], "free");
    assert_eq!(fs::read_dir(&folder.path).unwrap().count(), 0);
    for (exclusive, state) in [(false, "shared"), (true, "exclusive")] {
        let held = plain_fs2(&folder.path("e.lock"), exclusive).unwrap();
        for arguments in ["e.toml", "e.lock", "--lock-file e.lock"] {
            let status = status(arguments);
            assert_eq!((&status["state"], &status["kind"]), (&state.into(), &"lock-file".into()));
            let pids: Vec<_> = status["holders"].as_array().unwrap().iter().collect();
            match pids.as_slice() {
                [] => eprintln!("SKIPPED: this system does not say who holds {arguments}"),
                [one] => assert_eq!(one["pid"], std::process::id()),
                more => panic!("{more:?}"),
            }
        }
        drop(held);
    }
    // A registry's lockfile and guard stand for the registry.
    let held = busy(&folder);
    for name in ["r.json.lock", "r.json.guard"] {
        let status = status(name);
        assert_eq!((&status["state"], &status["kind"]), (&"held".into(), &"registry".into()));
    }
    drop(held);
}

#[test]
fn completions_and_man_pages_are_there() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = folder.run(&format!("completions {shell}"));
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains("argus-registry") && ran.stdout.contains("prune"), "{shell}");
        assert!(!ran.stdout.contains("doctor-probe"), "{shell}");
    }
    for page in ["", "run", "check"] {
        let ran = folder.run(&format!("man {page}"));
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains(".SH NAME"), "{page}");
    }
    assert!(folder.run("man").stdout.contains("registry error"), "the page has the exit codes");
}

/// `run`, with its command's standard streams at hand.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, lines }
    }

    fn shell(folder: &Folder, arguments: &str, script: &str) -> Self {
        let mut command = folder.command(arguments);
        command.args(["--", "sh", "-c", script]);
        Running::start(command)
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it ended without a word").unwrap()
    }

    fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

/// Waits until a process stands in the kernel's queue for a lock.
#[cfg(target_os = "linux")]
fn await_waiting(child: &mut Child) {
    let pid = child.id().to_string();
    let waits = |line: &str| line.contains("->") && line.split_whitespace().any(|word| word == pid);
    while !fs::read_to_string("/proc/locks").unwrap().lines().any(waits) {
        assert!(child.try_wait().unwrap().is_none(), "it does not wait");
        std::thread::yield_now();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn run_waits_for_the_lock_as_long_as_it_is_told_to() {
    for (arguments, set_up) in
        [("run r.json", busy as fn(&Folder) -> Stays), ("run e.toml", busy_document)]
    {
        let folder = Folder::new();
        let held = set_up(&folder);
        let mut command = folder.command(&format!("{arguments} --wait 60 -- echo done"));
        let mut waiting = command.stdout(Stdio::piped()).spawn().unwrap();
        await_waiting(&mut waiting);
        drop(held);
        let ran = Ran::of(waiting.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "done\n"));
    }
}

#[test]
fn a_command_holds_the_lock_until_it_ends_and_is_told_so() {
    let folder = Folder::new();
    for (arguments, name) in [("run r.json", "r.json"), ("run e.toml", "e.lock")] {
        let mut running = Running::shell(&folder, arguments, "echo $ARGUS_REGISTRY_LOCKED; read x");
        assert_eq!(running.line(), folder.path(name).to_str().unwrap());
        let other = folder.run(&format!("{arguments} -- true"));
        assert_eq!(other.code, Some(2), "{other:?}");
        running.say("end");
        assert!(running.child.wait().unwrap().success());
        assert_eq!(folder.run(&format!("{arguments} -- true")).code, Some(0));
    }
}

#[test]
fn shared_runs_share_and_exclude_a_writer() {
    let folder = Folder::new();
    let mut reader = Running::shell(&folder, "run e.toml --shared", "echo in; read x");
    reader.line();
    assert_eq!(folder.run("run e.toml --shared -- true").code, Some(0));
    assert_eq!(folder.run("run e.toml -- true").code, Some(2));
    assert!(plain_fs2(&folder.path("e.lock"), false).is_ok());
    assert!(plain_fs2(&folder.path("e.lock"), true).is_err());
    reader.say("end");
    reader.child.wait().unwrap();
    assert!(plain_fs2(&folder.path("e.lock"), true).is_ok());
}

#[test]
fn a_run_inside_a_run_of_the_same_file_fails_at_once() {
    let folder = Folder::new();
    let inner = env!("CARGO_BIN_EXE_argus-registry");
    for (outer, same, other) in [("r.json", "./r.json", "e.toml"), ("e.toml", "e.lock", "r.json")] {
        let arguments = format!("run {outer} -- {inner} run --wait 60 {same} -- true");
        let ran = folder.run(&arguments);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("wait for itself") && ran.stderr.contains("next: "), "{ran:?}");
        // Around one of another file, too.
        let arguments =
            format!("run {outer} -- {inner} run {other} -- {inner} run --wait 60 {same} -- true");
        assert_eq!(folder.run(&arguments).code, Some(2));
        assert_eq!(
            folder.run(&format!("run {outer} -- {inner} run {other} -- true")).code,
            Some(0)
        );
    }
}

#[test]
fn whoever_deletes_the_lock_under_a_run_is_found_out() {
    let folder = Folder::new();
    for (arguments, deletes) in [("run r.json", "rm r.json.lock"), ("run e.toml", "rm e.lock")] {
        let ran = folder.run(&format!("{arguments} -- {deletes}"));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("taken away") && ran.stderr.contains("next: "), "{ran:?}");
        let mut command = folder.command(arguments);
        command.args(["--", "sh", "-c", &format!("{deletes}; exit 9")]);
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.code, Some(9), "{ran:?}");
        assert!(ran.stderr.contains("taken away"), "{ran:?}");
    }
}

mod processes {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::{CommandExt, ExitStatusExt};

    use rustix::process::{kill_process, Pid, Signal};

    fn send(child: &Child, signal: Signal) {
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Says what it gets, and ends.
    const TRAPS: &str = "for s in TERM HUP INT QUIT USR1 USR2; do \
        trap \"kill -KILL \\$!; echo caught $s; exit 5\" $s; done; sleep 1000 & echo ready; wait";

    /// A standard output that nobody reads.
    fn unread() -> Stdio {
        let (mine, _) = UnixStream::pair().unwrap();
        OwnedFd::from(mine).into()
    }

    #[test]
    fn signals_reach_the_command_and_its_exit_code_comes_back() {
        let folder = Folder::new();
        for (signal, name) in [
            (Signal::TERM, "TERM"),
            (Signal::HUP, "HUP"),
            (Signal::INT, "INT"),
            (Signal::QUIT, "QUIT"),
            (Signal::USR1, "USR1"),
            (Signal::USR2, "USR2"),
        ] {
            let mut command = folder.command("run r.json -- sh -c");
            // Out of the foreground: a terminal's own signals are not passed on.
            command.arg(TRAPS).process_group(0);
            let mut running = Running::start(command);
            assert_eq!(running.line(), "ready");
            send(&running.child, signal);
            assert_eq!(running.line(), format!("caught {name}"));
            assert_eq!(running.child.wait().unwrap().code(), Some(5));
            assert_eq!(folder.run("run r.json -- true").code, Some(0), "the lock is free");
        }
    }

    #[test]
    fn a_command_that_a_signal_ends_is_128_and_that_signal() {
        let folder = Folder::new();
        for (name, code) in [("KILL", 137), ("TERM", 143), ("INT", 130)] {
            let mut command = folder.command("run r.json -- sh -c");
            assert_eq!(
                command.arg(format!("kill -{name} $$")).status().unwrap().code(),
                Some(code)
            );
        }
    }

    /// `nohup argus-registry run ...`: what catches SIGHUP would give the command the default
    /// action back.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_ignored_stays_ignored() {
        let folder = Folder::new();
        let ran = Command::new("sh")
            .args(["-c", "trap '' HUP; exec \"$0\" run r.json -- sh -c 'kill -HUP $$; echo alive'"])
            .arg(env!("CARGO_BIN_EXE_argus-registry"))
            .env_remove("ARGUS_REGISTRY_LOCKED")
            .current_dir(&folder.path)
            .output()
            .unwrap();
        assert_eq!(Ran::of(ran).stdout, "alive\n");
    }

    /// A terminal sends its signals to all processes in the foreground, this program and its
    /// command: passed on, they would come twice. What somebody else sends comes only to this one.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_terminal_has_sent_is_not_sent_again_and_all_else_is() {
        let folder = Folder::new();
        folder.put(
            "command",
            "trap 'echo interrupted' INT\n\
             trap 'kill -KILL $!; echo terminated; exit 4' TERM\n\
             sleep 1000 & echo $PPID; while :; do wait; done\n",
        );
        let mut command = Command::new("script");
        // `exec`: a shell that stayed would die of Ctrl-C, and `script` would tell how that ended.
        let run = format!("exec {} run r.json -- sh command", env!("CARGO_BIN_EXE_argus-registry"));
        command.args(["-qec", &run, "/dev/null"]).current_dir(&folder.path);
        command.env_remove("ARGUS_REGISTRY_LOCKED").stderr(Stdio::null());
        if Command::new("script").arg("--version").output().is_err() {
            return eprintln!("SKIPPED: there is no `script`, which makes a terminal");
        }
        let mut running = Running::start(command);
        let pid = running.line().trim().parse().ok().and_then(Pid::from_raw).unwrap();
        let mut typed = running.child.stdin.take().unwrap();
        let mut expect = |said: &str| {
            let line = running.line();
            assert!(line.trim().ends_with(said), "{line:?}, not {said}");
        };
        kill_process(pid, Signal::INT).unwrap();
        expect("interrupted");
        // Ctrl-C: once only.
        typed.write_all(b"\x03").unwrap();
        expect("interrupted");
        kill_process(pid, Signal::TERM).unwrap();
        expect("terminated");
        assert_eq!(running.child.wait().unwrap().code(), Some(4));
    }

    #[test]
    fn a_killed_run_frees_the_lock_at_once_and_its_command_goes_on() {
        let folder = Folder::new();
        for arguments in ["run r.json", "run e.toml"] {
            let script = "echo ready; read x; echo went on";
            let mut running = Running::shell(&folder, arguments, script);
            assert_eq!(running.line(), "ready");
            // Or `wait` would close it, and end the command.
            let stdin = running.child.stdin.take();
            running.child.kill().unwrap();
            assert_eq!(running.child.wait().unwrap().signal(), Some(9));
            let next = folder.run(&format!("{arguments} -- true"));
            assert_eq!(next.code, Some(0), "{next:?}");
            drop(stdin);
            assert_eq!(running.line(), "went on");
        }
    }

    #[test]
    fn what_a_command_leaves_running_does_not_keep_the_lock() {
        let folder = Folder::new();
        for arguments in ["run r.json", "run e.toml"] {
            let script = "sleep 1000 >/dev/null 2>&1 & echo $!";
            let mut running = Running::shell(&folder, arguments, script);
            let left = running.line().parse().ok().and_then(Pid::from_raw).unwrap();
            assert!(running.child.wait().unwrap().success());
            assert_eq!(folder.run(&format!("{arguments} -- true")).code, Some(0));
            kill_process(left, Signal::KILL).unwrap();
        }
    }

    #[test]
    fn a_signal_ends_whoever_waits_and_no_lock_stays() {
        let folder = Folder::new();
        for (arguments, set_up) in
            [("run r.json", busy as fn(&Folder) -> Stays), ("run e.toml", busy_document)]
        {
            let held = set_up(&folder);
            let mut waiting =
                folder.command(&format!("{arguments} --wait 600 -- true")).spawn().unwrap();
            send(&waiting, Signal::TERM);
            assert_eq!(waiting.wait().unwrap().signal(), Some(15));
            drop(held);
            assert_eq!(folder.run(&format!("{arguments} -- true")).code, Some(0));
        }
    }

    #[test]
    fn whoever_stops_reading_ends_the_program_quietly() {
        let folder = Folder::new();
        folder.registry(&["app", "expired"]);
        for (arguments, code) in [
            ("list --registry r.json", 0),
            ("list --registry r.json --json", 0),
            ("watch --registry r.json", 0),
            ("watch --registry r.json --json", 0),
            ("prune --registry r.json --dry-run", 0),
            ("remove --registry r.json nobody", 0),
            ("status r.json", 0),
            ("status r.json --json", 0),
            ("completions bash", 0),
            ("man", 0),
            ("--help", 0),
            ("--version", 0),
            // What it found stands.
            ("check r.json --strict", 3),
            ("check r.json --strict --ttl 1e6", 0),
        ] {
            let output = folder.command(arguments).stdout(unread()).output().unwrap();
            let Output { status, stderr, .. } = output;
            let stderr = String::from_utf8(stderr).unwrap();
            assert_eq!(status.code(), Some(code), "{arguments}: {stderr}");
            assert!(code != 0 || stderr.is_empty(), "{arguments}: {stderr}");
            let status = folder.command(arguments).stdout(unread()).stderr(unread()).status();
            assert_eq!(status.unwrap().code(), Some(code), "{arguments}: nobody hears its errors");
        }
        let nobody = folder.command("list --registry .").stderr(unread()).status().unwrap();
        assert_eq!(nobody.code(), Some(2));
    }

    #[test]
    fn a_watch_prints_a_state_per_line_and_ends_with_its_reader() {
        let folder = Folder::new();
        let mut command = folder.command("watch --registry r.json --json");
        command.stderr(Stdio::piped());
        let mut running = Running::start(command);
        let mut said = BufReader::new(running.child.stderr.take().unwrap()).lines();
        let ids = |line: String| -> Vec<String> {
            let state: Value = serde_json::from_str(&line).unwrap();
            let watchers = state["watchers"].as_array().unwrap().iter();
            watchers.map(|watcher| watcher["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(running.line()), [""; 0]);
        folder.registry(&["app"]);
        assert_eq!(ids(running.line()), ["app"]);
        // What is none any more is no reason to stop.
        folder.put("r.json", "{");
        assert_eq!(ids(running.line()), [""; 0]);
        folder.put("r.json", "").registry(&["other"]);
        while ids(running.line()) != ["other"] {}
        // Nor is what can't be read at all, for a while.
        fs::remove_file(folder.path("r.json")).unwrap();
        fs::create_dir(folder.path("r.json")).unwrap();
        while !said.next().expect("it ended").unwrap().contains("not a regular file") {}
        fs::remove_dir(folder.path("r.json")).unwrap();
        folder.registry(&["again"]);
        while ids(running.line()) != ["again"] {}
        // Nothing changes any more: it must not take a change to notice.
        let Running { mut child, lines } = running;
        drop(lines);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_a_failure() {
        let folder = Folder::new();
        let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        for arguments in ["list --registry r.json", "status r.json --json", "man"] {
            let ran = Ran::of(folder.command(arguments).stdout(full()).output().unwrap());
            assert_eq!(ran.code, Some(2), "{arguments}: {ran:?}");
            assert!(ran.stderr.contains("next: "), "{ran:?}");
        }
    }

    #[test]
    fn whoever_may_not_is_told_so() {
        let folder = Folder::new();
        folder.registry(&["app"]);
        exceptions(&folder, FUTURE);
        let is_root = rustix::process::geteuid().is_root();
        let reset = |mode| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(&folder.path, mode).unwrap();
        };
        // Its files may be read, but none made.
        for (mode, arguments, code) in [
            (0o555, "list --registry r.json", 0),
            (0o555, "status r.json", 0),
            (0o555, "status e.toml", 0),
            (0o555, "check r.json --strict", 0),
            (0o555, "check e.toml --strict", 0),
            (0o555, "remove --registry r.json app", 2),
            (0o555, "prune --registry r.json --ttl 0", 2),
            (0o555, "run r.json -- true", 2),
            (0o555, "run e.toml -- true", 2),
            (0o000, "list --registry r.json", 2),
            (0o000, "watch --registry r.json", 2),
            (0o000, "status r.json", 2),
            (0o000, "status --lock-file e.lock", 2),
            (0o000, "check r.json", 2),
            (0o000, "check e.toml", 2),
        ] {
            let mut command = program();
            command.args(arguments.split_whitespace().map(|word| match word {
                "r.json" | "e.toml" | "e.lock" => folder.path(word).into_os_string(),
                word => word.into(),
            }));
            if is_root {
                command.uid(65_534).gid(65_534);
            }
            reset(mode);
            let output = command.output();
            reset(0o755);
            let Ok(output) = output else {
                return eprintln!(
                    "SKIPPED: nobody but its owner may run {:?}",
                    command.get_program()
                );
            };
            let ran = Ran::of(output);
            assert_eq!(ran.code, Some(code), "{arguments}: {ran:?}");
            let names = ["permission", folder.path.to_str().unwrap(), "next: "];
            for name in names.iter().filter(|_| code != 0) {
                assert!(ran.stderr.contains(name), "{arguments}: no {name:?} in {ran:?}");
            }
        }
        assert!(!folder.path("e.lock").exists(), "nothing was made");
    }

    #[test]
    fn a_lockfile_that_this_user_may_not_read_is_no_older_programs() {
        let folder = Folder::new();
        if !rustix::process::geteuid().is_root() {
            writeln!(std::io::stderr(), "SKIPPED: only root can be another user").unwrap();
            return;
        }
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&folder.path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        folder.registry(&["app"]);
        fs::set_permissions(folder.path("r.json.guard"), closed).unwrap();
        let _held = RegistryLock::acquire(folder.path("r.json"), &try_once()).unwrap();
        let mut command = program();
        let Ok(output) = command.arg("status").arg(folder.path("r.json")).uid(65_534).output()
        else {
            let program = command.get_program().to_owned();
            writeln!(std::io::stderr(), "SKIPPED: nobody else may run {program:?}").unwrap();
            return;
        };
        let ran = Ran::of(output);
        assert!(ran.stdout.contains("may not read") && !ran.stdout.contains("an older"), "{ran:?}");
    }

    /// No such file system can be counted on here, so a library that is loaded before libc's takes
    /// the call away.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_without_kernel_locks_is_told_of() {
        let folder = Folder::new();
        folder.registry(&["app"]).put(
            "shim.c",
            "#include <errno.h>\nint flock(int fd, int how) { errno = ENOLCK; return -1; }\n",
        );
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o", "shim.so", "shim.c"])
            .current_dir(&folder.path)
            .status()
            .expect("Rust on Linux links with cc, so it is there");
        assert!(compiled.success());
        for (arguments, code, says) in [
            ("status r.json --json", 0, "\"guarantee\":\"lockfile-only\""),
            ("status e.toml --json", 0, "\"guarantee\":\"none\""),
            ("run r.json -- echo done", 0, "done"),
            ("run e.toml -- true", 2, "no kernel locks"),
            ("check r.json", 0, "no kernel locks"),
            ("check r.json --strict", 2, "no kernel locks"),
        ] {
            let mut command = folder.command(arguments);
            let output = command.env("LD_PRELOAD", folder.path("shim.so")).output().unwrap();
            let ran = Ran::of(output);
            assert_eq!(ran.code, Some(code), "{arguments}: {ran:?}");
            let said = if code == 0 { &ran.stdout } else { &ran.stderr };
            assert!(said.contains(says), "{arguments}: {ran:?}");
            assert!(code == 0 || ran.stderr.contains("next: "), "{arguments}: {ran:?}");
        }
    }

    #[test]
    fn whose_launcher_is_gone_does_nothing() {
        let folder = Folder::new();
        let mut command = folder.command("run r.json -- echo done");
        let ran = Ran::of(command.env("ARGUS_REGISTRY_LAUNCHER", "1").output().unwrap());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(143), ""), "{}", ran.stderr);
        let launcher = std::process::id().to_string();
        let mut command = folder.command("run r.json -- sh -c");
        command.arg("echo done $ARGUS_REGISTRY_LAUNCHER").env("ARGUS_REGISTRY_LAUNCHER", launcher);
        let ran = Ran::of(command.output().unwrap());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "done\n"), "{}", ran.stderr);
    }
}

#[test]
fn without_a_path_it_is_the_registry_that_the_environment_names() {
    let folder = Folder::new();
    folder.registry(&["app"]);
    for (name, value) in
        [("ARGUS_REGISTRY_PATH", folder.path("r.json")), ("ARGUS_HOME", folder.path.clone())]
    {
        fs::copy(folder.path("r.json"), folder.path("registry.json")).unwrap();
        for arguments in ["list --json", "status --json", "check --json", "run -- true"] {
            let ran = Ran::of(folder.command(arguments).env(name, &value).output().unwrap());
            assert_eq!(ran.code, Some(0), "{ran:?}");
            let whole = |path: &str| Path::new(path).parent() == Some(&folder.path);
            assert!(arguments.starts_with("run") || ran.json()["path"].as_str().is_some_and(whole));
        }
    }
    let homeless = folder.command("list").env_remove("HOME").env_remove("USERPROFILE").output();
    let homeless = Ran::of(homeless.unwrap());
    assert_eq!(homeless.code, Some(2), "{homeless:?}");
    assert!(homeless.stderr.contains("ARGUS_HOME"), "{homeless:?}");
    let system = folder.run("status --system-registry --json").json();
    let path = argus_registry::system_registry_path();
    assert_eq!(system["path"].as_str(), path.to_str());
}

#[test]
fn a_time_to_live_is_in_seconds_and_their_fractions() {
    let folder = Folder::new();
    folder.registry(&["expired"]);
    for (ttl, code) in [("3500", 3), ("3599.5", 3), ("4000", 0), ("4000.5", 0)] {
        assert_eq!(folder.run(&format!("check r.json --ttl {ttl}")).code, Some(code), "{ttl}");
    }
}
