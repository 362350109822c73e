//! A process that is killed at any step of an update of several entries, or of publishing one.

use std::cell::RefCell;
use std::env;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use argus_registry::{
    announce_watcher, claim_watcher, heartbeat_watcher, open_store, prune_stale_watchers,
    read_registry, update_registry, ClaimOptions, Error, PruneOptions, UpdateOptions,
    WatcherRecord,
};

use crate::support::altered_calls::AlteredCalls;
use crate::support::files::names_in;
use crate::support::processes::{again, dead_pid, this_test, PART};
use crate::support::registries::{of_process, patient, watcher};

/// More calls than any of these processes makes.
const MAX_CALLS: u32 = 500;

fn durable() -> UpdateOptions {
    UpdateOptions { durable: true, ..patient() }
}

fn set_up(path: &Path) {
    update_registry(path, &patient(), |registry| {
        for id in ["changed1", "changed2", "removed1", "removed2", "kept"] {
            registry.set_watcher(WatcherRecord::new(id, "127.0.0.1", 1));
        }
        Ok::<_, Error>(())
    })
    .unwrap();
}

/// What the process that is killed does.
fn change_all(path: &Path) {
    update_registry(path, &durable(), |registry| {
        for id in ["changed1", "changed2"] {
            let mut changed = registry.watcher(id).unwrap();
            changed.port = 2;
            registry.set_watcher(changed);
        }
        registry.remove_watcher("removed1");
        registry.remove_watcher("removed2");
        registry.set_watcher(WatcherRecord::new("added1", "127.0.0.1", 2));
        registry.set_watcher(WatcherRecord::new("added2", "127.0.0.1", 2));
        Ok::<_, Error>(())
    })
    .unwrap();
}

fn ports(path: &Path) -> Vec<String> {
    let (registry, warnings) = read_registry(path).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    registry.watchers().map(|watcher| format!("{} {}", watcher.id, watcher.port)).collect()
}

const BEFORE: [&str; 5] = ["changed1 1", "changed2 1", "kept 1", "removed1 1", "removed2 1"];
const AFTER: [&str; 5] = ["added1 2", "added2 2", "changed1 2", "changed2 2", "kept 1"];

/// Runs this test again, in a process that is killed at its `call`th call which changes a file; returns
/// whether it was killed.
fn run_killed_at(altered: &AlteredCalls, test: &str, path: &Path, call: u32) -> bool {
    let mut command = again(&env::current_exe().unwrap(), test, path);
    altered.load_into(&mut command);
    let output = command.env("KILLED_AT_CALL", call.to_string()).output().unwrap();
    let is_killed = output.status.signal() == Some(9);
    assert!(is_killed || output.status.success(), "{output:?}");
    is_killed
}

/// One run for each call at which the process was killed, and a last one in which it was not. `look` is
/// told the call, or `None` of the last run.
pub(crate) fn killed_at_each_call(
    test: &str,
    set_up: impl Fn(&Path),
    mut look: impl FnMut(&Path, Option<u32>),
) {
    let altered = AlteredCalls::new(&["KILLED_AT_CALL"]);
    for call in 1..MAX_CALLS {
        let path = altered.folder().join(format!("{call}/"));
        set_up(&path);
        let is_killed = run_killed_at(&altered, test, &path, call);
        look(&path, is_killed.then_some(call));
        if !is_killed {
            return;
        }
    }
    panic!("the process makes more calls than expected");
}

#[test]
fn an_update_is_finished_or_undone_after_a_crash_at_any_step() {
    if let Ok(path) = env::var(PART) {
        return change_all(Path::new(&path));
    }
    let (mut undone, mut finished) = (0, 0);
    killed_at_each_call(this_test!(), set_up, |path, call| {
        // Half of it may be seen until the next call takes the folder's lock.
        ports(path);
        update_registry(path, &patient(), |_| Ok::<_, Error>(())).unwrap();
        let found = ports(path);
        if found == BEFORE {
            assert_eq!(finished, 0, "call {call:?} is before one after which it was finished");
            undone += 1;
        } else {
            assert_eq!(found, AFTER, "call {call:?}");
            finished += 1;
        }
        assert_eq!(names_in(path), [".guard", "watchers"], "call {call:?}");
        if call.is_none() {
            assert_eq!(names_in(&path.join("watchers")).len(), 5);
        }
    });
    assert!(undone > 10 && finished > 10, "{undone} undone, {finished} finished");
}

/// The id of an entry that the dead process has removed is free. A claim of it, which needs no lock, must
/// not be undone when the update is finished.
#[test]
fn a_claim_that_comes_between_a_crash_and_its_repair_stays() {
    if let Ok(path) = env::var(PART) {
        return change_all(Path::new(&path));
    }
    let mut claims = 0;
    killed_at_each_call(this_test!(), set_up, |path, call| {
        let no_suffix = ClaimOptions { suffix: false, liveness: false, ..ClaimOptions::default() };
        let claimed: Vec<_> = ["removed1", "removed2", "added1", "added2"]
            .iter()
            .filter_map(|id| claim_watcher(path, watcher(id), &no_suffix, &patient()).ok())
            .collect();
        update_registry(path, &patient(), |_| Ok::<_, Error>(())).unwrap();
        let found = ports(path);
        for record in &claimed {
            claims += 1;
            assert!(heartbeat_watcher(path, record.claim(), &patient()).unwrap(), "call {call:?}");
            assert!(found.contains(&format!("{} 9222", record.id)), "call {call:?}: {found:?}");
        }
    });
    assert!(claims > 50, "{claims} claims");
}

#[test]
fn a_claim_is_complete_or_not_there_after_a_crash_at_any_step() {
    if let Ok(path) = env::var(PART) {
        claim_watcher(&path, watcher("app"), &ClaimOptions::default(), &durable()).unwrap();
        return;
    }
    let (mut missing, mut dead) = (0, 0);
    killed_at_each_call(
        this_test!(),
        |_| {},
        |path, call| {
            let (registry, _) = read_registry(path).unwrap();
            match registry.watcher("app") {
                Some(_) => dead += 1,
                None => missing += 1,
            }
            let own = claim_watcher(path, watcher("app"), &ClaimOptions::default(), &patient());
            assert_eq!(own.unwrap().id, "app", "call {call:?}: it is free, or its process is dead");
        },
    );
    assert!(missing > 2 && dead > 1, "{missing} missing, {dead} dead");
}

/// A heartbeat tells that its entry is gone by the number of its file's names, and a removed entry has one
/// until the update is finished.
#[test]
fn a_watcher_whose_id_another_claims_after_a_crash_is_told() {
    const CLAIMS: &str = "CLAIMS_REMOVED";
    let removed = ["removed1", "removed2"];
    let no_suffix = ClaimOptions { suffix: false, liveness: false, ..ClaimOptions::default() };
    if let Ok(path) = env::var(PART) {
        let path = Path::new(&path);
        if env::var_os(CLAIMS).is_none() {
            return change_all(path);
        }
        for id in removed {
            if claim_watcher(path, watcher(id), &no_suffix, &patient()).is_ok() {
                println!("claimed {id}.");
            }
        }
        return;
    }
    let mut taken = 0;
    let own = RefCell::new(Vec::new());
    let set_up = |path: &Path| {
        set_up(path);
        update_registry(path, &patient(), |registry| {
            removed.iter().for_each(|id| _ = registry.remove_watcher(id));
            Ok::<_, Error>(())
        })
        .unwrap();
        let claim = |id| claim_watcher(path, watcher(id), &no_suffix, &patient()).unwrap().claim();
        own.replace(removed.map(claim).to_vec());
    };
    let test = this_test!();
    killed_at_each_call(test, set_up, |path, call| {
        let mut command = again(&env::current_exe().unwrap(), test, path);
        let claimant = command.env(CLAIMS, "1").output().unwrap();
        assert!(claimant.status.success(), "{claimant:?}");
        let told = String::from_utf8(claimant.stdout).unwrap();
        let mut is_taken = false;
        for own in own.take() {
            if told.contains(&format!("claimed {}.", own.id)) {
                taken += 1;
                is_taken = true;
                let is_present = heartbeat_watcher(path, own, &patient()).unwrap();
                assert!(!is_present, "call {call:?}");
            }
        }
        update_registry(path, &patient(), |_| Ok::<_, Error>(())).unwrap();
        assert_eq!(names_in(path), [".guard", "watchers"], "call {call:?}");
        // Those of an update without a journal are litter.
        let temps =
            names_in(&path.join("watchers")).into_iter().filter(|name| name.starts_with('.'));
        assert!(!is_taken || temps.count() == 0, "call {call:?}");
    });
    assert!(taken > 20, "{taken} taken");
}

/// Of an update that fails in the middle, and of a change that is not made durable, the watcher of this process has its new
/// file, and its lock. Without that lock another process took it for dead.
#[test]
fn a_watcher_whose_change_fails_after_it_was_made_lives() {
    let Ok(path) = env::var(PART) else {
        for change in ["ENTRY_IS_NOT_MOVED_AT_FIRST", "FOLDER_IS_NOT_SYNCED_AFTER_RENAME"] {
            AlteredCalls::new(&[change]).again(this_test!());
        }
        return;
    };
    let path = Path::new(&path).with_file_name("registry/");
    let claims = ClaimOptions::default();
    let me = claim_watcher(&path, watcher("me"), &claims, &patient()).unwrap();
    announce_watcher(&path, WatcherRecord::new("stuck", "127.0.0.1", 1), &patient()).unwrap();
    let change = |port, removed: &str| {
        update_registry(&path, &durable(), |registry| {
            let mut me = registry.watcher("me").unwrap();
            me.port = port;
            registry.set_watcher(me);
            registry.remove_watcher(removed);
            Ok::<_, Error>(())
        })
    };
    let failed = change(2, "none").and_then(|()| change(3, "stuck")).unwrap_err();
    assert!(["PERMISSION_DENIED", "IO"].contains(&failed.code()), "{failed}");
    let prune = PruneOptions { ttl: Duration::MAX, liveness: true, now: None };
    let pruned = prune_stale_watchers(&path, &prune, &patient()).unwrap();
    assert!(pruned.is_empty(), "{pruned:?}");
    assert!(heartbeat_watcher(&path, me.claim(), &patient()).unwrap());
    let found = read_registry(&path).unwrap().0.watcher("me").unwrap();
    assert_ne!(found.port, me.port);
    assert_eq!(open_store(&path).is_alive("me", &found), Some(true));
}

/// Until the name of an entry leads to its new file, heartbeats date the old one.
#[test]
fn a_heartbeat_that_comes_just_before_an_entry_is_replaced_counts() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["ENTRY_IS_RENEWED_BEFORE_RENAME"]).again(this_test!());
    };
    let path = Path::new(&path).with_file_name("registry/");
    let mut me = watcher("me");
    me.updated_at -= 60_000;
    claim_watcher(&path, me.clone(), &ClaimOptions::default(), &patient()).unwrap();
    for (number, other) in [(1, None), (2, Some("other"))] {
        update_registry(&path, &patient(), |registry| {
            let mut found = registry.watcher("me").unwrap();
            found.port += 1;
            registry.set_watcher(found);
            other.iter().for_each(|id| registry.set_watcher(watcher(id)));
            Ok::<_, Error>(())
        })
        .unwrap();
        let found = read_registry(&path).unwrap().0.watcher("me").unwrap();
        assert_eq!(found.port, me.port + number);
        assert!(found.updated_at > me.updated_at + 50_000, "{found:?}");
        // For the next update, as old as before.
        let file =
            std::fs::File::options().write(true).open(path.join("watchers/me.json")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_millis(me.updated_at)).unwrap();
    }
}

/// An entry that was judged as too old, or as that of a dead process, is no such entry any more when it was renewed.
#[test]
fn a_heartbeat_that_comes_when_an_entry_was_judged_keeps_it() {
    let Ok(path) = env::var(PART) else {
        for call in ["prune", "claim"] {
            let mut altered = AlteredCalls::new(&["ENTRY_IS_RENEWED_AFTER_SECOND_READ"]);
            altered.set_variable("CALL", call);
            altered.again(this_test!());
        }
        return;
    };
    let path = Path::new(&path).with_file_name("registry/");
    let mut me = of_process(dead_pid(), watcher("me"));
    me.updated_at -= 600_000;
    announce_watcher(&path, me, &patient()).unwrap();
    if env::var("CALL").unwrap() == "prune" {
        let pruned = || prune_stale_watchers(&path, &PruneOptions::default(), &patient()).unwrap();
        assert_eq!(pruned().len(), 0);
        assert!(read_registry(&path).unwrap().0.watcher("me").is_some());
    } else {
        let claim = || claim_watcher(&path, watcher("me"), &ClaimOptions::default(), &patient());
        assert_eq!(claim().unwrap().id, "me-2");
        assert_eq!(claim().unwrap().id, "me");
    }
}

/// A claim that fails holds nothing: the next one gets the id, and not one with a suffix beside an entry of its own process.
#[test]
fn a_claim_that_is_not_made_durable_is_claimed_again_under_its_id() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["FOLDER_IS_NOT_SYNCED_AFTER_RENAME"]).again(this_test!());
    };
    let path = Path::new(&path).with_file_name("registry/");
    announce_watcher(&path, of_process(dead_pid(), watcher("me")), &patient()).unwrap();
    let claim = || claim_watcher(&path, watcher("me"), &ClaimOptions::default(), &durable());
    assert_eq!(claim().unwrap_err().code(), "IO");
    assert_eq!(claim().unwrap().id, "me");
}
