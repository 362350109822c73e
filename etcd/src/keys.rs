//! The keys of a registry.
//!
//! | key | value |
//! |---|---|
//! | `<prefix>/watchers/<id>` | the entry, byte by byte as it was given, with the lease of its watcher |
//! | `<prefix>/meta` | the registry's text without entries: its version, its date, its other members |
//! | `<prefix>/version` | `1`, from the first write on; a program of another version changes nothing |
//! | `<prefix>/removals` | empty; written in each transaction that removes an entry |
//! | `<prefix>/clients/<nonce>` | the last change of one client, with that client's lease |
//! | `<prefix>/lock/<lease>` | a holder of the lock, or a process that waits for it, with its lease |
//!
//! An id is written as its UTF-8 bytes. A lone surrogate, which JSON and JavaScript allow, is encoded like any
//! other character (WTF-8): keys are bytes.

use argus_registry::store_parts::IdBytes;

use crate::rpc::KeyRange;

/// The version of the layout, as the value of its key.
pub(crate) const VERSION: &[u8] = b"1";

#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// Without a `/` at its end.
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Keys { prefix: prefix.trim_end_matches('/').to_owned() }
    }

    fn key(&self, name: &str) -> Vec<u8> {
        format!("{}/{name}", self.prefix).into_bytes()
    }

    /// What a reader reads: `meta`, `removals`, `version` and the entries, and no other key.
    pub(crate) fn content(&self) -> KeyRange {
        KeyRange { start: self.meta(), end: self.entries().end }
    }

    pub(crate) fn entries(&self) -> KeyRange {
        KeyRange::of_prefix(self.key("watchers/"))
    }

    pub(crate) fn entry(&self, id: &[u8]) -> Vec<u8> {
        [&self.key("watchers/"), id].concat()
    }

    /// The entries whose ids begin with this one.
    pub(crate) fn entries_from(&self, id: &[u8]) -> KeyRange {
        KeyRange::of_prefix(self.entry(id))
    }

    /// The id of an entry's key; `None` for another key.
    pub(crate) fn id(&self, key: &[u8]) -> Option<IdBytes> {
        let id = key.strip_prefix(&*self.key("watchers/"))?;
        (!id.is_empty()).then(|| id.to_vec())
    }

    pub(crate) fn meta(&self) -> Vec<u8> {
        self.key("meta")
    }

    pub(crate) fn version(&self) -> Vec<u8> {
        self.key("version")
    }

    pub(crate) fn removals(&self) -> Vec<u8> {
        self.key("removals")
    }

    pub(crate) fn outcome(&self, nonce: u64) -> Vec<u8> {
        self.key(&format!("clients/{nonce:016x}"))
    }

    pub(crate) fn locks(&self) -> KeyRange {
        KeyRange::of_prefix(self.key("lock/"))
    }

    pub(crate) fn lock(&self, lease: i64) -> Vec<u8> {
        self.key(&format!("lock/{lease:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_from_its_key_and_no_other_key_is_an_entry() {
        let keys = Keys::new("/argus/");
        for id in [&b"app"[..], b"a/b", b"\xed\xa0\x80", b"..", b"watchers/"] {
            assert_eq!(keys.id(&keys.entry(id)).as_deref(), Some(id));
        }
        assert_eq!(keys.entry(b"app"), b"/argus/watchers/app");
        for other in [keys.meta(), keys.lock(1), keys.entry(b""), b"/argus2/watchers/a".to_vec()] {
            assert_eq!(keys.id(&other), None);
        }
    }

    #[test]
    fn the_range_that_readers_watch_has_no_keys_of_locks_and_clients() {
        let keys = Keys::new("/argus");
        let range = keys.content();
        let is_in = |key: Vec<u8>| range.start <= key && key < range.end;
        assert!(
            [keys.meta(), keys.removals(), keys.version(), keys.entry(b"\xff")].map(is_in)
                == [true; 4]
        );
        assert!([keys.lock(i64::MAX), keys.outcome(u64::MAX)].map(is_in) == [false; 2]);
    }

    #[test]
    fn the_range_of_a_prefix_ends_after_its_last_key() {
        let range = KeyRange::of_prefix(b"a/".to_vec());
        assert_eq!((&*range.start, &*range.end), (&b"a/"[..], &b"a0"[..]));
        assert_eq!(KeyRange::of_prefix(b"a\xff".to_vec()).end, b"b");
    }
}
