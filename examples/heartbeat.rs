//! A process with an entry in a registry, for as long as the process runs: `heartbeat PATH ID`.
//!
//! It claims the id, or the next free one (`ID-2`), renews the entry from a thread every 15 seconds,
//! and removes it when its standard input ends or a line comes. Run it in two terminals, and look at
//! the file.

use std::error::Error;
use std::io;

use argus_registry::{
    claim_watcher, start_registry_heartbeat, ClaimOptions, HeartbeatOptions, UpdateOptions,
    WatcherRecord,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, id] = arguments.as_slice() else {
        return Err("usage: heartbeat PATH ID".into());
    };

    let watcher = WatcherRecord::new(id, "127.0.0.1", 9222);
    let claim = ClaimOptions::default();
    let watcher = claim_watcher(path, watcher, &claim, &UpdateOptions::default())?;
    println!("entered as {}: press Enter to end", watcher.id);

    // The thread asks for the record before each beat, so that it could have changed.
    let options = HeartbeatOptions::default();
    let heartbeat = start_registry_heartbeat(path, move || watcher.clone(), options)?;
    io::stdin().read_line(&mut String::new())?;
    let removed = heartbeat.stop_and_remove()?;
    println!("{}", if removed { "removed" } else { "the entry was another watcher's" });
    Ok(())
}
