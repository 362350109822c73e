//! Platforms without pid namespaces: every process has one number there, for all others.

use super::types::NestedProcess;

pub(crate) const HAS_PID_NAMESPACES: bool = false;

/// Always `None`.
pub(crate) fn pid_namespace() -> Option<u64> {
    None
}

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

/// Always `None`: to find it out takes platform calls that this crate, which forbids unsafe code, does
/// not make.
pub(crate) fn machine_id() -> Option<String> {
    None
}
