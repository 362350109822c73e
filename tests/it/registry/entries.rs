//! Announcing, claiming, renewing and removing an entry.

use std::fs;
use std::path::Path;
use std::sync::{mpsc, Barrier};
use std::thread;
use std::time::Duration;

use argus_registry::{
    announce_watcher, claim_watcher, heartbeat_watcher, prune_stale_watchers, read_registry,
    remove_watcher, update_registry, with_registry_lock, ClaimOptions, Error, LockOptions,
    PruneOptions, WatcherRecord,
};

use crate::support::files::{names_in, put, registry_path, text};
use crate::support::processes::dead_pid;
use crate::support::registries::{ids, of_process, patient, watcher};

#[test]
fn twenty_claims_of_one_id_at_once_get_an_id_each() {
    let (_dir, path) = registry_path();
    let barrier = Barrier::new(20);
    let mut claimed: Vec<_> = thread::scope(|scope| {
        let claims: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    let path = &path;
                    barrier.wait();
                    claim_watcher(path, watcher("app"), &ClaimOptions::default(), &patient())
                        .unwrap()
                        .id
                })
            })
            .collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).collect()
    });
    claimed.sort_by_key(|id| id.strip_prefix("app-").map_or(1, |suffix| suffix.parse().unwrap()));
    let expected: Vec<_> =
        std::iter::once("app".to_owned()).chain((2..=20).map(|n| format!("app-{n}"))).collect();
    assert_eq!(claimed, expected);
    assert_eq!(read_registry(&path).unwrap().0.len(), 20);
}

#[test]
fn a_claim_replaces_the_entry_of_a_dead_process_and_no_other() {
    let (_dir, path) = registry_path();
    let claim = |record, liveness| {
        let claim = ClaimOptions { liveness, ..ClaimOptions::default() };
        claim_watcher(&path, record, &claim, &patient()).unwrap()
    };
    let mine = claim(watcher("mine"), true);
    assert_eq!(claim(mine, true).id, "mine-2", "the process of this test lives, too");
    let mut dead = of_process(dead_pid(), watcher("app"));
    announce_watcher(&path, dead.clone(), &patient()).unwrap();
    assert_eq!(claim(watcher("app"), false).id, "app-2");
    let taken = claim_watcher(&path, watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    assert_eq!((taken.id.as_str(), taken.pid), ("app", std::process::id()));
    // On another host: whether that process lives can't be known here.
    dead.id = "far".into();
    dead.host = "elsewhere.example.org".into();
    announce_watcher(&path, dead, &patient()).unwrap();
    assert_eq!(claim(watcher("far"), true).id, "far-2");
    let exactly = ClaimOptions { suffix: false, ..ClaimOptions::default() };
    let taken = claim_watcher(&path, watcher("app"), &exactly, &patient());
    assert_eq!(taken.unwrap_err().code(), "ID_TAKEN");
    assert_eq!(ids(&path), ["mine", "mine-2", "app", "app-2", "far", "far-2"]);
}

#[test]
fn an_entry_that_is_no_record_is_not_claimed_renewed_or_judged() {
    let (_dir, path) = registry_path();
    let content = "{\n  \"version\": 1,\n  \"updatedAt\": 1,\n  \"watchers\": {\n    \"app\": null,\n    \"\\ud800\": {\n      \"updatedAt\": 5\n    }\n  }\n}";
    put(&path, content);
    assert!(!heartbeat_watcher(&path, "app", &patient()).unwrap());
    let prune = PruneOptions { liveness: true, ttl: Duration::MAX, ..PruneOptions::default() };
    assert!(prune_stale_watchers(&path, &prune, &patient()).unwrap().is_empty());
    assert_eq!(text(&path), content);
    let claim = claim_watcher(&path, watcher("app"), &ClaimOptions::default(), &patient());
    assert_eq!(claim.unwrap().id, "app-2");
    let pruned = prune_stale_watchers(&path, &PruneOptions::default(), &patient()).unwrap();
    assert_eq!(pruned.len(), 1);
    assert_eq!((pruned[0].id().as_str(), pruned[0].watcher().is_none()), ("\\ud800", true));
    assert!(remove_watcher(&path, "app", &patient()).unwrap());
    assert_eq!(ids(&path), ["app-2"]);
}

#[test]
fn a_heartbeat_dates_an_entry_and_changes_nothing_else() {
    let (_dir, path) = registry_path();
    let content = "{\n  \"note\": 1e2,\n  \"version\": 1,\n  \"updatedAt\": 1,\n  \"watchers\": {\n    \"__proto__\": {\n      \"port\": 80.0,\n      \"updatedAt\": 5,\n      \"pid\": 7,\n      \"startedAt\": 3.5,\n      \"later\": \"\\udc00\"\n    }\n  }\n}";
    put(&path, content);
    let claim = |pid| argus_registry::WatcherClaim { id: "__proto__".into(), pid, started_at: 3 };
    assert!(!heartbeat_watcher(&path, claim(8), &patient()).unwrap());
    assert_eq!(text(&path), content);
    for watcher_ref in ["__proto__".into(), argus_registry::WatcherRef::Claim(claim(7))] {
        put(&path, content);
        assert!(heartbeat_watcher(&path, watcher_ref, &patient()).unwrap());
        let after = text(&path);
        let now = read_registry(&path).unwrap().0.updated_at();
        let expected = content
            .replace("  \"updatedAt\": 1,", &format!("  \"updatedAt\": {now},"))
            .replace("  \"updatedAt\": 5,", &format!("  \"updatedAt\": {now},"));
        assert_eq!(after, expected);
    }
}

/// A watcher stops: its entry is removed while a heartbeat of its own waits for the lock. A plain
/// locked read-modify-write, which writes the record whatever it finds, would bring the entry back.
#[test]
fn a_heartbeat_that_waits_for_the_lock_does_not_bring_a_removed_entry_back() {
    let (_dir, path) = registry_path();
    let record = watcher("app");
    announce_watcher(&path, record.clone(), &patient()).unwrap();
    let (held, holds) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    let path = &path;
    let beat = |record: WatcherRecord| heartbeat_watcher(path, record, &patient()).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let removal = |registry: &mut argus_registry::RegistryV1| {
                held.send(()).unwrap();
                goes.recv().unwrap();
                registry.remove_watcher("app");
                Ok::<_, Error>(())
            };
            update_registry(path, &patient(), removal).unwrap();
        });
        holds.recv().unwrap();
        let beat = scope.spawn(move || beat(record));
        go.send(()).unwrap();
        assert!(!beat.join().unwrap());
    });
    assert!(ids(path).is_empty());
}

#[test]
fn a_watcher_does_not_renew_or_remove_the_entry_of_its_restarted_successor() {
    let (_dir, path) = registry_path();
    let old = watcher("app");
    announce_watcher(&path, old.clone(), &patient()).unwrap();
    let mut new = old.clone();
    new.started_at += 1;
    announce_watcher(&path, new.clone(), &patient()).unwrap();
    let before = text(&path);
    assert!(!heartbeat_watcher(&path, old.clone(), &patient()).unwrap());
    assert!(!remove_watcher(&path, old.claim(), &patient()).unwrap());
    assert!(!remove_watcher(&path, old.clone(), &patient()).unwrap());
    assert_eq!(text(&path), before);
    assert!(remove_watcher(&path, new.claim(), &patient()).unwrap());
    // Two watchers that were started in one millisecond.
    new.started_at = old.started_at;
    new.pid += 1;
    announce_watcher(&path, new, &patient()).unwrap();
    assert!(!heartbeat_watcher(&path, old.clone(), &patient()).unwrap());
    assert!(!heartbeat_watcher(&path, old.claim(), &patient()).unwrap());
    assert!(!remove_watcher(&path, old, &patient()).unwrap());
}

#[test]
fn with_nothing_to_do_no_lock_is_taken_and_no_file_is_made() {
    let (dir, path) = registry_path();
    let missing = dir.path().join("missing").join("registry.json");
    let prune = |path: &Path| prune_stale_watchers(path, &PruneOptions::default(), &patient());
    assert!(prune(&missing).unwrap().is_empty());
    assert!(!heartbeat_watcher(&missing, "app", &patient()).unwrap());
    assert!(!remove_watcher(&missing, "app", &patient()).unwrap());
    assert_eq!(names_in(dir.path()).len(), 0);
    put(&path, "bad");
    assert!(prune(&path).unwrap().is_empty());
    assert_eq!(names_in(dir.path()).len(), 1);
    put(&path, "{\"version\":2}");
    assert_eq!(prune(&path).unwrap_err().code(), "UNSUPPORTED_VERSION");
    fs::remove_file(&path).unwrap();
    announce_watcher(&path, watcher("app"), &patient()).unwrap();
    with_registry_lock(&path, &LockOptions::default(), |_| {
        thread::scope(|scope| {
            let pruned = scope.spawn(|| prune(&path)).join().unwrap();
            assert!(pruned.unwrap().is_empty());
        });
        Ok::<_, Error>(())
    })
    .unwrap();
}

#[test]
fn an_empty_id_is_refused() {
    let (_dir, path) = registry_path();
    let announced = announce_watcher(&path, watcher(""), &patient());
    assert_eq!(announced.unwrap_err().code(), "INVALID_VALUE");
    let claimed = claim_watcher(&path, watcher(""), &ClaimOptions::default(), &patient());
    assert_eq!(claimed.unwrap_err().code(), "INVALID_VALUE");
    assert!(!path.exists());
}
