//! Updates a registry a number of times: `repeated_update OPERATION FOLDER TIMES`. Its instructions
//! are counted by `benchmark/instructions.mjs`, which takes the difference of two runs, so that what a
//! process does once is not counted.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use argus_registry::{
    announce_watcher, claim_watcher, heartbeat_watcher, read_registry, update_registry,
    ClaimOptions, UpdateOptions, WatcherRecord,
};

const ENTRIES: u16 = 10;

fn watcher(number: u16) -> WatcherRecord {
    let mut record = WatcherRecord::new(format!("watcher-{number}"), "127.0.0.1", 9222 + number);
    record.cwd = Some(format!("/home/user/projects/app-{number}"));
    record
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [operation, folder, times] = &*arguments else {
        return Err("usage: repeated_update OPERATION FOLDER TIMES".into());
    };
    let times: u32 = times.parse()?;
    let folder = Path::new(folder);
    let in_folder = operation == "folder-heartbeat";
    let path = folder.join(if in_folder { "watchers.d/" } else { "registry.json" });
    if in_folder {
        fs::create_dir_all(&path)?;
    }
    let options = UpdateOptions { durable: false, ..UpdateOptions::default() };
    for number in 0..ENTRIES {
        claim_watcher(&path, watcher(number), &ClaimOptions::default(), &options)?;
    }
    let own = read_registry(&path)?.0.watcher("watcher-5").ok_or("it was entered")?;
    for _ in 0..times {
        match &**operation {
            "heartbeat" | "folder-heartbeat" => {
                heartbeat_watcher(&path, own.clone(), &options)?;
            }
            "announce" => {
                announce_watcher(&path, watcher(5), &options)?;
            }
            "update" => {
                update_registry(&path, &options, |registry| {
                    let mut record = registry.watcher("watcher-5").unwrap_or_default();
                    record.updated_at += 1;
                    registry.set_watcher(record);
                    Ok::<_, argus_registry::Error>(())
                })?;
            }
            "read" => {
                read_registry(&path)?;
            }
            other => return Err(format!("no such operation: {other}").into()),
        }
    }
    Ok(())
}
