//! Processes on a machine without `/proc`, as in some sandboxes: the system tells neither when a process began nor in
//! which namespace it is.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use argus_registry::read_registry;

use crate::support::files::registry_path;
use crate::support::processes::{claim_of_app, claimant_by, print_skipped, this_test};

/// Puts an empty file system in the place of `/proc`.
const SCRIPT: &str = "mount -t tmpfs none /proc && exec \"$@\"";

/// Makes the commands of a test run without `/proc`; `None`, with a printed reason, where that can't be done.
fn hiding_proc(test: &str) -> Option<impl Fn(&Command) -> Command> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let wrapped = |way: &[&str], command: &Command| {
        let mut unshare = Command::new("unshare");
        unshare.args(way).args(["sh", "-c", SCRIPT, "sh"]);
        unshare.arg(command.get_program()).args(command.get_args());
        unshare
    };
    let works = |way: &&[&str]| {
        let done = wrapped(way, &Command::new("true")).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success())
    };
    let way = ways.into_iter().find(works);
    if way.is_none() {
        print_skipped(test, "`unshare --mount` fails here, as root and with `--user`");
    }
    let way = way?;
    Some(move |command: &Command| wrapped(way, command))
}

/// The id that a process gets that claims `app` and ends.
fn claimed_by(mut command: Command) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success());
    lines.last().unwrap().clone()
}

fn is_alive(path: &Path, id: &str) -> Option<bool> {
    read_registry(path).unwrap().0.watcher(id).unwrap().is_alive()
}

/// A pid alone says too little: the process may be in another container.
#[test]
fn an_entry_in_a_file_is_not_judged_and_keeps_its_id_and_a_killed_process_keeps_no_lock() {
    let Some(hidden) = hiding_proc(this_test!()) else { return };
    let (_dir, path) = registry_path();
    let mut holder = claimant_by(hidden(&claim_of_app(&path)));
    assert_eq!(is_alive(&path, "app"), None);
    assert_eq!(claimed_by(hidden(&claim_of_app(&path))), "app-2");
    assert_eq!(claimed_by(claim_of_app(&path)), "app-3");
    holder.child.kill().unwrap();
    holder.child.wait().unwrap();
    assert_eq!(claimed_by(hidden(&claim_of_app(&path))), "app-4");
    assert_eq!(is_alive(&path, "app"), None);
}

#[test]
fn an_entry_in_a_folder_is_judged_by_its_lock() {
    let Some(hidden) = hiding_proc(this_test!()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    let mut holder = claimant_by(hidden(&claim_of_app(&path)));
    assert_eq!(claimed_by(hidden(&claim_of_app(&path))), "app-2");
    assert_eq!(claimed_by(claim_of_app(&path)), "app-2");
    holder.child.kill().unwrap();
    holder.child.wait().unwrap();
    assert_eq!(claimed_by(hidden(&claim_of_app(&path))), "app");
    assert_eq!(claimed_by(claim_of_app(&path)), "app");
}
