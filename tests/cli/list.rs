//! `list`, `watch` and `prune`: the entries of a registry.

use std::fs;
#[cfg(unix)]
use std::io::{BufRead, BufReader};
#[cfg(unix)]
use std::process::Stdio;

use serde_json::{json, Value};

use crate::fixtures::busy;
#[cfg(unix)]
use crate::running::Running;
use crate::support::Folder;

#[test]
fn json_says_what_the_tables_say() {
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

/// A container's watcher: its pid names no process here, or another one.
#[test]
fn a_watcher_of_another_pid_namespace_is_not_taken_for_dead() {
    let folder = Folder::new();
    folder.registry(&["app"]);
    let mut registry: Value =
        serde_json::from_str(&fs::read_to_string(folder.path("r.json")).unwrap()).unwrap();
    let entry = &mut registry["watchers"]["app"];
    entry["pid"] = i32::MAX.into();
    entry["pidScope"] = json!({ "pid": i32::MAX, "boot": "another", "namespace": 1 });
    folder.put("r.json", &registry.to_string());
    let listed = folder.run("list --registry r.json --json").json();
    assert_eq!(listed["watchers"][0]["alive"], Value::Null);
    let pruned = folder.run("prune --registry r.json --liveness --json").json();
    assert_eq!(pruned["pruned"], json!([]));
    let checked = folder.run("check r.json --json");
    assert_eq!((checked.json()["findings"].clone(), checked.code), (json!([]), Some(0)));
    let listed = folder.run("list --registry r.json --json").json();
    assert_eq!(listed["watchers"][0]["id"], "app");
}

/// A script that reads a table gets every value whole, and columns by spaces alone.
#[test]
fn a_table_has_no_colour_and_cuts_nothing_however_narrow_the_terminal_is() {
    let folder = Folder::new();
    let long = "a-long-name-".repeat(20);
    folder.registry(&[&long, "字"]);
    let mut command = folder.command("list --registry r.json");
    command.env("COLUMNS", "20").env("CLICOLOR_FORCE", "1").env("TERM", "xterm-256color");
    let table = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    let pid = std::process::id();
    assert!(lines[1].starts_with(&format!("{long}  {pid}  ")), "{table}");
    // This character is two columns wide.
    let padding = " ".repeat(long.len());
    assert!(lines[2].starts_with(&format!("字{padding}{pid}  ")), "{table}");
    assert!(lines.iter().all(|line| !line.ends_with(' ')), "{table:?}");
    assert!(!table.contains('\u{1b}'), "{table:?}");
}

#[test]
fn a_time_to_live_is_in_seconds_with_or_without_a_fraction() {
    let folder = Folder::new();
    folder.registry(&["expired"]);
    for (ttl, code) in [("3500", 3), ("3599.5", 3), ("4000", 0), ("4000.5", 0)] {
        assert_eq!(folder.run(&format!("check r.json --ttl {ttl}")).code, Some(code), "{ttl}");
    }
}

#[cfg(unix)]
#[test]
fn a_watch_prints_a_state_per_line_and_ends_with_its_reader() {
    let folder = Folder::new();
    let mut command = folder.command("watch --registry r.json --json");
    command.stderr(Stdio::piped());
    let mut running = Running::start(command);
    let mut errors = BufReader::new(running.child.stderr.take().unwrap()).lines();
    let ids = |line: String| -> Vec<String> {
        let state: Value = serde_json::from_str(&line).unwrap();
        let watchers = state["watchers"].as_array().unwrap().iter();
        watchers.map(|watcher| watcher["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(running.line()), [""; 0]);
    folder.registry(&["app"]);
    assert_eq!(ids(running.line()), ["app"]);
    // A file that becomes corrupt does not end the watch.
    folder.put("r.json", "{");
    assert_eq!(ids(running.line()), [""; 0]);
    folder.put("r.json", "").registry(&["other"]);
    while ids(running.line()) != ["other"] {}
    // Nor does one that can't be read for a while.
    fs::remove_file(folder.path("r.json")).unwrap();
    fs::create_dir(folder.path("r.json")).unwrap();
    while !errors.next().expect("it ended").unwrap().contains("not a regular file") {}
    fs::remove_dir(folder.path("r.json")).unwrap();
    folder.registry(&["again"]);
    while ids(running.line()) != ["again"] {}
    // No change follows: the program has to notice the closed pipe without one.
    let Running { mut child, lines } = running;
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
