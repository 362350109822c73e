//! Renewing an entry: its lease is kept alive and, at the same time, its date is set by a transaction that compares the
//! key. If the lease turns out to be over, the transaction is refused, or its entry is put again with a new lease.
//!
//! The key is compared by its last write, so an entry that was removed is not restored, and neither is one that was
//! removed and claimed again by a watcher of the same pid and start time: of its own entries, a process knows the
//! revision at which their keys were created.

use argus_registry::store_parts as parts;
use argus_registry::store_parts::WatcherRef;
use argus_registry::{Error, Result};

use crate::call::Call;
use crate::client::Client;
use crate::error::reason_of;
use crate::outcome::{Change, Committed};
use crate::rpc::{self, KeyValue};
use crate::runtime;

impl Client {
    /// Renews an entry, and gives it this date, or the present one.
    pub(crate) async fn heartbeat(
        &self,
        watcher: &WatcherRef,
        now: Option<u64>,
        mut call: Call,
    ) -> Result<bool> {
        let id = parts::id_of(watcher).to_owned();
        let key = self.keys.entry(id.as_bytes());
        let held = self.held_entry(&id);
        let mut seen = match &held {
            Some(held) => Some(held.kv.clone()),
            None => {
                call.unless_cancelled(self.path(), self.entry(id.as_bytes(), call.until)).await?
            }
        };
        let mut is_lease_over = false;
        loop {
            let Some(kv) = seen else { return self.lost(&id) };
            let Some(entry) = parts::parse_entry(&kv.value) else { return Ok(false) };
            if !self.is_of(watcher, &kv) {
                // What this process remembers may be of an earlier watcher of the id.
                if held.as_ref().is_some_and(|held| held.kv.mod_revision == kv.mod_revision) {
                    let now = self.entry(id.as_bytes(), call.until).await?;
                    if now.as_ref().is_some_and(|now| now.mod_revision != kv.mod_revision) {
                        seen = now;
                        continue;
                    }
                }
                return Ok(false);
            }
            let Some(text) = parts::renewed(watcher, &entry, now) else { return Ok(false) };
            let renews = kv.lease != 0 && !is_lease_over;
            let lease = match renews {
                true => kv.lease,
                false => self.new_lease_of(&id, &kv, &entry, &call).await?,
            };
            let mut change = Change::new(
                vec![rpc::is_unchanged(&key, kv.mod_revision)],
                vec![rpc::put(key.clone(), &*text, lease)],
            );
            change.reads = vec![rpc::get(&key)];
            let renewing = async {
                match renews {
                    true => self.cluster.keep_alive(lease, call.until).await,
                    false => Ok(true),
                }
            };
            let (committed, renewed) = runtime::join(self.commit(&change, &call), renewing).await;
            match committed? {
                Committed::Done(mod_revision, _) => {
                    let kv = KeyValue { value: text.into_bytes(), lease, mod_revision, ..kv };
                    if let Some(claim) =
                        parts::parse_entry(&kv.value).and_then(|entry| parts::claim_of(&id, &entry))
                    {
                        self.hold(claim, kv.clone());
                    }
                    if renewed.map_err(|error| self.not_known_to_be_renewed(error))? {
                        return Ok(true);
                    }
                    // The entry was put with it a moment before it was over.
                    is_lease_over = true;
                    seen = Some(kv);
                }
                Committed::Conflict(found) => {
                    seen = found.into_iter().flat_map(|range| range.kvs).next();
                }
                refused => {
                    is_lease_over |= matches!(refused, Committed::LeaseOver);
                    call.pause(self.path()).await?;
                    seen = self.entry(id.as_bytes(), call.until).await?;
                }
            }
        }
    }

    fn lost(&self, id: &str) -> Result<bool> {
        self.forget(id);
        Ok(false)
    }

    /// Whether a key is the entry of the watcher that is referred to.
    pub(crate) fn is_of(&self, watcher: &WatcherRef, kv: &KeyValue) -> bool {
        let Some(entry) = parts::parse_entry(&kv.value) else { return false };
        if !parts::matches(watcher, &entry) {
            return false;
        }
        let claim = match watcher {
            WatcherRef::Claim(claim) => claim.clone(),
            WatcherRef::Record(record) => record.claim(),
            _ => return true,
        };
        match self.held_entry(&claim.id).filter(|held| held.claim == claim) {
            Some(held) => held.kv.create_revision == kv.create_revision,
            None => true,
        }
    }

    fn not_known_to_be_renewed(&self, error: Error) -> Error {
        let reason = reason_of(error);
        Error::OutcomeUnknown {
            path: self.path().to_path_buf(),
            reason: format!(
                "the entry has its date, and whether its lease was renewed is open: {reason}"
            ),
        }
    }

    /// The lease with which an entry is to be put that has none, or whose lease is over.
    async fn new_lease_of(
        &self,
        id: &str,
        kv: &KeyValue,
        entry: &serde_json::value::RawValue,
        call: &Call,
    ) -> Result<i64> {
        // An entry of this process that an update or another process has put has no lease yet. And a lease that is
        // over is replaced: the servers take a while to remove its keys.
        let is_own =
            parts::claim_of(id, entry).is_some_and(|claim| claim.pid == std::process::id());
        match is_own {
            true => self.cluster.grant_lease(self.options.lease_seconds(), call.until).await,
            false => Ok(kv.lease),
        }
    }
}
