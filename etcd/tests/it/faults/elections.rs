//! Servers that are killed or stopped, and calls that have two seconds: how many of them fail depends on how long an
//! election takes.
//!
//! `cargo test -p argus-registry-etcd --test it -- --ignored --nocapture measure_killed_leaders` measures it, for the
//! servers' arguments in `ETCD_ARGUMENTS` and `KILLS` kills.

use std::env;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use argus_registry::{ClaimOptions, RegistryStore};
use argus_registry_etcd::EtcdStore;
use rustix::process::Signal;

use super::count_up;
use crate::support::registries::{options, patient, watcher};
use crate::support::servers::{until, Servers};

/// How long each call has.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Between the calls of a watcher, which in real life is seconds.
const PAUSE: Duration = Duration::from_millis(50);

/// What happened to the calls.
#[derive(Default)]
struct Tally {
    /// How many each watcher has made.
    calls: [AtomicUsize; 3],
    /// What the calls that failed said.
    failed: Mutex<Vec<String>>,
    slowest: Mutex<Duration>,
}

impl Tally {
    fn add(
        &self,
        watcher: usize,
        what: &str,
        started: Instant,
        result: Result<(), argus_registry::Error>,
    ) {
        let took = started.elapsed();
        self.calls[watcher].fetch_add(1, Ordering::Relaxed);
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = took.max(*slowest);
        if let Err(error) = result {
            let failure = format!("{what}, after {} ms: {error}", took.as_millis());
            self.failed.lock().unwrap().push(failure);
        }
    }
}

/// Ends the watchers, also if the test fails, which would wait for them otherwise.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// With these settings an election takes half a second at most, or a second if two servers ask to be elected at once.
const SHORT_ELECTIONS: [&str; 3] =
    ["--election-timeout=250", "--heartbeat-interval=25", "--pre-vote"];

/// What happens to a server.
#[derive(Clone, Copy)]
enum Outage {
    Killed,
    /// It keeps its connections and answers nothing.
    Stopped,
}

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Leader,
    Follower,
}

/// Takes a server out so many times, while watchers, each asking another server first, renew their entries, update and
/// read. Returns what the failed calls of each time said, and how long the slowest call took.
fn take_out(
    role: Role,
    outage: Outage,
    times: usize,
    arguments: &[&str],
) -> Vec<(Vec<String>, Duration)> {
    let mut servers = Servers::start_with(3, arguments);
    let (tally, is_over) = (Tally::default(), AtomicBool::new(false));
    let endpoints = servers.endpoints();
    thread::scope(|scope| {
        for first in 0..3 {
            let (tally, is_over) = (&tally, &is_over);
            let mut of_store = servers.options("/elections");
            of_store.endpoints =
                endpoints[first..].iter().chain(&endpoints[..first]).cloned().collect();
            of_store.read_within = TIMEOUT;
            let store = EtcdStore::open(of_store).unwrap();
            let own = watcher(&format!("watcher{first}"));
            let own = store.claim(own, &ClaimOptions::default(), &patient()).unwrap().claim();
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let timed = |what, call: &dyn Fn() -> Result<(), argus_registry::Error>| {
                        let started = Instant::now();
                        tally.add(first, what, started, call());
                    };
                    timed("heartbeat", &|| {
                        store
                            .heartbeat(own.clone().into(), &options(TIMEOUT))
                            .map(|was_there| assert!(was_there))
                    });
                    // One watcher updates: several would make each other's updates run again.
                    if first == 0 {
                        timed("update", &|| count_up(&store, &options(TIMEOUT)));
                    }
                    timed("read", &|| store.read().map(|_| ()));
                    // Each renewal makes an update that is under way run again.
                    thread::sleep(PAUSE);
                }
            });
        }
        let _ending = EndOnDrop(&is_over);
        let mut outcomes = Vec::new();
        for time in 0..times {
            let leader = servers.leader();
            let index = if role == Role::Leader { leader } else { (leader + 1 + time % 2) % 3 };
            servers.servers[index].signal(match outage {
                Outage::Killed => Signal::KILL,
                Outage::Stopped => Signal::STOP,
            });
            until("another server leads", || servers.find_leader().is_some_and(|now| now != index));
            // None waits for the election any more, and each has asked the server that is out.
            let calls = || tally.calls.each_ref().map(|calls| calls.load(Ordering::Relaxed));
            let before = calls();
            until("each watcher makes calls again", || {
                calls().iter().zip(&before).all(|(now, before)| *now > before + 5)
            });
            match outage {
                Outage::Killed => servers.servers[index].restart(),
                Outage::Stopped => servers.servers[index].signal(Signal::CONT),
            }
            servers.wait_until_healthy();
            outcomes.push((
                std::mem::take(&mut *tally.failed.lock().unwrap()),
                std::mem::take(&mut *tally.slowest.lock().unwrap()),
            ));
        }
        outcomes
    })
}

/// What the calls said that failed while a server was out.
fn failed(role: Role, outage: Outage, times: usize) -> Vec<String> {
    let outcomes = take_out(role, outage, times, &SHORT_ELECTIONS);
    outcomes.into_iter().flat_map(|(failed, _)| failed).collect()
}

#[test]
fn with_short_elections_a_killed_leader_costs_no_failed_call_within_two_seconds() {
    assert_eq!(failed(Role::Leader, Outage::Killed, 5), [""; 0]);
}

#[test]
fn with_short_elections_a_stopped_leader_costs_no_failed_call_within_two_seconds() {
    assert_eq!(failed(Role::Leader, Outage::Stopped, 3), [""; 0]);
}

#[test]
fn a_killed_or_stopped_follower_costs_no_failed_call_within_two_seconds() {
    assert_eq!(failed(Role::Follower, Outage::Killed, 2), [""; 0]);
    assert_eq!(failed(Role::Follower, Outage::Stopped, 2), [""; 0]);
}

#[test]
#[ignore = "a measurement of some minutes, which is true of one machine"]
fn measure_killed_leaders() {
    let arguments = env::var("ETCD_ARGUMENTS").unwrap_or_default();
    let kills = env::var("KILLS").map_or(100, |kills| kills.parse().unwrap());
    let arguments: Vec<_> = arguments.split_whitespace().collect();
    let outcomes = take_out(Role::Leader, Outage::Killed, kills, &arguments);
    for failure in outcomes.iter().flat_map(|(failed, _)| failed) {
        println!("{failure}");
    }
    let failed = outcomes.iter().filter(|(failed, _)| !failed.is_empty()).count();
    let mut slowest: Vec<_> = outcomes.iter().map(|(_, slowest)| slowest.as_millis()).collect();
    slowest.sort_unstable();
    println!(
        "{failed} of {kills} kills cost a failed call; slowest call per kill in ms: {slowest:?}"
    );
}
