//! Reading the whole registry at one revision.

use std::time::Instant;

use argus_registry::store_parts::{self as parts, Entry, Life};
use argus_registry::{Error, RegistryV1, Result, Warning, REGISTRY_VERSION};

use crate::client::Client;
use crate::connection::AskError;
use crate::error::is_compacted;
use crate::keys::{Keys, VERSION};
use crate::rpc::request_op::Request;
use crate::rpc::{self, KeyValue, PutRequest, RequestOp};

/// How many keys one answer has at most. The rest is read at the revision of the first.
const PAGE: i64 = 1000;

/// The keys of a registry, as they were at one revision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) revision: i64,
    /// The servers' number of their cluster.
    pub(crate) cluster: u64,
    pub(crate) meta: Option<KeyValue>,
    pub(crate) version: Option<KeyValue>,
    pub(crate) removals: Option<KeyValue>,
    /// In the order in which they were created.
    pub(crate) entries: Vec<KeyValue>,
}

/// How the watcher of an entry is known to live: a key with a lease is there as long as its watcher renews it.
pub(crate) fn life(kv: &KeyValue) -> Life {
    match kv.lease {
        0 => Life::ByScope,
        _ => Life::Alive,
    }
}

impl Client {
    pub(crate) async fn snapshot(&self, until: Instant) -> Result<Snapshot> {
        loop {
            if let Some(snapshot) = self.try_snapshot(until).await? {
                return Ok(snapshot);
            }
        }
    }

    /// `None` if the revision was compacted before its last page was read.
    async fn try_snapshot(&self, until: Instant) -> Result<Option<Snapshot>> {
        let keys = &self.keys;
        let mut range = keys.content();
        let mut snapshot = Snapshot::default();
        loop {
            let request = rpc::range_request(range.clone(), PAGE, snapshot.revision);
            let page = match self.read(request, until).await {
                Ok(page) => page,
                Err(AskError::Refused(status)) if is_compacted(&status) => return Ok(None),
                Err(error) => return Err(error.into_error(&self.cluster)),
            };
            if snapshot.revision == 0 {
                snapshot.revision = rpc::revision(page.header.as_ref());
                snapshot.cluster = page.header.as_ref().map_or(0, |header| header.cluster_id);
            }
            // The key that follows the last one.
            range.start =
                page.kvs.last().map(|kv| [&kv.key[..], &[0]].concat()).unwrap_or_default();
            for kv in page.kvs {
                snapshot.add(keys, kv);
            }
            if !page.more {
                break;
            }
        }
        snapshot.sort();
        Ok(Some(snapshot))
    }
}

impl Snapshot {
    fn add(&mut self, keys: &Keys, kv: KeyValue) {
        match &kv.key {
            key if keys.id(key).is_some() => self.entries.push(kv),
            key if *key == keys.meta() => self.meta = Some(kv),
            key if *key == keys.version() => self.version = Some(kv),
            key if *key == keys.removals() => self.removals = Some(kv),
            _ => {}
        }
    }

    /// Whether there is a registry.
    pub(crate) fn is_there(&self) -> bool {
        self.version.is_some() || self.meta.is_some() || !self.entries.is_empty()
    }

    /// Makes it that of a later revision, at which a transaction has made these writes, and none has made others
    /// since.
    pub(crate) fn advance(&mut self, keys: &Keys, writes: Vec<RequestOp>, revision: i64) {
        self.revision = revision;
        for write in writes {
            match write.request {
                Some(Request::RequestPut(put)) => self.put(keys, put, revision),
                Some(Request::RequestDeleteRange(deleted)) => {
                    self.entries.retain(|kv| kv.key != deleted.key);
                }
                _ => unreachable!("an update only puts and deletes"),
            }
        }
        self.sort();
    }

    fn sort(&mut self) {
        self.entries.sort_by_key(|kv| (kv.create_revision, kv.key.clone()));
    }

    fn put(&mut self, keys: &Keys, put: PutRequest, revision: i64) {
        let PutRequest { key, value, lease, .. } = put;
        let known = self.entries.iter_mut().chain(&mut self.meta).chain(&mut self.removals);
        if let Some(kv) = known.into_iter().find(|kv| kv.key == key) {
            *kv = KeyValue { value, lease, mod_revision: revision, ..std::mem::take(kv) };
            return;
        }
        let create_revision = revision;
        let kv =
            KeyValue { key, value, lease, mod_revision: revision, create_revision, version: 1 };
        self.add(keys, kv);
    }

    /// Fails if the registry is of a newer version.
    pub(crate) fn check_version(&self, path: &std::path::Path) -> Result<()> {
        match &self.version {
            Some(kv) if kv.value != VERSION => {
                let found = String::from_utf8_lossy(&kv.value).into_owned();
                let path = path.to_path_buf();
                Err(Error::UnsupportedVersion { path, found, expected: REGISTRY_VERSION })
            }
            _ => Ok(()),
        }
    }

    /// The entries that are JSON, and a warning for each that is not.
    fn entries(&self, keys: &Keys, path: &std::path::Path) -> (Vec<Entry>, Vec<Warning>) {
        let (mut entries, mut warnings) = (Vec::new(), Vec::new());
        for kv in &self.entries {
            let Some(id) = keys.id(&kv.key) else { continue };
            match parts::parse_entry(&kv.value) {
                Some(entry) => entries.push((id, entry)),
                None => warnings.push(Warning::DamagedEntry {
                    path: path.join("watchers").join(parts::id_for_display(&id)),
                    reason: "its value is not JSON".to_owned(),
                }),
            }
        }
        (entries, warnings)
    }

    /// The registry, for an update of it.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] and [`Error::UnsupportedVersion`].
    pub(crate) fn registry(&self, keys: &Keys, path: &std::path::Path) -> Result<RegistryV1> {
        self.check_version(path)?;
        let meta = self.meta.as_ref().map(|kv| &*kv.value);
        parts::join(path, meta, self.entries(keys, path).0)
    }

    /// The registry for a reader: what can't be read is a warning.
    pub(crate) fn read(
        &self,
        keys: &Keys,
        path: &std::path::Path,
    ) -> Result<(RegistryV1, Vec<Warning>)> {
        let (entries, mut warnings) = self.entries(keys, path);
        if !self.is_there() {
            warnings.push(Warning::Missing { path: path.to_path_buf() });
        }
        let meta = self.meta.as_ref().map(|kv| &*kv.value);
        let joined =
            self.check_version(path).and_then(|()| parts::join(path, meta, entries.clone()));
        let registry = match joined {
            Ok(registry) => registry,
            Err(Error::UnsupportedVersion { path, found, .. }) => {
                warnings.push(Warning::UnsupportedVersion { path, found });
                RegistryV1::new()
            }
            Err(Error::Corrupt { path, reason }) => {
                let without_meta = parts::join(&path, None, entries)?;
                warnings.push(Warning::Corrupt { path, reason, kept: None });
                without_meta
            }
            Err(error) => return Err(error),
        };
        Ok((registry, warnings))
    }
}
