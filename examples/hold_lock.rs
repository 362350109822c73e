//! Holds a lock file until its standard input ends: `hold_lock LOCK_FILE [shared | exclusive]`.
//!
//! To try contention, run it in two terminals:
//!
//! ```text
//! $ cargo run --example hold_lock -- /tmp/try.lock
//! holding /tmp/try.lock, exclusive: press Enter to release it
//!                                   $ cargo run --example hold_lock -- /tmp/try.lock shared
//!                                   /tmp/try.lock is locked by another process, ...
//! ```

use std::io;
use std::process::ExitCode;

use argus_registry::{try_lock_exclusive, try_lock_shared};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (path, mode, lock) = match arguments.as_slice() {
        [path] | [path, "exclusive"] => (path, "exclusive", try_lock_exclusive(path)),
        [path, "shared"] => (path, "shared", try_lock_shared(path)),
        _ => {
            eprintln!("usage: hold_lock LOCK_FILE [shared | exclusive]");
            return ExitCode::from(1);
        }
    };
    let _lock = match lock {
        Ok(lock) => lock,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    println!("holding {path}, {mode}: press Enter to release it");
    // The end of the input ends the wait as a line does.
    let _ = io::stdin().read_line(&mut String::new());
    ExitCode::SUCCESS
}
