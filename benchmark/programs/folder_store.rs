//! How long the calls on a registry in a folder take: `folder_store FOLDER [ENTRIES...]`.
//!
//! Prints one line of JSON for each cell: the floor of a heartbeat (`futimens` and `fstat` on an open
//! file), a heartbeat, a claim, and reading so many entries, by default 10, 1,000 and 10,000, for the first
//! time and again. Each is the median and the 99th percentile of many calls, in microseconds. The folder is
//! created, and has to be empty or missing.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use argus_registry::{
    claim_watcher, heartbeat_watcher, read_registry, update_registry, ClaimOptions, UpdateOptions,
    WatcherRecord,
};
use serde_json::json;

const BATCHES: usize = 2_000;
const CALLS_PER_BATCH: u32 = 100;
const CLAIMS: usize = 200;
const MEASURED_READING: Duration = Duration::from_millis(500);
const FIRST_READINGS: usize = 5;
const SETTLED: Duration = Duration::from_millis(200);

/// The time of one call in each batch: a clock read takes as long as a part of a heartbeat.
fn batches(
    mut call: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut times = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..CALLS_PER_BATCH {
            call()?;
        }
        times.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS_PER_BATCH));
    }
    Ok(times)
}

fn print(cell: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{}", json!({ "cell": cell, "p50Us": at(0.5), "p99Us": at(0.99), "n": times.len() }));
}

/// The call that a heartbeat makes: the standard library asks for more, and takes longer.
#[cfg(unix)]
fn look_at(file: &File) -> std::io::Result<()> {
    rustix::fs::fstat(file)?;
    Ok(())
}

#[cfg(not(unix))]
fn look_at(file: &File) -> std::io::Result<()> {
    file.metadata().map(|_| ())
}

fn floor(path: &Path) -> Result<Vec<f64>, Box<dyn Error>> {
    let file = File::create(path)?;
    let times = batches(|| {
        file.set_modified(SystemTime::now())?;
        look_at(&file)?;
        Ok(())
    });
    fs::remove_file(path)?;
    times
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: folder_store FOLDER [ENTRIES...]")?;
    let mut sizes = arguments.map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![10, 1_000, 10_000];
    }
    fs::create_dir_all(&folder)?;
    let folder = fs::canonicalize(folder)?;
    print("floor", floor(&folder.join("floor"))?);
    let options = UpdateOptions { durable: false, ..UpdateOptions::default() };
    let new = |id: &str| WatcherRecord::new(id, "127.0.0.1", 9222);
    let watcher = claim_watcher(&folder, new("app"), &ClaimOptions::default(), &options)?;
    let claim = watcher.claim();
    let heartbeats = batches(|| match heartbeat_watcher(&folder, claim.clone(), &options)? {
        true => Ok(()),
        false => Err("the entry was lost".into()),
    })?;
    print("heartbeat", heartbeats);
    let mut claims = Vec::new();
    for number in 0..CLAIMS {
        let watcher = new(&format!("claimed{number}"));
        let start = Instant::now();
        claim_watcher(&folder, watcher, &ClaimOptions::default(), &options)?;
        claims.push(start.elapsed().as_secs_f64() * 1e6);
    }
    print("claim", claims);
    for size in sizes {
        update_registry(&folder, &options, |registry| {
            for number in registry.len()..size {
                registry.set_watcher(new(&format!("watcher{number}")));
            }
            for id in registry.ids().skip(size).map(str::to_owned).collect::<Vec<_>>() {
                registry.remove_watcher(&id);
            }
            Ok::<_, argus_registry::Error>(())
        })?;
        // An entry that was written just before is read again.
        #[allow(clippy::disallowed_methods, reason = "nothing cancels this program but its end")]
        thread::sleep(SETTLED);
        let read = |folder: &Path| -> Result<f64, Box<dyn Error>> {
            let start = Instant::now();
            let (registry, _) = read_registry(folder)?;
            let time = start.elapsed().as_secs_f64() * 1e6;
            assert_eq!(registry.len(), size);
            Ok(time)
        };
        #[allow(clippy::disallowed_methods, reason = "no program has a file of this folder open")]
        let rename = |from: &Path, to: &Path| fs::rename(from, to);
        let mut first = Vec::new();
        for number in 0..FIRST_READINGS {
            // Under another name it is a folder that this process has not read.
            let other = folder.with_extension(format!("{size}.{number}"));
            rename(&folder, &other)?;
            first.push(read(&other)?);
            rename(&other, &folder)?;
        }
        print(&format!("read{size}First"), first);
        read(&folder)?;
        let (mut times, end) = (Vec::new(), Instant::now() + MEASURED_READING);
        while Instant::now() < end {
            times.push(read(&folder)?);
        }
        print(&format!("read{size}Again"), times);
    }
    Ok(())
}
