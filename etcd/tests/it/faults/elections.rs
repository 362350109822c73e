//! Leaders that are killed, and calls that have two seconds: how many of them fail depends on how long an election takes.
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
    calls: AtomicUsize,
    /// What the calls that failed said.
    failed: Mutex<Vec<String>>,
    slowest: Mutex<Duration>,
}

impl Tally {
    fn add(&self, what: &str, started: Instant, result: Result<(), argus_registry::Error>) {
        let took = started.elapsed();
        self.calls.fetch_add(1, Ordering::Relaxed);
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

/// Kills the leader so many times, while watchers, each asking another server first, renew their entries, update and
/// read. Returns what the failed calls of each kill said, and how long the slowest call took.
fn kill_leaders(kills: usize, arguments: &[&str]) -> Vec<(Vec<String>, Duration)> {
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
                        tally.add(what, started, call());
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
        for _ in 0..kills {
            let leader = servers.leader();
            servers.servers[leader].signal(Signal::KILL);
            // Each watcher has made its calls, and none has waited for the election any more.
            until("another server leads", || {
                servers.find_leader().is_some_and(|now| now != leader)
            });
            let before = tally.calls.load(Ordering::Relaxed);
            until("calls are made again", || tally.calls.load(Ordering::Relaxed) > before + 15);
            servers.servers[leader].restart();
            outcomes.push((
                std::mem::take(&mut *tally.failed.lock().unwrap()),
                std::mem::take(&mut *tally.slowest.lock().unwrap()),
            ));
        }
        outcomes
    })
}

/// With these settings an election takes half a second at most, or a second if two servers ask to be elected at once.
#[test]
fn with_short_elections_a_killed_leader_costs_no_failed_call_within_two_seconds() {
    let short = ["--election-timeout=250", "--heartbeat-interval=25", "--pre-vote"];
    let failed: Vec<_> =
        kill_leaders(5, &short).into_iter().flat_map(|(failed, _)| failed).collect();
    assert_eq!(failed, [""; 0]);
}

#[test]
#[ignore = "a measurement of some minutes, which is true of one machine"]
fn measure_killed_leaders() {
    let arguments = env::var("ETCD_ARGUMENTS").unwrap_or_default();
    let kills = env::var("KILLS").map_or(100, |kills| kills.parse().unwrap());
    let outcomes = kill_leaders(kills, &arguments.split_whitespace().collect::<Vec<_>>());
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
