//! The program on a registry in a folder.

use std::fs::{self, File};

use argus_registry::{
    announce_watcher, claim_watcher, read_registry, ClaimOptions, UpdateOptions, WatcherRecord,
};
use serde_json::json;

use crate::running::Running;
use crate::support::Folder;

/// A folder `r` in which this process has claimed `app`, and another process that is dead has `dead`.
fn with_registry() -> Folder {
    let folder = Folder::new();
    let path = folder.path("r/");
    let watcher = |id: &str| WatcherRecord::new(id, "127.0.0.1", 9222);
    let options = UpdateOptions::default();
    claim_watcher(&path, watcher("app"), &ClaimOptions::default(), &options).unwrap();
    let mut dead = watcher("dead");
    dead.pid = 0;
    announce_watcher(&path, dead, &options).unwrap();
    folder
}

fn ids(folder: &Folder) -> Vec<String> {
    read_registry(folder.path("r/")).unwrap().0.ids().map(str::to_owned).collect()
}

#[test]
fn entries_are_listed_pruned_and_removed() {
    let folder = with_registry();
    let listed = folder.run("list --registry r --json").json();
    let alive: Vec<_> = listed["watchers"].as_array().unwrap().iter().collect();
    let facts = alive.iter().map(|watcher| (&watcher["id"], &watcher["alive"]));
    assert_eq!(
        facts.collect::<Vec<_>>(),
        [(&json!("app"), &json!(true)), (&json!("dead"), &json!(false))]
    );
    let checked = folder.run("check r/ --json").json();
    assert_eq!(checked["findings"][0]["code"], "DEAD");
    let dry = folder.run("prune --registry r/ --liveness --dry-run --json").json();
    assert_eq!(dry["pruned"][0]["id"], "dead");
    assert_eq!(ids(&folder), ["app", "dead"]);
    let pruned = folder.run("prune --registry r/ --liveness --json").json();
    assert_eq!((&pruned["pruned"][0]["id"], ids(&folder)), (&json!("dead"), vec!["app".into()]));
    assert!(folder.run("remove app --registry r").stdout.contains("entry removed"));
    assert!(folder.run("remove app --registry r").stdout.contains("no such entry"));
    assert!(ids(&folder).is_empty());
    assert_eq!(folder.run("list --registry missing/ --json").json()["watchers"], json!([]));
    assert_eq!(folder.names(), ["r"]);
}

#[test]
fn the_status_says_what_tells_whether_watchers_live() {
    let folder = with_registry();
    let status = folder.run("status r --json").json();
    let root = folder.path("r");
    assert_eq!(status["path"], root.to_str().unwrap());
    assert_eq!(status["lockFiles"][0], root.join(".guard").to_str().unwrap());
    let facts = ["kind", "state", "guarantee", "claims"].map(|name| &status[name]);
    // Windows can't lock the folder, and there is no guard yet to try it on.
    let locks = if cfg!(windows) { "unknown" } else { "kernel-lock" };
    assert_eq!(facts, ["registry", "free", locks, locks]);
    let text = folder.run("status r/").stdout;
    assert!(text.contains("watchers"), "{text}");
    assert_eq!(text.contains("as long as its process"), !cfg!(windows), "{text}");
    let refused = folder.run("run r/ -- true");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("use a registry file"), "{}", refused.stderr);
}

#[test]
fn a_damaged_entry_is_a_finding_and_a_warning() {
    let folder = with_registry();
    folder.put("r/watchers/torn.json", "{");
    let listed = folder.run("list --registry r --json");
    assert_eq!(listed.json()["warnings"][0]["code"], "DAMAGED_ENTRY");
    assert!(listed.stderr.contains("torn.json"), "{}", listed.stderr);
    let checked = folder.run("check r --json").json();
    assert_eq!(checked["findings"][0]["code"], "DAMAGED_ENTRY");
}

#[allow(clippy::disallowed_methods, reason = "it stands for a process that was killed")]
#[test]
fn the_doctor_finds_and_removes_what_dead_processes_left() {
    let folder = with_registry();
    let young = folder.path(&format!("r/watchers/.{}.tmp", "1".repeat(32)));
    File::create(&young).unwrap();
    let journal = json!({
        "argusRegistryUpdate": 1, "phase": "prepare", "replaced": [], "removed": [],
        "added": [{ "temp": format!(".{}.tmp", "1".repeat(32)), "entry": "x.json" }]
    });
    folder.put("r/.update", &journal.to_string());
    fs::hard_link(&young, folder.path("r/watchers/x.json")).unwrap();
    let litter = |arguments: &str| -> Vec<(String, bool)> {
        let report = folder.run(&format!("doctor r --json {arguments}")).stdout;
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let litter = report["litter"].as_array().unwrap().iter();
        let fact = |found: &serde_json::Value| {
            let kind = found["kind"].as_str().unwrap().to_owned();
            (kind, found["safeToDelete"].as_bool().unwrap())
        };
        litter.map(fact).collect()
    };
    let found = litter("");
    assert!(found.contains(&("JOURNAL".to_owned(), true)), "{found:?}");
    assert!(found.contains(&("TEMP_FILE".to_owned(), false)), "{found:?}");
    litter("--fix");
    assert!(!young.exists() && !folder.path("r/.update").exists());
    assert_eq!(ids(&folder), ["app", "dead"], "the update was undone");
}

#[test]
fn entries_move_between_a_file_and_a_folder() {
    let folder = with_registry();
    let moved = folder.run("migrate r/ r.json --json").json();
    assert_eq!(moved["moved"], 2);
    assert_eq!(moved["kept"], json!([]));
    assert!(ids(&folder).is_empty());
    folder.registry(&["new"]);
    let moved = folder.run("migrate r.json r");
    assert_eq!((moved.code, moved.stdout.contains("moved 3 entries")), (Some(0), true));
    assert_eq!(ids(&folder), ["app", "dead", "new"]);
    folder.registry(&["new"]);
    let kept = folder.run("migrate r.json r");
    assert_eq!(kept.code, Some(2));
    assert!(kept.stderr.contains(": new"), "{}", kept.stderr);
    let usage = folder.run("migrate r.json r --registry x");
    assert_eq!(usage.code, Some(1));
    let same = folder.run("migrate r r/");
    assert_eq!(same.code, Some(2));
    assert!(same.stderr.contains("itself"), "{}", same.stderr);
}

#[test]
fn a_folder_is_mirrored_to_a_file_until_the_program_is_told_to_end() {
    let folder = with_registry();
    let mut mirror = Running::start(folder.command("mirror r/ registry.json"));
    assert_eq!(mirror.line(), "mirroring r/ to registry.json");
    let listed = folder.run("list --registry registry.json --json").json();
    assert_eq!(listed["watchers"].as_array().unwrap().len(), 2);
    let other = folder.run("mirror r/ r");
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("is a registry file"), "{}", other.stderr);
    assert_eq!(folder.run("mirror r/ x.json --registry r").code, Some(1));
    #[cfg(unix)]
    {
        use rustix::process::{kill_process, Pid, Signal};
        kill_process(Pid::from_raw(mirror.child.id() as i32).unwrap(), Signal::TERM).unwrap();
        assert!(mirror.child.wait().unwrap().success());
        let listed = folder.run("list --registry registry.json --json").json();
        assert_eq!(listed["watchers"].as_array().unwrap().len(), 2);
        let refused = folder.run("migrate r registry.json");
        assert!(refused.stderr.contains("registry.json.mirror.json"), "{}", refused.stderr);
    }
    #[cfg(not(unix))]
    mirror.child.kill().unwrap();
}
