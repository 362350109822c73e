//! The scope of this process's pid, as it is written into entries.

use std::sync::OnceLock;

use crate::content::pid_scope::PidScope;
use crate::sys;

/// Where the pid of this process names a process.
pub(super) fn own_scope() -> &'static PidScope {
    static SCOPE: OnceLock<PidScope> = OnceLock::new();
    SCOPE.get_or_init(|| {
        let location = sys::location();
        // In a container the machine id is that of its image, which other machines may have, too.
        let machine = sys::in_initial_pid_namespace().then(sys::machine_id).flatten();
        PidScope {
            pid: std::process::id(),
            boot: location.boot.clone(),
            namespace: location.pid_namespace,
            machine: machine.map(|id| digest(std::env::consts::OS, &id)),
        }
    })
}

/// A number that tells a machine from others, but not its id, which machine-id(5) wants kept from files
/// that others may read. FNV-1a: it must not change with the compiler, as the standard library's may.
fn digest(system: &str, id: &str) -> String {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = system.bytes().chain(*b":").chain(id.bytes());
    let hash = bytes.fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_machine_stays_what_earlier_versions_have_written() {
        assert_eq!(digest("a", "b"), "e661911904a01160");
        assert_ne!(digest("linux", "b"), digest("macos", "b"));
    }
}
