//! A document call and a registry call that come to a new file at the same time: one of them decides
//! under which kind of lock the file is used.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Lines, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argus_registry::{try_lock_exclusive, try_lock_shared, Document, Error, LockOptions};
use rustix::process::{kill_process, waitpid, Pid, Signal, WaitOptions};

use crate::support::altered_calls::AlteredCalls;
use crate::support::files::{document_path, names_in, put, text};
use crate::support::processes::{again, example, this_test, PART};

const ROUNDS: usize = 600;

const LOCK_FILE: [&str; 2] = ["doc.json", "doc.lock"];
const REGISTRY: [&str; 2] = ["doc.json", "doc.json.guard"];

fn numbers(path: &Path) -> Document<u32> {
    Document::json(path).empty(|| 0).durable(false)
}

fn count_up(number: &mut u32) -> Result<u32, Error> {
    *number += 1;
    Ok(*number)
}

fn within(milliseconds: u64) -> LockOptions {
    LockOptions::within(Duration::from_millis(milliseconds))
}

/// The code of a call's error; `None` if it succeeded.
fn code<T>(result: Result<T, Error>) -> Option<&'static str> {
    result.err().map(|error| error.code())
}

fn update(document: &Document<u32>) -> Option<&'static str> {
    code(document.update(&within(60_000), count_up))
}

fn now_us() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()
}

/// A process that updates one file after the other under one kind of lock.
struct Updater {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Updater {
    fn start(test: &str, lock: &str) -> Self {
        let mut command = again(&env::current_exe().unwrap(), test, lock);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Updater { child, input, output }
    }

    fn update_at(&mut self, microseconds: u128, path: &Path) {
        writeln!(self.input, "{microseconds} {}", path.display()).unwrap();
    }

    fn result(&mut self) -> String {
        loop {
            let line = self.output.next().expect("the process ended").unwrap();
            if let Some((_, result)) = line.split_once("result ") {
                return result.to_owned();
            }
        }
    }
}

/// What an [`Updater`]'s process does: each line names an instant and a file.
fn update_as_told(lock: &str) {
    for line in io::stdin().lines() {
        let line = line.unwrap();
        let (instant, path) = line.split_once(' ').unwrap();
        let document = numbers(Path::new(path));
        let document = if lock == "registry" { document.registry_lock() } else { document };
        let instant: u128 = instant.parse().unwrap();
        while now_us() < instant {
            std::hint::spin_loop();
        }
        println!("result {}", update(&document).unwrap_or("done"));
    }
}

/// Each looked for the other's file before it made its own, and not after that, so both could go on.
#[test]
fn of_two_processes_that_come_to_a_new_file_one_wins_and_one_is_refused() {
    if let Ok(lock) = env::var(PART) {
        return update_as_told(&lock);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut document = Updater::start(this_test!(), "lock file");
    let mut registry = Updater::start(this_test!(), "registry");
    let mut wins = [0, 0];
    for round in 0..ROUNDS {
        let folder = dir.path().join(round.to_string());
        fs::create_dir(&folder).unwrap();
        let path = folder.join("doc.json");
        // With and without a file, of which the lock files get mode and owner, and with either kind a
        // little earlier: they do different things first.
        if round % 2 == 0 {
            put(&path, "0");
        }
        let (instant, offset) = (now_us() + 300, (round % 5 * 20) as u128);
        document.update_at(instant + offset, &path);
        registry.update_at(instant + 40, &path);
        let results = [document.result(), registry.result()];
        let winner = usize::from(results[0] != "done");
        assert_eq!(results[winner], "done", "round {round}: {results:?}");
        assert_eq!(results[1 - winner], "LOCK_MISMATCH", "round {round}: {results:?}");
        assert_eq!(text(&path), "1", "round {round}");
        assert_eq!(names_in(&folder), [LOCK_FILE, REGISTRY][winner], "round {round}: {results:?}");
        wins[winner] += 1;
    }
    assert!(wins[0] > 0 && wins[1] > 0, "[lock file, registry]: {wins:?}");
    for mut updater in [document, registry] {
        drop(updater.input);
        assert!(updater.child.wait().unwrap().success());
    }
}

/// A process that counts up the number of a new document under one kind of lock, and stops at one of
/// its calls to the operating system.
struct Stopped {
    child: Child,
    path: PathBuf,
    altered: AlteredCalls,
}

impl Stopped {
    /// `when` is `STOPPED_BEFORE` or `STOPPED_AFTER` a hard link to a name with this ending.
    fn start(when: &str, ending: &str, flags: &[&str]) -> Self {
        let altered = AlteredCalls::new(&["STOPPED_AT_LINK"]);
        let path = altered.path().with_file_name("doc.json");
        put(&path, r#"{"count":0,"rust":0,"node":0}"#);
        let mut command = example("count_document");
        altered.load_into(&mut command);
        command.arg(&path).arg("1").args(flags).env(when, ending);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let (_, status) =
            waitpid(Some(Pid::from_child(&child)), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
        Stopped { child, path, altered }
    }

    fn names(&self) -> Vec<String> {
        let mut names = names_in(self.altered.folder());
        names.retain(|name| name.contains("doc"));
        names
    }

    /// Lets the process go on, and returns what it says about its update.
    fn go_on(&mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
        let mut said = String::new();
        self.child.stdout.as_mut().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success());
        said.split_whitespace().skip(1).take(2).collect::<Vec<_>>().join(" ")
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Counts up the number of the document in the file, as another process does.
fn count(path: &Path, is_registry: bool) -> Option<&'static str> {
    let document = Document::<serde_json::Value>::json(path).durable(false);
    let document = if is_registry { document.registry_lock() } else { document };
    code(document.update(&within(60_000), |value| {
        value["count"] = (value["count"].as_u64().unwrap() + 1).into();
        Ok::<_, Error>(())
    }))
}

#[test]
fn a_registry_call_that_makes_its_guard_after_a_document_call_has_gone_on_is_refused() {
    for when in ["STOPPED_BEFORE", "STOPPED_AFTER"] {
        let mut registry = Stopped::start(when, ".guard", &["--registry-lock"]);
        assert_eq!(count(&registry.path, false), None, "{when}");
        assert_eq!(registry.go_on(), "failed LOCK_MISMATCH", "{when}");
        assert_eq!(count(&registry.path, false), None, "{when}");
        assert_eq!(registry.names(), LOCK_FILE, "{when}");
    }
}

#[test]
fn a_document_call_that_makes_its_lock_file_after_a_registry_call_has_gone_on_is_refused() {
    for when in ["STOPPED_BEFORE", "STOPPED_AFTER"] {
        let mut document = Stopped::start(when, "doc.lock", &[]);
        let went_on = count(&document.path, true);
        match when {
            "STOPPED_BEFORE" => {
                assert_eq!(went_on, None);
                assert_eq!(document.go_on(), "failed LOCK_MISMATCH");
                assert_eq!(document.names(), REGISTRY);
            }
            _ => {
                assert_eq!(went_on, Some("LOCK_MISMATCH"));
                assert_eq!(document.go_on(), "done");
                assert_eq!(document.names(), LOCK_FILE);
            }
        }
    }
}

/// Neither kind of call may go on beside the other, and none of them may be refused for ever, because a
/// process was killed.
#[test]
fn a_process_that_is_killed_before_it_has_decided_leaves_the_file_to_either_kind() {
    for is_registry in [false, true] {
        let mut killed = Stopped::start("STOPPED_AFTER", ".guard", &["--registry-lock"]);
        killed.kill();
        assert_eq!(fs::metadata(killed.path.with_extension("json.guard")).unwrap().len(), 0);
        assert_eq!(count(&killed.path, is_registry), None);
        assert_eq!(count(&killed.path, !is_registry), Some("LOCK_MISMATCH"));
        assert_eq!(count(&killed.path, is_registry), None);
        let temp_files = |name: &String| name.ends_with(".tmp");
        assert!(!killed.names().iter().any(temp_files), "{:?}", killed.names());
        let value: serde_json::Value = serde_json::from_str(&text(&killed.path)).unwrap();
        assert_eq!(value["count"], 2);
    }
}

/// A document call that found no guard has the lock, a registry call dies after it has made one, and
/// another registry call finds that guard.
#[test]
fn the_unused_guard_of_a_dead_process_does_not_let_a_registry_call_in_beside_a_document_call() {
    let (_dir, path) = document_path();
    put(&path, "0");
    let refused = numbers(&path).update(&within(0), |number| {
        put(&path.with_extension("json.guard"), "");
        let refused = numbers(&path).registry_lock().update(&within(0), count_up);
        assert_eq!(code(refused), Some("LOCK_MISMATCH"));
        count_up(number)
    });
    assert_eq!(code(refused), None);
    assert_eq!(
        (text(&path).as_str(), names_in(path.parent().unwrap())),
        ("1", LOCK_FILE.map(str::to_owned).to_vec())
    );
}

/// A process that has locked a new guard and gets no processor has not decided yet.
#[test]
fn a_document_call_waits_for_the_decision_of_a_registry_call_and_leaves_no_trace_if_none_comes() {
    let (_dir, path) = document_path();
    put(&path, "0");
    let guard = path.with_extension("json.guard");
    put(&guard, "");
    let undecided = try_lock_exclusive(&guard).unwrap();
    assert_eq!(code(numbers(&path).update(&within(200), count_up)), Some("LOCK_TIMEOUT"));
    assert_eq!(code(numbers(&path).save(&mut 7)), Some("LOCK_BUSY"));
    assert_eq!(code(numbers(&path).load()), Some("LOCK_BUSY"));
    assert_eq!(names_in(path.parent().unwrap()), REGISTRY, "a refused call leaves no trace");
    let went_on = thread::scope(|scope| {
        let waiting = scope.spawn(|| update(&numbers(&path)));
        while !path.with_extension("lock").exists() {
            assert!(!waiting.is_finished(), "it did not wait");
            thread::yield_now();
        }
        drop(undecided);
        waiting.join().unwrap()
    });
    assert_eq!(went_on, None);
    assert_eq!(update(&numbers(&path).registry_lock()), Some("LOCK_MISMATCH"));
    assert_eq!(names_in(path.parent().unwrap()), LOCK_FILE);
}

/// A lock file that several documents share stays while another reader holds it.
#[test]
fn a_refused_reader_does_not_remove_a_lock_file_that_another_reader_shares() {
    let (_dir, path) = document_path();
    put(&path, "0");
    let guard = path.with_extension("json.guard");
    put(&guard, "");
    let undecided = try_lock_exclusive(&guard).unwrap();
    let lock_file = path.with_extension("lock");
    let shared = thread::scope(|scope| {
        let refused = scope.spawn(|| code(numbers(&path).load_with(&within(300))));
        while !lock_file.exists() {
            assert!(!refused.is_finished(), "it did not wait");
            thread::yield_now();
        }
        let shared = try_lock_shared(&lock_file).unwrap();
        assert_eq!(refused.join().unwrap(), Some("LOCK_TIMEOUT"));
        shared
    });
    assert!(shared.is_in_place().unwrap());
    drop(undecided);
}
