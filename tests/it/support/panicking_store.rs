//! A store that panics when it is told to.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use argus_registry::{
    ClaimOptions, FolderStore, LockOptions, LockStatus, PruneOptions, PrunedWatcher, RegistryStore,
    RegistryV1, RegistryWatch, Result, UpdateOptions, Warning, WatcherRecord, WatcherRef,
};

/// A registry in a folder, whose calls panic as long as they are told to.
#[derive(Debug)]
pub(crate) struct PanickingStore {
    folder: FolderStore,
    pub(crate) reads_panic: AtomicBool,
    pub(crate) heartbeats_panic: AtomicBool,
    /// The next watch alone.
    pub(crate) watch_panics: AtomicBool,
}

impl PanickingStore {
    pub(crate) fn new(folder: &Path) -> Self {
        PanickingStore {
            folder: FolderStore::new(folder),
            reads_panic: AtomicBool::new(false),
            heartbeats_panic: AtomicBool::new(false),
            watch_panics: AtomicBool::new(false),
        }
    }
}

impl RegistryStore for PanickingStore {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn read(&self) -> Result<(RegistryV1, Vec<Warning>)> {
        assert!(!self.reads_panic.load(Ordering::SeqCst), "told to panic in read");
        self.folder.read()
    }

    fn update(
        &self,
        options: &UpdateOptions,
        updater: &mut dyn FnMut(&mut RegistryV1) -> ControlFlow<()>,
    ) -> Result<()> {
        self.folder.update(options, updater)
    }

    fn announce(&self, watcher: WatcherRecord, options: &UpdateOptions) -> Result<()> {
        self.folder.announce(watcher, options)
    }

    fn claim(
        &self,
        watcher: WatcherRecord,
        claim: &ClaimOptions,
        options: &UpdateOptions,
    ) -> Result<WatcherRecord> {
        self.folder.claim(watcher, claim, options)
    }

    fn heartbeat(&self, watcher: WatcherRef, options: &UpdateOptions) -> Result<bool> {
        assert!(!self.heartbeats_panic.load(Ordering::SeqCst), "told to panic in heartbeat");
        self.folder.heartbeat(watcher, options)
    }

    fn remove(&self, watcher: WatcherRef, options: &UpdateOptions) -> Result<bool> {
        self.folder.remove(watcher, options)
    }

    fn prune(&self, prune: &PruneOptions, options: &UpdateOptions) -> Result<Vec<PrunedWatcher>> {
        self.folder.prune(prune, options)
    }

    fn stale(&self, prune: &PruneOptions) -> Result<Vec<PrunedWatcher>> {
        self.folder.stale(prune)
    }

    fn is_alive(&self, id: &str, watcher: &WatcherRecord) -> Option<bool> {
        self.folder.is_alive(id, watcher)
    }

    fn inspect_lock(&self, stale_after: Duration) -> Result<LockStatus> {
        self.folder.inspect_lock(stale_after)
    }

    fn hold_lock(&self, options: &LockOptions, body: &mut dyn FnMut()) -> Result<()> {
        self.folder.hold_lock(options, body)
    }

    fn watch(&self) -> Result<RegistryWatch> {
        assert!(!self.watch_panics.swap(false, Ordering::SeqCst), "told to panic in watch");
        self.folder.watch()
    }
}
