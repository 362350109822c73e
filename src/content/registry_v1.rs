//! What a registry holds: [`RegistryV1`], as argus has it.

use std::ops::Range;
use std::path::Path;

use serde_json::value::RawValue;

use crate::content::raw_object::RawObject;
use crate::content::record::{RawEntry, WatcherRecord};
use crate::error::{Error, Result};

/// The schema version that this crate reads and writes. Source: argus.
pub const REGISTRY_VERSION: u32 = 1;

/// A value that the entry operations change.
pub(crate) enum PrintedMember<'a> {
    UpdatedAt,
    /// The entry of that id; `None` if no string of Rust can hold it.
    Entry(Option<&'a str>),
}

/// A registry: `{ version: 1, updatedAt, watchers: { id: record } }`, with whatever other members
/// it came with. What isn't changed keeps its bytes. Source: argus.
#[derive(Debug, Clone)]
pub struct RegistryV1 {
    /// Everything, with `null` in the place of the watchers.
    members: RawObject,
    watchers: RawObject,
}

impl RegistryV1 {
    /// An empty registry of this date, in milliseconds since 1970.
    pub(crate) fn empty_at(now_ms: u64) -> Self {
        let text =
            format!(r#"{{"version":{REGISTRY_VERSION},"updatedAt":{now_ms},"watchers":{{}}}}"#);
        let members = serde_json::from_str(&text).expect("a literal object parses");
        RegistryV1 { members, watchers: RawObject::default() }
    }

    /// Reads a registry's bytes. `path` is for the error.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] for what is no registry, [`Error::UnsupportedVersion`] for a newer one.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt { path: path.to_path_buf(), reason };
        let (members, watchers) = match RawObject::parse_with(bytes, "watchers") {
            Ok((members, watchers)) => (members, Some(watchers)),
            // What has no such watchers may still have a version.
            Err(_) => {
                let members: RawObject =
                    serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
                let watchers = members.get_as("watchers");
                (members, watchers)
            }
        };
        // By its text: JavaScript reads numbers beyond all bounds, too.
        let version = members.get("version").and_then(|version| version.get().parse::<f64>().ok());
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

    /// The registry's text, in the layout of `JSON.stringify(registry, null, 2)`: that very text,
    /// if JavaScript wrote what was read. Numbers and strings that something else spelled
    /// differently stay as they were.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.print(|_, _| {})
    }

    /// The same; `told` is where in it the values stand that the entry operations change, in the
    /// order of the text.
    pub(crate) fn print(&self, mut told: impl FnMut(PrintedMember<'_>, Range<usize>)) -> String {
        self.members.print_with("watchers", &self.watchers, |depth, name, range| match name {
            name if depth == 2 => told(PrintedMember::Entry(name), range),
            Some("updatedAt") => told(PrintedMember::UpdatedAt, range),
            _ => {}
        })
    }

    /// A registry of some of another's entries, for operations that look at no others: `updatedAt`
    /// and entries as JSON. `None` if no registry could be dated so.
    pub(crate) fn of_some<'a>(
        updated_at: &str,
        entries: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Option<Self> {
        let entries: Vec<_> = entries
            .map(|(id, entry)| Some(format!("{}:{entry}", serde_json::to_string(id).ok()?)))
            .collect::<Option<_>>()?;
        let entries = entries.join(",");
        let text = format!(
            r#"{{"version":{REGISTRY_VERSION},"updatedAt":{updated_at},"watchers":{{{entries}}}}}"#
        );
        RegistryV1::parse(Path::new(""), text.as_bytes()).ok()
    }

    /// `updatedAt` as it is spelled.
    pub(crate) fn spelled_updated_at(&self) -> &str {
        self.members.get("updatedAt").expect("no registry is without").get()
    }

    /// When the registry was last changed, in milliseconds since 1970.
    #[must_use]
    pub fn updated_at(&self) -> u64 {
        self.members.get_as::<f64>("updatedAt").map_or(0, |ms| ms as u64)
    }

    /// Dates the registry.
    pub fn set_updated_at(&mut self, ms: u64) {
        self.members.set("updatedAt", &ms).expect("a number serialises");
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.watchers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The watchers' ids, in the order of the file.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.watchers.names()
    }

    /// One watcher; `None` if there is no such entry, or if it is no watcher's record.
    #[must_use]
    pub fn watcher(&self, id: &str) -> Option<WatcherRecord> {
        self.watchers.get_as(id)
    }

    /// All entries that are watchers' records.
    pub fn watchers(&self) -> impl Iterator<Item = WatcherRecord> + '_ {
        self.ids().filter_map(|id| self.watcher(id))
    }

    /// An entry as it is in the file.
    pub(crate) fn entry(&self, id: &str) -> Option<RawEntry<'_>> {
        self.watchers.get(id).map(RawEntry)
    }

    /// The entries by id, but for those whose id no string of Rust can hold.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, RawEntry<'_>)> {
        self.watchers.members().map(|(name, value)| (name, RawEntry(value)))
    }

    /// Dates an entry and leaves all else of it as it is; says whether it is one that has a date.
    pub(crate) fn date_watcher(&mut self, id: &str, ms: u64) -> bool {
        let Some(dated) = self.entry(id).and_then(|entry| entry.dated(ms)) else { return false };
        self.watchers.set_raw(id, dated).expect("a string serialises");
        true
    }

    /// Removes the entries that `pick` has something to say of, and returns them: the name and the
    /// entry, both as JSON, and what was said.
    pub(crate) fn take_out<R>(
        &mut self,
        mut pick: impl FnMut(&RawEntry<'_>) -> Option<R>,
    ) -> Vec<(Box<RawValue>, Box<RawValue>, R)> {
        self.watchers.take_out(|value| pick(&RawEntry(value)))
    }

    /// Adds a watcher, or replaces the entry of its id, and dates the registry.
    pub(crate) fn set_watcher_at(&mut self, record: WatcherRecord, now_ms: u64) {
        let id = record.id.clone();
        self.watchers.set_raw(&id, record.into_raw()).expect("a string serialises");
        self.set_updated_at(now_ms);
    }

    /// Removes an entry, and dates the registry if there was one; says whether there was.
    pub(crate) fn remove_watcher_at(&mut self, id: &str, now_ms: u64) -> bool {
        let removed = self.watchers.remove(id).is_some();
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
    fn what_is_not_changed_keeps_its_bytes() {
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
    fn the_last_of_several_watchers_counts() {
        let text = r#"{"version":1,"updatedAt":0,"watchers":null,"watchers":{"a":{}}}"#;
        assert_eq!(parse(text).unwrap().ids().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn the_last_watchers_count() {
        let text = r#"{"version":1,"watchers":{"a":0},"updatedAt":5,"watchers":{"b":0}}"#;
        let registry = parse(text).unwrap();
        assert_eq!(registry.ids().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn who_sets_or_removes_a_watcher_dates_the_registry() {
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
    fn corrupt_and_newer_are_told_apart() {
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
