//! A number that processes share, in a JSON document: `counter PATH TIMES [--load-save]`.
//!
//! It counts up TIMES times and says how often that was acknowledged. With `--load-save` it loads,
//! adds one and saves, which looks like an update and is none: what another process saves in between
//! is overwritten, and a process that meets another is told that the lock is busy. Run several at once
//! and compare the number in the file with what they say.

use std::error::Error;
use std::time::Duration;

use argus_registry::{Document, LockOptions};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    count: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, times, load_save) = match arguments.as_slice() {
        [path, times] => (path, times, false),
        [path, times, flag] if flag == "--load-save" => (path, times, true),
        _ => return Err("usage: counter PATH TIMES [--load-save]".into()),
    };
    // A process may crash without harm nevertheless. Only a power failure could undo an update.
    let counter = Document::json(path).empty(Counter::default).durable(false);
    let (mut acknowledged, mut busy) = (0, 0);
    for _ in 0..times.parse::<u32>()? {
        let counted =
            if load_save { by_load_and_save(&counter) } else { by_update(&counter).map(|_| ()) };
        match counted {
            Ok(()) => acknowledged += 1,
            Err(argus_registry::Error::LockBusy { .. }) => busy += 1,
            Err(error) => return Err(error.into()),
        }
    }
    println!("acknowledged {acknowledged}, busy {busy}");
    Ok(())
}

/// One lock from reading to writing.
fn by_update(counter: &Document<Counter>) -> argus_registry::Result<u64> {
    let patient = LockOptions { timeout: Some(Duration::from_secs(60)), ..LockOptions::default() };
    counter.update(&patient, |counter| {
        counter.count += 1;
        Ok(counter.count)
    })
}

/// Two locks, and every other process in between.
fn by_load_and_save(counter: &Document<Counter>) -> argus_registry::Result<()> {
    let mut value = match counter.load() {
        Err(argus_registry::Error::NotFound { .. }) => Counter::default(),
        loaded => loaded?.value,
    };
    value.count += 1;
    counter.save(&mut value)
}
