//! Stores of other crates: which paths are theirs, and how they are opened.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::content::entry_operation::{PrunedWatcher, WatcherRef};
use crate::content::record::WatcherRecord;
use crate::content::registry_v1::RegistryV1;
use crate::error::{Error, Result};
use crate::lock::inspect::LockStatus;
use crate::lock::wait::LockOptions;
use crate::registry::entries::{ClaimOptions, PruneOptions};
use crate::registry::update::UpdateOptions;
use crate::store::registry_store::RegistryStore;
use crate::warning::Warning;
#[cfg(feature = "watch")]
use crate::watch::state_watch::RegistryWatch;

/// What a path of a registry in etcd begins with.
const ETCD: &str = "etcd://";

/// Opens the registry at a path that is another crate's.
pub type OpenStore = fn(&Path) -> Result<Box<dyn RegistryStore>>;

static OPEN_ETCD: OnceLock<OpenStore> = OnceLock::new();

/// From now on, opens the paths that begin with `etcd://` by this function. The first registration counts.
pub fn register_store(open: OpenStore) {
    let _ = OPEN_ETCD.set(open);
}

/// Whether a path is that of a store of another crate.
pub(super) fn is_other(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(ETCD.as_bytes())
}

/// The store of another crate at a path; `None` if the path is that of a file or a folder.
pub(super) fn other_store(path: &Path) -> Option<Box<dyn RegistryStore>> {
    if !is_other(path) {
        return None;
    }
    let opened = match OPEN_ETCD.get() {
        Some(open) => open(path),
        None => Err(missing(path)),
    };
    Some(opened.unwrap_or_else(|error| {
        Box::new(FailedStore { path: path.to_path_buf(), message: error.to_string(), error })
    }))
}

fn missing(path: &Path) -> Error {
    Error::Unsupported {
        path: path.to_path_buf(),
        reason: "this program has no client of etcd; add the crate `argus-registry-etcd` to it, and call its \
                 `register` first"
            .to_owned(),
    }
}

/// A store that could not be opened: every call fails with the reason.
#[derive(Debug)]
struct FailedStore {
    path: PathBuf,
    error: Error,
    message: String,
}

impl FailedStore {
    fn fail<T>(&self) -> Result<T> {
        let path = self.path.clone();
        Err(match &self.error {
            Error::Unsupported { reason, .. } => {
                Error::Unsupported { path, reason: reason.clone() }
            }
            Error::InvalidValue { reason, .. } => {
                Error::InvalidValue { path, reason: reason.clone() }
            }
            _ => Error::from_io(&path, "open", io::Error::other(self.message.clone())),
        })
    }
}

impl RegistryStore for FailedStore {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> Result<(RegistryV1, Vec<Warning>)> {
        self.fail()
    }

    fn update(
        &self,
        _: &UpdateOptions,
        _: &mut dyn FnMut(&mut RegistryV1) -> ControlFlow<()>,
    ) -> Result<()> {
        self.fail()
    }

    fn announce(&self, _: WatcherRecord, _: &UpdateOptions) -> Result<()> {
        self.fail()
    }

    fn claim(
        &self,
        _: WatcherRecord,
        _: &ClaimOptions,
        _: &UpdateOptions,
    ) -> Result<WatcherRecord> {
        self.fail()
    }

    fn heartbeat(&self, _: WatcherRef, _: &UpdateOptions) -> Result<bool> {
        self.fail()
    }

    fn remove(&self, _: WatcherRef, _: &UpdateOptions) -> Result<bool> {
        self.fail()
    }

    fn prune(&self, _: &PruneOptions, _: &UpdateOptions) -> Result<Vec<PrunedWatcher>> {
        self.fail()
    }

    fn stale(&self, _: &PruneOptions) -> Result<Vec<PrunedWatcher>> {
        self.fail()
    }

    fn is_alive(&self, _: &str, _: &WatcherRecord) -> Option<bool> {
        None
    }

    fn inspect_lock(&self, _: Duration) -> Result<LockStatus> {
        self.fail()
    }

    fn hold_lock(&self, _: &LockOptions, _: &mut dyn FnMut()) -> Result<()> {
        self.fail()
    }

    #[cfg(feature = "watch")]
    fn watch(&self) -> Result<RegistryWatch> {
        self.fail()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_crate_a_path_of_etcd_names_what_to_add() {
        assert!(other_store(Path::new("etcd:/a")).is_none());
        let store = other_store(Path::new("etcd://127.0.0.1:1/a")).unwrap();
        let error = store.read().unwrap_err();
        assert_eq!(error.code(), "UNSUPPORTED");
        assert!(error.to_string().contains("argus-registry-etcd"), "{error}");
    }
}
