//! The floor of the benchmark: one locked update in bare system calls, and nothing else.
//!
//! `syscall_floor SETTINGS` prints `ready`, waits for a line on its standard input, updates the file
//! again and again for a time, and prints how long each update took, as `contestant.rs` does.
//!
//! What every locked update of a file by replacement has to do on the same disk: create the
//! lockfile exclusively, read, write a temp file, rename it, unlink the lockfile; durable, also
//! fsync the file and its folder. It parses nothing, checks nothing and does not wait for a lock that
//! is taken, so it has to run alone. No program that does more than this can be much faster. A
//! ratio to it says what the lock, the safety and the language cost, on any machine.

#![allow(
    clippy::disallowed_methods,
    reason = "the floor is the bare calls, without the crate's checks"
)]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

/// Larger than any registry that it is run on, so that one read call gets it all.
const BUFFER_SIZE: usize = 1 << 20;

/// So that the first samples don't measure cold caches.
const WARM_UP: u32 = 100;

#[derive(Deserialize)]
struct Settings {
    path: PathBuf,
    durable: bool,
    load: Load,
}

#[derive(Deserialize)]
struct Load {
    seconds: f64,
}

struct Target {
    file: PathBuf,
    folder: PathBuf,
    lockfile: PathBuf,
    temp: PathBuf,
    durable: bool,
}

impl Target {
    fn new(file: &Path, durable: bool) -> Self {
        let beside = |ending: &str| {
            let mut name = file.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        Target {
            file: file.to_path_buf(),
            folder: file.parent().unwrap_or(file).to_path_buf(),
            lockfile: beside(".lock"),
            temp: beside(".tmp"),
            durable,
        }
    }

    fn update(&self, buffer: &mut [u8]) -> io::Result<()> {
        let lock = File::create_new(&self.lockfile)?;
        let length = File::open(&self.file)?.read(buffer)?;
        let mut temp = File::create_new(&self.temp)?;
        temp.write_all(&buffer[..length])?;
        if self.durable {
            temp.sync_all()?;
        }
        drop(temp);
        fs::rename(&self.temp, &self.file)?;
        if self.durable {
            File::open(&self.folder)?.sync_all()?;
        }
        fs::remove_file(&self.lockfile)?;
        drop(lock);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1).ok_or("usage: syscall_floor SETTINGS")?;
    let Settings { path, durable, load } = serde_json::from_str(&argument)?;
    let time = Duration::try_from_secs_f64(load.seconds)?;
    let target = Target::new(&path, durable);
    let mut buffer = vec![0; BUFFER_SIZE];
    for _ in 0..WARM_UP {
        target.update(&mut buffer)?;
    }

    let mut output = io::stdout().lock();
    writeln!(output, "ready")?;
    output.flush()?;
    if io::stdin().read_line(&mut String::new())? == 0 {
        return Err("the standard input ended before the start signal".into());
    }

    let mut latencies = Vec::with_capacity(1 << 20);
    let started = Instant::now();
    let mut now = started;
    while now - started < time {
        target.update(&mut buffer)?;
        let after = Instant::now();
        latencies.push((after - now).as_secs_f64() * 1_000.0);
        now = after;
    }
    let outcome = json!({
        "acknowledged": latencies.len(),
        "within": latencies.len(),
        "windowMs": (now - started).as_secs_f64() * 1_000.0,
        "latencies": latencies,
        "errors": {},
    });
    writeln!(output, "{outcome}")?;
    Ok(())
}
