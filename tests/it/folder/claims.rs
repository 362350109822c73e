//! Which process holds a claim, and what others may do with its entry.

use std::env;
use std::io::Read;
use std::process::Command;

use argus_registry::{
    announce_watcher, claim_watcher, heartbeat_watcher, prune_stale_watchers, read_registry,
    remove_watcher, update_registry, ClaimOptions, Error, FolderStore, PruneOptions, RegistryStore,
};

use crate::support::processes::{again, claimant, this_test, Holder, PART};
use crate::support::registries::{ids, of_process, patient, watcher};

fn prune_dead(path: &std::path::Path) -> usize {
    let prune = PruneOptions { liveness: true, ..PruneOptions::default() };
    prune_stale_watchers(path, &prune, &patient()).unwrap().len()
}

fn is_alive(path: &std::path::Path) -> Option<bool> {
    let record = read_registry(path).unwrap().0.watcher("app").unwrap();
    FolderStore::new(path).is_alive("app", &record)
}

#[test]
fn a_killed_process_is_known_to_be_dead_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    let mut holder = claimant(&path);
    assert_eq!(is_alive(&path), Some(true));
    let next = || claim_watcher(&path, watcher("app"), &ClaimOptions::default(), &patient());
    assert_eq!(next().unwrap().id, "app-2");
    holder.child.kill().unwrap();
    holder.child.wait().unwrap();
    assert_eq!(is_alive(&path), Some(false));
    let own = next().unwrap();
    assert_eq!((own.id.as_str(), own.pid), ("app", std::process::id()));
    let mut holder = claimant(&dir.path().join("other/"));
    assert_eq!(prune_dead(&dir.path().join("other/")), 0);
    holder.child.kill().unwrap();
    holder.child.wait().unwrap();
    assert_eq!(prune_dead(&dir.path().join("other/")), 1);
}

/// Its pid, which is reused for another process, tells nothing.
#[test]
fn a_dead_process_is_known_by_its_lock_and_not_by_its_pid() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    let mut holder = claimant(&path);
    let file = path.join("watchers/app.json");
    holder.child.kill().unwrap();
    holder.child.wait().unwrap();
    // As if this process had got the pid, and were in another container.
    let text = std::fs::read_to_string(&file).unwrap();
    let pid = format!("\"pid\": {}", holder.child.id());
    let text = text.replace(&pid, &format!("\"pid\": {}", std::process::id()));
    crate::support::files::put(&file, &text);
    assert_eq!(is_alive(&path), Some(false));
    assert_eq!(prune_dead(&path), 1);
}

/// Outside of its container, its pid is another process's or none.
#[cfg(target_os = "linux")]
#[test]
fn a_process_in_a_container_is_judged_from_outside_by_its_lock() {
    use crate::support::pid_namespaces::PidNamespaces;
    use crate::support::processes::{claim_of_app, claimant_by, dead_pid};
    use rustix::process::{kill_process, Pid, Signal};
    let Some(namespaces) = PidNamespaces::of_test(this_test!()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    let mut holder = claimant_by(namespaces.with_pid(dead_pid(), &claim_of_app(&path)));
    assert_eq!(is_alive(&path), Some(true));
    assert_eq!(prune_dead(&path), 0);
    let unshare = holder.child.id();
    let first =
        std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap();
    // The first process of the namespace: with it the kernel ends all others, before it is gone itself.
    kill_process(Pid::from_raw(first.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    holder.child.wait().unwrap();
    assert_eq!(is_alive(&path), Some(false));
    assert_eq!(prune_dead(&path), 1);
}

/// The changed entry got the date that it had when the update began, and the watcher was pruned.
#[test]
fn heartbeats_that_come_while_an_update_runs_count() {
    for others in [&[][..], &["other", "third"]] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry/");
        let mut record = watcher("app");
        record.updated_at -= 60_000;
        let claimed =
            claim_watcher(&path, record.clone(), &ClaimOptions::default(), &patient()).unwrap();
        let update = |date: Option<u64>| {
            update_registry(&path, &patient(), |registry| {
                let mut app = registry.watcher("app").unwrap();
                app.port += 1;
                app.updated_at = date.unwrap_or(app.updated_at);
                registry.set_watcher(app);
                others.iter().for_each(|id| registry.set_watcher(watcher(id)));
                let beat = || heartbeat_watcher(&path, claimed.claim(), &patient()).unwrap();
                assert!(std::thread::scope(|scope| scope.spawn(beat).join().unwrap()));
                Ok::<_, Error>(())
            })
            .unwrap();
            let app = read_registry(&path).unwrap().0.watcher("app").unwrap();
            (app.port, app.updated_at)
        };
        let (port, date) = update(None);
        assert_eq!(port, record.port + 1);
        assert!(date > record.updated_at + 50_000, "{date}");
        // An earlier date is one that the updater has chosen.
        assert_eq!(update(Some(5)), (record.port + 2, 5));
        assert!(heartbeat_watcher(&path, claimed.claim(), &patient()).unwrap());
    }
}

#[cfg(unix)]
#[test]
fn a_frozen_process_lives() {
    use rustix::process::{kill_process, Pid, Signal};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    let holder = claimant(&path);
    let pid = Pid::from_raw(holder.child.id() as i32).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    assert_eq!(is_alive(&path), Some(true));
    assert_eq!(prune_dead(&path), 0);
    let next = claim_watcher(&path, watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    assert_eq!(next.id, "app-2");
    kill_process(pid, Signal::CONT).unwrap();
    holder.end();
}

/// A child process has a copy of its parent's open files until it runs its own program.
#[test]
fn a_child_that_outlives_its_parent_does_not_keep_the_claim() {
    if let Ok(path) = env::var(PART) {
        claim_watcher(&path, watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
        // It has the parent's standard input, which ends with the test.
        #[allow(clippy::zombie_processes, reason = "this process is killed before its child ends")]
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "folder::claims::waits_for_the_end_of_its_input", "--nocapture"])
            .env(PART, "wait")
            .spawn()
            .unwrap();
        println!("started {}", child.id());
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    let mut parent =
        Holder::start(again(&env::current_exe().unwrap(), this_test!(), &path), "started");
    assert_eq!(is_alive(&path), Some(true));
    parent.child.kill().unwrap();
    parent.child.wait().unwrap();
    assert_eq!(is_alive(&path), Some(false));
    parent.end();
}

/// The child of the test above. Without a part it is nothing.
#[test]
fn waits_for_the_end_of_its_input() {
    if env::var(PART).is_ok_and(|part| part == "wait") {
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }
}

/// An update has added it, so no lock tells that the process lives, and its pid has to. A claim must not leave
/// anything that looks like the lock of an ended process.
#[test]
fn an_entry_of_a_live_process_that_claimed_nothing_keeps_its_id_however_often_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    let other = claimant(&dir.path().join("other/"));
    let record = of_process(other.child.id(), watcher("app"));
    update_registry(&path, &patient(), |registry| {
        registry.set_watcher(record.clone());
        Ok::<_, Error>(())
    })
    .unwrap();
    for id in ["app-2", "app-3", "app-4"] {
        let claim = claim_watcher(&path, watcher("app"), &ClaimOptions::default(), &patient());
        assert_eq!(claim.unwrap().id, id);
    }
    assert_eq!(is_alive(&path), Some(true));
    other.end();
}

#[test]
fn only_its_own_process_changes_the_record_of_a_live_watcher() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    let holder = claimant(&path);
    let mut record = read_registry(&path).unwrap().0.watcher("app").unwrap();
    record.port = 7;
    let by_update = update_registry(&path, &patient(), |registry| {
        registry.set_watcher(record.clone());
        registry.set_watcher(watcher("new"));
        Ok::<_, Error>(())
    });
    let by_heartbeat = heartbeat_watcher(&path, record.clone(), &patient());
    for error in [by_update.unwrap_err(), by_heartbeat.unwrap_err()] {
        assert_eq!(error.code(), "UNSUPPORTED");
        assert!(error.to_string().contains("'app' belongs to another process"), "{error}");
    }
    assert_eq!(ids(&path), ["app"]);
    assert_ne!(read_registry(&path).unwrap().0.watcher("app").unwrap().port, 7);
    // Dating it, and removing it, are no changes of its fields.
    assert!(heartbeat_watcher(&path, "app", &patient()).unwrap());
    assert!(remove_watcher(&path, record.claim(), &patient()).unwrap());
    assert!(ids(&path).is_empty());
    holder.end();
}

#[test]
fn an_entry_that_another_process_removed_or_replaced_is_lost_and_not_restored() {
    if let Ok(path) = env::var(PART) {
        assert!(remove_watcher(&path, "removed", &patient()).unwrap());
        announce_watcher(&path, watcher("replaced"), &patient()).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    let claimed = ["removed", "replaced", "deleted"]
        .map(|id| claim_watcher(&path, watcher(id), &ClaimOptions::default(), &patient()).unwrap());
    let output = again(&env::current_exe().unwrap(), this_test!(), &path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    crate::support::files::take_away(&path.join("watchers/deleted.json"));
    for record in claimed {
        for _ in 0..2 {
            assert!(!heartbeat_watcher(&path, record.claim(), &patient()).unwrap());
            assert!(!heartbeat_watcher(&path, record.clone(), &patient()).unwrap());
        }
        assert!(!remove_watcher(&path, record.claim(), &patient()).unwrap());
    }
    assert_eq!(ids(&path), ["replaced"]);
}

#[cfg(unix)]
#[test]
fn a_claim_is_found_by_every_path_of_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("registry");
    std::fs::create_dir(&real).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let mut record =
        claim_watcher(&link, watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    for path in [&link, &real, &dir.path().join("registry/../registry/")] {
        record.port += 1;
        assert!(heartbeat_watcher(path, record.claim(), &patient()).unwrap());
        // The process that holds the claim may change the record.
        assert!(heartbeat_watcher(path, record.clone(), &patient()).unwrap());
    }
    assert_eq!(read_registry(&real).unwrap().0.watcher("app").unwrap().port, record.port);
    // The link leads to another folder now, in which there is no such watcher.
    std::fs::create_dir(dir.path().join("other")).unwrap();
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(dir.path().join("other"), &link).unwrap();
    assert!(ids(&link).is_empty());
    assert!(remove_watcher(&real, record.claim(), &patient()).unwrap());
    assert!(!heartbeat_watcher(&link, record.claim(), &patient()).unwrap());
}
