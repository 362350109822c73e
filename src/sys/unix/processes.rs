//! Processes on Unix, and the kernel locks that they hold.

use std::fs;
#[cfg(target_os = "linux")]
use std::time::Duration;
use std::time::SystemTime;

use rustix::io::Errno;

#[cfg(not(target_os = "linux"))]
use crate::sys::sysinfo_processes;
use crate::sys::types::{FileId, ProcessState};

/// How often the table of locks is read before a lock that is not in it counts as unknown.
#[cfg(target_os = "linux")]
const LOCK_TABLE_READS: u32 = 3;

pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(crate) fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

pub(crate) fn process_state(pid: u32) -> ProcessState {
    use rustix::process::{test_kill_process, Pid};
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return ProcessState::Gone;
    };
    if test_kill_process(raw) == Err(Errno::SRCH) {
        return ProcessState::Gone;
    }
    running(pid)
}

/// Whether this process has the permission to signal another one.
pub(crate) fn may_signal(pid: u32) -> bool {
    use rustix::process::{test_kill_process, Pid};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::PERM))
}

/// When a process began, by the machine's clock as it is set now: Linux tells only how long after
/// the boot it began.
#[cfg(target_os = "linux")]
pub(crate) fn process_began(pid: u32) -> Option<SystemTime> {
    let ProcessState::Running { started: Some(ticks) } = running(pid) else { return None };
    let since_boot = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    boot_began()?.checked_add(Duration::from_secs_f64(since_boot))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn process_began(pid: u32) -> Option<SystemTime> {
    sysinfo_processes::process_began(pid)
}

/// When the machine was booted, by its clock as it is set now.
#[cfg(target_os = "linux")]
pub(crate) fn boot_began() -> Option<SystemTime> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds.trim().parse().ok()?))
}

/// Always `None`: not asked for where a boot has no id.
#[cfg(not(target_os = "linux"))]
pub(crate) fn boot_began() -> Option<SystemTime> {
    None
}

/// The ids of the processes that hold a kernel lock on a file, as far as the system tells.
#[cfg(target_os = "linux")]
pub(crate) fn lock_holders(file: FileId) -> Vec<u32> {
    // The kernel hands out the table in pieces. If a lock is released between two pieces, a lock
    // behind it in the table may be skipped.
    let read = |_| {
        let table = fs::read_to_string("/proc/locks").unwrap_or_default();
        Some(flock_holders(&table, file)).filter(|holders| !holders.is_empty())
    };
    (0..LOCK_TABLE_READS).find_map(read).unwrap_or_default()
}

/// Always empty: only Linux has a table of all locks.
#[cfg(not(target_os = "linux"))]
pub(crate) fn lock_holders(_file: FileId) -> Vec<u32> {
    Vec::new()
}

/// Finds a file's holders in the table of locks.
///
/// A line is such as `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`; the line of a waiting
/// process has `->` before `FLOCK`. On btrfs and overlayfs the table names other devices than their
/// files have, so none is found.
#[cfg(target_os = "linux")]
fn flock_holders(table: &str, file: FileId) -> Vec<u32> {
    let (major, minor) = (rustix::fs::major(file.device), rustix::fs::minor(file.device));
    let id = format!("{major:02x}:{minor:02x}:{}", file.inode);
    let held = table.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (kind, pid) = (fields.next()?, fields.nth(2)?);
        (kind == "FLOCK" && fields.next()? == id).then(|| pid.parse().ok())?
    });
    held.collect()
}

#[cfg(target_os = "linux")]
fn running(pid: u32) -> ProcessState {
    // An emulator of user programs (qemu-user) answers for its own process with the start of the thread
    // that reads. The line of the first thread, which started with the process, comes from the kernel.
    if pid == std::process::id() {
        let stat = fs::read_to_string(format!("/proc/self/task/{pid}/stat"));
        if let ProcessState::Running { started } = parse_stat(&stat.unwrap_or_default()) {
            return ProcessState::Running { started };
        }
    }
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => parse_stat(&stat),
        Err(_) => ProcessState::Running { started: None },
    }
}

#[cfg(target_os = "linux")]
fn parse_stat(stat: &str) -> ProcessState {
    // The command name is in parentheses and may contain any text, parentheses too: the fields are
    // counted from its end.
    let after_name = stat.rfind(')').map_or("", |end| &stat[end + 1..]);
    let mut fields = after_name.split_ascii_whitespace();
    match fields.next() {
        // A zombie has closed its files, so it holds no lock. But a process whose first thread has ended lives by its other
        // threads: their number is field 20.
        Some("Z") if fields.nth(16).is_none_or(|threads| threads == "1" || threads == "0") => {
            ProcessState::Gone
        }
        Some("Z") => ProcessState::Running { started: fields.nth(1).and_then(|f| f.parse().ok()) },
        Some("X") => ProcessState::Gone,
        // The start time is field 22 of the line; the state, which was read last, is field 3.
        _ => ProcessState::Running { started: fields.nth(18).and_then(|field| field.parse().ok()) },
    }
}

#[cfg(not(target_os = "linux"))]
fn running(pid: u32) -> ProcessState {
    let sees_itself = || {
        let own = sysinfo_processes::process_state(std::process::id());
        own != ProcessState::Gone
    };
    state_of_signalled(sysinfo_processes::process_state(pid), may_signal(pid), sees_itself)
}

/// The state of a process that a signal has reached, from what the library found of it. Of a zombie, which
/// holds no lock, macOS tells nothing; nor of a process that this one may not see, such as in a sandbox.
#[cfg(any(test, not(target_os = "linux")))]
fn state_of_signalled(
    found: ProcessState,
    may_signal: bool,
    sees_itself: impl FnOnce() -> bool,
) -> ProcessState {
    match found {
        ProcessState::Gone if may_signal && sees_itself() => ProcessState::Gone,
        ProcessState::Gone => ProcessState::Running { started: None },
        running => running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn this_process_runs_and_a_reaped_one_is_gone() {
        assert!(matches!(process_state(std::process::id()), ProcessState::Running { .. }));
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(process_state(pid), ProcessState::Gone);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn holders_are_found_in_the_table_of_locks_and_waiting_processes_are_not() {
        let table = "\
1: POSIX  ADVISORY  WRITE 1 08:01:5678 0 EOF
2: FLOCK  ADVISORY  READ  2 08:01:5678 0 EOF
3: FLOCK  ADVISORY  READ 3 08:01:5678 0 EOF
3: -> FLOCK  ADVISORY  WRITE 4 08:01:5678 0 EOF
4: FLOCK  ADVISORY  WRITE 5 08:01:567 0 EOF
5: FLOCK  ADVISORY  WRITE 6 08:11:5678 0 EOF
6: FLOCK  ADVISORY  WRITE -1 08:01:5678 0 EOF
7: LEASE
";
        let file = FileId { device: rustix::fs::makedev(8, 1), inode: 5678 };
        assert_eq!(flock_holders(table, file), [2, 3]);
    }

    #[test]
    fn a_zombie_counts_as_gone() {
        use rustix::process::{waitid, Pid, WaitId, WaitIdOptions};
        let mut child = Command::new("true").spawn().unwrap();
        // Not reaped until the end of the test, so it is a zombie once it has exited.
        let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&child)), exited).unwrap();
        assert_eq!(process_state(child.id()), ProcessState::Gone);
        child.wait().unwrap();
    }

    #[test]
    fn a_process_of_which_the_system_tells_nothing_is_a_zombie_only_if_it_would_tell() {
        let (gone, unknown) = (ProcessState::Gone, ProcessState::Running { started: None });
        assert_eq!(state_of_signalled(gone, true, || true), gone);
        assert_eq!(state_of_signalled(gone, false, || true), unknown);
        assert_eq!(state_of_signalled(gone, true, || false), unknown);
        let running = ProcessState::Running { started: Some(7) };
        assert_eq!(state_of_signalled(running, true, || true), running);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_start_of_this_process_is_that_of_its_first_thread_whichever_thread_asks() {
        let own = process_state(std::process::id());
        assert_eq!(std::thread::spawn(|| process_state(std::process::id())).join().unwrap(), own);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_start_of_this_process_is_that_which_the_system_tells() {
        let own = process_state(std::process::id());
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        assert_eq!(parse_stat(&stat), own);
    }
}
