//! Processes as the `sysinfo` library finds them: asking when a process began takes platform calls that
//! this crate, which forbids unsafe code, leaves to a library. Without the feature `process-times` there
//! is no library, and nothing is known of a process: what can't be judged counts as alive.

use std::time::{Duration, SystemTime};

use super::types::ProcessState;

/// A process's state as the `sysinfo` library finds it; its start time is in seconds since 1970.
#[cfg(feature = "process-times")]
pub(super) fn process_state(pid: u32) -> ProcessState {
    use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
    let pid = Pid::from_u32(pid);
    let mut system = System::new();
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        true,
        ProcessRefreshKind::nothing(),
    );
    match system.process(pid) {
        Some(process) => ProcessState::Running { started: Some(process.start_time()) },
        None => ProcessState::Gone,
    }
}

#[cfg(not(feature = "process-times"))]
pub(super) fn process_state(_pid: u32) -> ProcessState {
    ProcessState::Running { started: None }
}

/// The name of this machine.
#[cfg(windows)]
pub(super) fn host_name() -> String {
    #[cfg(feature = "process-times")]
    let name = sysinfo::System::host_name();
    #[cfg(not(feature = "process-times"))]
    let name = std::env::var("COMPUTERNAME").ok();
    name.unwrap_or_default()
}

/// When a process began, as the `sysinfo` library finds it.
pub(super) fn process_began(pid: u32) -> Option<SystemTime> {
    let ProcessState::Running { started } = process_state(pid) else { return None };
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(started?))
}
