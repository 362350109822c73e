//! Servers that are stopped, killed, silent or not there.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use argus_registry::{ClaimOptions, RegistryStore};
use argus_registry_etcd::{EtcdOptions, EtcdStore};
use rustix::process::Signal;

use super::{count, count_up};
use crate::support::proxy::Proxy;
use crate::support::registries::{options, patient, watcher};
use crate::support::servers::{until, Servers};

/// Without a leader no server can answer. With etcd's default timings an election takes up to two seconds, and longer
/// on a busy machine.
const ELECTION: Duration = Duration::from_secs(20);

#[test]
fn a_stopped_server_costs_no_failed_call_whichever_it_is() {
    let mut servers = Servers::start(3);
    let store = servers.store("/stopped");
    let own = store.claim(watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    for index in 0..3 {
        let timeout = if servers.leader() == index { ELECTION } else { Duration::from_secs(10) };
        servers.servers[index].signal(Signal::STOP);
        for _ in 0..5 {
            count_up(&store, &options(timeout)).unwrap();
            assert!(store.heartbeat(own.claim().into(), &options(timeout)).unwrap());
        }
        assert_eq!(usize::from(count(&store)), 5 * (index + 1));
        servers.servers[index].signal(Signal::CONT);
        until("the cluster has a leader again", || store.read().is_ok());
    }
}

#[test]
fn a_killed_leader_costs_no_failed_call() {
    let mut servers = Servers::start(3);
    let store = servers.store("/killed");
    let own = store.claim(watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    let leader = servers.leader();
    for round in 0..20 {
        if round == 3 {
            servers.servers[leader].signal(Signal::KILL);
        }
        count_up(&store, &options(ELECTION)).unwrap();
        assert!(store.heartbeat(own.claim().into(), &options(ELECTION)).unwrap());
    }
    assert_eq!(count(&store), 20);
}

#[test]
fn without_a_server_a_call_fails_in_time_and_says_so() {
    // Reserved and not listened on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let store = EtcdStore::open(EtcdOptions::new([format!("127.0.0.1:{port}")], "/none")).unwrap();
    let started = Instant::now();
    let quick = options(Duration::from_millis(300));
    let failed = store.claim(watcher("app"), &ClaimOptions::default(), &quick).unwrap_err();
    assert_eq!(failed.code(), "UNAVAILABLE");
    assert!(failed.to_string().contains(&port.to_string()), "{failed}");
    assert_eq!(count_up(&store, &quick).unwrap_err().code(), "UNAVAILABLE");
    assert_eq!(store.read().unwrap_err().code(), "UNAVAILABLE");
    let mut watch = store.watch().unwrap();
    assert_eq!(watch.next().unwrap().unwrap_err().code(), "UNAVAILABLE");
    assert!(watch.next().is_none());
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_server_that_accepts_and_never_answers_is_left_for_another() {
    let servers = Servers::start(1);
    let silent = Proxy::start(&servers.servers[0].endpoint);
    silent.faults.is_silent.store(true, Ordering::SeqCst);
    let endpoints = [silent.endpoint.clone(), servers.servers[0].endpoint.clone()];
    let mut of_both = EtcdOptions::new(endpoints, "/silent");
    of_both.read_within = Duration::from_secs(60);
    let both = EtcdStore::open(of_both).unwrap();
    for _ in 0..3 {
        count_up(&both, &patient()).unwrap();
    }
    assert_eq!(count(&both), 3);
    let alone = EtcdStore::open(EtcdOptions::new([&silent.endpoint], "/silent")).unwrap();
    let failed = count_up(&alone, &options(Duration::from_millis(900))).unwrap_err();
    assert_eq!(failed.code(), "UNAVAILABLE", "{failed}");
}
