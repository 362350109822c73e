#[cfg(target_os = "linux")]
mod forks_and_threads;
#[cfg(target_os = "linux")]
mod guard;
#[cfg(target_os = "linux")]
mod lockfile;
#[cfg(target_os = "linux")]
mod loss;
mod panics;
mod registry_lock;
mod stale_lockfile;
#[cfg(target_os = "linux")]
mod users;
#[cfg(target_os = "linux")]
mod without_hard_links;
#[cfg(target_os = "linux")]
mod without_kernel_locks;
