//! Removing the temp files that killed processes left, when a process first holds a file's lock.
//!
//! A crash may leave a temp file and no lockfile that would tell of it, so each process checks
//! once for each file, and again after each takeover.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::files::paths::FilePaths;
use crate::sys;
use crate::util::stopping_point;

/// Whether this is the first time that this process holds the lock of this file.
pub(crate) fn is_first_hold(paths: &FilePaths) -> bool {
    let mut held = held_files();
    !held.contains(&paths.target) && held.insert(paths.target.clone())
}

/// Whether this process has held the lock of this file before.
pub(crate) fn was_held(paths: &FilePaths) -> bool {
    held_files().contains(&paths.target)
}

/// Removes the temp files beside a file whose lock the caller holds.
///
/// The holder of a kernel lock knows that their makers are dead: a live one would hold that lock.
/// Without kernel locks a live process may still be writing one, so the caller gives a minimum age.
pub(crate) fn run(paths: &FilePaths, min_age: Option<Duration>) {
    stopping_point::before("sweep::run::list");
    for temp in paths.leftover_temps().unwrap_or_default() {
        let is_old = |min_age| {
            let made = sys::link_time(&temp);
            made.and_then(|made| SystemTime::now().duration_since(made).ok())
                .is_some_and(|age| age > min_age)
        };
        if min_age.is_none_or(is_old) {
            stopping_point::before("sweep::run::remove");
            let _ = sys::remove_if_there(&temp);
        }
    }
}

fn held_files() -> MutexGuard<'static, HashSet<PathBuf>> {
    static HELD: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}
