//! What a registry holds: [`RegistryV1`] and its [`WatcherRecord`]s, as argus has them.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::json::{self, RawObject};

/// The schema version that this crate reads and writes. Source: argus.
pub const REGISTRY_VERSION: u32 = 1;

/// A registry: `{ version: 1, updatedAt, watchers: { id: record } }`, with whatever other members
/// it came with. What isn't changed keeps its bytes. Source: argus.
#[derive(Debug, Clone)]
pub struct RegistryV1 {
    /// Everything but the watchers, which are in here as they were read.
    members: RawObject,
    watchers: RawObject,
}

/// One watcher. Fields that this type doesn't know are kept. Source: argus.
#[derive(Debug, Clone, Default)]
pub struct WatcherRecord {
    /// Its name in the registry.
    pub id: String,
    /// The host or interface that it listens on.
    pub host: String,
    /// The port that it listens on.
    pub port: u16,
    /// Its process.
    pub pid: u32,
    /// Its working directory.
    pub cwd: Option<String>,
    /// When it started, in milliseconds since 1970.
    pub started_at: u64,
    /// Its last heartbeat, in milliseconds since 1970.
    pub updated_at: u64,
    /// What it attaches to.
    pub match_: Option<Value>,
    /// Where its browser listens.
    pub chrome: Option<Value>,
    /// Whether its logs carry timestamps.
    pub include_timestamps: Option<bool>,
    /// What it gets its events from.
    pub source: Option<Value>,
    /// The entry as it was read, unknown fields included.
    raw: RawObject,
}

impl Default for RegistryV1 {
    fn default() -> Self {
        Self::new()
    }
}

impl RegistryV1 {
    /// An empty registry, dated now.
    #[must_use]
    pub fn new() -> Self {
        let text =
            format!(r#"{{"version":{REGISTRY_VERSION},"updatedAt":{},"watchers":{{}}}}"#, now_ms());
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
        let members: RawObject =
            serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
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
        let watchers =
            members.get_as("watchers").ok_or_else(|| corrupt("it has no watchers".into()))?;
        Ok(RegistryV1 { members, watchers })
    }

    /// The registry's text, in the layout of `JSON.stringify(registry, null, 2)`: that very text,
    /// if JavaScript wrote what was read. Numbers and strings that something else spelled
    /// differently stay as they were.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut members = self.members.clone();
        members.set_raw("watchers", self.watchers.to_raw()).expect("a literal name serialises");
        json::pretty(members.to_raw().get())
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

    /// Adds a watcher, or replaces the entry of the same id, and dates the registry.
    pub fn set_watcher(&mut self, record: WatcherRecord) {
        let id = record.id.clone();
        self.watchers.set_raw(&id, record.into_raw()).expect("a string serialises");
        self.set_updated_at(now_ms());
    }

    /// Removes an entry, whatever it is, and dates the registry; says whether there was one.
    pub fn remove_watcher(&mut self, id: &str) -> bool {
        let removed = self.watchers.remove(id).is_some();
        if removed {
            self.set_updated_at(now_ms());
        }
        removed
    }
}

impl WatcherRecord {
    /// A record of this process, started now.
    #[must_use]
    pub fn new(id: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        let now = now_ms();
        WatcherRecord {
            id: id.into(),
            host: host.into(),
            port,
            pid: std::process::id(),
            started_at: now,
            updated_at: now,
            ..WatcherRecord::default()
        }
    }

    fn into_raw(self) -> Box<RawValue> {
        self.merged().expect("plain fields serialise").to_raw()
    }

    /// The entry as it was read, with what has changed since.
    fn merged(self) -> serde_json::Result<RawObject> {
        let mut raw = self.raw;
        raw.set("id", &self.id)?;
        raw.set("host", &self.host)?;
        set_number(&mut raw, "port", u64::from(self.port))?;
        set_number(&mut raw, "pid", u64::from(self.pid))?;
        raw.set_or_remove("cwd", &self.cwd)?;
        set_number(&mut raw, "startedAt", self.started_at)?;
        set_number(&mut raw, "updatedAt", self.updated_at)?;
        raw.set_or_remove("match", &self.match_)?;
        raw.set_or_remove("chrome", &self.chrome)?;
        raw.set_or_remove("includeTimestamps", &self.include_timestamps)?;
        raw.set_or_remove("source", &self.source)?;
        Ok(raw)
    }
}

/// Sets a whole number, unless what is there reads as the same: JavaScript may have written a
/// fraction, or an exponent.
fn set_number(raw: &mut RawObject, name: &str, value: u64) -> serde_json::Result<()> {
    if raw.get_as::<f64>(name).map(|number| number as u64) == Some(value) {
        return Ok(());
    }
    raw.set(name, &value)
}

impl<'de> Deserialize<'de> for WatcherRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let raw = RawObject::deserialize(deserializer)?;
        let missing =
            |name| move || D::Error::custom(format!("{name} is missing or no such value"));
        let text = |name| raw.get_as::<String>(name).ok_or_else(missing(name));
        let number = |name: &'static str, max: f64| {
            let number = raw.get_as::<f64>(name).filter(|number| (0.0..=max).contains(number));
            number.map(|number| number as u64).ok_or_else(missing(name))
        };
        Ok(WatcherRecord {
            id: text("id")?,
            host: text("host")?,
            port: number("port", f64::from(u16::MAX))? as u16,
            pid: number("pid", f64::from(u32::MAX))? as u32,
            cwd: raw.get_as("cwd"),
            started_at: number("startedAt", f64::MAX)?,
            updated_at: number("updatedAt", f64::MAX)?,
            match_: raw.get_as("match"),
            chrome: raw.get_as("chrome"),
            include_timestamps: raw.get_as("includeTimestamps"),
            source: raw.get_as("source"),
            raw,
        })
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
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
    fn corrupt_and_newer_are_told_apart() {
        for (text, code) in [
            ("", "CORRUPT"),
            ("{", "CORRUPT"),
            ("[]", "CORRUPT"),
            ("null", "CORRUPT"),
            (r#"{"version":1,"updatedAt":0}"#, "CORRUPT"),
            (r#"{"version":1,"watchers":{}}"#, "CORRUPT"),
            (r#"{"version":1,"updatedAt":0,"watchers":[]}"#, "CORRUPT"),
            (r#"{"version":"1","updatedAt":0,"watchers":{}}"#, "CORRUPT"),
            (r#"{"version":0,"updatedAt":0,"watchers":{}}"#, "CORRUPT"),
            (r#"{"version":2,"anything":0}"#, "UNSUPPORTED_VERSION"),
            (r#"{"version":1e999}"#, "UNSUPPORTED_VERSION"),
            (r#"{"version":1.5,"updatedAt":0,"watchers":{}}"#, "UNSUPPORTED_VERSION"),
        ] {
            assert_eq!(parse(text).unwrap_err().code(), code, "{text}");
        }
    }
}
