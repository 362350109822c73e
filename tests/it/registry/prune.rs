//! Removing entries that are expired or whose process is dead.

use std::fs;
use std::time::{Duration, SystemTime};

use argus_registry::{
    announce_watcher, prune_stale_watchers, read_registry, stale_watchers, PruneOptions,
    PruneReason, PrunedWatcher,
};

use crate::support::files::{put, registry_path};
use crate::support::processes::dead_pid;
use crate::support::registries::{ids, of_process, patient, watcher};

#[test]
fn entries_are_pruned_by_age_and_on_request_by_liveness() {
    let (_dir, path) = registry_path();
    let announce = |id: &str, age: u64, pid: Option<u32>, host: &str| {
        let mut record = watcher(id);
        record.updated_at -= age;
        record = of_process(pid.unwrap_or(record.pid), record);
        record.host = host.into();
        announce_watcher(&path, record, &patient()).unwrap();
    };
    let dead = Some(dead_pid());
    announce("young", 0, None, "127.0.0.1");
    announce("old", 61_000, None, "127.0.0.1");
    announce("dead", 0, dead, "127.0.0.1");
    announce("far", 0, dead, "10.0.0.1");
    let prune = |liveness| {
        let prune = PruneOptions { liveness, ..PruneOptions::default() };
        let pruned = prune_stale_watchers(&path, &prune, &patient()).unwrap();
        pruned.into_iter().map(|pruned| (pruned.id(), pruned.reason())).collect::<Vec<_>>()
    };
    let by_default = prune_stale_watchers(&path, &PruneOptions::default(), &patient()).unwrap();
    assert_eq!(by_default.iter().map(|pruned| pruned.id()).collect::<Vec<_>>(), ["old"]);
    announce("old", 61_000, None, "127.0.0.1");
    let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    let early = PruneOptions { now: Some(before_1970), ..PruneOptions::default() };
    assert!(prune_stale_watchers(&path, &early, &patient()).unwrap().is_empty());
    assert_eq!(prune(false), [("old".to_owned(), PruneReason::Expired)]);
    assert_eq!(prune(true), [("dead".to_owned(), PruneReason::Dead)]);
    assert_eq!(ids(&path), ["young", "far"]);
    let later = PruneOptions {
        now: Some(SystemTime::now() + Duration::from_secs(3600)),
        ..PruneOptions::default()
    };
    assert_eq!(prune_stale_watchers(&path, &later, &patient()).unwrap().len(), 2);
}

#[test]
fn stale_watchers_names_what_a_prune_removes() {
    let (_dir, path) = registry_path();
    let dead = of_process(dead_pid(), watcher("dead"));
    let mut expired = watcher("expired");
    expired.updated_at -= 60_001;
    for watcher in [watcher("fresh"), dead, expired] {
        announce_watcher(&path, watcher, &patient()).unwrap();
    }
    let before = fs::read(&path).unwrap();
    for liveness in [false, true] {
        let prune = PruneOptions { liveness, ..PruneOptions::default() };
        let registry = read_registry(&path).unwrap().0;
        let all = |pruned: Vec<PrunedWatcher>| -> Vec<_> {
            pruned.iter().map(|pruned| (pruned.id(), pruned.reason())).collect()
        };
        let would = all(stale_watchers(&registry, &prune));
        assert_eq!(registry.len(), 3, "the registry stays as it is");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(would, all(prune_stale_watchers(&path, &prune, &patient()).unwrap()));
        assert_eq!(would.len(), 1 + usize::from(liveness));
        put(&path, std::str::from_utf8(&before).unwrap());
    }
}
