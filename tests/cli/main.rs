//! The program as it is: each test starts the real program, and checks its exit code, its output,
//! its signals and what becomes of its locks.

mod doctor;
mod exit_codes;
mod fixtures;
mod folder;
mod list;
mod output;
mod paths;
#[cfg(unix)]
mod permissions;
mod reference;
mod run;
#[cfg(unix)]
mod run_signals;
mod running;
mod sizes;
mod status;
mod support;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
#[path = "../support/shim.rs"]
mod shim;
