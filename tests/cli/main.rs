//! The program as it is: each test starts the real program, and checks its exit code, its output,
//! its signals and what becomes of its locks. The commands that the tests let it run are those of
//! Unix.
#![cfg(unix)]

mod doctor;
mod exit_codes;
mod fixtures;
mod list;
mod output;
mod paths;
mod permissions;
mod reference;
mod run;
mod run_signals;
mod running;
mod sizes;
mod status;
mod support;

#[cfg(target_os = "linux")]
#[path = "../support/shim.rs"]
mod shim;
