//! Moving all entries between two stores, in either direction.

use std::fs;
use std::thread;

use argus_registry::{
    claim_watcher, heartbeat_watcher, migrate, open_store, update_store, ClaimOptions, Error,
    WatcherRecord,
};

use super::Registry;
use crate::support::processes::dead_pid;
use crate::support::registries::{of_process, patient, watcher};

fn text_of(registry: &Registry, id: &str) -> String {
    let (found, _) = registry.store.read().unwrap();
    let all = found.to_json().replace(['\n', ' '], "");
    let start = all.find(&format!("\"{id}\":{{")).unwrap_or_else(|| panic!("no {id} in {all}"));
    all[start..].split("},\"").next().unwrap().trim_end_matches('}').to_owned()
}

#[test]
fn entries_are_moved_with_all_their_bytes() {
    for (from, to) in Registry::directions() {
        let text = concat!(
            "{\"id\":\"odd\",\"later\":[1e0,\"\\ud800\"],\"host\":\"h\",\"port\":80.0,\"pid\":0,",
            "\"startedAt\":1.5,\"updatedAt\":1700000000000}"
        );
        let odd: WatcherRecord = serde_json::from_str(text).unwrap();
        from.store.announce(odd, &patient()).unwrap();
        from.store.announce(of_process(dead_pid(), watcher("CON/1")), &patient()).unwrap();
        let before = ["odd", "CON/1"].map(|id| text_of(&from, id));
        let migration = migrate(&*from.store, &*to.store, &patient()).unwrap();
        assert_eq!((migration.moved, migration.kept.len()), (2, 0));
        assert!(from.store.read().unwrap().0.is_empty());
        assert_eq!(["odd", "CON/1"].map(|id| text_of(&to, id)), before);
        let again = migrate(&*from.store, &*to.store, &patient()).unwrap();
        assert_eq!((again.moved, again.kept.len()), (0, 0));
    }
}

/// Read as empty, it would look as if all its entries had been moved.
#[test]
#[allow(clippy::disallowed_methods, reason = "no registry, so not what the library writes")]
fn a_registry_that_can_not_be_read_is_an_error_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.json");
    let to = open_store(dir.path().join("registry/"));
    for (text, code) in
        [("{", "CORRUPT"), (r#"{"version":2,"updatedAt":0,"watchers":{}}"#, "UNSUPPORTED_VERSION")]
    {
        fs::write(&path, text).unwrap();
        let failed = migrate(&*open_store(&path), &*to, &patient()).unwrap_err();
        assert_eq!(failed.code(), code);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

/// A store may have a limit for what one update changes.
#[test]
fn all_entries_of_a_large_registry_are_moved() {
    for (from, to) in Registry::directions() {
        for part in 0..3 {
            update_store(&*from.store, &patient(), |found| {
                (0..50).for_each(|number| found.set_watcher(watcher(&format!("x{part}-{number}"))));
                Ok::<_, Error>(())
            })
            .unwrap();
        }
        let mut other = watcher("x0-7");
        other.started_at += 1;
        to.store.announce(other, &patient()).unwrap();
        let migration = migrate(&*from.store, &*to.store, &patient()).unwrap();
        assert_eq!((migration.moved, migration.remaining), (149, 0));
        assert_eq!(migration.kept, ["x0-7"]);
        assert_eq!(
            (from.store.read().unwrap().0.len(), to.store.read().unwrap().0.len()),
            (1, 150)
        );
    }
}

#[test]
fn an_entry_stays_whose_id_another_watcher_has_there() {
    for (from, to) in Registry::directions() {
        let here = from.store.claim(watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
        let mut there = watcher("app");
        there.started_at += 1;
        to.store.claim(there.clone(), &ClaimOptions::default(), &patient()).unwrap();
        from.store.announce(watcher("free"), &patient()).unwrap();
        let migration = migrate(&*from.store, &*to.store, &patient()).unwrap();
        assert_eq!((migration.moved, migration.kept), (1, vec!["app".to_owned()]));
        let claim_of =
            |registry: &Registry| registry.store.read().unwrap().0.watcher("app").unwrap().claim();
        assert_eq!((claim_of(&from), claim_of(&to)), (here.claim(), there.claim()));
        assert!(from.store.heartbeat(here.claim().into(), &patient()).unwrap());
    }
}

/// The process was killed after it had added the entries there, and before it removed them here.
#[test]
fn a_migration_goes_on_where_it_was_broken_off() {
    for (from, to) in Registry::directions() {
        for registry in [&from, &to] {
            update_store(&*registry.store, &patient(), |found| {
                let mut app = WatcherRecord::new("app", "127.0.0.1", 1);
                app.started_at = 7;
                found.set_watcher(app);
                Ok::<_, Error>(())
            })
            .unwrap();
        }
        let migration = migrate(&*from.store, &*to.store, &patient()).unwrap();
        assert_eq!((migration.moved, migration.kept.len()), (1, 0));
        assert_eq!((from.store.read().unwrap().0.len(), to.store.read().unwrap().0.len()), (0, 1));
    }
}

#[test]
fn entries_that_come_meanwhile_are_not_lost() {
    const CLAIMS: usize = 60;
    for (from, to) in Registry::directions() {
        let moved = thread::scope(|scope| {
            let claiming: Vec<_> = (0..2)
                .map(|thread| {
                    let path = from.path();
                    scope.spawn(move || {
                        for number in 0..CLAIMS {
                            let watcher = watcher(&format!("app{thread}x{number}"));
                            let claim = ClaimOptions::default();
                            let own = claim_watcher(path, watcher, &claim, &patient()).unwrap();
                            heartbeat_watcher(path, own.claim(), &patient()).unwrap();
                        }
                    })
                })
                .collect();
            let mut moved = 0;
            while claiming.iter().any(|thread| !thread.is_finished()) {
                moved += migrate(&*from.store, &*to.store, &patient()).unwrap().moved;
            }
            moved
        });
        let rest = migrate(&*from.store, &*to.store, &patient()).unwrap();
        assert_eq!((rest.kept.len(), rest.remaining), (0, 0));
        assert_eq!(moved + rest.moved, 2 * CLAIMS);
        assert_eq!(to.store.read().unwrap().0.len(), 2 * CLAIMS);
        assert!(from.store.read().unwrap().0.is_empty());
    }
}

#[test]
fn a_registry_is_not_moved_to_itself() {
    for registry in Registry::one_of_each() {
        registry.store.announce(watcher("app"), &patient()).unwrap();
        let refused = migrate(&*registry.store, &*registry.store, &patient()).unwrap_err();
        assert_eq!(refused.code(), "INVALID_VALUE");
        assert_eq!(registry.store.read().unwrap().0.len(), 1);
    }
}
