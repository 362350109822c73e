//! Updating and watching a registry, whichever store keeps it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use argus_registry::{
    update_registry, update_store, write_registry, CancelToken, ClaimOptions, Error, LockOptions,
    RegistryV1, UpdateOptions, WatcherRecord,
};

use super::{for_each_store, Registry};
use crate::support::processes::example;
use crate::support::registries::{patient, watcher};

for_each_store! {
    an_update_adds_changes_and_removes_entries,
    an_update_that_fails_changes_nothing,
    an_update_may_make_an_entry_any_json_value,
    updates_of_many_threads_count_exactly,
    updates_of_many_processes_count_exactly,
    an_update_inside_an_update_is_refused,
    a_whole_registry_is_replaced,
    a_claim_survives_the_updates_of_its_process,
    a_lock_that_is_held_is_waited_for_within_the_timeout,
}

#[cfg(feature = "watch")]
mod watching {
    use super::*;

    for_each_store! { a_watch_delivers_the_present_state_and_each_later_one }

    fn a_watch_delivers_the_present_state_and_each_later_one(registry: &Registry) {
        let mut watch = registry.store.watch().unwrap();
        let mut next = |is_there: &dyn Fn(&RegistryV1) -> bool| loop {
            // A burst may be delivered as several states.
            let (found, _) = watch.next().unwrap().unwrap();
            if is_there(&found) {
                return found;
            }
        };
        next(&RegistryV1::is_empty);
        let mut record = watcher("app");
        record.updated_at = 1_700_000_000_000;
        let record = registry.store.claim(record, &ClaimOptions::default(), &patient()).unwrap();
        next(&|found| found.watcher("app").is_some());
        assert!(registry.store.heartbeat(record.claim().into(), &patient()).unwrap());
        next(&|found| found.watcher("app").unwrap().updated_at > 1_700_000_000_000);
        assert!(registry.store.remove("app".into(), &patient()).unwrap());
        next(&RegistryV1::is_empty);
    }
}

fn set(registry: &Registry, entries: &[(&str, u16)]) {
    update_store(&*registry.store, &patient(), |found| {
        for (id, port) in entries {
            found.set_watcher(WatcherRecord::new(*id, "127.0.0.1", *port));
        }
        Ok::<_, Error>(())
    })
    .unwrap();
}

fn ports(registry: &Registry) -> Vec<(String, u16)> {
    let (found, warnings) = registry.store.read().unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let mut ports: Vec<_> = found.watchers().map(|watcher| (watcher.id, watcher.port)).collect();
    ports.sort();
    ports
}

fn an_update_adds_changes_and_removes_entries(registry: &Registry) {
    set(registry, &[("a", 1), ("b", 2), ("c", 3)]);
    let value = update_store(&*registry.store, &patient(), |found| {
        let mut changed = found.watcher("a").unwrap();
        changed.port = 9;
        found.set_watcher(changed);
        assert!(found.remove_watcher("b"));
        found.set_watcher(WatcherRecord::new("d", "127.0.0.1", 4));
        Ok::<_, Error>(found.len())
    });
    assert_eq!(value.unwrap(), 3);
    let expected = [("a", 9), ("c", 3), ("d", 4)].map(|(id, port)| (id.to_owned(), port));
    assert_eq!(ports(registry), expected);
    // One entry each.
    set(registry, &[("e", 5)]);
    set(registry, &[("a", 1)]);
    assert!(registry.store.remove("c".into(), &patient()).unwrap());
    let expected = [("a", 1), ("d", 4), ("e", 5)].map(|(id, port)| (id.to_owned(), port));
    assert_eq!(ports(registry), expected);
}

fn an_update_that_fails_changes_nothing(registry: &Registry) {
    set(registry, &[("a", 1)]);
    let failed = update_store(&*registry.store, &patient(), |found| {
        found.remove_watcher("a");
        found.set_watcher(watcher("b"));
        Err::<(), _>(Box::<dyn std::error::Error>::from("no"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "no");
    let ended = registry.store.update(&patient(), &mut |found| {
        found.remove_watcher("a");
        ControlFlow::Break(())
    });
    ended.unwrap();
    assert_eq!(ports(registry), [("a".to_owned(), 1)]);
}

fn an_update_may_make_an_entry_any_json_value(registry: &Registry) {
    let text = concat!(
        "{\"version\":1,\"updatedAt\":5,\"watchers\":{\"7\":[],\"null\":null,\"\\ud800\":{\"x\":1e400},",
        "\"a\\/b\":\"\\udfff\"}}"
    );
    let odd = RegistryV1::parse(Path::new("r"), text.as_bytes()).unwrap();
    update_store(&*registry.store, &patient(), |found| {
        *found = odd.clone();
        Ok::<_, Error>(())
    })
    .unwrap();
    let (found, warnings) = registry.store.read().unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let compact = found.to_json().replace(['\n', ' '], "");
    for entry in ["\"7\":[]", "\"null\":null", "\"\\ud800\":{\"x\":1e400}", ":\"\\udfff\""] {
        assert!(compact.contains(entry), "{entry} in {compact}");
    }
    assert_eq!(found.ids().filter(|id| *id == "a/b").count(), 1);
    // What is not changed keeps its place and its bytes.
    set(registry, &[("own", 1)]);
    let (found, _) = registry.store.read().unwrap();
    assert_eq!((found.len(), found.ids().count()), (5, 4));
}

fn count_up(registry: &Registry) {
    update_store(&*registry.store, &patient(), |found| {
        let mut counter = found.watcher("counter").unwrap_or_else(|| watcher("counter"));
        counter.port = counter.port.wrapping_add(1);
        found.set_watcher(counter);
        Ok::<_, Error>(())
    })
    .unwrap();
}

fn updates_of_many_threads_count_exactly(registry: &Registry) {
    set(registry, &[("counter", 0), ("other", 0)]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..25).for_each(|_| count_up(registry)));
        }
    });
    assert_eq!(ports(registry)[0], ("counter".to_owned(), 100));
}

fn updates_of_many_processes_count_exactly(registry: &Registry) {
    let children: Vec<_> = (0..4)
        .map(|_| example("increment").arg(registry.path()).arg("50").spawn().unwrap())
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(ports(registry), [("counter".to_owned(), 200)]);
}

fn an_update_inside_an_update_is_refused(registry: &Registry) {
    set(registry, &[("a", 1)]);
    let path = registry.path();
    let inner = update_store(&*registry.store, &patient(), |_| {
        let inner = update_registry(path, &patient(), |_| Ok::<_, Error>(()));
        Ok::<_, Error>(inner.unwrap_err().code())
    });
    assert_eq!(inner.unwrap(), "RE_ENTRANT");
}

fn a_whole_registry_is_replaced(registry: &Registry) {
    set(registry, &[("a", 1), ("b", 2)]);
    let mut new = RegistryV1::new();
    new.set_watcher(WatcherRecord::new("c", "127.0.0.1", 3));
    write_registry(registry.path(), &new, &patient()).unwrap();
    assert_eq!(ports(registry), [("c".to_owned(), 3)]);
}

fn a_claim_survives_the_updates_of_its_process(registry: &Registry) {
    let own = registry.store.claim(watcher("own"), &ClaimOptions::default(), &patient()).unwrap();
    set(registry, &[("a", 1), ("b", 2)]);
    update_store(&*registry.store, &patient(), |found| {
        let mut changed = found.watcher("own").unwrap();
        changed.port = 9;
        found.set_watcher(changed);
        found.remove_watcher("a");
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!(ports(registry), [("b".to_owned(), 2), ("own".to_owned(), 9)]);
    assert_eq!(registry.store.is_alive("own", &own), Some(true));
    assert!(registry.store.heartbeat(own.claim().into(), &patient()).unwrap());
    update_store(&*registry.store, &patient(), |found| {
        found.remove_watcher("own");
        Ok::<_, Error>(())
    })
    .unwrap();
    assert!(!registry.store.heartbeat(own.claim().into(), &patient()).unwrap());
}

fn a_lock_that_is_held_is_waited_for_within_the_timeout(registry: &Registry) {
    set(registry, &[("a", 1)]);
    let set_port = |port: u16, lock: LockOptions| {
        let options = UpdateOptions { lock, ..patient() };
        update_store(&*registry.store, &options, |found| {
            found.set_watcher(WatcherRecord::new("a", "127.0.0.1", port));
            Ok::<_, Error>(())
        })
    };
    thread::scope(|scope| {
        // Made here, so that a failed assertion drops them, and with it ends the hold.
        let (holds, held) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let hold = move || {
            holds.send(()).unwrap();
            released.recv().unwrap();
        };
        scope.spawn(move || match registry.store.hold_lock(&patient().lock, &mut || hold()) {
            // In a folder it is updates that exclude each other.
            Err(Error::Unsupported { .. }) => {
                let update = update_store(&*registry.store, &patient(), |_| {
                    hold();
                    Ok::<_, Error>(())
                });
                update.unwrap();
            }
            ended => ended.unwrap(),
        });
        held.recv().unwrap();
        // In which a server on a busy machine answers.
        let late = set_port(2, LockOptions::within(Duration::from_secs(1))).unwrap_err();
        assert_eq!(late.code(), "LOCK_TIMEOUT", "{late}");
        assert!(late.to_string().contains(registry.path().to_str().unwrap()), "{late}");
        let token = CancelToken::new();
        let lock = LockOptions { cancel: Some(token.clone()), ..patient().lock };
        let waiting = scope.spawn(|| set_port(3, lock));
        token.cancel();
        assert_eq!(waiting.join().unwrap().unwrap_err().code(), "ABORTED");
        assert_eq!(ports(registry), [("a".to_owned(), 1)]);
        release.send(()).unwrap();
    });
    set_port(4, patient().lock).unwrap();
    assert_eq!(ports(registry), [("a".to_owned(), 4)]);
}
