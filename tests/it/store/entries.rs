//! Claiming, announcing, renewing, removing and pruning entries, whichever store keeps them.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::{mpsc, Barrier};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argus_registry::{
    claim_watcher, heartbeat_watcher, read_registry, remove_watcher, start_heartbeat, ClaimOptions,
    HeartbeatOptions, OnError, PruneOptions, PruneReason, WatcherRecord,
};

use super::{for_each_store, Registry};
use crate::support::processes::{dead_pid, example};
use crate::support::registries::{of_process, patient, watcher};

for_each_store! {
    a_registry_that_is_not_there_reads_as_empty_with_a_warning,
    a_claim_gets_the_first_free_id,
    claims_of_many_threads_get_an_id_each,
    claims_of_many_processes_get_an_id_each,
    an_entry_is_read_as_it_was_written,
    an_id_may_be_any_text,
    announcing_replaces_the_entry_of_the_id,
    a_heartbeat_dates_the_entry,
    a_heartbeat_with_another_record_writes_its_fields,
    a_removed_entry_is_not_renewed_and_stays_removed,
    an_entry_of_another_watcher_is_not_renewed_and_not_removed,
    the_entry_of_a_dead_process_is_claimed_and_that_of_a_live_one_is_not,
    pruning_removes_expired_entries_and_if_asked_to_those_of_dead_processes,
    pruning_and_removing_where_nothing_is_create_nothing,
    a_started_heartbeat_renews_its_entry_until_it_is_lost,
    the_functions_that_take_a_path_use_the_same_registry,
}

fn claim(registry: &Registry, record: WatcherRecord) -> WatcherRecord {
    registry.store.claim(record, &ClaimOptions::default(), &patient()).unwrap()
}

fn read(registry: &Registry, id: &str) -> Option<WatcherRecord> {
    registry.store.read().unwrap().0.watcher(id)
}

fn ids(registry: &Registry) -> Vec<String> {
    let mut ids: Vec<_> = registry.store.read().unwrap().0.ids().map(str::to_owned).collect();
    ids.sort();
    ids
}

fn a_registry_that_is_not_there_reads_as_empty_with_a_warning(registry: &Registry) {
    let (found, warnings) = registry.store.read().unwrap();
    assert!(found.is_empty());
    let codes: Vec<_> = warnings.iter().map(|warning| warning.code()).collect();
    assert_eq!(codes, ["NOT_FOUND"]);
    assert!(!registry.path().exists(), "reading creates nothing");
    claim(registry, watcher("app"));
    assert!(registry.store.read().unwrap().1.is_empty());
}

fn a_claim_gets_the_first_free_id(registry: &Registry) {
    let ids = [1, 2, 3].map(|_| claim(registry, watcher("app")).id);
    assert_eq!(ids, ["app", "app-2", "app-3"]);
    assert!(registry.store.remove("app-2".into(), &patient()).unwrap());
    assert_eq!(claim(registry, watcher("app")).id, "app-2");
    let no_suffix = ClaimOptions { suffix: false, ..ClaimOptions::default() };
    let taken = registry.store.claim(watcher("app"), &no_suffix, &patient()).unwrap_err();
    assert_eq!(taken.code(), "ID_TAKEN");
    assert!(taken.to_string().contains(&format!("process {}", std::process::id())), "{taken}");
    let empty = registry.store.claim(watcher(""), &no_suffix, &patient()).unwrap_err();
    assert_eq!(empty.code(), "INVALID_VALUE");
}

/// `app`, `app-2`, ... up to this number.
fn suffixed(count: usize) -> Vec<String> {
    let suffixed = (2..=count).map(|number| format!("app-{number}"));
    std::iter::once("app".to_owned()).chain(suffixed).collect()
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort_by_key(|id| id.strip_prefix("app-").map_or(1, |suffix| suffix.parse().unwrap()));
    ids
}

fn claims_of_many_threads_get_an_id_each(registry: &Registry) {
    let barrier = Barrier::new(20);
    let claimed = thread::scope(|scope| {
        let claims: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    claim(registry, watcher("app")).id
                })
            })
            .collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).collect()
    });
    assert_eq!(sorted(claimed), suffixed(20));
    assert_eq!(sorted(ids(registry)), suffixed(20));
}

fn claims_of_many_processes_get_an_id_each(registry: &Registry) {
    let mut claimants: Vec<_> = (0..100)
        .map(|_| {
            let mut claimant = example("claim");
            claimant.arg(registry.path()).arg("app");
            let mut child = claimant.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let output = BufReader::new(child.stdout.take().unwrap());
            (child, output.lines())
        })
        .collect();
    for (_, lines) in &mut claimants {
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
    }
    for (child, _) in &mut claimants {
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
    let claimed = claimants.iter_mut().map(|(_, lines)| lines.next().unwrap().unwrap()).collect();
    assert_eq!(sorted(claimed), suffixed(100));
    assert_eq!(sorted(ids(registry)), suffixed(100));
    for (mut child, _) in claimants {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}

fn an_entry_is_read_as_it_was_written(registry: &Registry) {
    // Of another process, so that nothing is added to it.
    let text = concat!(
        "{\"id\":\"app\",\"later\":{\"b\":1e0,\"a\":[\"\\ud800\",{}]},\"host\":\"h\",\"port\":80.0,",
        "\"pid\":0,\"startedAt\":1.5,\"updatedAt\":1700000000000,\"cwd\":\"\\udc00\"}"
    );
    let record: WatcherRecord = serde_json::from_str(text).unwrap();
    registry.store.announce(record, &patient()).unwrap();
    let (found, _) = registry.store.read().unwrap();
    let printed = found.to_json();
    let compact = printed.replace(['\n', ' '], "");
    assert!(compact.contains(text), "{printed}");
    let own = claim(registry, watcher("own"));
    let found = read(registry, "own").unwrap();
    assert_eq!(found.claim(), own.claim());
    assert_eq!(found.updated_at, own.updated_at);
}

fn an_id_may_be_any_text(registry: &Registry) {
    let long = "long".repeat(100);
    let mut expected = vec![
        "..",
        "CON",
        "con",
        "a/b",
        "a\\b",
        "App",
        "app",
        "a.",
        "a ",
        "é",
        "e\u{301}",
        "\u{1f600}",
        "__proto__",
        "10",
        "2",
        "%",
        "\u{0}\n\"",
        ".hidden",
        &long,
    ];
    for id in &expected {
        assert_eq!(claim(registry, watcher(id)).id, *id);
    }
    expected.sort_unstable();
    assert_eq!(ids(registry), expected);
    for id in &expected {
        assert_eq!(read(registry, id).unwrap().id, *id);
        assert!(registry.store.heartbeat((*id).into(), &patient()).unwrap(), "{id}");
        assert!(registry.store.remove((*id).into(), &patient()).unwrap(), "{id}");
    }
    assert!(ids(registry).is_empty());
}

fn announcing_replaces_the_entry_of_the_id(registry: &Registry) {
    let first = claim(registry, watcher("app"));
    let mut next = watcher("app");
    (next.port, next.started_at) = (7, first.started_at + 1);
    registry.store.announce(next.clone(), &patient()).unwrap();
    assert_eq!(read(registry, "app").unwrap().port, 7);
    assert!(!registry.store.heartbeat(first.claim().into(), &patient()).unwrap());
    assert!(registry.store.heartbeat(next.claim().into(), &patient()).unwrap());
}

fn a_heartbeat_dates_the_entry(registry: &Registry) {
    let mut record = watcher("app");
    record.updated_at = 1_700_000_000_000;
    let record = claim(registry, record);
    assert_eq!(read(registry, "app").unwrap().updated_at, 1_700_000_000_000);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let mut last = 0;
    for watcher in [record.claim().into(), record.clone().into(), "app".into()] {
        let before = now();
        assert!(registry.store.heartbeat(watcher, &patient()).unwrap());
        let date = read(registry, "app").unwrap().updated_at;
        assert!((before..=now()).contains(&date) && date >= last, "{before} {date}");
        last = date;
    }
}

fn a_heartbeat_with_another_record_writes_its_fields(registry: &Registry) {
    let mut record = claim(registry, watcher("app"));
    (record.port, record.cwd) = (7, Some("/".to_owned()));
    assert!(registry.store.heartbeat(record.clone().into(), &patient()).unwrap());
    let found = read(registry, "app").unwrap();
    assert_eq!((found.port, found.cwd.as_deref()), (7, Some("/")));
    assert!(registry.store.heartbeat(record.claim().into(), &patient()).unwrap());
    assert_eq!(read(registry, "app").unwrap().port, 7);
}

fn a_removed_entry_is_not_renewed_and_stays_removed(registry: &Registry) {
    let mut record = claim(registry, watcher("app"));
    assert!(registry.store.remove(record.claim().into(), &patient()).unwrap());
    assert!(!registry.store.remove(record.claim().into(), &patient()).unwrap());
    let renew = |watcher| registry.store.heartbeat(watcher, &patient()).unwrap();
    assert!(!renew(record.claim().into()));
    assert!(!renew("app".into()));
    assert!(!renew(record.clone().into()));
    record.port = 7;
    assert!(!renew(record.into()));
    assert!(ids(registry).is_empty());
}

fn an_entry_of_another_watcher_is_not_renewed_and_not_removed(registry: &Registry) {
    let record = claim(registry, watcher("app"));
    let mut other = record.clone();
    other.started_at += 1;
    assert!(!registry.store.heartbeat(other.claim().into(), &patient()).unwrap());
    assert!(!registry.store.heartbeat(other.clone().into(), &patient()).unwrap());
    assert!(!registry.store.remove(other.claim().into(), &patient()).unwrap());
    assert_eq!(read(registry, "app").unwrap().claim(), record.claim());
    assert!(registry.store.heartbeat(record.claim().into(), &patient()).unwrap());
}

fn the_entry_of_a_dead_process_is_claimed_and_that_of_a_live_one_is_not(registry: &Registry) {
    let dead = of_process(dead_pid(), watcher("app"));
    registry.store.announce(dead.clone(), &patient()).unwrap();
    assert_eq!(registry.store.is_alive("app", &dead), Some(false));
    let without = ClaimOptions { liveness: false, ..ClaimOptions::default() };
    assert_eq!(registry.store.claim(watcher("app"), &without, &patient()).unwrap().id, "app-2");
    let own = claim(registry, watcher("app"));
    assert_eq!((own.id.as_str(), own.pid), ("app", std::process::id()));
    assert_eq!(registry.store.is_alive("app", &own), Some(true));
    assert_eq!(claim(registry, watcher("app")).id, "app-3");
}

fn pruning_removes_expired_entries_and_if_asked_to_those_of_dead_processes(registry: &Registry) {
    let mut old = watcher("old");
    old.updated_at -= 61_000;
    let own = claim(registry, watcher("own"));
    claim(registry, old);
    let dead = of_process(dead_pid(), watcher("dead"));
    registry.store.announce(dead, &patient()).unwrap();
    let prune = |liveness| {
        let prune = PruneOptions { liveness, ..PruneOptions::default() };
        let stale = registry.store.stale(&prune).unwrap();
        let pruned = registry.store.prune(&prune, &patient()).unwrap();
        let told = |pruned: &[argus_registry::PrunedWatcher]| -> Vec<_> {
            pruned.iter().map(|pruned| (pruned.id(), pruned.reason())).collect()
        };
        assert_eq!(told(&stale), told(&pruned));
        assert!(pruned.iter().all(|pruned| pruned.watcher().is_some()));
        told(&pruned)
    };
    assert_eq!(prune(false), [("old".to_owned(), PruneReason::Expired)]);
    assert_eq!(prune(true), [("dead".to_owned(), PruneReason::Dead)]);
    assert_eq!(prune(true), []);
    assert!(registry.store.heartbeat(own.claim().into(), &patient()).unwrap());
    let later = PruneOptions {
        now: Some(SystemTime::now() + Duration::from_secs(3600)),
        ..PruneOptions::default()
    };
    assert_eq!(registry.store.prune(&later, &patient()).unwrap().len(), 1);
    assert!(!registry.store.heartbeat(own.claim().into(), &patient()).unwrap());
}

fn pruning_and_removing_where_nothing_is_create_nothing(registry: &Registry) {
    let prune = PruneOptions { liveness: true, ..PruneOptions::default() };
    assert!(registry.store.prune(&prune, &patient()).unwrap().is_empty());
    assert!(registry.store.stale(&prune).unwrap().is_empty());
    assert!(!registry.store.remove("app".into(), &patient()).unwrap());
    assert!(!registry.store.heartbeat("app".into(), &patient()).unwrap());
    assert!(!registry.path().exists());
}

fn a_started_heartbeat_renews_its_entry_until_it_is_lost(registry: &Registry) {
    let mut record = watcher("app");
    record.updated_at = 1_700_000_000_000;
    let record = claim(registry, record);
    let (failed, failures) = mpsc::channel();
    let (beaten, beats) = mpsc::channel();
    let options = HeartbeatOptions {
        interval: Duration::from_millis(5),
        update: patient(),
        on_error: OnError::new(move |error| _ = failed.send(error.code())),
    };
    let sent = record.clone();
    let get_watcher = move || {
        let _ = beaten.send(());
        sent.clone()
    };
    let heartbeat = start_heartbeat(registry.store.clone(), get_watcher, options.clone()).unwrap();
    // The second beat begins after the first is done.
    beats.recv().unwrap();
    beats.recv().unwrap();
    assert!(read(registry, "app").unwrap().updated_at > 1_700_000_000_000);
    assert!(registry.store.remove("app".into(), &patient()).unwrap());
    assert_eq!(failures.recv().unwrap(), "ENTRY_LOST");
    heartbeat.stop();
    assert!(ids(registry).is_empty());
    let record = claim(registry, watcher("app"));
    let heartbeat =
        start_heartbeat(registry.store.clone(), move || record.clone(), options).unwrap();
    assert!(heartbeat.stop_and_remove().unwrap());
    assert!(ids(registry).is_empty());
}

fn the_functions_that_take_a_path_use_the_same_registry(registry: &Registry) {
    let path = registry.path();
    let record = claim_watcher(path, watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    assert_eq!(claim(registry, watcher("app")).id, "app-2");
    assert!(heartbeat_watcher(path, record.claim(), &patient()).unwrap());
    assert!(registry.store.heartbeat(record.claim().into(), &patient()).unwrap());
    assert_eq!(read_registry(path).unwrap().0.len(), 2);
    assert!(remove_watcher(path, record.claim(), &patient()).unwrap());
    assert!(!heartbeat_watcher(path, record.claim(), &patient()).unwrap());
    assert_eq!(ids(registry), ["app-2"]);
}
