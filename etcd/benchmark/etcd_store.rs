//! How long the calls on a registry in etcd take beside plain calls to the same server:
//! `etcd_store ENDPOINT PREFIX SERVER_PID CALLS STEP_SECONDS`.
//!
//! Prints one line of JSON for each cell. The plain calls are those of the generated client, without this crate's
//! retries, markers and leases. For each pair, a plain call and one of this crate take turns, so that a slow time of
//! the machine slows both. Each number of watchers is tried for so many seconds.

mod capacity;
#[path = "../src/rpc/generated.rs"]
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "made by tonic-prost-build"
)]
mod generated;
mod plain;
mod watching;

use std::error::Error;
use std::time::{Duration, Instant};

use argus_registry::{update_store, ClaimOptions, RegistryStore, UpdateOptions, WatcherRecord};
use argus_registry_etcd::{EtcdOptions, EtcdStore};
use serde_json::{json, Value};

use plain::Plain;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const ENTRIES: usize = 100;

/// The time of a call, in microseconds.
pub(crate) fn timed<T>(call: impl FnOnce() -> Result<T>) -> Result<f64> {
    let start = Instant::now();
    call()?;
    Ok(start.elapsed().as_secs_f64() * 1e6)
}

/// The value at this share of the sorted times.
pub(crate) fn at(times: &mut [f64], share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * share) as usize]
}

pub(crate) fn print(cell: &str, facts: Value) {
    let mut line = json!({ "cell": cell });
    if let (Value::Object(line), Value::Object(facts)) = (&mut line, facts) {
        line.extend(facts);
    }
    println!("{line}");
}

fn print_times(cell: &str, mut times: Vec<f64>) {
    let p99 = at(&mut times, 0.99);
    print(cell, json!({ "p50Us": at(&mut times, 0.5), "p99Us": p99, "n": times.len() }));
}

pub(crate) fn record(id: &str) -> WatcherRecord {
    WatcherRecord::new(id, "127.0.0.1", 9222)
}

/// Entry operations beside a plain transaction, which puts one key if it is as it was.
fn operations(store: &EtcdStore, plain: &mut Plain, calls: usize) -> Result<()> {
    let options = UpdateOptions::default();
    let own = store.claim(record("app"), &ClaimOptions::default(), &options)?;
    let mut cells = [const { Vec::new() }; 6];
    for number in 0..calls {
        cells[0].push(timed(|| plain.transaction())?);
        cells[1].push(timed(|| match store.heartbeat(own.claim().into(), &options)? {
            true => Ok(()),
            false => Err("the entry was lost".into()),
        })?);
        if number % 4 > 0 {
            continue;
        }
        cells[5].push(timed(|| plain.lease_and_transaction())?);
        cells[2].push(timed(|| Ok(store.announce(own.clone(), &options)?))?);
        let claimed = record("claimed");
        cells[3].push(timed(|| Ok(store.claim(claimed, &ClaimOptions::default(), &options)?))?);
        cells[4].push(timed(|| Ok(store.remove("claimed".into(), &options)?))?);
    }
    let names = ["transaction", "heartbeat", "announce", "claim", "remove", "leaseAndTransaction"];
    for (name, times) in names.into_iter().zip(cells) {
        print_times(name, times);
    }
    Ok(())
}

/// An update of a registry beside reading it and putting one of its keys.
fn updates(store: &EtcdStore, plain: &mut Plain, calls: usize) -> Result<()> {
    let options = UpdateOptions::default();
    update_store(store, &options, |registry| {
        for number in registry.len()..ENTRIES {
            registry.set_watcher(record(&format!("watcher{number}")));
        }
        Ok::<_, argus_registry::Error>(())
    })?;
    let (mut plain_times, mut own_times) = (Vec::new(), Vec::new());
    for number in 0..calls / 2 {
        plain_times.push(timed(|| plain.read_and_put(ENTRIES))?);
        own_times.push(timed(|| {
            Ok(update_store(store, &options, |registry| {
                let mut watcher = registry.watcher("watcher7").expect("it was added");
                watcher.port = (number % 60_000) as u16;
                registry.set_watcher(watcher);
                Ok::<_, argus_registry::Error>(())
            })?)
        })?);
    }
    print_times("readAndPut", plain_times);
    print_times("update", own_times);
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [endpoint, prefix, server, calls, seconds] = &arguments[..] else {
        return Err("usage: etcd_store ENDPOINT PREFIX SERVER_PID CALLS STEP_SECONDS".into());
    };
    let (calls, step) = (calls.parse()?, Duration::from_secs_f64(seconds.parse()?));
    let open = |name: &str| {
        let mut options = EtcdOptions::new([endpoint], format!("{prefix}/{name}"));
        // A server that is under as much load as it can bear is not given up.
        options.answer_within = Duration::from_secs(10);
        EtcdStore::open(options)
    };
    let plain = |name: &str| Plain::connect(endpoint, &format!("{prefix}/{name}"));
    operations(&open("operations")?, &mut plain("plain")?, calls)?;
    updates(&open("updates")?, &mut plain("updates")?, calls)?;
    watching::measure(&open("watching")?, endpoint, &format!("{prefix}/watching"), calls / 2)?;
    capacity::watchers(&open("watchers")?, server, step)?;
    capacity::leases(endpoint, server, step)
}
