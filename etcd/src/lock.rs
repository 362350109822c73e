//! The registry's lock: the recipe of etcd's own clients, with the keys that `etcdctl lock <prefix>/lock` uses.
//!
//! Each process that wants the lock puts a key of its own, with a lease that it renews. The process whose key was
//! created first holds it; the others ask again until it is their turn. A process that dies keeps its place until its
//! lease is over.
//!
//! A lock with a lease can be lost: its holder is frozen, and goes on after the lease is over. So every write under
//! the lock compares that the holder's key is still there (a fence), in its own transaction. And every other change
//! of the registry, by any process, requires that there is no such key.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use argus_registry::store_parts as parts;
use argus_registry::{Error, LockOptions, LockStatus, RegistryV1, Result, Warning};
use tokio::task::JoinHandle;

use crate::call::Call;
use crate::client::Client;
use crate::connection::AskError;
use crate::error::{is_lease_missing, reason_of};
use crate::outcome::LockRule;
use crate::rpc::{self, TxnRequest};
use crate::runtime;
use crate::update::run;

/// How long a dead holder keeps the lock, in seconds.
const LOCK_LEASE: i64 = 10;

/// The lock of a registry in etcd, while it is held. See [`EtcdStore::with_lock`](crate::EtcdStore::with_lock).
#[derive(Debug)]
pub struct EtcdLock {
    client: Arc<Client>,
    lease: i64,
    created: i64,
    renewing: JoinHandle<()>,
    written: Cell<bool>,
}

impl EtcdLock {
    pub(crate) fn acquire(client: &Arc<Client>, options: &LockOptions) -> Result<Self> {
        let (client, call) = (client.clone(), Call::new(options));
        runtime::wait(async move { EtcdLock::acquired(client, call).await })
    }

    pub(crate) async fn acquired(client: Arc<Client>, call: Call) -> Result<Self> {
        let (lease, created) = client.acquire(call).await?;
        let renewed = client.clone();
        let renewing = runtime::spawn(async move {
            let third = Duration::from_secs(LOCK_LEASE as u64) / 3;
            loop {
                tokio::time::sleep(third).await;
                // What was not renewed in time is found out by the fence.
                let _ = renewed.cluster.keep_alive(lease, Instant::now() + third).await;
            }
        });
        Ok(EtcdLock { client, lease, created, renewing, written: Cell::new(false) })
    }

    pub(crate) fn rule(&self) -> LockRule {
        LockRule::Held { key: self.client.keys.lock(self.lease), created: self.created }
    }

    /// Reads the registry. No process changes it until the lock is released or lost.
    ///
    /// # Errors
    ///
    /// Those of [`read_registry`](argus_registry::read_registry), and [`Error::Unavailable`].
    pub fn read(&self) -> Result<(RegistryV1, Vec<Warning>)> {
        let client = self.client.clone();
        let until = Instant::now() + client.options.read_within;
        let snapshot = runtime::wait(async move { client.snapshot(until).await })?;
        snapshot.read(&self.client.keys, self.client.path())
    }

    /// Updates the registry under the lock.
    ///
    /// # Errors
    ///
    /// Those of [`update_registry`](argus_registry::update_registry); [`Error::LockLost`] if the lock's lease has
    /// ended: nothing was written then by this call.
    pub fn update<T, E: From<Error>>(
        &self,
        options: &LockOptions,
        mut updater: impl FnMut(&mut RegistryV1) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut returned = None;
        let updated = run(&self.client, Call::new(options), &self.rule(), &mut |registry| {
            let result = updater(registry);
            let may_write = result.is_ok();
            returned = Some(result);
            may_write
        });
        match updated {
            Ok(wrote) => self.written.set(self.written.get() || wrote),
            Err(Error::LockLost { path, .. }) => {
                return Err(Error::LockLost { path, written: self.written.get() }.into())
            }
            Err(error) => return Err(error.into()),
        }
        returned.expect("an update that succeeds has called its updater")
    }

    /// Replaces the registry's whole content under the lock.
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update).
    pub fn write(&self, registry: &RegistryV1, options: &LockOptions) -> Result<()> {
        self.update(options, |current| {
            *current = registry.clone();
            Ok(())
        })
    }

    /// Notes that something was written under the lock.
    pub(crate) fn set_written(&self) {
        self.written.set(true);
    }

    /// The error of a lock that was lost.
    pub(crate) fn lost(&self) -> Error {
        let path = self.client.path().to_path_buf();
        Error::LockLost { path, written: self.written.get() }
    }

    /// Releases the lock. Fails if it was lost before, or if no server tells.
    pub(crate) fn release(self) -> Result<()> {
        runtime::wait(self.released())
    }

    pub(crate) async fn released(self) -> Result<()> {
        let (client, key) = (self.client.clone(), self.client.keys.lock(self.lease));
        let until = Instant::now() + client.options.read_within;
        let found = client.read_first(rpc::key_request(&key), until).await;
        client.cluster.revoke_lease(self.lease, until).await;
        // Not the error itself: it says that nothing was written, and the caller would do its work again.
        let found = found.map_err(|error| Error::OutcomeUnknown {
            path: client.path().to_path_buf(),
            reason: format!(
                "what ran under the lock has run, and what it has written is written, but whether the lock was held \
                 until its end could not be asked: {}",
                reason_of(error)
            ),
        })?;
        match found.is_some_and(|kv| kv.create_revision == self.created) {
            true => Ok(()),
            false => Err(self.lost()),
        }
    }
}

/// What a process puts into its key: its pid and its host, for people who ask which process holds the lock.
fn own_name() -> String {
    format!("{} {}", std::process::id(), parts::host_name())
}

/// The pid and the host that a key names, if this crate has put it.
fn holder(value: &[u8]) -> (Option<u32>, Option<String>) {
    let name = String::from_utf8_lossy(value);
    let (pid, host) = name.split_once(' ').unwrap_or((&name, ""));
    (pid.parse().ok(), Some(host.to_owned()).filter(|host| !host.is_empty()))
}

impl Drop for EtcdLock {
    fn drop(&mut self) {
        self.renewing.abort();
        let (client, lease) = (self.client.clone(), self.lease);
        // After a release this finds no lease. After a panic of the caller it frees the lock.
        runtime::spawn(async move {
            let until = Instant::now() + client.options.answer_within;
            client.cluster.revoke_lease(lease, until).await;
        });
    }
}

impl Client {
    /// The lease of the lock that was acquired, and the revision at which its key was created.
    async fn acquire(&self, mut call: Call) -> Result<(i64, i64)> {
        loop {
            let granting = self.cluster.grant_lease(LOCK_LEASE, call.until);
            let lease = call.unless_cancelled(self.path(), granting).await?;
            match self.wait_for_turn(lease, &mut call).await {
                Ok(Some(created)) => return Ok((lease, created)),
                // This process was stopped for longer than its lease. It has lost its place, and queues again.
                Ok(None) => {}
                Err(error) => {
                    let until = Instant::now() + self.options.answer_within;
                    self.cluster.revoke_lease(lease, until).await;
                    return Err(error);
                }
            }
        }
    }

    /// What is known of the lock.
    pub(crate) async fn lock_status(&self, until: Instant) -> Result<LockStatus> {
        let first = self.read_first(rpc::first_created_request(self.keys.locks()), until).await?;
        Ok(parts::lock_status(self.path(), first.map(|kv| holder(&kv.value))))
    }

    /// The revision at which the key was created that has the lock now; `None` if its lease is over.
    async fn wait_for_turn(&self, lease: i64, call: &mut Call) -> Result<Option<i64>> {
        let key = self.keys.lock(lease);
        let mut renewed = Instant::now();
        loop {
            // No other process puts this key. Put again after an answer that was lost, it keeps its place.
            let first = rpc::get_first_created(self.keys.locks());
            let txn = TxnRequest {
                compare: vec![rpc::is_absent(&key)],
                success: vec![rpc::put(key.clone(), own_name(), lease), first.clone()],
                failure: vec![first],
            };
            let looking = async {
                match self.try_look(txn, call.until).await {
                    Err(AskError::Refused(status)) if is_lease_missing(&status) => Ok(None),
                    answer => answer.map(Some).map_err(|error| error.into_error(&self.cluster)),
                }
            };
            let answer = call.unless_cancelled(self.path(), looking).await?;
            let Some(answer) = answer else { return Ok(None) };
            let found = rpc::found(answer).into_iter().flat_map(|range| range.kvs).next();
            if let Some(first) = found.filter(|first| first.key == key) {
                return Ok(Some(first.create_revision));
            }
            call.pause(self.path()).await?;
            if renewed.elapsed() > Duration::from_secs(LOCK_LEASE as u64 / 3) {
                self.cluster.keep_alive(lease, call.until).await?;
                renewed = Instant::now();
            }
        }
    }
}
