mod entries;
mod heartbeat;
mod large_registry;
mod on_corrupt;
#[cfg(target_os = "linux")]
mod pid_namespaces;
mod prune;
mod update;
#[cfg(target_os = "linux")]
mod without_proc;
