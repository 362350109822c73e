//! Pid namespaces of Linux, in which containers have their processes.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::listing::names_in;
use super::types::NestedProcess;

pub(crate) const HAS_PID_NAMESPACES: bool = true;

/// The inode of the initial namespace, fixed in the kernel (`PROC_PID_INIT_INO`).
const INITIAL_NAMESPACE: u64 = 0xEFFF_FFFC;

/// The inode of this process's namespace; `None` if `/proc` is not there.
pub(crate) fn pid_namespace() -> Option<u64> {
    fs::metadata("/proc/self/ns/pid").ok().map(|metadata| metadata.ino())
}

/// Whether this process is in the namespace that all others are in or below.
pub(crate) fn in_initial_pid_namespace() -> bool {
    pid_namespace() == Some(INITIAL_NAMESPACE)
}

/// Whether `/proc` numbers processes as the system calls of this process do. It does not in a new
/// namespace that `/proc` was not mounted in.
pub(crate) fn proc_is_of_own_namespace() -> bool {
    let own = std::process::id().to_string();
    fs::read_link("/proc/self").is_ok_and(|link| link == Path::new(&own))
}

/// The processes of the namespaces below this process's own; `None` if this process may not see all
/// processes (`hidepid`).
pub(crate) fn nested_processes() -> Option<Vec<NestedProcess>> {
    // Root's first process is hidden from every process that any is hidden from.
    fs::read_to_string("/proc/1/status").ok()?;
    let mut nested = Vec::new();
    for entry in names_in(Path::new("/proc")).ok()? {
        let Ok(pid) = entry.name.to_string_lossy().parse() else { continue };
        match fs::read_to_string(format!("/proc/{pid}/status")) {
            Ok(status) => {
                let inner_pid = innermost_pid(&status)?;
                nested.extend((inner_pid != pid).then_some(NestedProcess { pid, inner_pid }));
            }
            Err(error) if has_ended(&error) => {}
            Err(_) => return None,
        }
    }
    Some(nested)
}

/// The number of a process in its own namespace; `None` if the kernel does not tell (before 4.1). The
/// line has a number for each namespace, from this process's own down to that one.
fn innermost_pid(status: &str) -> Option<u32> {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    numbers.split_ascii_whitespace().last()?.parse().ok()
}

fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// What the administrator's tools made for this machine, or for the container that this process is in.
pub(crate) fn machine_id() -> Option<String> {
    let text = fs::read_to_string("/etc/machine-id").ok()?;
    // Before the first boot is over the file is empty or says `uninitialized`.
    let id = text.trim();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_number_in_each_namespace_and_the_last_is_its_own() {
        assert_eq!(innermost_pid("Name:\tx\nNSpid:\t4711\t7\t1\nNSpgid:\t5\t3\n"), Some(1));
        assert_eq!(innermost_pid("NSpid:\t4711\n"), Some(4711));
        assert_eq!(innermost_pid("Name:\tx\n"), None);
    }
}
