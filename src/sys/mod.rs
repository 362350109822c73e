//! Calls to the operating system.
//!
//! For: every call to the system that the standard library does not make alike on all platforms,
//! with one set of signatures that each platform implements. May use: `util`. Never: decides
//! anything; each function makes one call and translates its result, and the caller decides what to
//! do with it.

#[cfg(target_os = "linux")]
mod acl;
mod busy;
mod listing;
#[cfg_attr(not(target_os = "linux"), path = "no_pid_namespaces.rs")]
mod pid_namespaces;
#[cfg_attr(windows, path = "windows_sharing.rs")]
mod sharing;
#[cfg(not(target_os = "linux"))]
mod sysinfo_processes;
mod types;
pub(crate) use busy::{retry_while_busy, BusyLimit, BusyScope};
pub(crate) use listing::{names_in, ListedKind, ListedName};
pub(crate) use pid_namespaces::*;
pub(crate) use sharing::is_sharing_violation;
pub(crate) use types::{
    FileId, FileStamp, NestedProcess, ProcessLocation, ProcessState, WriteBlock,
};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::canonicalize;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::canonicalize;
#[cfg(windows)]
pub(crate) use windows::*;

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Whether file systems here usually take names for one that differ in the case of letters only.
pub(crate) const NAMES_IGNORE_CASE: bool = cfg!(any(windows, target_os = "macos"));

/// By how much a process that has another one's id began later at least, in the unit of
/// [`process_state`]: ids are given out in turn, so the same id comes back late. Emulators and containers
/// round start times.
pub(crate) const START_TIME_SLACK: u64 = if cfg!(target_os = "linux") { 100 } else { 1 };

/// Whether a path counts from the working folder, and that was deleted.
pub(crate) fn is_in_deleted_folder(path: &Path) -> bool {
    let is_gone = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    path.is_relative() && env::current_dir().is_err_and(is_gone)
}

/// Renames `from` to `to`, and replaces `to` in one step if it exists.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    busy::retry_while_any_is_busy(&[from, to], || rename_once(from, to))
}

/// Gives a file a second name, in one step. Fails if a file of that name exists.
#[allow(clippy::disallowed_methods, reason = "only sys may call it")]
pub(crate) fn hard_link(original: &Path, link: &Path) -> io::Result<()> {
    retry_while_busy(link, || fs::hard_link(original, link))
}

/// Removes a file; succeeds if it does not exist.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match retry_while_busy(path, || fs::remove_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // On a network file system a removal that the server has made can be reported as failed: its answer
        // was lost.
        Err(_) if matches!(id_at(path), Ok(None)) => Ok(()),
        other => other,
    }
}

/// Removes a file whose name has to be free at once; succeeds if it does not exist. On Windows a file that
/// is deleted while a program has it open may keep its name, and no file of that name can be created or
/// opened. So it is renamed to `aside` first.
#[allow(clippy::disallowed_methods, reason = "only sys may call it")]
pub(crate) fn remove_name(path: &Path, aside: &Path) -> io::Result<()> {
    if OPEN_FILES_CAN_BE_REPLACED {
        return remove_if_there(path);
    }
    match fs::rename(path, aside) {
        Ok(()) => remove_if_there(aside),
        Err(_) => remove_if_there(path),
    }
}

/// Reads at most `limit` bytes from the start of a file, wherever the position of the descriptor
/// is.
pub(crate) fn read_start(file: &File, limit: usize) -> io::Result<Vec<u8>> {
    read_enough(file, limit, limit)
}

/// Reads from the start of a file until it has `enough` bytes or the file ends. A single read may
/// return more than `enough`, up to `limit`.
fn read_enough(file: &File, enough: usize, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = zeroed(limit)?;
    let mut filled = 0;
    while filled < enough {
        match read_at(file, &mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// A buffer. Fails where the memory for it can't be had: a `vec!` would end the process.
fn zeroed(size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    bytes.resize(size, 0);
    Ok(bytes)
}

/// Reads all of an open file, whose size when it was opened is `size`, but at most one byte more than
/// `limit`: enough to show that the file is larger.
pub(crate) fn read_all(mut file: &File, size: u64, limit: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(size.min(limit)).unwrap_or(usize::MAX);
    // The buffer has room for one more byte, which shows whether the file has grown: one that has
    // not is read in one call.
    // Read at least once: some file systems have files whose size they give as 0.
    let mut bytes = read_enough(file, size.max(1), size.saturating_add(1))?;
    if bytes.len() > size {
        // A file that is only ever replaced in one step does not grow while it is open. `read_to_end`
        // fails where it can't get memory.
        bytes.clear();
        io::Seek::rewind(&mut file)?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The host, boot and pid namespace of this process.
pub(crate) fn location() -> &'static ProcessLocation {
    static LAST: Mutex<Option<(u32, &ProcessLocation)>> = Mutex::new(None);
    let last = || LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = std::process::id();
    // A process that was forked may have another pid namespace than its parent.
    if let Some((_, location)) = last().filter(|(of, _)| *of == pid) {
        return location;
    }
    let (host, boot, pid_namespace) = (host_name(), boot_id(), pid_namespace());
    let location = &*Box::leak(Box::new(ProcessLocation { host, boot, pid_namespace }));
    *last() = Some((pid, location));
    location
}

/// The current time, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// When this process started, in the unit of [`process_state`]; `None` if the system does not tell.
pub(crate) fn own_start() -> Option<u64> {
    /// The process that `START` is of: one that was forked, such as a daemon, has started later.
    static PID: AtomicU32 = AtomicU32::new(0);
    static START: AtomicU64 = AtomicU64::new(0);
    const NOT_TOLD: u64 = u64::MAX;
    let pid = std::process::id();
    if PID.load(Ordering::Acquire) != pid {
        let started = match process_state(pid) {
            ProcessState::Running { started } => started,
            ProcessState::Gone => None,
        };
        START.store(started.unwrap_or(NOT_TOLD), Ordering::Release);
        PID.store(pid, Ordering::Release);
    }
    Some(START.load(Ordering::Acquire)).filter(|started| *started != NOT_TOLD)
}

/// Random bytes that other programs can't guess.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}

/// A random number from 0 up to 1, such as for jitter.
pub(crate) fn random_fraction() -> f64 {
    f64::from(u32::from_ne_bytes(random())) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that grows while it is read has no end to be reached.
    #[cfg(unix)]
    #[test]
    fn what_has_no_end_is_read_up_to_one_byte_above_the_limit() {
        let zeros = File::open("/dev/zero").unwrap();
        for size in [0, 10, 1_000, 2_000, u64::MAX] {
            assert_eq!(read_all(&zeros, size, 1_000).unwrap().len(), 1_001, "{size}");
        }
    }

    #[test]
    fn memory_that_can_not_be_had_is_an_error() {
        let error = zeroed(isize::MAX as usize).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    }
}
