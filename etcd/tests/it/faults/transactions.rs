//! An update of the whole registry against changes that come in between.

use std::thread;

use argus_registry::{update_store, ClaimOptions, Error, RegistryStore};

use super::{count, count_up};
use crate::support::registries::{patient, watcher};
use crate::support::servers::shared;

/// Runs an update that copies what it sees into an entry's `cwd`. In its first run, `meanwhile` is done after it has
/// read. Returns how often it was run, and what it has written.
fn interrupted(prefix: &str, meanwhile: impl Fn() + Sync) -> (u32, String) {
    let store = shared().store(prefix);
    let mut runs = 0;
    update_store(&store, &patient(), |found| {
        let mut seen: Vec<_> = found.ids().map(str::to_owned).collect();
        seen.sort();
        let mut copy = watcher("copy");
        copy.cwd = Some(seen.join(" "));
        found.set_watcher(copy);
        runs += 1;
        if runs == 1 {
            // On another thread, since on this one the registry is being updated.
            thread::scope(|scope| scope.spawn(&meanwhile).join().unwrap());
        }
        Ok::<_, Error>(())
    })
    .unwrap();
    (runs, store.read().unwrap().0.watcher("copy").unwrap().cwd.unwrap())
}

fn with_entries(prefix: &str) -> argus_registry_etcd::EtcdStore {
    let other = shared().store(prefix);
    for id in ["a", "b"] {
        other.claim(watcher(id), &ClaimOptions::default(), &patient()).unwrap();
    }
    other
}

#[test]
fn an_update_runs_again_when_an_entry_was_removed_meanwhile() {
    let other = with_entries("/removed");
    let removed = || assert!(other.remove("a".into(), &patient()).unwrap());
    assert_eq!(interrupted("/removed", removed), (2, "b".to_owned()));
}

#[test]
fn an_update_runs_again_when_an_entry_was_deleted_by_another_program_or_by_its_lease() {
    with_entries("/deleted");
    let deleted = || assert_eq!(shared().ctl(&["del", "/deleted/watchers/a"]).trim(), "1");
    assert_eq!(interrupted("/deleted", deleted), (2, "b".to_owned()));
}

#[test]
fn an_update_runs_again_when_an_entry_was_added_or_renewed_meanwhile() {
    let other = with_entries("/added");
    let add = || _ = other.claim(watcher("c"), &ClaimOptions::default(), &patient()).unwrap();
    assert_eq!(interrupted("/added", add), (2, "a b c".to_owned()));
    let renew = || assert!(other.heartbeat("a".into(), &patient()).unwrap());
    assert_eq!(interrupted("/added", renew).0, 2);
}

#[test]
fn an_update_runs_again_when_another_member_of_the_registry_was_changed_meanwhile() {
    let other = with_entries("/members");
    let change = || {
        update_store(&other, &patient(), |found| {
            found.set_updated_at(7_000_000_000_000);
            Ok::<_, Error>(())
        })
        .unwrap();
    };
    assert_eq!(interrupted("/members", change).0, 2);
    assert!(other.read().unwrap().0.updated_at() < 7_000_000_000_000);
}

/// A registry with so many entries that not every key that is read has a comparison of its own.
fn large(prefix: &str) -> argus_registry_etcd::EtcdStore {
    let store = shared().store(prefix);
    for part in 0..3 {
        update_store(&store, &patient(), |found| {
            (0..100).for_each(|number| found.set_watcher(watcher(&format!("x{part}-{number}"))));
            Ok::<_, Error>(())
        })
        .unwrap();
    }
    store
}

#[test]
fn in_a_large_registry_an_update_runs_again_when_an_entry_was_removed_meanwhile() {
    let other = large("/large-removed");
    other.claim(watcher("last"), &ClaimOptions::default(), &patient()).unwrap();
    let removed = || assert!(other.remove("last".into(), &patient()).unwrap());
    let (runs, seen) = interrupted("/large-removed", removed);
    assert_eq!((runs, seen.contains("last")), (2, false));
}

#[test]
fn in_a_large_registry_two_updates_do_not_both_remove_what_the_other_one_saw() {
    let store = large("/skew");
    for id in ["y", "z"] {
        store.announce(watcher(id), &patient()).unwrap();
    }
    // Each removes its own entry if the other one's is there: one is to stay.
    let remove_if = |own: &str, other: &str, meanwhile: &(dyn Fn() + Sync)| {
        let mut runs = 0;
        update_store(&shared().store("/skew"), &patient(), |found| {
            runs += 1;
            if found.watcher(other).is_some() {
                found.remove_watcher(own);
            }
            if runs == 1 {
                thread::scope(|scope| scope.spawn(meanwhile).join().unwrap());
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    };
    remove_if("y", "z", &|| remove_if("z", "y", &|| ()));
    let (found, _) = store.read().unwrap();
    assert_eq!((found.watcher("y").is_some(), found.watcher("z").is_some()), (true, false));
}

#[test]
fn a_registry_of_a_newer_version_is_not_changed_and_an_entry_that_is_no_json_is_kept() {
    let store = with_entries("/newer");
    shared().ctl(&["put", "/newer/version", "2"]);
    let claim = ClaimOptions::default();
    let refused = store.claim(watcher("c"), &claim, &patient()).unwrap_err();
    assert_eq!(refused.code(), "UNSUPPORTED_VERSION");
    assert_eq!(count_up(&store, &patient()).unwrap_err().code(), "UNSUPPORTED_VERSION");
    assert_eq!(store.read().unwrap().1[0].code(), "UNSUPPORTED_VERSION");
    shared().ctl(&["put", "/newer/version", "1"]);
    shared().ctl(&["put", "/newer/watchers/c", "{"]);
    assert_eq!(store.read().unwrap().1[0].code(), "DAMAGED_ENTRY");
    assert_eq!(store.announce(watcher("c"), &patient()).unwrap_err().code(), "INVALID_VALUE");
    assert_eq!(store.claim(watcher("c"), &claim, &patient()).unwrap().id, "c-2");
    count_up(&store, &patient()).unwrap();
    assert_eq!(count(&store), 1);
    assert_eq!(shared().ctl(&["get", "/newer/watchers/c", "--print-value-only"]).trim(), "{");
}
