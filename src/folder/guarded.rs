//! The folder's lock: what needs order among processes runs under it.

use crate::error::Result;
use crate::folder::journal;
use crate::folder::layout::FolderPaths;
use crate::lock::reentry::UpdateScope;
use crate::lock::registry_lock::RegistryLock;
use crate::lock::wait::{LockOptions, Wait, WaitPolicy};

/// Runs `body` under the folder's lock, after it has finished or undone what a process was about when it
/// died under the lock.
pub(crate) fn under_guard<T>(
    paths: &FolderPaths,
    options: &LockOptions,
    policy: WaitPolicy,
    body: impl FnOnce(&RegistryLock, &Wait) -> Result<T>,
) -> Result<T> {
    let _entered = UpdateScope::enter(&paths.lock.target, &paths.given)?;
    let wait = Wait::start_with(options, policy);
    let _busy = wait.busy_scope();
    let result = acquire(paths, &wait).and_then(|lock| body(&lock, &wait));
    result.map_err(|error| paths.lock.error_as_given(error))
}

/// Takes the folder's lock, and finishes or undoes what a process was about when it died under it.
pub(crate) fn acquire(paths: &FolderPaths, wait: &Wait) -> Result<RegistryLock> {
    let lock = RegistryLock::acquire_at(&paths.lock, wait)?;
    journal::recover(paths)?;
    Ok(lock)
}
