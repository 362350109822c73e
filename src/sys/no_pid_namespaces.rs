//! Platforms without pid namespaces: every process has one number there, for all others.

use std::time::SystemTime;

use super::types::NestedProcess;

/// Always true.
pub(crate) fn in_initial_pid_namespace() -> bool {
    true
}

/// Always true.
pub(crate) fn proc_is_of_own_namespace() -> bool {
    true
}

/// Always empty.
pub(crate) fn nested_processes() -> Option<Vec<NestedProcess>> {
    Some(Vec::new())
}

/// The host's name: what names the machine itself takes platform calls that this crate, which forbids
/// unsafe code, does not make.
pub(crate) fn machine_id() -> Option<String> {
    Some(super::host_name()).filter(|name| !name.is_empty())
}

/// Always `None`: without a boot's id nothing depends on it.
pub(crate) fn boot_began() -> Option<SystemTime> {
    None
}
