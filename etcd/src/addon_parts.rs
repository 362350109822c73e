//! What the addon for Node needs of this crate: the calls of a store as futures, and an update whose updater runs
//! between two of them. No part of what this crate promises to other callers.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use argus_registry::store_parts::{self as parts, EntryCall, IdBytes};
use argus_registry::{Error, LockOptions, LockStatus, RegistryV1, Result, Warning};
use serde_json::value::RawValue;
use tokio::sync::OwnedMutexGuard;

use crate::call::Call;
use crate::client::Client;
pub use crate::connection::TlsTexts;
use crate::lock::EtcdLock;
use crate::options::EtcdOptions;
pub use crate::options::{read_file, MIN_LEASE};
use crate::outcome::LockRule;
pub use crate::runtime::{spawn, spawn_blocking, wait};
use crate::store::EtcdStore;
use crate::update::{Commit, Update};

/// The path of a registry in etcd in its one spelling.
///
/// # Errors
///
/// Those of [`EtcdOptions::of_path`].
pub fn resolve(path: &Path) -> Result<std::path::PathBuf> {
    Ok(EtcdOptions::of_path(path)?.path())
}

/// Like [`EtcdStore::open`], with the texts for TLS in place of files.
///
/// # Errors
///
/// Those of [`EtcdStore::open`].
pub fn open(options: EtcdOptions, tls: Option<TlsTexts>) -> Result<EtcdStore> {
    Ok(EtcdStore { client: std::sync::Arc::new(Client::new(options, tls)?) })
}

/// Reads the registry.
///
/// # Errors
///
/// Those of [`read_registry`](argus_registry::read_registry), and [`Error::Unavailable`].
pub async fn read(store: EtcdStore) -> Result<(RegistryV1, Vec<Warning>)> {
    let client = &store.client;
    let until = Instant::now() + client.options.read_within;
    client.snapshot(until).await?.read(&client.keys, client.path())
}

/// Inspects the registry's lock.
///
/// # Errors
///
/// Those of [`inspect_lock`](argus_registry::inspect_lock), and [`Error::Unavailable`].
pub async fn inspect_lock(store: EtcdStore) -> Result<LockStatus> {
    let client = &store.client;
    client.lock_status(Instant::now() + client.options.read_within).await
}

/// Does an operation on entries, and returns its outcome as JSON.
///
/// # Errors
///
/// Those of the store's call of that name.
pub async fn apply(
    store: EtcdStore,
    entry_call: EntryCall,
    options: LockOptions,
) -> Result<String> {
    let (client, call) = (&store.client, Call::new(&options));
    match entry_call {
        EntryCall::Announce(record) => {
            client.announce(*record, call).await.map(|()| true.to_string())
        }
        EntryCall::Claim(record, claim) => {
            client.claim(*record, &claim, call).await.map(|record| parts::text_of(&record))
        }
        EntryCall::Heartbeat(watcher, now) => {
            client.heartbeat(&watcher, now, call).await.map(|found| found.to_string())
        }
        EntryCall::Remove(watcher) => {
            client.remove(&watcher, call).await.map(|found| found.to_string())
        }
        EntryCall::Prune(prune) => {
            client.prune(&prune, call).await.map(|pruned| parts::text_of_pruned(&pruned))
        }
    }
}

/// An update that has read the registry. Until it is dropped, no other update of this process begins.
#[derive(Debug)]
pub struct OpenUpdate {
    update: Update,
    _turn: OwnedMutexGuard<()>,
}

impl OpenUpdate {
    /// Reads the registry. `refusals` is how often this call has begun before and was refused: then it pauses first. Not
    /// those of other calls: a call that has not tried yet would fail for want of time for its pause.
    ///
    /// # Errors
    ///
    /// Those of [`update_registry`](argus_registry::update_registry), and [`Error::Unavailable`].
    pub async fn begin(store: EtcdStore, options: LockOptions, refusals: u32) -> Result<Self> {
        let mut call = Call::new(&options);
        let turn = store.client.turn(call.clone()).await?;
        if refusals > 0 && !call.is_one_try() {
            call.after_tries(refusals - 1);
            call.pause(store.client.path()).await?;
        }
        // After a refusal by the servers, a rest of the call's time in which none answers is no outage.
        let left = call.until.saturating_duration_since(Instant::now());
        let is_rest = refusals > 0 && left < store.client.options.answer_within;
        let contention = call.contention(store.client.path());
        match Update::begin(store.client, call, LockRule::Free).await {
            Err(Error::Unavailable { .. }) if is_rest => Err(contention),
            begun => begun.map(|update| OpenUpdate { update, _turn: turn }),
        }
    }

    /// The registry's text; `None` if there is no registry.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        text_of(&self.update)
    }

    /// Makes the registry that of a text, if nothing has changed since it was read. Afterwards the update goes on from
    /// there.
    ///
    /// # Errors
    ///
    /// [`Error::LockTimeout`], or [`Error::LockBusy`] for one try, if something has changed: nothing was written, and
    /// the update may begin anew. Those of [`update_registry`](argus_registry::update_registry).
    pub async fn commit(&mut self, text: &str) -> Result<()> {
        let update = &mut self.update;
        let new = parse(update, text)?;
        if update.commit(&new).await? == Commit::Refused {
            return Err(update.contention());
        }
        update.go_on()
    }
}

/// The registry's lock, and what was read under it.
#[derive(Debug)]
pub struct OpenLock {
    lock: EtcdLock,
    update: Update,
    options: LockOptions,
}

impl OpenLock {
    /// Takes the lock, and reads the registry.
    ///
    /// # Errors
    ///
    /// Those of [`EtcdStore::with_lock`].
    pub async fn acquire(store: EtcdStore, options: LockOptions) -> Result<Self> {
        let client = store.client;
        let call = Call::new(&options);
        let lock = EtcdLock::acquired(client.clone(), call.clone()).await?;
        let update = Update::begin(client, call, lock.rule()).await?;
        // Each write has the whole time: the lock may be held for longer.
        Ok(OpenLock { lock, update, options: LockOptions { since: None, ..options } })
    }

    /// The registry's text; `None` if there is no registry.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        text_of(&self.update)
    }

    /// Makes the registry that of a text. What was added or removed by other means meanwhile is replaced, too.
    ///
    /// # Errors
    ///
    /// Those of [`EtcdLock::write`].
    pub async fn write(&mut self, text: &str) -> Result<()> {
        let update = &mut self.update;
        update.call = Call::new(&self.options);
        loop {
            let new = parse(update, text)?;
            match update.commit(&new).await {
                Ok(Commit::Done { has_written: true }) => {
                    self.lock.set_written();
                    return update.go_on();
                }
                Ok(Commit::Done { has_written: false }) => return Ok(()),
                Ok(Commit::Refused) => update.again().await?,
                Err(Error::LockLost { .. }) => return Err(self.lock.lost()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Releases the lock.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] if it was lost before.
    pub async fn release(self) -> Result<()> {
        self.lock.released().await
    }
}

fn text_of(update: &Update) -> Option<String> {
    update.is_there().then(|| update.found.to_json())
}

/// The registry of a text that JavaScript has printed. An entry whose value is the one that was read keeps its bytes,
/// and another one has no layout.
fn parse(update: &Update, text: &str) -> Result<RegistryV1> {
    let path = update.path();
    let (rest, entries) = parts::split(&RegistryV1::parse(path, text.as_bytes())?);
    let (_, found) = parts::split(&update.found);
    let found: HashMap<IdBytes, Box<RawValue>> = found.into_iter().collect();
    let entries = entries.into_iter().map(|(id, value)| match found.get(&id) {
        Some(kept) if parts::is_same_value(kept, &value) => (id, kept.clone()),
        _ => (id, parts::compact(&value)),
    });
    parts::join(path, Some(rest.as_bytes()), entries.collect())
}
