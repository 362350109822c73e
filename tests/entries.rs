//! The entry operations, on real files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use argus_registry::{
    announce_watcher, claim_watcher, heartbeat_watcher, prune_stale_watchers, read_registry,
    remove_watcher, stale_watchers, start_registry_heartbeat, update_registry, with_registry_lock,
    ClaimOptions, Error, Heartbeat, HeartbeatOptions, LockOptions, OnError, PruneOptions,
    PruneReason, UpdateOptions, WatcherRecord,
};

fn options() -> UpdateOptions {
    let lock = LockOptions { timeout: Some(Duration::from_secs(60)), ..LockOptions::default() };
    UpdateOptions { lock, durable: false, ..UpdateOptions::default() }
}

fn registry() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.json");
    (dir, path)
}

fn watcher(id: &str) -> WatcherRecord {
    WatcherRecord::new(id, "127.0.0.1", 9222)
}

fn ids(path: &Path) -> Vec<String> {
    read_registry(path).unwrap().0.ids().map(str::to_owned).collect()
}

fn put(path: &Path, text: &str) {
    let mut file = fs::File::create(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

/// The pid of a process that is gone.
fn dead_pid() -> u32 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--list")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    child.wait().unwrap();
    pid
}

#[test]
fn claims_of_one_id_at_once_get_one_each() {
    let (_dir, path) = registry();
    let barrier = Barrier::new(20);
    let mut claimed: Vec<_> = thread::scope(|scope| {
        let claims: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    let path = &path;
                    barrier.wait();
                    claim_watcher(path, watcher("app"), &ClaimOptions::default(), &options())
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
fn a_claim_replaces_the_entry_of_a_dead_process_and_nothing_else() {
    let (_dir, path) = registry();
    let claim = |record, liveness| {
        let claim = ClaimOptions { liveness, ..ClaimOptions::default() };
        claim_watcher(&path, record, &claim, &options()).unwrap()
    };
    let mine = claim(watcher("mine"), true);
    assert_eq!(claim(mine, true).id, "mine-2", "this very process lives, too");
    let mut dead = watcher("app");
    dead.pid = dead_pid();
    announce_watcher(&path, dead.clone(), &options()).unwrap();
    assert_eq!(claim(watcher("app"), false).id, "app-2");
    let taken = claim_watcher(&path, watcher("app"), &ClaimOptions::default(), &options()).unwrap();
    assert_eq!((taken.id.as_str(), taken.pid), ("app", std::process::id()));
    // Not from here: nobody knows whether it lives.
    dead.id = "far".into();
    dead.host = "elsewhere.example.org".into();
    announce_watcher(&path, dead, &options()).unwrap();
    assert_eq!(claim(watcher("far"), true).id, "far-2");
    let exactly = ClaimOptions { suffix: false, ..ClaimOptions::default() };
    let taken = claim_watcher(&path, watcher("app"), &exactly, &options());
    assert_eq!(taken.unwrap_err().code(), "ID_TAKEN");
    assert_eq!(ids(&path), ["mine", "mine-2", "app", "app-2", "far", "far-2"]);
}

#[test]
fn what_is_no_record_is_nobodys_to_claim_renew_or_judge() {
    let (_dir, path) = registry();
    let text = "{\n  \"version\": 1,\n  \"updatedAt\": 1,\n  \"watchers\": {\n    \"app\": null,\n    \"\\ud800\": {\n      \"updatedAt\": 5\n    }\n  }\n}";
    put(&path, text);
    assert!(!heartbeat_watcher(&path, "app", &options()).unwrap());
    let prune = PruneOptions { liveness: true, ttl: Duration::MAX, ..PruneOptions::default() };
    assert!(prune_stale_watchers(&path, &prune, &options()).unwrap().is_empty());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let claim = claim_watcher(&path, watcher("app"), &ClaimOptions::default(), &options());
    assert_eq!(claim.unwrap().id, "app-2");
    let pruned = prune_stale_watchers(&path, &PruneOptions::default(), &options()).unwrap();
    assert_eq!(pruned.len(), 1);
    assert_eq!((pruned[0].id().as_str(), pruned[0].watcher().is_none()), ("\\ud800", true));
    assert!(remove_watcher(&path, "app", &options()).unwrap());
    assert_eq!(ids(&path), ["app-2"]);
}

#[test]
fn a_beat_dates_an_entry_and_touches_nothing_else() {
    let (_dir, path) = registry();
    let text = "{\n  \"note\": 1e2,\n  \"version\": 1,\n  \"updatedAt\": 1,\n  \"watchers\": {\n    \"__proto__\": {\n      \"port\": 80.0,\n      \"updatedAt\": 5,\n      \"pid\": 7,\n      \"startedAt\": 3.5,\n      \"later\": \"\\udc00\"\n    }\n  }\n}";
    put(&path, text);
    let claim = |pid| argus_registry::WatcherClaim { id: "__proto__".into(), pid, started_at: 3 };
    assert!(!heartbeat_watcher(&path, claim(8), &options()).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    for who in ["__proto__".into(), argus_registry::WatcherRef::Claim(claim(7))] {
        put(&path, text);
        assert!(heartbeat_watcher(&path, who, &options()).unwrap());
        let after = fs::read_to_string(&path).unwrap();
        let now = read_registry(&path).unwrap().0.updated_at();
        let expected = text
            .replace("  \"updatedAt\": 1,", &format!("  \"updatedAt\": {now},"))
            .replace("  \"updatedAt\": 5,", &format!("  \"updatedAt\": {now},"));
        assert_eq!(after, expected);
    }
}

/// A watcher stops: its entry is removed while a beat of its own is on the way. With a plain
/// locked read-modify-write, which writes the record whatever it finds, the beat brings it back.
#[test]
fn a_beat_in_flight_does_not_bring_a_removed_entry_back() {
    let (_dir, path) = registry();
    let record = watcher("app");
    announce_watcher(&path, record.clone(), &options()).unwrap();
    let (held, holds) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    let path = &path;
    let beat = |who: WatcherRecord| heartbeat_watcher(path, who, &options()).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let removal = |registry: &mut argus_registry::RegistryV1| {
                held.send(()).unwrap();
                goes.recv().unwrap();
                registry.remove_watcher("app");
                Ok::<_, Error>(())
            };
            update_registry(path, &options(), removal).unwrap();
        });
        holds.recv().unwrap();
        let beat = scope.spawn(move || beat(record));
        go.send(()).unwrap();
        assert!(!beat.join().unwrap());
    });
    assert!(ids(path).is_empty());
}

#[test]
fn an_entry_of_a_restarted_watcher_is_not_the_old_ones_to_renew_or_remove() {
    let (_dir, path) = registry();
    let old = watcher("app");
    announce_watcher(&path, old.clone(), &options()).unwrap();
    let mut new = old.clone();
    new.started_at += 1;
    announce_watcher(&path, new.clone(), &options()).unwrap();
    let before = fs::read_to_string(&path).unwrap();
    assert!(!heartbeat_watcher(&path, old.clone(), &options()).unwrap());
    assert!(!remove_watcher(&path, old.claim(), &options()).unwrap());
    assert!(!remove_watcher(&path, old.clone(), &options()).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    assert!(remove_watcher(&path, new.claim(), &options()).unwrap());
    // Two that were started in the same millisecond.
    new.started_at = old.started_at;
    new.pid += 1;
    announce_watcher(&path, new, &options()).unwrap();
    assert!(!heartbeat_watcher(&path, old.clone(), &options()).unwrap());
    assert!(!heartbeat_watcher(&path, old.claim(), &options()).unwrap());
    assert!(!remove_watcher(&path, old, &options()).unwrap());
}

#[test]
fn pruning_is_by_age_and_by_liveness_if_asked_to() {
    let (_dir, path) = registry();
    let announce = |id: &str, age: u64, pid: Option<u32>, host: &str| {
        let mut record = watcher(id);
        record.updated_at -= age;
        record.pid = pid.unwrap_or(record.pid);
        record.host = host.into();
        announce_watcher(&path, record, &options()).unwrap();
    };
    let dead = Some(dead_pid());
    announce("young", 0, None, "127.0.0.1");
    announce("old", 61_000, None, "127.0.0.1");
    announce("dead", 0, dead, "127.0.0.1");
    announce("far", 0, dead, "10.0.0.1");
    let prune = |liveness| {
        let prune = PruneOptions { liveness, ..PruneOptions::default() };
        let pruned = prune_stale_watchers(&path, &prune, &options()).unwrap();
        pruned.into_iter().map(|pruned| (pruned.id(), pruned.reason())).collect::<Vec<_>>()
    };
    let by_default = prune_stale_watchers(&path, &PruneOptions::default(), &options()).unwrap();
    assert_eq!(by_default.iter().map(|pruned| pruned.id()).collect::<Vec<_>>(), ["old"]);
    announce("old", 61_000, None, "127.0.0.1");
    let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    let early = PruneOptions { now: Some(before_1970), ..PruneOptions::default() };
    assert!(prune_stale_watchers(&path, &early, &options()).unwrap().is_empty());
    assert_eq!(prune(false), [("old".to_owned(), PruneReason::Expired)]);
    assert_eq!(prune(true), [("dead".to_owned(), PruneReason::Dead)]);
    assert_eq!(ids(&path), ["young", "far"]);
    let later = PruneOptions {
        now: Some(SystemTime::now() + Duration::from_secs(3600)),
        ..PruneOptions::default()
    };
    assert_eq!(prune_stale_watchers(&path, &later, &options()).unwrap().len(), 2);
}

#[test]
fn with_nothing_to_do_no_lock_is_taken_and_nothing_is_made() {
    let (dir, path) = registry();
    let missing = dir.path().join("missing").join("registry.json");
    let prune = |path: &Path| prune_stale_watchers(path, &PruneOptions::default(), &options());
    assert!(prune(&missing).unwrap().is_empty());
    assert!(!heartbeat_watcher(&missing, "app", &options()).unwrap());
    assert!(!remove_watcher(&missing, "app", &options()).unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    put(&path, "bad");
    assert!(prune(&path).unwrap().is_empty());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    put(&path, "{\"version\":2}");
    assert_eq!(prune(&path).unwrap_err().code(), "UNSUPPORTED_VERSION");
    fs::remove_file(&path).unwrap();
    announce_watcher(&path, watcher("app"), &options()).unwrap();
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
    let (_dir, path) = registry();
    let announced = announce_watcher(&path, watcher(""), &options());
    assert_eq!(announced.unwrap_err().code(), "INVALID_VALUE");
    let claimed = claim_watcher(&path, watcher(""), &ClaimOptions::default(), &options());
    assert_eq!(claimed.unwrap_err().code(), "INVALID_VALUE");
    assert!(!path.exists());
}

#[test]
fn a_heartbeat_renews_reports_what_is_lost_and_removes_when_it_is_told_to() {
    let (_dir, path) = registry();
    let record = watcher("app");
    announce_watcher(&path, record.clone(), &options()).unwrap();
    let (told, errors) = mpsc::channel();
    let (asked, asks) = mpsc::channel();
    let heartbeat = HeartbeatOptions {
        interval: Duration::from_millis(2),
        update: options(),
        on_error: OnError::new(move |error| told.send(error.code()).unwrap()),
    };
    let next = record.clone();
    let get_watcher = move || {
        // Nobody asks any more once the test is over.
        let _ = asked.send(());
        next.clone()
    };
    let beating = start_registry_heartbeat(&path, get_watcher, heartbeat).unwrap();
    for _ in 0..3 {
        asks.recv().unwrap();
    }
    assert!(
        read_registry(&path).unwrap().0.watcher("app").unwrap().updated_at >= record.updated_at
    );
    assert!(remove_watcher(&path, "app", &options()).unwrap());
    assert_eq!(errors.recv().unwrap(), "ENTRY_LOST");
    announce_watcher(&path, record, &options()).unwrap();
    assert!(beating.stop_and_remove().unwrap());
    assert!(ids(&path).is_empty());
}

#[test]
fn a_heartbeats_options_are_those_of_its_beats_and_of_the_removal() {
    let (_dir, path) = registry();
    let record = watcher("app");
    announce_watcher(&path, record.clone(), &options()).unwrap();
    let once = LockOptions { timeout: Some(Duration::ZERO), ..LockOptions::default() };
    let (told, errors) = mpsc::channel();
    let heartbeat = HeartbeatOptions {
        interval: Duration::from_millis(2),
        update: UpdateOptions { lock: once, ..options() },
        on_error: OnError::new(move |error| told.send(error.code()).unwrap()),
    };
    with_registry_lock(&path, &options().lock, |_| {
        let beating = start_registry_heartbeat(&path, move || record.clone(), heartbeat).unwrap();
        assert_eq!(errors.recv().unwrap(), "LOCK_BUSY");
        let removed = thread::spawn(|| beating.stop_and_remove()).join().unwrap();
        assert_eq!(removed.unwrap_err().code(), "LOCK_BUSY");
        Ok::<_, Error>(())
    })
    .unwrap();
}

#[test]
fn a_heartbeat_that_is_stopped_or_dropped_ends_after_the_beat_in_flight() {
    let (_dir, path) = registry();
    for end in [Heartbeat::stop, drop::<Heartbeat>] {
        let (asked, asks) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        let get_watcher = move || {
            asked.send(()).unwrap();
            let _ = goes.recv();
            watcher("app")
        };
        let heartbeat = HeartbeatOptions {
            interval: Duration::from_millis(2),
            update: options(),
            on_error: OnError::new(|_| {}),
        };
        let beating = start_registry_heartbeat(&path, get_watcher, heartbeat).unwrap();
        asks.recv().unwrap();
        let ending = thread::spawn(move || end(beating));
        let started = Instant::now();
        while !ending.is_finished() && started.elapsed() < Duration::from_millis(20) {
            thread::yield_now();
        }
        assert!(!ending.is_finished());
        drop(go);
        ending.join().unwrap();
        while asks.try_recv().is_ok() {}
        assert_eq!(asks.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }
}

#[test]
fn a_heartbeat_that_is_stopped_before_its_first_beat_knows_what_to_remove() {
    let (_dir, path) = registry();
    let record = watcher("app");
    announce_watcher(&path, record.clone(), &options()).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let start = |interval| {
        let (record, asked) = (record.clone(), asked.clone());
        let heartbeat =
            HeartbeatOptions { interval, update: options(), ..HeartbeatOptions::default() };
        let get_watcher = move || {
            asked.fetch_add(1, Ordering::Relaxed);
            record.clone()
        };
        start_registry_heartbeat(&path, get_watcher, heartbeat)
    };
    assert_eq!(start(Duration::ZERO).unwrap_err().code(), "INVALID_VALUE");
    start(Duration::MAX).unwrap().stop();
    assert_eq!(ids(&path), ["app"]);
    let beating = start(Duration::MAX).unwrap();
    let mut other = record.clone();
    other.started_at += 1;
    announce_watcher(&path, other, &options()).unwrap();
    assert!(!beating.stop_and_remove().unwrap());
    assert_eq!(ids(&path), ["app"], "another watcher's entry");
    announce_watcher(&path, record.clone(), &options()).unwrap();
    assert!(start(Duration::MAX).unwrap().stop_and_remove().unwrap());
    assert!(ids(&path).is_empty());
    assert_eq!(asked.load(Ordering::Relaxed), 3, "once each: for the claim, and for no beat");
}

#[test]
fn a_heartbeat_whose_caller_panicked_can_be_stopped() {
    let (_dir, path) = registry();
    let start = || {
        let get_watcher = || panic!("the caller's own");
        start_registry_heartbeat(&path, get_watcher, HeartbeatOptions::default()).unwrap()
    };
    start().stop();
    assert!(!start().stop_and_remove().unwrap());
    assert!(!path.exists());
}

#[test]
fn a_heartbeat_may_be_stopped_by_its_own_handler() {
    let (_dir, path) = registry();
    announce_watcher(&path, watcher("app"), &options()).unwrap();
    let (give, given) = mpsc::channel::<Heartbeat>();
    let given = std::sync::Mutex::new(given);
    let (told, stopped) = mpsc::channel();
    let heartbeat = HeartbeatOptions {
        interval: Duration::from_millis(1),
        update: options(),
        on_error: OnError::new(move |error| {
            assert_eq!(error.code(), "ENTRY_LOST");
            // It could not wait for itself, nor for a removal after itself.
            told.send(given.lock().unwrap().recv().unwrap().stop_and_remove().unwrap()).unwrap();
        }),
    };
    let lost = watcher("lost");
    let beating = start_registry_heartbeat(&path, move || lost.clone(), heartbeat).unwrap();
    give.send(beating).unwrap();
    assert!(!stopped.recv().unwrap());
    assert_eq!(stopped.recv(), Err(mpsc::RecvError), "no beat comes after it");
}

#[test]
fn what_a_prune_would_remove_is_what_it_removes() {
    let (_dir, path) = registry();
    let mut dead = watcher("dead");
    dead.pid = dead_pid();
    let mut expired = watcher("expired");
    expired.updated_at -= 60_001;
    for watcher in [watcher("fresh"), dead, expired] {
        announce_watcher(&path, watcher, &options()).unwrap();
    }
    let before = fs::read(&path).unwrap();
    for liveness in [false, true] {
        let prune = PruneOptions { liveness, ..PruneOptions::default() };
        let registry = read_registry(&path).unwrap().0;
        let all = |pruned: Vec<argus_registry::PrunedWatcher>| -> Vec<_> {
            pruned.iter().map(|pruned| (pruned.id(), pruned.reason())).collect()
        };
        let would = all(stale_watchers(&registry, &prune));
        assert_eq!(registry.len(), 3, "the registry stays as it is");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(would, all(prune_stale_watchers(&path, &prune, &options()).unwrap()));
        assert_eq!(would.len(), 1 + usize::from(liveness));
        put(&path, std::str::from_utf8(&before).unwrap());
    }
}

/// A registry that is large enough for its last text to be kept, as JavaScript writes it.
fn large(path: &Path) -> String {
    let mut registry = argus_registry::RegistryV1::new();
    for n in 0..200 {
        let mut record = watcher(&format!("app-{n}"));
        // Long ago, in as many digits as now.
        record.updated_at = 1_000_000_000_000;
        registry.set_watcher(record);
    }
    let text =
        registry.to_json().replace("\"app-7\",", "\"app-7\",\n      \"x\": \"\\ud800 1e3\",");
    put(path, &text);
    text
}

#[test]
fn a_heartbeat_changes_nothing_else_in_a_large_registry() {
    let (_dir, path) = registry();
    let text = large(&path);
    let undated = |text: &str| {
        let dated = text.lines().map(|line| match line.split_once("\"updatedAt\": ") {
            Some((indent, _)) => indent,
            None => line,
        });
        dated.collect::<Vec<_>>().join("\n")
    };
    for id in ["app-0", "app-7", "app-199"] {
        let before = read_registry(&path).unwrap().0;
        assert!(heartbeat_watcher(&path, id, &options()).unwrap());
        let after = read_registry(&path).unwrap().0;
        for other in before.ids() {
            let [was, is] = [&before, &after].map(|one| one.watcher(other).unwrap().updated_at);
            assert_eq!(is > was, other == id, "{id} {other}");
        }
        assert_eq!(after.updated_at(), after.watcher(id).unwrap().updated_at);
        assert_eq!(undated(&fs::read_to_string(&path).unwrap()), undated(&text));
    }
    // An entry that gets longer, and one that another process has changed.
    let mut record = watcher("app-3");
    record.cwd = Some("/".into());
    announce_watcher(&path, record, &options()).unwrap();
    let changed = fs::read_to_string(&path).unwrap().replace("1e3", "1e30");
    put(&path, &changed);
    assert!(heartbeat_watcher(&path, "app-9", &options()).unwrap());
    let now = fs::read_to_string(&path).unwrap();
    assert_eq!(undated(&now), undated(&changed));
    assert!(now.contains("\"cwd\": \"/\""));
    assert!(!heartbeat_watcher(&path, "app-200", &options()).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), now);
}

#[test]
fn whatever_befalls_a_large_registry_is_found() {
    let (dir, path) = registry();
    large(&path);
    assert!(heartbeat_watcher(&path, "app-1", &options()).unwrap());
    let good = fs::read_to_string(&path).unwrap();
    let newer = good.replace("\"version\": 1", "\"version\": 2");
    put(&path, &newer);
    let refused = heartbeat_watcher(&path, "app-1", &options()).unwrap_err();
    assert_eq!(refused.code(), "UNSUPPORTED_VERSION");
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);

    for (was, is) in [
        ("\"port\": 9222", "\"port\": 922x"),
        ("\"app-150\": {", "\"app-150\": ["),
        ("\\ud800", "\\uq800"),
        ("\n  }\n}", "\n  }\n "),
    ] {
        put(&path, &good);
        assert!(heartbeat_watcher(&path, "app-1", &options()).unwrap());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(was), "{was}");
        let bad = text.replacen(was, is, 1);
        put(&path, &bad);
        announce_watcher(&path, watcher("app-1"), &options()).unwrap();
        assert_eq!(ids(&path), ["app-1"], "{is}");
        let kept = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let kept: Vec<_> = kept.filter(|path| path.to_string_lossy().contains("corrupt")).collect();
        assert_eq!(kept.len(), 1, "{is}");
        assert_eq!(fs::read_to_string(&kept[0]).unwrap(), bad);
        fs::remove_file(&kept[0]).unwrap();
    }
}
