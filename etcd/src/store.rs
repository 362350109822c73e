//! [`EtcdStore`]: a registry in etcd.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argus_registry::store_parts::{self as parts, WatcherRef};
use argus_registry::{
    register_store, ClaimOptions, Error, LockOptions, LockStatus, PruneOptions, PrunedWatcher,
    RegistryStore, RegistryV1, RegistryWatch, Result, UpdateOptions, Warning, WatcherRecord,
};

use crate::call::Call;
use crate::client::Client;
use crate::lock::EtcdLock;
use crate::options::EtcdOptions;
use crate::outcome::LockRule;
use crate::reentry::UnderWay;
use crate::snapshot::{life, Snapshot};
use crate::update::{run, MAX_CHANGED};
use crate::{runtime, watch};

/// A registry in etcd: a key for each entry, each with the lease of its watcher.
///
/// A watcher that this process claims or announces by its own pid lives as long as its lease: its heartbeats renew
/// it, and without them etcd removes the entry after [`EtcdOptions::lease`]. An entry for another process has no
/// lease: it stays until it is removed or pruned.
///
/// Unlike in a file:
///
/// - An update is one transaction of etcd, which is seen as a whole. It changes at most 122 entries, and about
///   1.5 MB.
/// - A server that does not answer costs no failed call as long as a majority of the servers does: another one is
///   asked. If none answers in time, the call fails with [`Error::Unavailable`].
/// - If the connection breaks after a change was sent, the call finds out whether it was made. Only if that can't be
///   found out in time, it fails with [`Error::OutcomeUnknown`]. A change is never made twice.
/// - Entries come in the order in which they were added. [`RegistryV1::updated_at`] is the date of the last update
///   of the whole registry, or that of the entry that was renewed last.
///
/// Clones share their connections. The calls block, and may be made on any thread, one of an async runtime
/// included, which they keep from other work meanwhile.
#[derive(Debug, Clone)]
pub struct EtcdStore {
    pub(crate) client: Arc<Client>,
}

impl EtcdStore {
    /// The registry of these options. Reads their files, and opens no connection yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for an endpoint or a certificate that can't be used; [`Error::NotFound`],
    /// [`Error::PermissionDenied`] or [`Error::Io`] for a file that can't be read.
    pub fn open(options: EtcdOptions) -> Result<Self> {
        Ok(EtcdStore { client: Arc::new(Client::new(options, None)?) })
    }

    /// Runs `body` while this process has the registry's lock. Meanwhile no other process or thread changes the
    /// registry; those that try wait, like heartbeats, whose leases are renewed nevertheless.
    ///
    /// ```no_run
    /// use argus_registry::{Error, LockOptions};
    /// use argus_registry_etcd::{EtcdOptions, EtcdStore};
    ///
    /// let store = EtcdStore::open(EtcdOptions::of_path("etcd://127.0.0.1:2379/argus")?)?;
    /// let options = LockOptions::default();
    /// store.with_lock(&options, |lock| {
    ///     let (mut registry, _) = lock.read()?;
    ///     registry.remove_watcher("app");
    ///     lock.write(&registry, &options)
    /// })?;
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::LockTimeout`]; [`Error::ReEntrant`] from inside an update of this registry on this thread;
    /// the errors of `body`; [`Error::LockLost`] if the lock's lease was over before `body` returned, as when the
    /// process was frozen: its `written` says whether `body` has written before. [`Error::Unavailable`] if `body` was
    /// not called; [`Error::OutcomeUnknown`] if it has returned, and no server tells whether the lock was held until
    /// then: what it has written is written.
    pub fn with_lock<T, E: From<Error>>(
        &self,
        options: &LockOptions,
        body: impl FnOnce(&EtcdLock) -> Result<T, E>,
    ) -> Result<T, E> {
        let _under_way = UnderWay::enter(self.client.path())?;
        let lock = EtcdLock::acquire(&self.client, options)?;
        let value = body(&lock);
        // Also after an error: a program that ends with it at once would leave the lock to its lease, and no process
        // could change the registry meanwhile.
        let released = lock.release();
        let value = value?;
        released?;
        Ok(value)
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let client = self.client.clone();
        let until = Instant::now() + client.options.read_within;
        runtime::wait(async move { client.snapshot(until).await })
    }
}

/// From now on, the functions of `argus_registry` that take a path take `etcd://host:port[,host:port]/prefix`, too.
/// One path is one [`EtcdStore`] with default options, which stays open.
pub fn register() {
    register_store(|path| {
        static OPEN: Mutex<Option<HashMap<PathBuf, EtcdStore>>> = Mutex::new(None);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        if let Some(store) = open.get(path) {
            return Ok(Box::new(store.clone()));
        }
        let store = EtcdStore::open(EtcdOptions::of_path(path)?)?;
        open.insert(path.to_path_buf(), store.clone());
        Ok(Box::new(store))
    });
}

impl RegistryStore for EtcdStore {
    fn path(&self) -> &Path {
        self.client.path()
    }

    fn read(&self) -> Result<(RegistryV1, Vec<Warning>)> {
        self.snapshot()?.read(&self.client.keys, self.client.path())
    }

    fn update(
        &self,
        options: &UpdateOptions,
        updater: &mut dyn FnMut(&mut RegistryV1) -> ControlFlow<()>,
    ) -> Result<()> {
        let _under_way = UnderWay::enter(self.client.path())?;
        let (client, call) = (self.client.clone(), Call::new(&options.lock));
        let (queue, waiting) = (client.clone(), call.clone());
        let _turn = match client.try_turn() {
            Some(turn) => turn,
            None => runtime::wait(async move { queue.turn(waiting).await })?,
        };
        run(&client, call, &LockRule::Free, &mut |registry| updater(registry).is_continue())
            .map(|_| ())
    }

    fn max_changed_entries(&self) -> usize {
        MAX_CHANGED
    }

    fn announce(&self, watcher: WatcherRecord, options: &UpdateOptions) -> Result<()> {
        let _under_way = UnderWay::enter(self.client.path())?;
        let (client, call) = (self.client.clone(), Call::new(&options.lock));
        runtime::wait(async move { client.announce(watcher, call).await })
    }

    fn claim(
        &self,
        watcher: WatcherRecord,
        claim: &ClaimOptions,
        options: &UpdateOptions,
    ) -> Result<WatcherRecord> {
        let _under_way = UnderWay::enter(self.client.path())?;
        let (client, call, claim) = (self.client.clone(), Call::new(&options.lock), claim.clone());
        runtime::wait(async move { client.claim(watcher, &claim, call).await })
    }

    fn heartbeat(&self, watcher: WatcherRef, options: &UpdateOptions) -> Result<bool> {
        let _under_way = UnderWay::enter(self.client.path())?;
        let (client, call) = (self.client.clone(), Call::new(&options.lock));
        runtime::wait(async move { client.heartbeat(&watcher, None, call).await })
    }

    fn remove(&self, watcher: WatcherRef, options: &UpdateOptions) -> Result<bool> {
        let _under_way = UnderWay::enter(self.client.path())?;
        let (client, call) = (self.client.clone(), Call::new(&options.lock));
        runtime::wait(async move { client.remove(&watcher, call).await })
    }

    fn prune(&self, prune: &PruneOptions, options: &UpdateOptions) -> Result<Vec<PrunedWatcher>> {
        let _under_way = UnderWay::enter(self.client.path())?;
        let (client, call, prune) = (self.client.clone(), Call::new(&options.lock), prune.clone());
        runtime::wait(async move { client.prune(&prune, call).await })
    }

    fn stale(&self, prune: &PruneOptions) -> Result<Vec<PrunedWatcher>> {
        let snapshot = self.snapshot()?;
        snapshot.registry(&self.client.keys, self.client.path())?;
        let stale = self.client.stale(&snapshot, prune);
        Ok(stale.into_iter().filter_map(|stale| self.client.pruned(stale)).collect())
    }

    /// By the entry's lease; without one, by its pid, if the entry tells on which machine that is a process.
    fn is_alive(&self, id: &str, _watcher: &WatcherRecord) -> Option<bool> {
        let (client, id) = (self.client.clone(), id.as_bytes().to_vec());
        let until = Instant::now() + client.options.read_within;
        let kv = runtime::wait(async move { client.entry(&id, until).await }).ok()??;
        life(&kv).is_alive(&parts::parse_entry(&kv.value)?)
    }

    /// [`LockStatus::path`] is the store's. A holder's time is not known.
    fn inspect_lock(&self, _stale_after: Duration) -> Result<LockStatus> {
        let client = self.client.clone();
        let until = Instant::now() + client.options.read_within;
        runtime::wait(async move { client.lock_status(until).await })
    }

    fn hold_lock(&self, options: &LockOptions, body: &mut dyn FnMut()) -> Result<()> {
        self.with_lock(options, |_| {
            body();
            Ok(())
        })
    }

    fn watch(&self) -> Result<RegistryWatch> {
        Ok(watch::watch(&self.client))
    }
}
