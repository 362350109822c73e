#[cfg(feature = "tokio")]
mod async_operations;
mod definition;
#[cfg(unix)]
mod error_paths;
mod errors;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
mod first_use;
#[cfg(feature = "toml")]
mod format;
mod lock;
mod lock_choice;
mod on_corrupt;
mod operations;
#[cfg(unix)]
mod permissions;
mod processes;
mod reentry;
mod rewriting;
mod unknown_members;
