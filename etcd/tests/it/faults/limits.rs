//! What etcd does not take: too much at once, a full database, a revision that was compacted.

use std::process::Command;
use std::sync::atomic::Ordering;

use argus_registry::{
    update_store, ClaimOptions, Error, PruneOptions, RegistryStore, WatcherRecord, WatcherRef,
};
use argus_registry_etcd::{EtcdOptions, EtcdStore};

use super::{count, count_up};
use crate::support::proxy::Proxy;
use crate::support::registries::{patient, watcher};
use crate::support::servers::{shared, until, Servers};

fn add(store: &EtcdStore, range: std::ops::Range<usize>) -> Result<(), Error> {
    update_store(store, &patient(), |found| {
        for number in range.clone() {
            found.set_watcher(watcher(&format!("app{number}")));
        }
        Ok(())
    })
}

#[test]
fn an_update_of_more_entries_than_etcd_takes_is_refused_and_a_large_registry_is_not() {
    let store = shared().store("/large");
    assert_eq!(add(&store, 0..200).unwrap_err().code(), "STORE_LIMIT");
    assert!(store.read().unwrap().0.is_empty());
    for part in 0..11 {
        add(&store, part * 100..(part + 1) * 100).unwrap();
    }
    count_up(&store, &patient()).unwrap();
    let (found, _) = store.read().unwrap();
    assert_eq!((found.len(), count(&store)), (1101, 1));
    assert_eq!(found.ids().next(), Some("app0"), "in the order in which they were added");
    let later = PruneOptions {
        now: Some(std::time::SystemTime::now() + std::time::Duration::from_secs(3600)),
        ..PruneOptions::default()
    };
    assert_eq!(store.prune(&later, &patient()).unwrap().len(), 1101);
}

/// It failed, as if nothing had been removed.
#[test]
fn a_prune_that_can_t_go_on_tells_what_it_has_removed() {
    let store = shared().store("/prune-part");
    add(&store, 0..100).unwrap();
    // One transaction can't compare and delete a hundred of them: their keys are too long.
    for number in 0..100 {
        store.announce(watcher(&format!("{number}{}", "x".repeat(9_000))), &patient()).unwrap();
    }
    let later = PruneOptions {
        now: Some(std::time::SystemTime::now() + std::time::Duration::from_secs(3600)),
        ..PruneOptions::default()
    };
    let pruned = store.prune(&later, &patient()).unwrap();
    assert_eq!(pruned.len(), 100);
    let left = store.read().unwrap().0;
    assert_eq!(left.len(), 100);
    assert!(left.watcher("app0").is_none());
    assert_eq!(store.prune(&later, &patient()).unwrap_err().code(), "STORE_LIMIT");
}

#[test]
fn a_record_that_is_too_large_is_refused_and_leaves_no_trace() {
    let store = shared().store("/wide");
    let mut wide = watcher("wide");
    wide.cwd = Some("x".repeat(2_000_000));
    let refused = store.claim(wide, &ClaimOptions::default(), &patient()).unwrap_err();
    assert_eq!(refused.code(), "STORE_LIMIT", "{refused}");
    assert!(store.read().unwrap().0.is_empty());
}

#[test]
fn a_full_database_refuses_what_is_new_and_entries_can_be_removed() {
    let servers = Servers::start_with(1, &["--quota-backend-bytes=3000000"]);
    let store = servers.store("/full");
    let own = store.claim(watcher("own"), &ClaimOptions::default(), &patient()).unwrap();
    let mut wide = WatcherRecord::new("wide", "127.0.0.1", 1);
    wide.cwd = Some("x".repeat(500_000));
    let full = (0..50).find_map(|_| store.announce(wide.clone(), &patient()).err()).unwrap();
    assert_eq!(full.code(), "STORE_LIMIT");
    assert!(full.to_string().contains("etcdctl alarm disarm"), "{full}");
    // What needs no more space than was left is still written: then the next thing is refused.
    let refused = (0..1000).find_map(|_| count_up(&store, &patient()).err()).unwrap();
    assert_eq!(refused.code(), "STORE_LIMIT");
    for (id, watcher) in [("wide", WatcherRef::from("wide")), ("own", own.claim().into())] {
        let is_there = || store.read().unwrap().0.watcher(id).is_some();
        match store.remove(watcher.clone(), &patient()) {
            Ok(removed) => {
                assert!(removed && !is_there());
                assert!(!store.remove(watcher, &patient()).unwrap());
            }
            // etcd 3.5.1 refuses this, too, once its database has grown beyond the quota.
            Err(refused) => {
                assert_eq!(refused.code(), "STORE_LIMIT");
                assert!(is_there());
                assert!(!server_version().starts_with("3.4."), "{refused}");
            }
        }
    }
}

/// The version of the servers that the tests start.
fn server_version() -> String {
    let output = Command::new("etcd").arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    line.unwrap_or_default().to_owned()
}

#[test]
fn a_watch_whose_revision_was_compacted_goes_on_with_the_present_state() {
    let servers = Servers::start(1);
    let proxy = Proxy::start(&servers.servers[0].endpoint);
    let watched = EtcdStore::open(EtcdOptions::new([&proxy.endpoint], "/compacted")).unwrap();
    let other = servers.store("/compacted");
    count_up(&other, &patient()).unwrap();
    let mut watch = watched.watch().unwrap();
    let port = |state: argus_registry::RegistryV1| state.watcher("counter").unwrap().port;
    assert_eq!(port(watch.next().unwrap().unwrap().0), 1);
    // The watch hears nothing, its connection breaks, and what it has missed is compacted.
    proxy.faults.is_silent.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        count_up(&other, &patient()).unwrap();
    }
    let status = servers.ctl(&["get", "x", "-w", "fields"]);
    let revision = status.lines().find_map(|line| line.strip_prefix("\"Revision\" : ")).unwrap();
    servers.ctl(&["compact", revision]);
    std::thread::sleep(std::time::Duration::from_millis(2500));
    proxy.faults.is_silent.store(false, Ordering::SeqCst);
    until("the last state was delivered", || port(watch.next().unwrap().unwrap().0) == 21);
}
