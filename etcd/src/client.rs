//! What one opened registry keeps between its calls.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use argus_registry::{Error, Result, WatcherClaim};
use tokio::sync::OwnedMutexGuard;

use crate::call::Call;
use crate::connection::{kv, AskError, Cluster, Service, TlsTexts};
use crate::keys::Keys;
use crate::options::EtcdOptions;
use crate::outcome::Markers;
use crate::rpc::{self, KeyValue, RangeRequest, RangeResponse, TxnRequest, TxnResponse};

/// An entry that this process has claimed or announced.
#[derive(Debug, Clone)]
pub(crate) struct HeldEntry {
    pub(crate) claim: WatcherClaim,
    /// What the entry's key was last seen as.
    pub(crate) kv: KeyValue,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) cluster: Cluster,
    pub(crate) keys: Keys,
    pub(crate) options: EtcdOptions,
    pub(crate) markers: Markers,
    held: Mutex<HashMap<String, HeldEntry>>,
    /// The updates of this process wait here for one another: each other's writes would make them run again.
    updates: Arc<tokio::sync::Mutex<()>>,
}

impl Client {
    pub(crate) fn new(options: EtcdOptions, tls: Option<TlsTexts>) -> Result<Self> {
        Ok(Client {
            cluster: Cluster::new(&options, tls)?,
            keys: Keys::new(&options.prefix),
            options,
            markers: Markers::default(),
            held: Mutex::default(),
            updates: Arc::default(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.cluster.path
    }

    pub(crate) fn invalid(&self, reason: String) -> Error {
        Error::InvalidValue { path: self.path().to_path_buf(), reason }
    }

    /// The turn of an update, if no other one of this process is under way.
    pub(crate) fn try_turn(&self) -> Option<OwnedMutexGuard<()>> {
        self.updates.clone().try_lock_owned().ok()
    }

    /// Waits until no other update of this process is under way.
    pub(crate) async fn turn(&self, mut call: Call) -> Result<OwnedMutexGuard<()>> {
        loop {
            if let Some(turn) = self.try_turn() {
                return Ok(turn);
            }
            call.pause(self.path()).await?;
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, HeldEntry>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn held_entry(&self, id: &str) -> Option<HeldEntry> {
        self.held().get(id).cloned()
    }

    /// Remembers the entry of a watcher of this process.
    pub(crate) fn hold(&self, claim: WatcherClaim, kv: KeyValue) {
        if claim.pid == std::process::id() {
            self.held().insert(claim.id.clone(), HeldEntry { claim, kv });
        }
    }

    pub(crate) fn forget(&self, id: &str) {
        self.held().remove(id);
    }

    /// Reads a range of keys. Not by a transaction: etcd 3.5 before 3.5.5 ends when a client breaks off one that only
    /// reads (etcd issue 14110).
    pub(crate) async fn read(
        &self,
        range: RangeRequest,
        until: Instant,
    ) -> Result<RangeResponse, AskError> {
        let asked = self.cluster.ask(until, |service: Service| {
            let (mut client, range) = (kv(service), range.clone());
            async move { client.range(range).await }
        });
        asked.await
    }

    /// The first key of a range.
    pub(crate) async fn read_first(
        &self,
        range: RangeRequest,
        until: Instant,
    ) -> Result<Option<KeyValue>> {
        let read = self.read(range, until).await;
        let found = read.map_err(|error| error.into_error(&self.cluster))?;
        Ok(found.kvs.into_iter().next())
    }

    /// Makes a transaction that may be made more than once.
    pub(crate) async fn look(&self, txn: TxnRequest, until: Instant) -> Result<TxnResponse> {
        self.try_look(txn, until).await.map_err(|error| error.into_error(&self.cluster))
    }

    /// Like [`Self::look`]. A refusal is as the server has sent it.
    pub(crate) async fn try_look(
        &self,
        txn: TxnRequest,
        until: Instant,
    ) -> Result<TxnResponse, AskError> {
        let asked = self.cluster.ask(until, |service: Service| {
            let (mut client, txn) = (kv(service), txn.clone());
            async move { client.txn(txn).await }
        });
        asked.await
    }

    /// The key of an entry; `None` if it is not there.
    pub(crate) async fn entry(&self, id: &[u8], until: Instant) -> Result<Option<KeyValue>> {
        self.read_first(rpc::key_request(&self.keys.entry(id)), until).await
    }
}
