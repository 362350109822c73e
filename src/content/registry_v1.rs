//! The content of a registry: [`RegistryV1`], in the schema that argus uses.

use std::path::Path;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::content::pid_scope::PidScope;
use crate::content::raw_object::RawObject;
use crate::content::record::{RawEntry, WatcherRecord};
use crate::error::{Error, Result};

/// The schema version that this crate reads and writes.
pub const REGISTRY_VERSION: u32 = 1;

/// Some editors begin a text with it. Before a registry it is no defect.
pub(crate) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A registry: `{ version: 1, updatedAt, watchers: { id: record } }`, with all other members that were
/// read. A member that is not changed keeps its bytes.
#[derive(Debug, Clone)]
pub struct RegistryV1 {
    /// All members, with `null` as the value of `watchers`.
    members: RawObject,
    watchers: RawObject,
}

impl RegistryV1 {
    /// An empty registry with this date, in milliseconds since 1970.
    pub(crate) fn empty_at(now_ms: u64) -> Self {
        let text =
            format!(r#"{{"version":{REGISTRY_VERSION},"updatedAt":{now_ms},"watchers":{{}}}}"#);
        let members = RawObject::parse(&text).expect("a literal object parses");
        RegistryV1 { members, watchers: RawObject::default() }
    }

    /// Parses a registry's bytes. `path` is used in the error only.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if the bytes are not a registry; [`Error::UnsupportedVersion`] if they are a
    /// registry of a newer schema.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt { path: path.to_path_buf(), reason };
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| corrupt(error.to_string()))?;
        let (members, watchers) = match RawObject::parse_with(text, "watchers") {
            Ok((members, watchers)) => (members, Some(watchers)),
            // A newer schema may have no such watchers; its version still tells it from corrupt bytes.
            Err(_) => {
                let members = RawObject::parse(text).map_err(|error| corrupt(error.to_string()))?;
                let watchers = members.get("watchers").and_then(|text| RawObject::parse(text).ok());
                (members, watchers)
            }
        };
        // From the number's text: serde refuses a number such as 1e999, which JavaScript reads.
        let version = members.get("version").and_then(|version| version.parse::<f64>().ok());
        match version {
            Some(version) if version == f64::from(REGISTRY_VERSION) => {}
            Some(version) if version > f64::from(REGISTRY_VERSION) => {
                return Err(Error::UnsupportedVersion {
                    path: path.to_path_buf(),
                    found: version.to_string(),
                    expected: REGISTRY_VERSION,
                })
            }
            _ => return Err(corrupt(format!("its version is not {REGISTRY_VERSION}"))),
        }
        if members.get_as::<f64>("updatedAt").is_none() {
            return Err(corrupt("it has no updatedAt".into()));
        }
        let watchers = watchers.ok_or_else(|| corrupt("it has no watchers".into()))?;
        Ok(RegistryV1 { members, watchers })
    }

    /// The registry's text, in the layout of `JSON.stringify(registry, null, 2)`. If JavaScript wrote
    /// what was read, this is exactly that function's result. Numbers and strings that another program
    /// spelled differently keep their spelling.
    #[must_use]
    pub fn to_json(&self) -> String {
        let source = self.printed().members.source().clone();
        Arc::unwrap_or_clone(source)
    }

    /// This registry as it reads in its own [`text`](Self::text), which is that of [`to_json`](Self::to_json).
    pub(crate) fn printed(&self) -> Self {
        let (members, watchers) = self.members.printed("watchers", &self.watchers);
        RegistryV1 { members, watchers }
    }

    /// The text of a registry that was printed.
    pub(crate) fn text(&self) -> &str {
        self.members.source()
    }

    /// Reads a content by its differences from the text of this registry, which was printed. `None` if it differs in
    /// anything but the date and the values of entries, if printing would lay out one of them differently, or if the
    /// date is no number; otherwise the bytes are moved out of `content`.
    pub(crate) fn reread(self, content: &mut Vec<u8>) -> Option<Self> {
        let RegistryV1 { members, watchers } = self;
        let (members, watchers) = members.reread(watchers, "updatedAt", content)?;
        Some(RegistryV1 { members, watchers })
    }

    /// Whether two registries differ at most in the layout of their values. Prints only the values that are not
    /// spelled alike.
    pub(crate) fn equals_but_for_layout(&self, other: &RegistryV1) -> bool {
        self.members.equals_but_for_layout(&other.members)
            && self.watchers.equals_but_for_layout(&other.watchers)
    }

    /// A registry of these entries, whose keys are JSON strings that all differ.
    pub(crate) fn of_entries(
        updated_at: u64,
        entries: impl IntoIterator<Item = (Box<RawValue>, Box<RawValue>)>,
    ) -> Self {
        let watchers = RawObject::from_members(entries);
        RegistryV1 { watchers, ..RegistryV1::empty_at(updated_at) }
    }

    /// All entries, with their keys as they are written: a key may be no Rust string.
    pub(crate) fn raw_entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.watchers.raw_members()
    }

    /// Sets entries, whose keys are JSON strings that all differ.
    pub(crate) fn set_raw_entries(
        &mut self,
        entries: impl IntoIterator<Item = (Box<RawValue>, Box<RawValue>)>,
    ) {
        self.watchers.set_members(entries);
    }

    /// Keeps the entries for which `is_kept` returns true, by key and value.
    pub(crate) fn retain_entries(&mut self, is_kept: impl FnMut(&str, &str) -> bool) {
        self.watchers.retain(is_kept);
    }

    /// The names of the members that a registry need not have.
    pub(crate) fn other_members(&self) -> impl Iterator<Item = &str> {
        let is_other = |name: &&str| !["version", "updatedAt", "watchers"].contains(name);
        self.members.names().filter(is_other)
    }

    /// When the registry was last changed, in milliseconds since 1970.
    #[must_use]
    pub fn updated_at(&self) -> u64 {
        self.members.get_as::<f64>("updatedAt").map_or(0, |ms| ms as u64)
    }

    /// Sets the registry's date, in milliseconds since 1970.
    pub fn set_updated_at(&mut self, ms: u64) {
        self.members.set("updatedAt", &ms).expect("a number serialises");
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.watchers.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries' ids, in the order of the file.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.watchers.names()
    }

    /// One watcher; `None` if there is no such entry, or if the entry is not a watcher's record.
    #[must_use]
    pub fn watcher(&self, id: &str) -> Option<WatcherRecord> {
        self.entry(id)?.record()
    }

    /// All entries that are watchers' records.
    pub fn watchers(&self) -> impl Iterator<Item = WatcherRecord> + '_ {
        self.ids().filter_map(|id| self.watcher(id))
    }

    /// An entry as it is in the file.
    pub(crate) fn entry(&self, id: &str) -> Option<RawEntry<'_>> {
        self.watchers.get(id).map(RawEntry)
    }

    /// The entries by id, except those whose id a Rust string can't hold.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, RawEntry<'_>)> {
        self.watchers.members().map(|(name, value)| (name, RawEntry(value)))
    }

    /// Sets an entry's date and, if it is given, the scope of its pid, and changes nothing else in it.
    /// Returns false if there is no such entry, or if it can't have a date.
    pub(crate) fn date_watcher(&mut self, id: &str, ms: u64, scope: Option<&PidScope>) -> bool {
        let Some(entry) = self.entry(id) else { return false };
        if let Some(date) = entry.date_to_replace(scope) {
            self.watchers.set_number_in(id, date, ms);
            return true;
        }
        let Some(dated) = entry.dated(ms, scope) else { return false };
        self.watchers.set_json(id, dated).expect("a string serialises");
        true
    }

    /// Removes the entries for which `pick` returns a value. Returns each one's key and entry, both as
    /// JSON, with that value.
    pub(crate) fn remove_matching<R>(
        &mut self,
        mut pick: impl FnMut(&RawEntry<'_>) -> Option<R>,
    ) -> Vec<(Box<RawValue>, Box<RawValue>, R)> {
        self.watchers.remove_matching(|value| pick(&RawEntry(value)))
    }

    /// Adds a watcher, or replaces the entry of its id, and sets the registry's date.
    pub(crate) fn set_watcher_at(&mut self, record: WatcherRecord, now_ms: u64) {
        let id = record.id.clone();
        self.watchers.set_json(&id, record.into_json()).expect("a string serialises");
        self.set_updated_at(now_ms);
    }

    /// Removes an entry, and sets the registry's date if there was one. Returns whether there was.
    pub(crate) fn remove_watcher_at(&mut self, id: &str, now_ms: u64) -> bool {
        let removed = self.watchers.remove(id);
        if removed {
            self.set_updated_at(now_ms);
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
  "note": "\ud800",
  "version": 1,
  "updatedAt": 1e21,
  "watchers": {
    "__proto__": {
      "id": "__proto__",
      "host": "h",
      "port": 80.0,
      "pid": 1,
      "startedAt": 1.5,
      "updatedAt": 2e0,
      "later": [
        {}
      ],
      "cwd": "\udc00"
    },
    "odd": null
  }
}"#;

    fn parse(text: &str) -> Result<RegistryV1> {
        RegistryV1::parse(Path::new("r.json"), text.as_bytes())
    }

    #[test]
    fn unchanged_members_keep_their_bytes() {
        let mut registry = parse(TEXT).unwrap();
        assert_eq!(registry.to_json(), TEXT);
        let mut record = registry.watcher("__proto__").unwrap();
        record.pid = 2;
        registry.set_watcher(record);
        registry.set_updated_at(7);
        let changed = TEXT.replace("\"pid\": 1", "\"pid\": 2").replace("1e21", "7");
        assert_eq!(registry.to_json(), changed);
        assert_eq!(registry.ids().collect::<Vec<_>>(), ["__proto__", "odd"]);
        let mut record = registry.watcher("__proto__").unwrap();
        record.cwd = Some("/".into());
        registry.set_watcher(record.clone());
        assert_eq!(registry.watcher("__proto__").unwrap().cwd.as_deref(), Some("/"));
        record.cwd = None;
        registry.set_watcher(record);
        registry.set_updated_at(7);
        assert_eq!(registry.to_json(), changed, "a field that Rust can't hold is not removed");
        assert!(registry.watcher("odd").is_none());
        assert!(registry.remove_watcher("odd"));
        assert!(!registry.remove_watcher("odd"));
    }

    #[test]
    fn the_last_watchers_count_after_a_value_that_is_no_object() {
        let text = r#"{"version":1,"updatedAt":0,"watchers":null,"watchers":{"a":{}}}"#;
        assert_eq!(parse(text).unwrap().ids().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn the_last_of_two_watchers_objects_counts() {
        let text = r#"{"version":1,"watchers":{"a":0},"updatedAt":5,"watchers":{"b":0}}"#;
        let registry = parse(text).unwrap();
        assert_eq!(registry.ids().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn setting_and_removing_a_watcher_set_the_registrys_date() {
        let mut registry = parse(r#"{"version":1,"updatedAt":5,"watchers":{}}"#).unwrap();
        assert!(!registry.remove_watcher("app"));
        assert_eq!(registry.updated_at(), 5);
        let record = WatcherRecord::new("app", "", 1);
        registry.set_watcher(record.clone());
        assert!(registry.updated_at() >= record.updated_at);
        registry.set_updated_at(5);
        assert!(registry.remove_watcher("app"));
        assert!(registry.updated_at() >= record.updated_at);
    }

    #[test]
    fn corrupt_bytes_and_a_newer_schema_are_different_errors() {
        for (text, code) in [
            ("", "CORRUPT"),
            ("{", "CORRUPT"),
            ("[]", "CORRUPT"),
            ("null", "CORRUPT"),
            (r#"{"version":1,"updatedAt":0}"#, "CORRUPT"),
            (r#"{"version":1,"watchers":{}}"#, "CORRUPT"),
            (r#"{"version":1,"updatedAt":0,"watchers":[]}"#, "CORRUPT"),
            (r#"{"version":1,"updatedAt":0,"watchers":{}}{"#, "CORRUPT"),
            (r#"{"version":"1","updatedAt":0,"watchers":{}}"#, "CORRUPT"),
            (r#"{"version":0,"updatedAt":0,"watchers":{}}"#, "CORRUPT"),
            (r#"{"version":1,"updatedAt":0,"watchers":{},"watchers":null}"#, "CORRUPT"),
            (r#"{"version":2,"anything":0}"#, "UNSUPPORTED_VERSION"),
            (r#"{"version":2,"watchers":[]}"#, "UNSUPPORTED_VERSION"),
            (r#"{"version":1e999}"#, "UNSUPPORTED_VERSION"),
            (r#"{"version":1.5,"updatedAt":0,"watchers":{}}"#, "UNSUPPORTED_VERSION"),
        ] {
            assert_eq!(parse(text).unwrap_err().code(), code, "{text}");
        }
    }
}
