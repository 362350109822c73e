//! Adding entries: under a free id, or in place of another entry.

use std::collections::HashMap;

use argus_registry::store_parts::{self as parts, IdBytes};
use argus_registry::{ClaimOptions, Error, Result, WatcherRecord};

use crate::call::Call;
use crate::client::Client;
use crate::outcome::{Alternative, Change, Committed};
use crate::rpc::{self, KeyValue, RangeResponse};
use crate::snapshot::life;

/// How many ids that are free a claim tries in one transaction. The processes that claim one id at once are told
/// apart by the servers then: if each tried one id only, they would come in each other's way again and again.
const MAX_TRIED: usize = 16;

/// Where an entry may be put.
struct Place {
    id: String,
    /// The key that is there; `None` if none is.
    replaced: Option<KeyValue>,
}

/// What becomes of an attempt to put an entry.
enum Put {
    /// The record as it was put, and its key.
    Done(Box<(WatcherRecord, KeyValue)>),
    Refused(Committed),
}

/// The lease of an entry that is being added: granted when it is first needed.
struct NewLease {
    is_wanted: bool,
    granted: Option<i64>,
}

impl Client {
    pub(crate) async fn claim(
        &self,
        record: WatcherRecord,
        options: &ClaimOptions,
        mut call: Call,
    ) -> Result<WatcherRecord> {
        parts::check_id(self.path(), &record.id)?;
        let requested = record.id.clone();
        let record = parts::with_own_scope(record);
        let mut lease = Self::new_lease(&record);
        let reads = vec![rpc::get_range(self.keys.entries_from(requested.as_bytes()), 0)];
        // Mostly free, so it is not asked for first.
        let mut places = vec![Place { id: requested.clone(), replaced: None }];
        loop {
            match self.put(&record, &places, &mut lease, &reads, &call).await? {
                Put::Done(put) => {
                    let (record, kv) = *put;
                    self.hold(record.claim(), kv);
                    return Ok(record);
                }
                Put::Refused(Committed::Conflict(found)) => {
                    match self.choose(&requested, options, found) {
                        Ok(chosen) => places = chosen,
                        Err(pid) => {
                            if let Some(lease) = lease.granted {
                                self.cluster.revoke_lease(lease, call.until).await;
                            }
                            let path = self.path().to_path_buf();
                            return Err(Error::IdTaken { path, id: requested, pid });
                        }
                    }
                }
                Put::Refused(_) => call.pause(self.path()).await?,
            }
        }
    }

    pub(crate) async fn announce(&self, record: WatcherRecord, mut call: Call) -> Result<()> {
        parts::check_id(self.path(), &record.id)?;
        let record = parts::with_own_scope(record);
        let mut lease = Self::new_lease(&record);
        let key = self.keys.entry(record.id.as_bytes());
        let reads = vec![rpc::get(&key)];
        let mut replaced = None;
        loop {
            let places = [Place { id: record.id.clone(), replaced }];
            match self.put(&record, &places, &mut lease, &reads, &call).await? {
                Put::Done(put) => {
                    let (record, kv) = *put;
                    self.forget(&record.id);
                    self.hold(record.claim(), kv);
                    return Ok(());
                }
                Put::Refused(Committed::Conflict(found)) => {
                    replaced = found.into_iter().flat_map(|range| range.kvs).next();
                    if let Some(kv) = &replaced {
                        self.must_not_be_damaged(&record.id, kv)?;
                    }
                    continue;
                }
                Put::Refused(_) => call.pause(self.path()).await?,
            }
            let [place] = places;
            replaced = place.replaced;
        }
    }

    /// A watcher of this process has a lease, which its heartbeats renew. An entry for another process has none:
    /// that process may outlive this one.
    fn new_lease(record: &WatcherRecord) -> NewLease {
        NewLease { is_wanted: record.pid == std::process::id(), granted: None }
    }

    /// Puts a record at the first place where that can be done.
    async fn put(
        &self,
        record: &WatcherRecord,
        places: &[Place],
        lease: &mut NewLease,
        reads: &[rpc::RequestOp],
        call: &Call,
    ) -> Result<Put> {
        if lease.is_wanted && lease.granted.is_none() {
            let seconds = self.options.lease_seconds();
            let granting = self.cluster.grant_lease(seconds, call.until);
            lease.granted = Some(call.unless_cancelled(self.path(), granting).await?);
        }
        let lease_id = lease.granted.unwrap_or(0);
        let mut records = Vec::new();
        let mut change = Change { reads: reads.to_vec(), ..Change::default() };
        for place in places {
            let key = self.keys.entry(place.id.as_bytes());
            let mut record = record.clone();
            record.id.clone_from(&place.id);
            let value = parts::text_of(&record).into_bytes();
            change.alternatives.push(Alternative {
                compares: vec![match &place.replaced {
                    None => rpc::is_absent(&key),
                    Some(kv) => rpc::is_unchanged(&key, kv.mod_revision),
                }],
                writes: vec![rpc::put(key.clone(), &*value, lease_id)],
            });
            records.push((record, key, value));
        }
        Ok(match self.commit(&change, call).await? {
            Committed::Done(mod_revision, chosen) => {
                let (record, key, value) = records.swap_remove(chosen);
                let replaced = places[chosen].replaced.as_ref();
                let create_revision = replaced.map_or(mod_revision, |kv| kv.create_revision);
                let lease = lease_id;
                let kv = KeyValue { key, value, lease, mod_revision, create_revision, version: 0 };
                Put::Done(Box::new((record, kv)))
            }
            refused => {
                if matches!(refused, Committed::LeaseOver) {
                    lease.granted = None;
                }
                Put::Refused(refused)
            }
        })
    }

    /// The first ids that are free, or the one before them whose entry may be replaced; the pid of the entry of the
    /// requested id if there is none.
    fn choose(
        &self,
        requested: &str,
        options: &ClaimOptions,
        found: Vec<RangeResponse>,
    ) -> Result<Vec<Place>, Option<u32>> {
        let found = found.into_iter().flat_map(|range| range.kvs);
        let found = found.filter_map(|kv| Some((self.keys.id(&kv.key)?, kv)));
        let mut found: HashMap<IdBytes, KeyValue> = found.collect();
        let (mut places, mut pid) = (Vec::new(), None);
        for id in parts::candidate_ids(requested, options.suffix) {
            let Some(kv) = found.remove(id.as_bytes()) else {
                places.push(Place { id, replaced: None });
                if places.len() == MAX_TRIED {
                    break;
                }
                continue;
            };
            let entry = parts::parse_entry(&kv.value);
            let may_replace = options.liveness
                && entry
                    .as_ref()
                    .is_some_and(|entry| life(&kv).may_be_replaced(entry, options.ttl));
            if may_replace {
                places.push(Place { id, replaced: Some(kv) });
                break;
            }
            pid = pid.or(entry.and_then(|entry| parts::pid_of(&entry)));
        }
        if places.is_empty() {
            Err(pid)
        } else {
            Ok(places)
        }
    }

    /// A damaged entry is never replaced or removed: nothing tells what it is for.
    pub(crate) fn must_not_be_damaged(&self, id: &str, kv: &KeyValue) -> Result<()> {
        match parts::parse_entry(&kv.value) {
            Some(_) => Ok(()),
            None => Err(self.invalid(format!(
                "the entry '{id}' is damaged (its value is not JSON), and a damaged entry is never replaced \
                 or deleted; delete its key"
            ))),
        }
    }
}
