//! A registry file that is kept in step with a store, for programs that know only the file.

mod losses;
mod panics;

use std::collections::{HashMap, HashSet};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use argus_registry::{
    announce_watcher, claim_watcher, heartbeat_watcher, migrate, mirror_registry, open_store,
    prune_stale_watchers, read_registry, remove_watcher, update_registry, with_registry_lock,
    ClaimOptions, Error, Mirror, MirrorOptions, OnError, PruneOptions, WatcherRecord,
};

use super::Registry;
use crate::support::files::put;
use crate::support::processes::{again, claimant, dead_pid, pause, this_test, PART};
use crate::support::registries::{ids, of_process, patient, watcher};

/// A store, and the file that mirrors it.
fn sources() -> [(Registry, PathBuf); 2] {
    [Registry::in_folder(), Registry::in_file()].map(|registry| {
        let file = registry.path().with_file_name("mirror.json");
        (registry, file)
    })
}

fn start(source: &Path, file: &Path) -> Mirror {
    let on_error = OnError::new(|error| panic!("{error}"));
    let mirror =
        mirror_registry(source, file, MirrorOptions { update: patient(), on_error }).unwrap();
    assert!(mirror.wait_until_working());
    mirror
}

fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        pause(5);
    }
}

fn await_ids(path: &Path, expected: &[&str]) {
    let expected: HashSet<_> = expected.iter().map(|id| (*id).to_owned()).collect();
    let found = || ids(path).into_iter().collect::<HashSet<_>>();
    await_that(&format!("{} has {expected:?}", path.display()), || found() == expected);
}

fn date(path: &Path, id: &str) -> u64 {
    read_registry(path).unwrap().0.watcher(id).map_or(0, |watcher| watcher.updated_at)
}

/// An entry as a program writes it that knows only the file, with a date in the past.
fn older(id: &str, pid: u32) -> WatcherRecord {
    let mut record = of_process(pid, watcher(id));
    record.updated_at -= 5_000;
    record
}

#[test]
fn each_side_has_the_entries_of_both() {
    for (source, file) in sources() {
        let own = source.store.claim(watcher("own"), &ClaimOptions::default(), &patient()).unwrap();
        announce_watcher(&file, older("older", std::process::id()), &patient()).unwrap();
        let _mirror = start(source.path(), &file);
        for path in [source.path(), &file] {
            await_ids(path, &["older", "own"]);
        }
        // Renewed on its own side, and seen on the other.
        for (on, other, id) in [(source.path(), &*file, "own"), (&*file, source.path(), "older")] {
            let before = date(other, id);
            await_that("a later date", || {
                assert!(heartbeat_watcher(on, id, &patient()).unwrap());
                date(other, id) > before
            });
        }
        let mut changed = own.clone();
        changed.port = 7;
        assert!(source.store.heartbeat(changed.into(), &patient()).unwrap());
        await_that("the new port", || {
            read_registry(&file).unwrap().0.watcher("own").unwrap().port == 7
        });
        assert!(source.store.remove(own.claim().into(), &patient()).unwrap());
        await_ids(&file, &["older"]);
        assert!(remove_watcher(&file, "older", &patient()).unwrap());
        await_ids(source.path(), &[]);
        assert_eq!(ids(&file), Vec::<String>::new());
    }
}

#[test]
fn the_entries_of_both_sides_keep_all_their_bytes() {
    let (source, file) = (Registry::in_folder(), Registry::in_file());
    let odd = concat!(
        "{\"id\":\"CON/1\",\"later\":[1e0,\"\\ud800\"],\"host\":\"h\",\"port\":80.0,\"pid\":0,",
        "\"startedAt\":1.5,\"updatedAt\":1700000000000}"
    );
    let name = "x".repeat(300);
    let text = format!(
        "{{\"version\":1,\"updatedAt\":5,\"watchers\":{{\"CON/1\":{odd},\"\\ud800\":{{\"a\":1.0}},\"7\":null,\
         \"{name}\":{{\"id\":\"{name}\"}},\"\":{{}}}},\"note\":1e1}}"
    );
    put(file.path(), &text);
    let (sender, errors) = mpsc::channel();
    let on_error = OnError::new(move |error| sender.send(error.to_string()).unwrap());
    let options = MirrorOptions { update: patient(), on_error };
    let mirror = mirror_registry(source.path(), file.path(), options).unwrap();
    assert!(mirror.wait_until_working());
    // The empty id can't be the name of a file. It stays where it is, and is reported once.
    await_that("four entries", || source.store.read().unwrap().0.len() == 4);
    assert!(errors.recv().unwrap().contains("id must not be empty"));
    let found = source.store.read().unwrap().0.to_json().replace(['\n', ' '], "");
    for part in [odd, "\"\\ud800\":{\"a\":1.0}", "\"7\":null", &format!("{{\"id\":\"{name}\"}}")] {
        assert!(found.contains(part), "{part} in {found}");
    }
    // A change of the store leaves them in the file as they are, too.
    source.store.announce(watcher("new"), &patient()).unwrap();
    await_that("the copy", || fs::read_to_string(file.path()).unwrap().contains("\"new\""));
    let found = fs::read_to_string(file.path()).unwrap().replace(['\n', ' '], "");
    for part in [odd, "\"\\ud800\":{\"a\":1.0}", "\"7\":null", "\"\":{}", "\"note\":1e1"] {
        assert!(found.contains(part), "{part} in {found}");
    }
    mirror.stop();
    assert_eq!(errors.try_iter().count(), 0);
}

/// What was copied was forgotten if it could not be written down which copies were about to be made: then the entry that
/// was removed came back.
#[test]
fn a_state_that_can_not_be_written_for_a_while_brings_no_removed_entry_back() {
    for (source, file) in sources() {
        let (sender, errors) = mpsc::channel();
        let on_error = OnError::new(move |error| _ = sender.send(error.to_string()));
        let options = MirrorOptions { update: patient(), on_error };
        announce_watcher(&file, older("older", std::process::id()), &patient()).unwrap();
        let mirror = mirror_registry(source.path(), &file, options).unwrap();
        await_ids(source.path(), &["older"]);
        await_that("a whole round", || {
            fs::read_to_string(file.with_extension("json.mirror.json"))
                .is_ok_and(|state| !state.contains("\"isMade\":false"))
        });
        let in_the_way = file.with_extension("json.mirror.json.tmp");
        fs::create_dir(&in_the_way).unwrap();
        update_registry(&file, &patient(), |registry| {
            registry.remove_watcher("older");
            registry.set_watcher(older("another", std::process::id()));
            Ok::<_, Error>(())
        })
        .unwrap();
        let error = errors.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(error.contains("mirror.json"), "{error}");
        fs::remove_dir(&in_the_way).unwrap();
        for path in [source.path(), &file] {
            await_ids(path, &["another"]);
        }
        mirror.stop();
    }
}

#[test]
fn a_live_watchers_entry_comes_back_that_an_older_program_removes_and_a_dead_ones_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("registry/"), dir.path().join("registry.json"));
    let _mirror = start(&folder, &file);
    let mut holder = claimant(&folder);
    await_ids(&file, &["app"]);
    // By its age, which is that of the last copy.
    remove_watcher(&file, "app", &patient()).unwrap();
    await_ids(&file, &["app"]);
    assert_eq!(ids(&folder), ["app"]);
    holder.child.kill().unwrap();
    holder.child.wait().unwrap();
    await_that("in step", || date(&file, "app") == date(&folder, "app"));
    remove_watcher(&file, "app", &patient()).unwrap();
    await_ids(&folder, &[]);
    assert!(ids(&file).is_empty());
}

#[test]
fn pruning_the_store_prunes_the_watchers_of_older_programs_too() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("registry/"), dir.path().join("registry.json"));
    for (id, pid) in [("dead", dead_pid()), ("alive", std::process::id())] {
        announce_watcher(&file, older(id, pid), &patient()).unwrap();
    }
    let _mirror = start(&folder, &file);
    await_ids(&folder, &["alive", "dead"]);
    let prune = PruneOptions { liveness: true, ..PruneOptions::default() };
    assert_eq!(prune_stale_watchers(&folder, &prune, &patient()).unwrap().len(), 1);
    await_ids(&file, &["alive"]);
    assert_eq!(ids(&folder), ["alive"]);
}

#[test]
fn different_watchers_with_one_id_stay_both_and_the_one_that_remains_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("registry/"), dir.path().join("registry.json"));
    let own = claim_watcher(&folder, watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    let (sender, errors) = mpsc::channel();
    let on_error = OnError::new(move |error| sender.send(error.code()).unwrap());
    let options = MirrorOptions { update: patient(), on_error };
    let mirror = mirror_registry(&folder, &file, options).unwrap();
    await_ids(&file, &["app"]);
    let mut other = watcher("app");
    (other.started_at, other.port) = (other.started_at + 1, 7);
    announce_watcher(&file, other, &patient()).unwrap();
    assert_eq!(errors.recv().unwrap(), "ID_TAKEN");
    let port =
        |path: &Path| read_registry(path).unwrap().0.watcher("app").map(|watcher| watcher.port);
    for _ in 0..3 {
        assert!(heartbeat_watcher(&folder, own.claim(), &patient()).unwrap());
        announce_watcher(&folder, watcher("more"), &patient()).unwrap();
        await_that("a round", || date(&file, "more") == date(&folder, "more"));
        assert_eq!((port(&folder), port(&file)), (Some(9222), Some(7)));
    }
    assert!(remove_watcher(&folder, own.claim(), &patient()).unwrap());
    await_that("the one that remains", || port(&folder) == Some(7));
    mirror.stop();
    assert_eq!(errors.try_iter().count(), 0, "it was reported once");
}

/// The folder was not mounted, or the file deleted: neither has removed an entry.
#[test]
fn nothing_is_removed_because_a_whole_side_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("registry/"), dir.path().join("registry.json"));
    announce_watcher(&folder, watcher("own"), &patient()).unwrap();
    announce_watcher(&file, older("older", std::process::id()), &patient()).unwrap();
    start(&folder, &file).stop();
    let rename = |from: &str, to: &str| {
        #[allow(clippy::disallowed_methods, reason = "it stands for another program")]
        fs::rename(dir.path().join(from), dir.path().join(to)).unwrap();
    };
    rename("registry", "unmounted");
    start(&folder, &file).stop();
    assert_eq!(ids(&file).len(), 2);
    rename("unmounted", "registry");
    start(&folder, &file).stop();
    fs::remove_file(&file).unwrap();
    start(&folder, &file).stop();
    for path in [&folder, &file] {
        assert_eq!(
            ids(path).into_iter().collect::<HashSet<_>>(),
            ["older", "own"].map(str::to_owned).into()
        );
    }
}

#[test]
fn an_entry_that_is_damaged_in_the_folder_stays_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("registry/"), dir.path().join("registry.json"));
    announce_watcher(&folder, watcher("app"), &patient()).unwrap();
    let mirror = start(&folder, &file);
    await_ids(&file, &["app"]);
    let entry = folder.join("watchers/app.json");
    let text = fs::read_to_string(&entry).unwrap();
    put(&entry, "{");
    announce_watcher(&folder, watcher("next"), &patient()).unwrap();
    await_ids(&file, &["app", "next"]);
    put(&entry, &text);
    await_ids(&folder, &["app", "next"]);
    mirror.stop();
    assert_eq!(ids(&file).len(), 2);
}

#[test]
fn what_was_removed_while_no_mirror_worked_is_removed_by_the_next_one() {
    for (source, file) in sources() {
        source.store.announce(watcher("own"), &patient()).unwrap();
        announce_watcher(&file, older("older", dead_pid()), &patient()).unwrap();
        start(source.path(), &file).stop();
        remove_watcher(source.path(), "own", &patient()).unwrap();
        remove_watcher(&file, "older", &patient()).unwrap();
        let _mirror = start(source.path(), &file);
        for path in [source.path(), &*file] {
            assert!(ids(path).is_empty());
        }
    }
}

#[test]
fn a_file_that_mirrors_another_store_and_a_folder_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    announce_watcher(path("one/"), watcher("app"), &patient()).unwrap();
    start(&path("one/"), &path("registry.json")).stop();
    let (sender, errors) = mpsc::channel();
    let on_error = OnError::new(move |error| sender.send(error.to_string()).unwrap());
    let options = MirrorOptions { update: patient(), on_error };
    let mirror = mirror_registry(path("two/"), path("registry.json"), options).unwrap();
    let error = errors.recv().unwrap();
    assert!(error.contains("mirror of") && error.contains("one"), "{error}");
    mirror.stop();
    assert_eq!(errors.try_iter().count(), 0);
    assert_eq!(ids(&path("registry.json")), ["app"]);
    for (source, file) in [("one/", "two/"), ("one/", "one"), ("registry.json", "registry.json")] {
        let refused = mirror_registry(path(source), path(file), MirrorOptions::default());
        assert_eq!(refused.unwrap_err().code(), "INVALID_VALUE");
    }
    // Its entries are on both sides: those that are removed from one would be removed from the other.
    for (from, to) in [("one/", "registry.json"), ("registry.json", "one/")] {
        let (from, to) = (open_store(path(from)), open_store(path(to)));
        let refused = migrate(&*from, &*to, &patient()).unwrap_err();
        assert!(refused.to_string().contains("mirror"), "{refused}");
        assert_eq!((from.read().unwrap().0.len(), to.read().unwrap().0.len()), (1, 1));
    }
}

/// Processes that mirror a folder, of which one works at a time.
struct Mirrors {
    test: &'static str,
    dir: PathBuf,
    started: HashMap<u32, Child>,
    /// The id of each process that works, once it does.
    working: mpsc::Receiver<u32>,
    works: mpsc::Sender<u32>,
}

impl Mirrors {
    fn new(dir: &Path, test: &'static str) -> Self {
        let (works, working) = mpsc::channel();
        Mirrors { test, dir: dir.to_owned(), started: HashMap::new(), working, works }
    }

    fn start(&mut self) {
        let mut command = again(&env::current_exe().unwrap(), self.test, &self.dir);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (output, works, pid) = (child.stdout.take().unwrap(), self.works.clone(), child.id());
        thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            if lines.any(|line| line.contains("works")) {
                let _ = works.send(pid);
                lines.for_each(drop);
            }
        });
        self.started.insert(child.id(), child);
    }

    fn kill_working(&mut self) {
        let pid = self.working.recv_timeout(Duration::from_secs(60)).unwrap();
        let mut child = self.started.remove(&pid).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn end(self) {
        for mut child in self.started.into_values() {
            drop(child.stdin.take());
            assert!(child.wait().unwrap().success());
        }
    }
}

/// What each of these processes does.
fn run_mirror(dir: &str) {
    let dir = Path::new(dir);
    let options = MirrorOptions { update: patient(), ..MirrorOptions::default() };
    let mirror =
        mirror_registry(dir.join("registry/"), dir.join("registry.json"), options).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            if mirror.wait_until_working() {
                println!("works");
            }
        });
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        mirror.cancel_token().cancel();
    });
}

#[test]
fn one_mirror_works_at_a_time_and_another_takes_over_when_it_is_killed() {
    if let Ok(dir) = env::var(PART) {
        return run_mirror(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("registry/"), dir.path().join("registry.json"));
    announce_watcher(&folder, watcher("first"), &patient()).unwrap();
    let mut mirrors = Mirrors::new(dir.path(), this_test!());
    mirrors.start();
    await_ids(&file, &["first"]);
    let own = mirror_registry(&folder, &file, MirrorOptions::default()).unwrap();
    mirrors.start();
    announce_watcher(&folder, watcher("second"), &patient()).unwrap();
    await_ids(&file, &["first", "second"]);
    assert!(!own.is_working());
    own.stop();
    mirrors.kill_working();
    remove_watcher(&folder, "first", &patient()).unwrap();
    announce_watcher(&file, older("older", std::process::id()), &patient()).unwrap();
    for path in [&folder, &file] {
        await_ids(path, &["older", "second"]);
    }
    mirrors.end();
}

/// Watchers come on both sides while one mirror after the other is killed. Each one that was acknowledged is
/// on both sides in the end, and each one that was removed on neither.
#[test]
fn no_entry_is_lost_or_comes_back_while_mirrors_are_killed() {
    if let Ok(dir) = env::var(PART) {
        return run_mirror(&dir);
    }
    const ENTRIES: usize = 60;
    const KILLS: u64 = 4;
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("registry/"), dir.path().join("registry.json"));
    let mut mirrors = Mirrors::new(dir.path(), this_test!());
    let kills = AtomicU64::new(0);
    // Until there were kills enough, too: on a slow machine a mirror takes long to take over.
    let is_enough = |number| match number {
        ..ENTRIES => false,
        _ => number == 20 * ENTRIES || kills.load(Ordering::SeqCst) >= KILLS,
    };
    let write = |path: &Path, side: &str| {
        let mut number = 0;
        while !is_enough(number) {
            announce_watcher(path, watcher(&format!("{side}{number}")), &patient()).unwrap();
            if number % 4 == 3 {
                let removed = format!("{side}{}", number - 1);
                assert!(remove_watcher(path, &*removed, &patient()).unwrap());
            }
            number += 1;
            pause(20);
        }
        (0..number)
            .filter(|at| at % 4 != 2 || at + 1 == number)
            .map(|at| format!("{side}{at}"))
            .collect()
    };
    (0..2).for_each(|_| mirrors.start());
    let all: Vec<Vec<String>> = thread::scope(|scope| {
        let writing =
            [scope.spawn(|| write(&folder, "new")), scope.spawn(|| write(&file, "older"))];
        while writing.iter().any(|thread| !thread.is_finished()) {
            pause(kills.load(Ordering::SeqCst) * 17 % 90);
            mirrors.kill_working();
            mirrors.start();
            kills.fetch_add(1, Ordering::SeqCst);
        }
        writing.map(|thread| thread.join().unwrap()).into()
    });
    let kills = kills.into_inner();
    assert!(kills >= KILLS, "{kills} mirrors were killed");
    let all: Vec<_> = all.iter().flatten().map(String::as_str).collect();
    for path in [&folder, &file] {
        await_ids(path, &all);
    }
    mirrors.end();
}

/// A program that knows only the file replaces it as a whole, as a person's editor does.
#[test]
fn a_file_that_is_replaced_by_hand_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("registry/"), dir.path().join("registry.json"));
    let _mirror = start(&folder, &file);
    update_registry(&file, &patient(), |registry| {
        registry.set_watcher(watcher("one"));
        registry.set_watcher(watcher("two"));
        Ok::<_, Error>(())
    })
    .unwrap();
    await_ids(&folder, &["one", "two"]);
    let text = fs::read_to_string(&file).unwrap().replace("\"two\"", "\"three\"");
    put(&file, &text);
    await_ids(&folder, &["one", "three"]);
}

/// A mirror that is killed at any step of copying and removing entries on both sides. What is removed after
/// that does not come back, and nothing else is gone.
#[cfg(target_os = "linux")]
#[test]
fn the_next_mirror_finishes_the_round_of_one_that_was_killed_at_any_step() {
    if let Ok(dir) = env::var(PART) {
        let dir = Path::new(&dir);
        let mirror = start(&dir.join("registry/"), &dir.join("registry.json"));
        return mirror.stop();
    }
    let set_up = |dir: &Path| {
        let (folder, file) = (dir.join("registry/"), dir.join("registry.json"));
        for (path, side) in [(&folder, "new"), (&file, "older")] {
            for id in ["", "-removed"] {
                announce_watcher(path, watcher(&format!("{side}{id}")), &patient()).unwrap();
            }
        }
        start(&folder, &file).stop();
        for (path, side) in [(&folder, "new"), (&file, "older")] {
            assert!(remove_watcher(path, format!("{side}-removed"), &patient()).unwrap());
            for id in ["-added", "-gone"] {
                announce_watcher(path, watcher(&format!("{side}{id}")), &patient()).unwrap();
            }
        }
    };
    let mut kills = 0;
    crate::folder::crashes::killed_at_each_call(this_test!(), set_up, |dir, call| {
        let (folder, file) = (dir.join("registry/"), dir.join("registry.json"));
        for (path, side) in [(&folder, "new"), (&file, "older")] {
            assert!(remove_watcher(path, format!("{side}-gone"), &patient()).unwrap());
        }
        start(&folder, &file).stop();
        let all = ["new", "new-added", "older", "older-added"].map(str::to_owned);
        for path in [&folder, &file] {
            let mut found = ids(path);
            found.sort();
            assert_eq!(found, all, "{} after call {call:?}", path.display());
        }
        kills += u32::from(call.is_some());
    });
    assert!(kills > 20, "{kills} calls");
}
