//! The first use of a file decides under which kind of lock it is used from then on: a document's lock
//! file, or a registry's guard and lockfile. The two kinds do not exclude each other.
//!
//! A file is used under its guard once a whole owner record has been written into the guard. Until
//! then the guard is *unused*. Both kinds of call make their own file first and look for the other's
//! afterwards, with their own kernel lock in hand:
//!
//! - A registry call that has locked an unused guard looks for the document's lock file. If there is
//!   one, the call removes the guard and fails. If there is none, it writes the record.
//! - A document call that has locked its lock file looks at the guard. If the guard is used, the call
//!   removes the lock file that it has made and fails. An unused guard that no process has locked does
//!   not count: a process that locks it from now on finds the lock file. While a process has it locked,
//!   that process decides, and the document call waits for the decision.
//!
//! So a crash decides nothing that is not in the two files: an unused guard of a process that is gone
//! keeps no call from going on.

use std::fs::{self, Metadata};
use std::io;
use std::time::{Duration, Instant};

use crate::error::{Error, LockKind, Result};
use crate::files::paths::FilePaths;
use crate::lock::kernel_lock;
use crate::lock::owner_record::RECORD_SIZE;
use crate::lock::wait::Wait;
use crate::sys;

/// How long even a one-try caller waits for the decision of a registry call, which takes that call some
/// microseconds unless its thread gets no processor.
const DECISION_TIME: Duration = Duration::from_millis(100);

/// The pause between two looks at a guard whose holder has not decided.
const DECISION_PAUSE: Duration = Duration::from_micros(500);

/// Whether the file is used under its guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GuardUse {
    /// There is no guard, or an unused one that no process has locked.
    Unused,
    /// A process has locked an unused guard.
    Undecided,
    Used,
}

/// Whether a file with the guard's name is not used yet: no whole owner record has been written into it.
pub(crate) fn is_unused_guard(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.len() < RECORD_SIZE as u64
}

/// Fails if the file is used as a document under a lock file. A registry call asks before it makes the
/// guard, so that it leaves no trace, and again when it has locked an unused guard.
///
/// Only the default name of a lock file is known here, and only an empty file counts: every lock
/// file is empty.
pub(crate) fn must_not_be_a_document(paths: &FilePaths) -> Result<()> {
    let in_use = paths.document_lock_file();
    let is_lock_file = |found: Metadata| found.is_file() && found.len() == 0;
    // The lock file of a document without an extension has the lockfile's name, so an older argus
    // version may have created that file.
    if in_use != paths.lockfile && fs::symlink_metadata(&in_use).is_ok_and(is_lock_file) {
        let path = paths.target.clone();
        return Err(Error::LockMismatch { path, in_use, kind: LockKind::LockFile });
    }
    Ok(())
}

/// Fails if the file is used as a registry. A document call asks before it makes a lock file, so that
/// it leaves no trace, and before it writes.
pub(crate) fn must_not_be_a_registry(paths: &FilePaths) -> Result<()> {
    match guard_use(paths) {
        GuardUse::Used => Err(used_as_a_registry(paths)),
        GuardUse::Unused | GuardUse::Undecided => Ok(()),
    }
}

/// Like [`must_not_be_a_registry`], for a document call that has locked its lock file: waits for the
/// decision of a registry call that came to the new file at the same time.
pub(crate) fn must_not_become_a_registry(paths: &FilePaths, wait: &Wait) -> Result<()> {
    let end = Instant::now() + DECISION_TIME;
    loop {
        match guard_use(paths) {
            GuardUse::Unused => return Ok(()),
            GuardUse::Used => return Err(used_as_a_registry(paths)),
            GuardUse::Undecided => {
                let now = Instant::now();
                if now >= end {
                    wait.check(paths)?;
                }
                wait.token.sleep_until(now + DECISION_PAUSE);
                wait.check_cancelled(paths)?;
            }
        }
    }
}

fn guard_use(paths: &FilePaths) -> GuardUse {
    match fs::metadata(&paths.guard) {
        Err(_) => return GuardUse::Unused,
        Ok(metadata) if !is_unused_guard(&metadata) => return GuardUse::Used,
        Ok(_) => {}
    }
    let file = match sys::open_read_only(&paths.guard) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return GuardUse::Unused,
        // What can't be looked at may be in use.
        Err(_) => return GuardUse::Used,
        Ok(file) => file,
    };
    match kernel_lock::is_held(&file) {
        Ok(true) => GuardUse::Undecided,
        // Asked after the lock: its last holder may have written the record since it was opened.
        Ok(false) if file.metadata().is_ok_and(|metadata| is_unused_guard(&metadata)) => {
            GuardUse::Unused
        }
        _ => GuardUse::Used,
    }
}

fn used_as_a_registry(paths: &FilePaths) -> Error {
    let (path, in_use) = (paths.target.clone(), paths.guard.clone());
    Error::LockMismatch { path, in_use, kind: LockKind::Registry }
}
