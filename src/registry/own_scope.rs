//! The scope of this process's pid, as it is written into entries.

use std::sync::{Mutex, PoisonError};

use crate::content::pid_scope::PidScope;
use crate::sys;

/// Where the pid of this process names a process.
pub(crate) fn own_scope() -> PidScope {
    static LAST: Mutex<Option<PidScope>> = Mutex::new(None);
    let pid = std::process::id();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    // A process that was forked, such as a daemon, has another pid, and maybe another namespace.
    let scope = last.take().filter(|scope| scope.pid == pid).unwrap_or_else(|| find_out(pid));
    last.insert(scope).clone()
}

fn find_out(pid: u32) -> PidScope {
    if !sys::HAS_PID_NAMESPACES {
        let host = Some(sys::host_name()).filter(|name| !name.is_empty());
        return PidScope { pid, boot: None, namespace: None, machine: host.map(digest) };
    }
    // In a container the machine id is that of its image, which other machines may have, too.
    let machine = sys::in_initial_pid_namespace().then(sys::machine_id).flatten();
    let namespace = sys::pid_namespace();
    PidScope { pid, boot: sys::boot_id(), namespace, machine: machine.map(digest) }
}

/// A number that tells a machine from others, but not its id, which machine-id(5) wants kept from files
/// that others may read. FNV-1a: it must not change with the compiler, as the standard library's may.
fn digest(id: String) -> String {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = std::env::consts::OS.bytes().chain(*b":").chain(id.bytes());
    let hash = bytes.fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("{hash:016x}")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_machine_stays_what_earlier_versions_have_written() {
        assert_eq!(digest("b".to_owned()), "ce6abfc95c285c05");
        assert_ne!(digest("b".to_owned()), digest("c".to_owned()));
    }
}
