#[cfg(target_os = "linux")]
mod atomic_write;
#[cfg(windows)]
mod in_use;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod shared_file;
mod sizes;
