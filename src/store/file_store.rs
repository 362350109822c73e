//! [`FileStore`]: a registry in one file.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::content::entry_operation::{EntryOutcome, PrunedWatcher, WatcherRef};
use crate::content::record::WatcherRecord;
use crate::content::registry_v1::{RegistryV1, REGISTRY_VERSION};
use crate::error::{Error, Result};
use crate::lock::inspect::{self, LockStatus};
use crate::lock::wait::LockOptions;
use crate::registry::entries::{self, ClaimOptions, EntryRequest, PruneOptions};
use crate::registry::read;
use crate::registry::update::{self, UpdateOptions};
use crate::store::operations;
use crate::store::registry_store::RegistryStore;
use crate::warning::Warning;
#[cfg(feature = "watch")]
use crate::watch::{registry_watch, state_watch::RegistryWatch};

/// A registry in one file, which every update replaces in one step, under the registry's lock. Programs
/// that know argus's registry file use it alike.
#[derive(Debug, Clone)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// The registry at a path. Nothing is opened or created.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileStore { path: path.into() }
    }
}

impl RegistryStore for FileStore {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> Result<(RegistryV1, Vec<Warning>)> {
        read::read_file(&self.path)
    }

    fn update(
        &self,
        options: &UpdateOptions,
        updater: &mut dyn FnMut(&mut RegistryV1) -> ControlFlow<()>,
    ) -> Result<()> {
        let updated = update::update_file(&self.path, options, &mut |registry| {
            super::registry_store::continued(updater(registry))
        });
        super::registry_store::unless_ended(updated)
    }

    fn announce(&self, watcher: WatcherRecord, options: &UpdateOptions) -> Result<()> {
        operations::announce(&self.path, watcher, &|request| self.apply(request, options))
    }

    fn claim(
        &self,
        watcher: WatcherRecord,
        claim: &ClaimOptions,
        options: &UpdateOptions,
    ) -> Result<WatcherRecord> {
        operations::claim(&self.path, watcher, claim, &|request| self.apply(request, options))
    }

    fn heartbeat(&self, watcher: WatcherRef, options: &UpdateOptions) -> Result<bool> {
        operations::heartbeat(watcher, &|request| self.apply(request, options))
    }

    fn remove(&self, watcher: WatcherRef, options: &UpdateOptions) -> Result<bool> {
        operations::remove(watcher, &|request| self.apply(request, options))
    }

    fn prune(&self, prune: &PruneOptions, options: &UpdateOptions) -> Result<Vec<PrunedWatcher>> {
        operations::prune(prune, &|request| self.apply(request, options))
    }

    fn stale(&self, prune: &PruneOptions) -> Result<Vec<PrunedWatcher>> {
        let (registry, warnings) = self.read()?;
        for warning in warnings {
            match warning {
                Warning::Corrupt { path, reason, .. } => {
                    return Err(Error::Corrupt { path, reason });
                }
                Warning::UnsupportedVersion { path, found } => {
                    let expected = REGISTRY_VERSION;
                    return Err(Error::UnsupportedVersion { path, found, expected });
                }
                _ => {}
            }
        }
        Ok(entries::stale_watchers(&registry, prune))
    }

    fn is_alive(&self, _id: &str, watcher: &WatcherRecord) -> Option<bool> {
        watcher.is_alive()
    }

    fn inspect_lock(&self, stale_after: Duration) -> Result<LockStatus> {
        inspect::inspect_file_lock(&self.path, stale_after)
    }

    fn hold_lock(&self, options: &LockOptions, body: &mut dyn FnMut()) -> Result<()> {
        update::with_file_lock(&self.path, options, |_| {
            body();
            Ok(())
        })
    }

    #[cfg(feature = "watch")]
    fn watch(&self) -> Result<RegistryWatch> {
        registry_watch::watch_file(&self.path).map(RegistryWatch::from)
    }
}

impl FileStore {
    fn apply(&self, request: &EntryRequest, options: &UpdateOptions) -> Result<EntryOutcome> {
        entries::apply_request(&self.path, request, options)
    }
}
