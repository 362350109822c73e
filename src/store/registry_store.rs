//! [`RegistryStore`]: what every store of a registry does.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use crate::content::entry_operation::{PrunedWatcher, WatcherRef};
use crate::content::record::WatcherRecord;
use crate::content::registry_v1::RegistryV1;
use crate::error::{Error, Result};
use crate::lock::inspect::LockStatus;
use crate::lock::wait::LockOptions;
use crate::registry::entries::{ClaimOptions, PruneOptions};
use crate::registry::update::UpdateOptions;
use crate::warning::Warning;
#[cfg(feature = "watch")]
use crate::watch::state_watch::RegistryWatch;

/// Where a registry is kept, and the calls on it.
///
/// [`FileStore`](crate::FileStore) keeps it in one file, [`FolderStore`](crate::FolderStore) in one file
/// per entry; [`open_store`](crate::open_store) chooses by a path, and so do the functions of the crate
/// that take a path, such as [`claim_watcher`](crate::claim_watcher). All stores keep to the descriptions
/// of those functions. What a store can't do fails with [`Error::Unsupported`], which says what to do
/// instead.
///
/// ```
/// use argus_registry::{open_store, Error, UpdateOptions, WatcherRecord};
///
/// # let dir = tempfile::tempdir().unwrap();
/// let options = UpdateOptions::default();
/// for path in [dir.path().join("registry.json"), dir.path().join("registry/")] {
///     let store = open_store(&path);
///     let watcher = WatcherRecord::new("app", "127.0.0.1", 9222);
///     let watcher = store.claim(watcher, &Default::default(), &options)?;
///     assert!(store.heartbeat(watcher.claim().into(), &options)?);
///     assert_eq!(store.read()?.0.len(), 1);
/// }
/// # Ok::<_, Error>(())
/// ```
pub trait RegistryStore: fmt::Debug + Send + Sync {
    /// The registry's path, as errors name it.
    fn path(&self) -> &Path;

    /// Reads the registry; see [`read_registry`](crate::read_registry).
    ///
    /// # Errors
    ///
    /// Those of [`read_registry`](crate::read_registry).
    fn read(&self) -> Result<(RegistryV1, Vec<Warning>)>;

    /// Updates the registry; see [`update_registry`](crate::update_registry). If `updater` returns
    /// [`ControlFlow::Break`], nothing is written. [`update_store`](crate::update_store) takes an updater
    /// that returns a value or an error.
    ///
    /// # Errors
    ///
    /// Those of [`update_registry`](crate::update_registry).
    fn update(
        &self,
        options: &UpdateOptions,
        updater: &mut dyn FnMut(&mut RegistryV1) -> ControlFlow<()>,
    ) -> Result<()>;

    /// How many entries one update changes at most. No limit, unless the store has one.
    fn max_changed_entries(&self) -> usize {
        usize::MAX
    }

    /// Adds a watcher's entry; see [`announce_watcher`](crate::announce_watcher).
    ///
    /// # Errors
    ///
    /// Those of [`announce_watcher`](crate::announce_watcher).
    fn announce(&self, watcher: WatcherRecord, options: &UpdateOptions) -> Result<()>;

    /// Adds a watcher's entry under a free id; see [`claim_watcher`](crate::claim_watcher).
    ///
    /// # Errors
    ///
    /// Those of [`claim_watcher`](crate::claim_watcher).
    fn claim(
        &self,
        watcher: WatcherRecord,
        claim: &ClaimOptions,
        options: &UpdateOptions,
    ) -> Result<WatcherRecord>;

    /// Renews a watcher's entry; see [`heartbeat_watcher`](crate::heartbeat_watcher).
    ///
    /// # Errors
    ///
    /// Those of [`heartbeat_watcher`](crate::heartbeat_watcher).
    fn heartbeat(&self, watcher: WatcherRef, options: &UpdateOptions) -> Result<bool>;

    /// Removes a watcher's entry; see [`remove_watcher`](crate::remove_watcher).
    ///
    /// # Errors
    ///
    /// Those of [`remove_watcher`](crate::remove_watcher).
    fn remove(&self, watcher: WatcherRef, options: &UpdateOptions) -> Result<bool>;

    /// Removes stale entries; see [`prune_stale_watchers`](crate::prune_stale_watchers).
    ///
    /// # Errors
    ///
    /// Those of [`prune_stale_watchers`](crate::prune_stale_watchers).
    fn prune(&self, prune: &PruneOptions, options: &UpdateOptions) -> Result<Vec<PrunedWatcher>>;

    /// The entries that [`prune`](Self::prune) would remove now. Removes nothing and takes no lock.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read), and [`Error::Corrupt`] and [`Error::UnsupportedVersion`] for content
    /// that can't be read.
    fn stale(&self, prune: &PruneOptions) -> Result<Vec<PrunedWatcher>>;

    /// Whether the process of a watcher lives whose entry has that id, as far as the store can tell.
    ///
    /// A file can tell by the record's pid alone, as [`WatcherRecord::is_alive`] does; a folder by the
    /// claim's kernel lock.
    fn is_alive(&self, id: &str, watcher: &WatcherRecord) -> Option<bool>;

    /// Inspects the registry's lock; see [`inspect_lock`](crate::inspect_lock).
    ///
    /// # Errors
    ///
    /// Those of [`inspect_lock`](crate::inspect_lock).
    fn inspect_lock(&self, stale_after: Duration) -> Result<LockStatus>;

    /// Calls `body` once while this process has the registry's lock; see
    /// [`with_registry_lock`](crate::with_registry_lock).
    ///
    /// # Errors
    ///
    /// Those of [`with_registry_lock`](crate::with_registry_lock). `body` was called then only if the error is
    /// [`Error::LockLost`], or [`Error::OutcomeUnknown`] if whether the lock was held until its end is not known.
    fn hold_lock(&self, options: &LockOptions, body: &mut dyn FnMut()) -> Result<()>;

    /// Watches the registry; see [`watch_registry`](crate::watch_registry).
    ///
    /// # Errors
    ///
    /// Those of [`watch_registry`](crate::watch_registry).
    #[cfg(feature = "watch")]
    fn watch(&self) -> Result<RegistryWatch>;
}

/// Why an update ends without writing anything.
pub(super) enum Ended {
    ByUpdater,
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Failed(error)
    }
}

pub(super) fn continued(flow: ControlFlow<()>) -> Result<(), Ended> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Ended::ByUpdater),
    }
}

pub(super) fn unless_ended(updated: Result<(), Ended>) -> Result<()> {
    match updated {
        Ok(()) | Err(Ended::ByUpdater) => Ok(()),
        Err(Ended::Failed(error)) => Err(error),
    }
}

/// Updates the registry in a store, like [`update_registry`](crate::update_registry).
///
/// # Errors
///
/// Those of [`update_registry`](crate::update_registry); the errors of `updater`.
pub fn update_store<T, E: From<Error>>(
    store: &dyn RegistryStore,
    options: &UpdateOptions,
    mut updater: impl FnMut(&mut RegistryV1) -> Result<T, E>,
) -> Result<T, E> {
    let mut returned = None;
    store.update(options, &mut |registry| {
        let result = updater(registry);
        let flow = match &result {
            Ok(_) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        returned = Some(result);
        flow
    })?;
    returned.expect("an update that succeeds has called its updater")
}
