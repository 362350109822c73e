//! What every store of a registry does: one list of tests, which is run for each store.
//!
//! A further store adds a function to `Registry` and a line to `for_each_store!`.

mod changes;
mod entries;
mod migrate;
#[cfg(feature = "watch")]
mod mirror;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use argus_registry::{FileStore, FolderStore, RegistryStore};
use tempfile::TempDir;

/// A registry that is not there yet, in a store.
pub(crate) struct Registry {
    pub(crate) store: Arc<dyn RegistryStore>,
    path: PathBuf,
    _dir: TempDir,
}

impl Registry {
    fn new(name: &str, open: impl FnOnce(&Path) -> Arc<dyn RegistryStore>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut path = std::fs::canonicalize(dir.path()).unwrap().join(name.trim_end_matches('/'));
        if name.ends_with('/') {
            // With a slash in `join`, Windows would leave it out.
            path.push("");
        }
        Registry { store: open(&path), path, _dir: dir }
    }

    pub(crate) fn in_file() -> Self {
        Registry::new("registry.json", |path| Arc::new(FileStore::new(path)))
    }

    pub(crate) fn in_folder() -> Self {
        Registry::new("registry/", |path| Arc::new(FolderStore::new(path)))
    }

    /// A pair for each two stores between which entries are moved.
    fn directions() -> Vec<(Registry, Registry)> {
        let (file, folder) = (Registry::in_file, Registry::in_folder);
        vec![(file(), folder()), (folder(), file()), (file(), file()), (folder(), folder())]
    }

    fn one_of_each() -> Vec<Registry> {
        vec![Registry::in_file(), Registry::in_folder()]
    }

    /// For the functions and programs that take a path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Runs each of these functions, which take a registry, as a test for each store.
macro_rules! for_each_store {
    ($($test:ident),* $(,)?) => {
        mod file {
            $(#[test] fn $test() { super::$test(&crate::store::Registry::in_file()); })*
        }
        mod folder {
            $(#[test] fn $test() { super::$test(&crate::store::Registry::in_folder()); })*
        }
    };
}
pub(crate) use for_each_store;
