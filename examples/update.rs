//! Changes one entry of a registry: `update PATH ID PORT`.
//!
//! The entry gets a new port, and is made if it is missing. All other entries stay as they are, with
//! every field that this crate does not know. However many processes do this at once, no change is
//! lost.

use std::error::Error;

use argus_registry::{read_registry, update_registry, UpdateOptions, WatcherRecord};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, id, port] = arguments.as_slice() else {
        return Err("usage: update PATH ID PORT".into());
    };
    let port: u16 = port.parse()?;

    // The closure may run again, with a newly read registry, if the lock was lost meanwhile.
    update_registry(path, &UpdateOptions::default(), |registry| {
        let found = registry.watcher(id);
        let mut watcher = found.unwrap_or_else(|| WatcherRecord::new(id, "127.0.0.1", port));
        watcher.port = port;
        registry.set_watcher(watcher);
        Ok::<_, argus_registry::Error>(())
    })?;

    let (registry, warnings) = read_registry(path)?;
    for warning in warnings {
        eprintln!("{warning}");
    }
    for WatcherRecord { id, host, port, .. } in registry.watchers() {
        println!("{id}: {host}:{port}");
    }
    Ok(())
}
