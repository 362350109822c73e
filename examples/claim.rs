//! Claims an id in a registry and stays alive: `claim PATH ID`.
//!
//! It says that it is ready, claims when it gets a line, says which id it got, and ends with its
//! standard input.

use std::error::Error;
use std::io::{self, Read};
use std::time::Duration;

use argus_registry::{claim_watcher, ClaimOptions, LockOptions, UpdateOptions, WatcherRecord};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, id] = arguments.as_slice() else {
        return Err("usage: claim PATH ID".into());
    };
    println!("ready");
    io::stdin().read_line(&mut String::new())?;
    let options = UpdateOptions {
        lock: LockOptions { timeout: Some(Duration::from_secs(60)), ..LockOptions::default() },
        ..UpdateOptions::default()
    };
    let watcher = WatcherRecord::new(id, "127.0.0.1", 9222);
    println!("{}", claim_watcher(path, watcher, &ClaimOptions::default(), &options)?.id);
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
