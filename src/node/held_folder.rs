//! The held lock of a folder, and what its entries were when it was taken.

use std::path::Path;

use crate::content::registry_v1::RegistryV1;
use crate::error::{Error, Result};
use crate::folder::guarded;
use crate::folder::layout::FolderPaths;
use crate::folder::update::{Commit, FolderSnapshot};
use crate::lock::registry_lock::RegistryLock;
use crate::lock::wait::{LockOptions, Wait, WaitPolicy};
use crate::registry::update::UpdateOptions;

/// A folder under its lock.
pub(super) struct LockedFolder {
    paths: FolderPaths,
    lock: RegistryLock,
    snapshot: FolderSnapshot,
    wait: Wait,
}

impl LockedFolder {
    /// Takes the lock and reads the entries.
    pub(super) fn acquire(
        paths: FolderPaths,
        options: &LockOptions,
        waiting: WaitPolicy,
    ) -> Result<Self> {
        let wait = Wait::start_with(options, waiting);
        let busy = wait.busy_scope();
        let acquire = || {
            let lock = guarded::acquire(&paths, &wait)?;
            Ok((lock, FolderSnapshot::read(&paths)?))
        };
        let acquired = acquire();
        drop(busy);
        let (lock, snapshot) = acquired.map_err(|error| paths.lock.error_as_given(error))?;
        Ok(LockedFolder { paths, lock, snapshot, wait })
    }

    /// The registry as it was when the lock was taken, or as the last commit left it.
    pub(super) fn text(&self) -> String {
        self.snapshot.registry.to_json()
    }

    /// Fails if the lock was taken away.
    pub(super) fn check(&self) -> Result<()> {
        self.lock.check().map_err(|error| self.paths.lock.error_as_given(error))
    }

    /// Makes the folder's entries those of the registry in `text`; without a text, makes durable what is
    /// there. If a watcher has claimed the id of an entry that is added, nothing changes and the error is
    /// [`Error::IdTaken`]: the caller may take the lock again and begin anew.
    pub(super) fn commit(&mut self, text: Option<&str>, durable: bool) -> Result<()> {
        let _busy = self.wait.busy_scope();
        let registry = match text {
            Some(text) => RegistryV1::parse(&self.paths.given, text.as_bytes())?,
            None => self.snapshot.registry.clone(),
        };
        let options = UpdateOptions { durable, ..UpdateOptions::default() };
        let commit = || match self.snapshot.commit(&self.lock, &registry, &options)? {
            Commit::Done => Ok(()),
            Commit::IdTaken(id) => {
                self.wait.check(&self.paths.lock)?;
                Err(Error::IdTaken { path: self.paths.given.clone(), id, pid: None })
            }
        };
        commit().map_err(|error| self.paths.lock.error_as_given(error))?;
        self.snapshot.advance_to(registry);
        Ok(())
    }

    /// Releases the lock; returns whether it was taken away after a commit.
    pub(super) fn release(self) -> Result<bool> {
        self.lock.release_and_tell()
    }
}

/// The error of a wait for a folder's lock that is over.
pub(super) fn timed_out(path: &Path, wait: &Wait) -> Result<Error> {
    let paths = FolderPaths::resolve(path)?;
    Ok(paths.lock.error_as_given(wait.contention_error(&paths.lock, None)))
}
