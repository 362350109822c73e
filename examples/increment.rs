//! Counts up a number in a shared registry: `increment PATH TIMES [MARKER | --say]`.
//!
//! The number is the port of the entry `counter`. With `--say`, it says when it has started, for
//! a parent that wants to kill it in the middle. With a marker, every hold of the lock creates
//! that file exclusively and removes it again, so that two holds at once are seen by a witness
//! that knows nothing of the lock.

use std::error::Error;
use std::fs;
use std::time::Duration;

use argus_registry::{update_registry, LockOptions, UpdateOptions, WatcherRecord};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, times, rest @ ..] = arguments.as_slice() else {
        return Err("usage: increment PATH TIMES [MARKER | --say]".into());
    };
    let marker = rest.first().filter(|argument| *argument != "--say");
    let options = UpdateOptions {
        lock: LockOptions { timeout: Some(Duration::from_secs(60)), ..LockOptions::default() },
        durable: false,
        ..UpdateOptions::default()
    };
    for round in 0..times.parse::<u32>()? {
        update_registry(path, &options, |registry| {
            if let Some(marker) = marker {
                fs::File::create_new(marker)
                    .map_err(|error| format!("two holds at once: {marker}: {error}"))?;
            }
            let mut counter = registry
                .watcher("counter")
                .unwrap_or_else(|| WatcherRecord::new("counter", "127.0.0.1", 0));
            counter.port = counter.port.wrapping_add(1);
            registry.set_watcher(counter);
            if let Some(marker) = marker {
                fs::remove_file(marker)?;
            }
            Ok::<_, Box<dyn Error>>(())
        })?;
        if round == 0 && rest.len() > usize::from(marker.is_some()) {
            println!("started");
        }
    }
    Ok(())
}
