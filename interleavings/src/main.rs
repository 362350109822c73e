//! Explores how the threads of one process interleave in the queue of waiters, the thread pool and the cancel
//! token. Their sources are compiled as they are, against shuttle's threads. The kernel's lock is one of
//! shuttle's, since a real one would block the explorer.

#![allow(dead_code, reason = "the sources have more than the scenarios use")]

extern crate shuttle_as_std as std;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

mod lock;
mod scenarios;
mod sys {
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub(crate) struct FileId {
        pub(crate) device: u64,
        pub(crate) inode: u64,
    }
}
mod util;

fn main() -> ExitCode {
    let is_long = std::env::args().any(|arg| arg == "--long");
    let mut is_good = true;
    for (name, scenario) in scenarios::ALL {
        let count = if is_long { 200_000 } else { 3_000 };
        let started = Instant::now();
        // shuttle prints the schedule that repeats a failure.
        let is_failed = catch_unwind(|| shuttle::check_random(*scenario, count)).is_err();
        let detail = if is_failed { "the schedule that repeats it is above" } else { "" };
        println!(
            "proof: {{\"what\":\"threads: {name}\",\"size\":\"{count} schedules\",\
             \"seconds\":{:.3},\"violations\":{},\"detail\":{detail:?}}}",
            started.elapsed().as_secs_f64(),
            u8::from(is_failed),
        );
        is_good &= !is_failed;
    }
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
