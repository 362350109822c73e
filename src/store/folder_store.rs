//! [`FolderStore`]: a registry in a folder.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::content::entry_operation::{EntryOutcome, PrunedWatcher, WatcherRef};
use crate::content::record::WatcherRecord;
use crate::content::registry_v1::RegistryV1;
use crate::error::Result;
use crate::folder::layout::FolderPaths;
use crate::folder::{entries, held, listing, update};
use crate::lock::inspect::{self, LockStatus};
use crate::lock::registry_lock;
use crate::lock::wait::{LockOptions, WaitPolicy};
use crate::registry::entries::{prune_request, ClaimOptions, EntryRequest, PruneOptions};
use crate::registry::update::UpdateOptions;
use crate::store::operations;
use crate::store::registry_store::RegistryStore;
use crate::warning::Warning;
#[cfg(feature = "watch")]
use crate::watch::{registry_watch, state_watch::RegistryWatch};

/// A registry in a folder, with a file for each entry: `watchers/<id>.json`.
///
/// A heartbeat dates its entry's file, and waits for no other process. The process that claims or announces
/// its own watcher keeps that file open, with a kernel lock, until the entry is removed or the process ends:
/// so it is known at once, and for sure, whether the process lives, also to a process of another container
/// that shares the folder. The locks are kept by the process, not by this value: every `FolderStore` of one
/// folder, and the functions that take the folder's path, find them. A process that was forked, and runs no
/// other program, keeps its parent's locks, too.
///
/// Unlike with a file:
///
/// - A reader can see an update half done: each entry changes in one step. A crash in the middle is finished
///   or undone by the next call under the folder's lock.
/// - Entries come in the order of their files' names, and [`RegistryV1::updated_at`] is the date of the
///   last entry that was renewed, added or removed.
/// - An update adds entries that no process has claimed. They are judged by their pid, like those in a file.
/// - Only a watcher's own process changes its record: an update or a heartbeat that would change the fields
///   of an entry which another live process holds fails with
///   [`Error::Unsupported`](crate::Error::Unsupported).
/// - An entry that can't be read is a [`Warning::DamagedEntry`], and its file is never replaced or deleted.
#[derive(Debug, Clone)]
pub struct FolderStore {
    given: PathBuf,
}

impl FolderStore {
    /// The registry in a folder. Nothing is opened or created; the first entry creates the folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        FolderStore { given: folder.into() }
    }

    /// Inspects the folder's lock, under which entries are removed, taken over and updated. Creates nothing
    /// and needs no write access. [`LockStatus::guarantee`] says whether claims are known by kernel locks
    /// ([`Guarantee::KernelLock`](crate::Guarantee::KernelLock)) or judged by pid and age.
    ///
    /// # Errors
    ///
    /// Those of [`inspect_lock`](crate::inspect_lock).
    pub fn inspect_lock(&self, stale_after: Duration) -> Result<LockStatus> {
        let paths = self.paths()?;
        inspect::inspect_lock_at(&paths.lock, &paths.root, stale_after)
    }

    fn paths(&self) -> Result<FolderPaths> {
        FolderPaths::resolve(&self.given)
    }

    fn apply(&self, request: &EntryRequest, options: &UpdateOptions) -> Result<EntryOutcome> {
        entries::apply(&self.paths()?, request, options, WaitPolicy::default())
    }

    pub(super) fn update_with<T, E: From<crate::error::Error>>(
        &self,
        options: &UpdateOptions,
        updater: &mut impl FnMut(&mut RegistryV1) -> Result<T, E>,
    ) -> Result<T, E> {
        update::update(&self.paths()?, options, WaitPolicy::default(), updater)
    }
}

impl RegistryStore for FolderStore {
    fn path(&self) -> &Path {
        &self.given
    }

    fn read(&self) -> Result<(RegistryV1, Vec<Warning>)> {
        listing::read(&self.paths()?)
    }

    fn update(
        &self,
        options: &UpdateOptions,
        updater: &mut dyn FnMut(&mut RegistryV1) -> ControlFlow<()>,
    ) -> Result<()> {
        let updated = self.update_with(options, &mut |registry| {
            super::registry_store::continued(updater(registry))
        });
        super::registry_store::unless_ended(updated)
    }

    fn announce(&self, watcher: WatcherRecord, options: &UpdateOptions) -> Result<()> {
        operations::announce(&self.given, watcher, &|request| self.apply(request, options))
    }

    fn claim(
        &self,
        watcher: WatcherRecord,
        claim: &ClaimOptions,
        options: &UpdateOptions,
    ) -> Result<WatcherRecord> {
        operations::claim(&self.given, watcher, claim, &|request| self.apply(request, options))
    }

    fn heartbeat(&self, watcher: WatcherRef, options: &UpdateOptions) -> Result<bool> {
        // The claim is found by the path as it is spelled, without a system call.
        if let Some(Ok(())) = held::renew(&self.given, &watcher, SystemTime::now()) {
            return Ok(true);
        }
        operations::heartbeat(watcher, &|request| self.apply(request, options))
    }

    fn remove(&self, watcher: WatcherRef, options: &UpdateOptions) -> Result<bool> {
        operations::remove(watcher, &|request| self.apply(request, options))
    }

    fn prune(&self, prune: &PruneOptions, options: &UpdateOptions) -> Result<Vec<PrunedWatcher>> {
        operations::prune(prune, &|request| self.apply(request, options))
    }

    fn stale(&self, prune: &PruneOptions) -> Result<Vec<PrunedWatcher>> {
        entries::stale(&self.paths()?, &prune_request(prune))
    }

    fn is_alive(&self, id: &str, watcher: &WatcherRecord) -> Option<bool> {
        entries::is_alive(&self.paths().ok()?, id, watcher)
    }

    fn inspect_lock(&self, stale_after: Duration) -> Result<LockStatus> {
        FolderStore::inspect_lock(self, stale_after)
    }

    /// Refused: no lock keeps watchers from entering and renewing themselves.
    fn hold_lock(&self, _: &LockOptions, _: &mut dyn FnMut()) -> Result<()> {
        Err(registry_lock::no_lock_in_folder(&self.given))
    }

    #[cfg(feature = "watch")]
    fn watch(&self) -> Result<RegistryWatch> {
        registry_watch::watch_folder(&self.given).map(RegistryWatch::from)
    }
}
