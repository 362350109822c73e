//! Updating the whole registry in one transaction, and why no change of another process is lost.
//!
//! An update reads all keys at one revision R, runs the caller's function, and sends one transaction that writes the
//! keys that differ. It is made only if nothing that the update read has changed since R. If it is refused, the update
//! runs again on what is there then.
//!
//! # What the transaction compares
//!
//! 1. No key in `watchers/` was written after R. etcd compares that over the range, however many keys there are. It
//!    tells of entries that were added, changed or renewed. It does not tell of entries that were deleted: they are not
//!    in the range any more.
//! 2. `removals` is as it was at R. Each transaction of this crate that deletes an entry writes it.
//! 3. `meta` is as it was at R.
//! 4. Each entry that the update writes or deletes is as it was at R, by the revision of its last write; or absent.
//! 5. Each other entry that was read is as it was at R, for as many as the transaction has room.
//!
//! # Why that suffices
//!
//! Let U be an update that read at R and whose transaction is made at T, and W a transaction made between R and T. All
//! transactions of this crate write at least one key in `watchers/`, `removals` or `meta`, or belong to the lock or
//! to outcomes, which no update reads. If W writes an entry, (1) refuses U, unless that entry has vanished by T, see below. If it deletes one, W is of this crate and
//! (2) refuses U, or it is none, see below. If it writes `meta`, (3) refuses U. So between R and T there is no W: U
//! read what was there immediately before its own transaction, and all updates could have run one after the other,
//! in the order of their transactions.
//!
//! What remains is a key that is deleted by etcd itself as its lease ends, or by a person, who uses another program.
//! (5) notices that in registries of up to about a hundred entries. In larger ones, let D be such a deletion between
//! R and T of an entry that U has not written: by (4), U would have been refused otherwise. D reads nothing and
//! writes nothing but its own entry, and U writes nothing that D writes. So U and D can be exchanged: what is there
//! afterwards is what it would be if D had come immediately after U. No change is lost and no entry is restored. That
//! holds also for a W that has written nothing but the entry which D then deletes. But a call that reads between D and U
//! can see the entry gone and U not made.
//!
//! The crate's model (`model/src/etcd/`) makes up to three calls in every order, and finds no more than that.
//!
//! Without (2), two updates could each delete the entry on which the other's decision was based, and both would be made.
//!
//! The lock adds a comparison of its own: see [`crate::outcome`].

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use argus_registry::store_parts::{self as parts, IdBytes};
use argus_registry::{Error, RegistryV1, Result};

use crate::call::Call;
use crate::client::Client;
use crate::outcome::{Alternative, Change, Committed, LockRule};
use crate::rpc::{self, KeyValue, RequestOp};
use crate::runtime;
use crate::snapshot::Snapshot;

/// How many comparisons, and how many operations, a transaction may have: the default of a server's
/// `--max-txn-ops`.
const MAX_OPERATIONS: usize = 128;

/// How many of them are not of entries: marker, version, lock, range, removals and meta.
const OTHER_OPERATIONS: usize = 6;

/// How many entries one update changes at most.
pub(crate) const MAX_CHANGED: usize = MAX_OPERATIONS - OTHER_OPERATIONS;

impl Client {
    /// The change that makes a snapshot's registry that of `new`; `None` if nothing differs. `found` is the
    /// snapshot's registry.
    pub(crate) fn plan(
        &self,
        snapshot: &Snapshot,
        found: &RegistryV1,
        new: &RegistryV1,
        lock: LockRule,
    ) -> Result<Option<Change>> {
        let mut change = Alternative::default();
        let old: HashMap<IdBytes, &KeyValue> =
            snapshot.entries.iter().filter_map(|kv| Some((self.keys.id(&kv.key)?, kv))).collect();
        let mut missing: HashMap<IdBytes, &KeyValue> = old.clone();
        let (mut written, mut removes) = (Vec::new(), false);
        let (rest, entries) = parts::split(new);
        for (id, value) in &entries {
            missing.remove(id);
            let key = self.keys.entry(id);
            let shown = parts::id_for_display(id);
            if id.is_empty() {
                return Err(self.invalid("a watcher's id must not be empty".to_owned()));
            }
            let lease = match old.get(id) {
                Some(kv) if kv.value == value.get().as_bytes() => continue,
                Some(kv) => {
                    self.must_not_be_damaged(&shown, kv)?;
                    change.compares.push(rpc::is_unchanged(&key, kv.mod_revision));
                    // Another watcher's entry is not kept by the lease of the one before.
                    let claim = |value: &[u8]| parts::claim_of("", &parts::parse_entry(value)?);
                    match claim(&kv.value) == claim(value.get().as_bytes()) {
                        true => kv.lease,
                        false => 0,
                    }
                }
                None => {
                    change.compares.push(rpc::is_absent(&key));
                    0
                }
            };
            change.writes.push(rpc::put(key.clone(), value.get(), lease));
            written.push(key);
        }
        // A damaged entry is in no registry, and stays.
        missing.retain(|_, kv| parts::parse_entry(&kv.value).is_some());
        for kv in missing.values() {
            change.compares.push(rpc::is_unchanged(&kv.key, kv.mod_revision));
            change.writes.push(rpc::delete(kv.key.clone()));
            written.push(kv.key.clone());
            removes = true;
        }
        if change.writes.len() > MAX_CHANGED {
            return Err(Error::StoreLimit {
                path: self.path().to_path_buf(),
                reason: format!(
                    "it changes {} entries, and one transaction of etcd changes at most {MAX_CHANGED}; make \
                     several updates",
                    change.writes.len()
                ),
            });
        }
        if rest != parts::split(found).0 {
            change.writes.push(rpc::put(self.keys.meta(), rest, 0));
        }
        if change.writes.is_empty() {
            return Ok(None);
        }
        let removals = self.keys.removals();
        if removes {
            change.writes.push(rpc::put(removals.clone(), Vec::new(), 0));
        }
        let revision = |kv: &Option<KeyValue>| kv.as_ref().map_or(0, |kv| kv.mod_revision);
        let read = snapshot.entries.iter().filter(|kv| !written.contains(&kv.key));
        let room = MAX_CHANGED - change.compares.len();
        let read = read.take(room).map(|kv| rpc::is_unchanged(&kv.key, kv.mod_revision));
        change.compares.extend(read);
        change.compares.push(rpc::has_no_write_after(self.keys.entries(), snapshot.revision));
        change.compares.push(rpc::is_unchanged(&removals, revision(&snapshot.removals)));
        change.compares.push(rpc::is_unchanged(&self.keys.meta(), revision(&snapshot.meta)));
        Ok(Some(Change { alternatives: vec![change], lock, ..Change::default() }))
    }
}

/// One update: what it has read, until a transaction has written what is made of that.
#[derive(Debug)]
pub(crate) struct Update {
    client: Arc<Client>,
    pub(crate) call: Call,
    lock: LockRule,
    snapshot: Snapshot,
    /// The snapshot's registry.
    pub(crate) found: RegistryV1,
    /// The writes of the last transaction, and its revision: the snapshot is from before.
    committed: Option<(Vec<RequestOp>, i64)>,
}

/// What became of an update's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    /// It was made; or nothing differed, and none was needed.
    Done { has_written: bool },
    /// Something that the update has read is no more. It is to read anew.
    Refused,
}

impl Update {
    /// Reads the registry.
    pub(crate) async fn begin(client: Arc<Client>, call: Call, lock: LockRule) -> Result<Self> {
        let snapshot = call.unless_cancelled(client.path(), client.snapshot(call.until)).await?;
        let found = snapshot.registry(&client.keys, client.path())?;
        Ok(Update { client, call, lock, snapshot, found, committed: None })
    }

    pub(crate) fn path(&self) -> &Path {
        self.client.path()
    }

    /// The error of a refusal, for a caller that does not try again.
    pub(crate) fn contention(&self) -> Error {
        self.call.contention(self.path())
    }

    /// Whether there is a registry.
    pub(crate) fn is_there(&self) -> bool {
        self.snapshot.is_there()
    }

    /// Writes what differs between `new` and what was read. An update may commit once after each reading.
    ///
    /// The commit has the time of a read at least: that of the call may be over by the time that the updater has
    /// taken, and each such update would fail although the servers answer. A further try has no more time than the
    /// call, or an update that is refused each time would never end.
    pub(crate) async fn commit(&mut self, new: &RegistryV1) -> Result<Commit> {
        let client = &self.client;
        let change = client.plan(&self.snapshot, &self.found, new, self.lock.clone())?;
        let Some(change) = change else { return Ok(Commit::Done { has_written: false }) };
        let mut call = self.call.clone();
        call.extend(client.options.read_within);
        match client.commit(&change, &call).await? {
            Committed::Done(revision, _) => {
                let writes = change.alternatives.into_iter().flat_map(|made| made.writes);
                self.committed = Some((writes.collect(), revision));
                Ok(Commit::Done { has_written: true })
            }
            Committed::LockGone => {
                let path = client.path().to_path_buf();
                Err(Error::LockLost { path, written: false })
            }
            _ => Ok(Commit::Refused),
        }
    }

    /// After a commit that was made, goes on from what it has left: its transaction was the only one since the
    /// reading, as the module says.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        if let Some((writes, revision)) = self.committed.take() {
            self.snapshot.advance(&self.client.keys, writes, revision);
            self.found = self.snapshot.registry(&self.client.keys, self.client.path())?;
        }
        Ok(())
    }

    /// After a refusal: waits, and reads anew. Fails if the call has no time for another try.
    pub(crate) async fn again(&mut self) -> Result<()> {
        self.call.pause(self.client.path()).await?;
        let (client, call) = (self.client.clone(), self.call.clone());
        *self = Update::begin(client, call, self.lock.clone()).await?;
        Ok(())
    }
}

/// Runs an update until it is made, or fails. The updater returns whether to write. Returns whether anything was
/// written.
pub(crate) fn run(
    client: &Arc<Client>,
    call: Call,
    lock: &LockRule,
    updater: &mut dyn FnMut(&mut RegistryV1) -> bool,
) -> Result<bool> {
    let mut update = runtime::wait(Update::begin(client.clone(), call, lock.clone()))?;
    loop {
        let mut new = update.found.clone();
        if !updater(&mut new) {
            return Ok(false);
        }
        let committed = runtime::wait(async move {
            let commit = update.commit(&new).await?;
            if commit == Commit::Refused {
                update.again().await?;
            }
            Ok::<_, Error>((commit, update))
        });
        match committed? {
            (Commit::Done { has_written }, _) => return Ok(has_written),
            (Commit::Refused, read_anew) => update = read_anew,
        }
    }
}
