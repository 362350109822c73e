//! Containers that share a registry with each other and with the machine around them: a pid means a
//! process in the pid namespace of its watcher, and nothing in another one.

use std::env;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use argus_registry::{
    announce_watcher, claim_watcher, heartbeat_watcher, prune_stale_watchers, read_registry,
    ClaimOptions, PruneOptions, PruneReason, WatcherRecord,
};
use serde_json::{json, Value};

use crate::support::files::{put, registry_path, text};
use crate::support::pid_namespaces::{numbered, with_hidden_processes, PidNamespaces};
use crate::support::processes::{again, dead_pid, this_test, Holder, PART};
use crate::support::registries::{ids, patient, watcher};
use crate::support::users::{said_by, Users, ALICE};

/// A watcher that runs since an hour, and has renewed its entry lately: to a process that takes its own
/// namespace's process with that pid for it, it looks dead.
fn long_running(id: &str) -> WatcherRecord {
    let mut record = watcher(id);
    record.started_at -= 3_600_000;
    record
}

/// Writes an entry as older argus versions do.
fn put_old_entry(path: &Path, record: &WatcherRecord) {
    let WatcherRecord { pid, started_at, updated_at, .. } = record;
    let entry = json!({
        "id": "app", "host": "127.0.0.1", "port": 1, "pid": pid,
        "startedAt": started_at, "updatedAt": updated_at,
    });
    put_entry(path, &entry);
}

fn put_entry(path: &Path, entry: &Value) {
    let registry = json!({ "version": 1, "updatedAt": 1, "watchers": { "app": entry } });
    put(path, &registry.to_string());
}

fn entry(path: &Path) -> Value {
    serde_json::from_str::<Value>(&text(path)).unwrap()["watchers"]["app"].take()
}

fn claimed(path: &Path, ttl: Duration) -> String {
    let claim = ClaimOptions { ttl, ..ClaimOptions::default() };
    claim_watcher(path, watcher("app"), &claim, &patient()).unwrap().id
}

fn claim(path: &Path) -> String {
    claimed(path, ClaimOptions::default().ttl)
}

/// The ids that are pruned as dead.
fn pruned_as_dead(path: &Path) -> Vec<String> {
    let prune = PruneOptions { liveness: true, ttl: Duration::MAX, ..PruneOptions::default() };
    let pruned = prune_stale_watchers(path, &prune, &patient()).unwrap();
    assert!(pruned.iter().all(|pruned| pruned.reason() == PruneReason::Dead));
    pruned.iter().map(|pruned| pruned.id()).collect()
}

fn is_alive(path: &Path) -> Option<bool> {
    read_registry(path).unwrap().0.watcher("app").unwrap().is_alive()
}

/// Checks that a process which can't judge the watcher `app` leaves its fresh entry alone.
fn assert_not_judged(path: &Path, seen_from: &str) {
    let before = entry(path);
    assert_eq!(is_alive(path), None, "{seen_from}");
    assert_eq!(pruned_as_dead(path), [""; 0], "{seen_from}");
    assert_eq!(claim(path), "app-2", "{seen_from}");
    assert_eq!(entry(path), before, "{seen_from}");
    assert_eq!(ids(path), ["app", "app-2"], "{seen_from}");
}

/// In a process that a test has started: takes that process's part in the test, and returns true.
fn took_part() -> bool {
    let Ok(part) = env::var(PART) else { return false };
    let (part, path) = part.rsplit_once(' ').unwrap();
    let path = PathBuf::from(path);
    match part {
        "announce" | "announce long-running" | "old" | "old long-running" => {
            let is_new = !part.ends_with("long-running");
            let record = if is_new { watcher("app") } else { long_running("app") };
            match part.starts_with("old") {
                true => put_old_entry(&path, &record),
                false => announce_watcher(&path, record, &patient()).unwrap(),
            }
            println!("announced by {}", std::process::id());
        }
        "judge" | "announce and judge" => {
            if part != "judge" {
                announce_watcher(&path, long_running("app"), &patient()).unwrap();
            }
            assert_not_judged(&path, "inside");
            println!("not judged");
        }
        "reuse" => {
            let number = dead_pid();
            for (part, said) in [("announce long-running", "announced"), ("wait", "waiting")] {
                let command = numbered(number, &here(&format!("{part} {}", path.display())));
                let holder = Holder::start(command, said);
                assert!(holder.said.ends_with(&format!(" {number}")), "{}", holder.said);
                if part != "wait" {
                    holder.end();
                    continue;
                }
                assert_eq!(is_alive(&path), Some(false));
                println!("claimed {}", claim(&path));
                holder.end();
            }
        }
        "claim" => println!("claimed {}", claim(&path)),
        "wait" => println!("waiting as {}", std::process::id()),
        other => unreachable!("no part {other}"),
    }
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    true
}

/// This process's program and test again, with another part.
fn here(part: &str) -> Command {
    let arguments: Vec<_> = env::args().collect();
    let test = arguments.iter().find(|argument| argument.contains("::")).unwrap();
    again(&env::current_exe().unwrap(), test, part)
}

struct Test {
    _dir: tempfile::TempDir,
    path: PathBuf,
    namespaces: PidNamespaces,
    name: &'static str,
}

impl Test {
    /// `None` in a process that takes part in a test, after its part, and where tests can't run.
    fn start(name: &'static str) -> Option<Self> {
        if took_part() {
            return None;
        }
        let namespaces = PidNamespaces::of_test(name)?;
        let (dir, path) = registry_path();
        Some(Test { _dir: dir, path, namespaces, name })
    }

    fn command(&self, part: &str) -> Command {
        let part = format!("{part} {}", self.path.display());
        again(&env::current_exe().unwrap(), self.name, part)
    }
}

#[test]
fn a_watcher_in_a_container_keeps_its_id_from_processes_outside() {
    let Some(test) = Test::start(this_test!()) else { return };
    for part in ["announce", "old"] {
        let pid = dead_pid();
        let container = test.namespaces.with_pid(pid, &test.command(part));
        let container = Holder::start(container, "announced");
        assert!(container.said.ends_with(&format!(" {pid}")), "{}", container.said);
        assert_not_judged(&test.path, part);
        container.end();
        std::fs::remove_file(&test.path).unwrap();
    }
}

#[test]
fn a_watcher_outside_keeps_its_id_from_processes_in_a_container() {
    let Some(test) = Test::start(this_test!()) else { return };
    for part in ["announce", "old"] {
        let part = format!("{part} long-running");
        let outside = Holder::start(test.command(&part), "announced");
        Holder::start(test.namespaces.first(&test.command("judge")), "not judged").end();
        outside.end();
        std::fs::remove_file(&test.path).unwrap();
    }
}

/// In each of two containers the watcher is the first process. The second one took the entry of the
/// first for one of its own pid's past.
#[test]
fn the_first_processes_of_two_containers_are_two_watchers() {
    let Some(test) = Test::start(this_test!()) else { return };
    for part in ["announce", "old"] {
        let part = format!("{part} long-running");
        let first = Holder::start(test.namespaces.first(&test.command(&part)), "announced");
        assert!(first.said.ends_with("by 1"), "{}", first.said);
        Holder::start(test.namespaces.first(&test.command("judge")), "not judged").end();
        first.end();
        std::fs::remove_file(&test.path).unwrap();
    }
}

#[test]
fn in_its_own_container_a_dead_watcher_is_found_although_its_pid_was_reused() {
    let Some(test) = Test::start(this_test!()) else { return };
    let container = Holder::start(test.namespaces.first(&test.command("reuse")), "claimed");
    assert!(container.said.ends_with("claimed app"), "{}", container.said);
    container.end();
}

/// `unshare --pid` without `--mount-proc`: `/proc` shows other processes by the numbers that this
/// process's namespace gives its own. Here one of them is a zombie.
#[test]
fn a_process_with_the_proc_of_another_namespace_judges_nothing() {
    let Some(test) = Test::start(this_test!()) else { return };
    let mut zombie = Command::new("true").stdout(Stdio::null()).spawn().unwrap();
    let command = test.command("announce and judge");
    let container = test.namespaces.with_outer_proc(zombie.id(), &command);
    Holder::start(container, "not judged").end();
    zombie.wait().unwrap();
}

/// A process that does not see all others can't know that none of them has the pid in a namespace of
/// its own.
#[test]
fn a_user_from_whom_processes_are_hidden_judges_no_entry_of_an_older_argus() {
    let Some(test) = Test::start(this_test!()) else { return };
    let Some(users) = Users::of_test(test.name) else { return };
    let path = users.folder("shared", ALICE, ALICE, 0o755).join("registry.json");
    let mut old = watcher("app");
    old.pid = dead_pid();
    put_old_entry(&path, &old);
    std::os::unix::fs::chown(&path, Some(ALICE), Some(ALICE)).unwrap();
    let judge = users.command(ALICE, "judge", &path);
    assert!(said_by(with_hidden_processes(&judge)).contains("not judged"));
    assert!(users.run(ALICE, "claim", &path).contains("claimed app\n"));
}

#[test]
fn an_entry_that_can_not_be_judged_is_replaced_by_a_claim_when_it_is_expired() {
    let Some(test) = Test::start(this_test!()) else { return };
    let container = test.namespaces.with_pid(dead_pid(), &test.command("announce"));
    Holder::start(container, "announced").end();
    let mut left = entry(&test.path);
    left["updatedAt"] = json!(left["updatedAt"].as_u64().unwrap() - 61_000);
    put_entry(&test.path, &left);
    assert_eq!(is_alive(&test.path), None);
    assert_eq!(claimed(&test.path, Duration::MAX), "app-2");
    assert_eq!(claimed(&test.path, Duration::from_secs(120)), "app-3");
    assert_eq!(claim(&test.path), "app");
    assert_eq!(is_alive(&test.path), Some(true));
}

#[test]
fn an_entry_of_an_earlier_boot_is_dead_at_once_unless_it_is_renewed() {
    let Some(test) = Test::start(this_test!()) else { return };
    let path = &test.path;
    announce_watcher(path, watcher("app"), &patient()).unwrap();
    let own = entry(path);
    let boot = SystemTime::now() - Duration::from_secs(uptime() + 60);
    let boot = boot.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    let of_earlier_boot = |updated_at: u64, change: fn(&mut Value)| {
        let mut entry = own.clone();
        entry["startedAt"] = json!(boot - 1_000);
        entry["updatedAt"] = json!(updated_at);
        entry["pidScope"]["boot"] = json!("00000000-0000-4000-8000-000000000000");
        change(&mut entry["pidScope"]);
        put_entry(path, &entry);
    };
    if own["pidScope"]["machine"].is_null() {
        return crate::support::processes::print_skipped(
            test.name,
            "this system has no machine id",
        );
    }
    of_earlier_boot(boot, |_| {});
    assert_eq!(is_alive(path), Some(false));
    assert_eq!(claimed(path, Duration::MAX), "app");
    of_earlier_boot(boot, |_| {});
    assert_eq!(pruned_as_dead(path), ["app"]);
    // What is renewed now, belongs to a process that runs now: of a machine with the id of this one.
    of_earlier_boot(own["updatedAt"].as_u64().unwrap(), |_| {});
    assert_not_judged(path, "renewed");
    of_earlier_boot(boot, |scope| scope["machine"] = json!("another"));
    assert_eq!((is_alive(path), pruned_as_dead(path).len()), (None, 0), "another machine");
    of_earlier_boot(boot, |scope| scope["namespace"] = json!(7));
    assert_eq!((is_alive(path), pruned_as_dead(path).len()), (None, 0), "a container");
}

fn uptime() -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    uptime.split('.').next().unwrap().parse().unwrap()
}

#[test]
fn the_scope_of_a_pid_is_written_for_the_process_itself_and_kept_for_others() {
    let (_dir, path) = registry_path();
    if took_part() {
        return;
    }
    let scope = |path: &Path| entry(path)["pidScope"].clone();
    announce_watcher(&path, watcher("app"), &patient()).unwrap();
    let own = scope(&path);
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!((&own["pid"], &own["boot"]), (&json!(std::process::id()), &json!(boot.trim())));
    // A heartbeat by claim or record of the process itself writes it; one by id only dates the entry.
    let mut without = entry(&path);
    without.as_object_mut().unwrap().remove("pidScope");
    let record: WatcherRecord = serde_json::from_str(&without.to_string()).unwrap();
    put_entry(&path, &without);
    assert!(heartbeat_watcher(&path, "app", &patient()).unwrap());
    assert_eq!(scope(&path), Value::Null);
    assert!(heartbeat_watcher(&path, record.claim(), &patient()).unwrap());
    assert_eq!(scope(&path), own);
    put_entry(&path, &without);
    assert!(heartbeat_watcher(&path, record, &patient()).unwrap());
    assert_eq!(scope(&path), own);
    // For another process this one can't know it.
    let mut other = watcher("app");
    other.pid = dead_pid();
    announce_watcher(&path, other.clone(), &patient()).unwrap();
    assert_eq!(scope(&path), Value::Null);
    let judged_without_scope = is_alive(&path);
    let mut of_other = entry(&path);
    of_other["pidScope"] = json!({ "pid": other.pid, "boot": "b", "namespace": 7 });
    let kept = of_other["pidScope"].clone();
    let record: WatcherRecord = serde_json::from_str(&of_other.to_string()).unwrap();
    announce_watcher(&path, record.clone(), &patient()).unwrap();
    assert_eq!(scope(&path), kept);
    // A copy with another pid keeps it, and it says nothing about that pid.
    let mut copy = record;
    copy.pid = dead_pid();
    announce_watcher(&path, copy, &patient()).unwrap();
    assert_eq!((scope(&path), is_alive(&path)), (kept, judged_without_scope));
}
