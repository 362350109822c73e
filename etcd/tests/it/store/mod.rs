//! The core's list of tests for every store, run for this one.

#[path = "../../../../tests/it/store/changes.rs"]
mod changes;
#[path = "../../../../tests/it/store/entries.rs"]
mod entries;
#[path = "../../../../tests/it/store/migrate.rs"]
mod migrate;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use argus_registry::{migrate as migrate_entries, open_store, RegistryStore};
use tempfile::TempDir;

use crate::support::registries::{patient, watcher};
use crate::support::servers::shared;

/// One registry, whose entries would be taken for those that were moved, and removed.
#[test]
fn a_registry_is_not_moved_to_itself_under_another_name_of_its_server() {
    argus_registry_etcd::register();
    let path = shared().path("/named-twice");
    let other = path.replace("127.0.0.1", "localhost");
    assert_ne!(path, other);
    let store = open_store(&path);
    store.announce(watcher("app"), &patient()).unwrap();
    for [from, to] in [[&path, &other], [&other, &path]] {
        let refused = migrate_entries(&*open_store(from), &*open_store(to), &patient());
        assert_eq!(refused.unwrap_err().code(), "INVALID_VALUE");
    }
    assert!(store.read().unwrap().0.watcher("app").is_some());
}

/// A registry that is not there yet.
pub(crate) struct Registry {
    pub(crate) store: Arc<dyn RegistryStore>,
    path: PathBuf,
    _dir: Option<TempDir>,
}

impl Registry {
    pub(crate) fn in_etcd() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        argus_registry_etcd::register();
        let prefix = format!("/registry{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let path = PathBuf::from(shared().path(&prefix));
        Registry { store: Arc::new(shared().store(&prefix)), path, _dir: None }
    }

    /// A registry of the core's stores, in a file or, if the name ends in a separator, a folder.
    fn on_disk(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = std::fs::canonicalize(dir.path()).unwrap().join(name);
        Registry { store: Arc::from(open_store(&path)), path, _dir: Some(dir) }
    }

    /// A pair for each store and this one between which entries are moved.
    fn directions() -> Vec<(Registry, Registry)> {
        let etcd = Registry::in_etcd;
        let file = || Registry::on_disk("registry.json");
        let folder = || Registry::on_disk("registry/");
        vec![
            (file(), etcd()),
            (etcd(), file()),
            (folder(), etcd()),
            (etcd(), folder()),
            (etcd(), etcd()),
        ]
    }

    fn one_of_each() -> Vec<Registry> {
        vec![Registry::in_etcd()]
    }

    /// For the functions and programs that take a path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Runs each of these functions, which take a registry, as a test.
macro_rules! for_each_store {
    ($($test:ident),* $(,)?) => {
        mod etcd {
            $(#[test] fn $test() { super::$test(&crate::store::Registry::in_etcd()); })*
        }
    };
}
pub(crate) use for_each_store;
