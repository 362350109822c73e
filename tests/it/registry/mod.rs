mod entries;
mod heartbeat;
mod large_registry;
#[cfg(target_os = "linux")]
mod pid_namespaces;
mod prune;
mod update;
