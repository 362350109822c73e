//! One watcher's entry: [`WatcherRecord`], with the fields that argus writes.

use std::ops::Range;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::Value;

use crate::content::date_in_text::{date_in, DateInText};
use crate::content::pid_scope::{EntryScope, PidScope, PID_SCOPE};
use crate::content::raw_object::RawObject;

/// Identifies the watcher that an entry belongs to: the entry is the watcher's own as long as it names
/// this process and this start time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WatcherClaim {
    /// The entry's name.
    pub id: String,
    /// The watcher's process id.
    pub pid: u32,
    /// When the watcher started, in milliseconds since 1970.
    pub started_at: u64,
}

/// An entry as it is in the file. It may be any JSON value.
#[derive(Clone, Copy)]
pub(crate) struct RawEntry<'a>(pub(crate) &'a str);

/// The fields of an entry by which a watcher is judged alive or dead. The entry may lack all other
/// fields, or have them in another shape.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LivenessFields {
    pub(crate) host: Option<String>,
    pub(crate) pid: Option<f64>,
    pub(crate) started_at: Option<f64>,
    pub(crate) updated_at: Option<f64>,
    #[serde(default)]
    pub(crate) pid_scope: EntryScope,
}

/// One watcher. Fields that this type does not know are kept when the record is written.
///
/// A record also carries where its `pid` names a process (`pidScope` in the file: boot, pid namespace,
/// machine), if the process with that pid has written it. It says nothing about another pid.
#[derive(Debug, Clone, Default)]
pub struct WatcherRecord {
    /// The watcher's name in the registry.
    pub id: String,
    /// The host or interface that the watcher listens on.
    pub host: String,
    /// The port that the watcher listens on.
    pub port: u16,
    /// The watcher's process id.
    pub pid: u32,
    /// The watcher's working directory.
    pub cwd: Option<String>,
    /// When the watcher started, in milliseconds since 1970.
    pub started_at: u64,
    /// The watcher's last heartbeat, in milliseconds since 1970.
    pub updated_at: u64,
    /// The pages that the watcher attaches to, by URL or title.
    pub match_: Option<Value>,
    /// The address on which the watcher's browser listens.
    pub chrome: Option<Value>,
    /// Whether the watcher's logs carry timestamps.
    pub include_timestamps: Option<bool>,
    /// The source of the watcher's events.
    pub source: Option<Value>,
    /// Where the pid that it names is a process; `None` if that is missing or can't be read.
    pub(crate) pid_scope: Option<PidScope>,
    /// The entry as it was read, unknown fields included.
    raw: RawObject,
}

impl WatcherRecord {
    /// The claim that identifies this watcher's entry: `id`, `pid` and `started_at`.
    #[must_use]
    pub fn claim(&self) -> WatcherClaim {
        WatcherClaim { id: self.id.clone(), pid: self.pid, started_at: self.started_at }
    }

    /// The record of a watcher that runs in the process of this scope and started at `now_ms`, in
    /// milliseconds since 1970.
    pub(crate) fn started_by(
        process: PidScope,
        now_ms: u64,
        id: impl Into<String>,
        host: impl Into<String>,
        port: u16,
    ) -> Self {
        WatcherRecord {
            id: id.into(),
            host: host.into(),
            port,
            pid: process.pid,
            started_at: now_ms,
            updated_at: now_ms,
            pid_scope: Some(process),
            ..WatcherRecord::default()
        }
    }

    /// Sets where the pid names a process, if it is the pid of the process `own`.
    pub(crate) fn set_scope_if_own(&mut self, own: &PidScope) {
        if self.pid == own.pid {
            self.pid_scope = Some(own.clone());
        }
    }

    /// What liveness is judged by.
    pub(crate) fn liveness_fields(&self) -> LivenessFields {
        let pid_scope = match &self.pid_scope {
            Some(scope) => EntryScope::Readable(scope.clone()),
            None => EntryScope::parse(self.raw.get(PID_SCOPE)),
        };
        LivenessFields {
            host: Some(self.host.clone()),
            pid: Some(f64::from(self.pid)),
            started_at: Some(self.started_at as f64),
            updated_at: Some(self.updated_at as f64),
            pid_scope,
        }
    }

    /// The record as compact JSON.
    pub(crate) fn to_json(&self) -> String {
        self.clone().into_json()
    }

    pub(crate) fn into_json(self) -> String {
        self.merged().expect("plain fields serialise").to_json()
    }

    /// The entry as it was read, with this record's fields set in it.
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
        if let Some(scope) = self.pid_scope.filter(|scope| scope.pid == self.pid) {
            set_scope(&mut raw, &scope)?;
        }
        Ok(raw)
    }
}

impl RawEntry<'_> {
    pub(crate) fn record(&self) -> Option<WatcherRecord> {
        WatcherRecord::parse(self.0).ok()
    }

    /// `None` if the entry is not an object.
    pub(crate) fn liveness_fields(&self) -> Option<LivenessFields> {
        // Serde would read an array as the struct's fields, in their order.
        if !self.0.starts_with('{') {
            return None;
        }
        // Serde reads nearly all entries at once. Where a member has an unexpected type, each member is
        // read by itself, so that the others count.
        serde_json::from_str(self.0).ok().or_else(|| {
            let members = self.members()?;
            Some(LivenessFields {
                host: members.get_as("host"),
                pid: members.get_as("pid"),
                started_at: members.get_as("startedAt"),
                updated_at: members.get_as("updatedAt"),
                pid_scope: EntryScope::parse(members.get(PID_SCOPE)),
            })
        })
    }

    /// The record's own `id`, as JSON; `None` if it is not a string.
    pub(crate) fn raw_id(&self) -> Option<String> {
        self.members()?.get("id").filter(|id| id.starts_with('"')).map(str::to_owned)
    }

    /// When the watcher renewed the entry, in milliseconds since 1970.
    pub(crate) fn date(&self) -> Option<u64> {
        self.liveness_fields()?.updated_at.map(|ms| ms as u64)
    }

    pub(crate) fn claim(&self, id: &str) -> Option<WatcherClaim> {
        let LivenessFields { pid, started_at, .. } = self.liveness_fields()?;
        let (pid, started_at) = (pid? as u32, started_at? as u64);
        Some(WatcherClaim { id: id.to_owned(), pid, started_at })
    }

    /// The entry with another `updatedAt` and, if it is given, another scope of its pid, and nothing
    /// else changed; `None` if it is not an object.
    pub(crate) fn dated(&self, ms: u64, scope: Option<&PidScope>) -> Option<String> {
        let mut members = self.members()?;
        members.set("updatedAt", &ms).ok()?;
        if let Some(scope) = scope {
            set_scope(&mut members, scope).ok()?;
        }
        Some(members.to_json())
    }

    /// Where the entry has its date, if that is all that [`dated`](Self::dated) would change.
    pub(crate) fn date_to_replace(&self, scope: Option<&PidScope>) -> Option<Range<usize>> {
        let DateInText::At(range) = date_in(self.0) else { return None };
        // Any value may be replaced, but only a number is sure to have no layout.
        let is_number = self.0[range.clone()].parse::<f64>().is_ok();
        let has_scope = scope.is_none_or(|scope| {
            let fields = self.liveness_fields();
            fields.is_some_and(|fields| fields.pid_scope == EntryScope::Readable(scope.clone()))
        });
        (is_number && has_scope).then_some(range)
    }

    fn members(&self) -> Option<RawObject> {
        RawObject::parse(self.0).ok()
    }
}

/// Sets the scope of an entry's pid. No member of another scope may be left in it.
fn set_scope(raw: &mut RawObject, scope: &PidScope) -> serde_json::Result<()> {
    if raw.get_as::<PidScope>(PID_SCOPE).as_ref() == Some(scope) {
        return Ok(());
    }
    raw.set_json(PID_SCOPE, serde_json::to_string(scope)?)
}

/// Sets a whole number, unless the present value already reads as that number: JavaScript may have
/// written it with a fraction or an exponent, and its spelling stays.
fn set_number(raw: &mut RawObject, name: &str, value: u64) -> serde_json::Result<()> {
    if raw.get_as::<f64>(name).map(|number| number as u64) == Some(value) {
        return Ok(());
    }
    raw.set(name, &value)
}

impl<'de> Deserialize<'de> for WatcherRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        WatcherRecord::parse(text.get()).map_err(serde::de::Error::custom)
    }
}

impl WatcherRecord {
    fn parse(text: &str) -> serde_json::Result<Self> {
        use serde::de::Error as _;
        let raw = RawObject::parse(text)?;
        let missing = |name| {
            move || serde_json::Error::custom(format!("its {name} is missing or of the wrong kind"))
        };
        let text = |name| raw.get_as::<String>(name).ok_or_else(missing(name));
        let number = |name: &'static str, is_good: &dyn Fn(f64) -> bool| {
            let number = raw.get_as::<f64>(name).filter(|number| is_good(*number));
            number.map(|number| number as u64).ok_or_else(missing(name))
        };
        let is_time = |number: f64| number >= 0.0;
        // A port or a process id with a fraction is not valid.
        let is_whole = |number: f64, max: u32| {
            (0.0..=f64::from(max)).contains(&number) && number.fract() == 0.0
        };
        Ok(WatcherRecord {
            id: text("id")?,
            host: text("host")?,
            port: number("port", &|port| is_whole(port, u16::MAX.into()))? as u16,
            pid: number("pid", &|pid| is_whole(pid, u32::MAX))? as u32,
            cwd: raw.get_as("cwd"),
            started_at: number("startedAt", &is_time)?,
            updated_at: number("updatedAt", &is_time)?,
            match_: raw.get_as("match"),
            chrome: raw.get_as("chrome"),
            include_timestamps: raw.get_as("includeTimestamps"),
            source: raw.get_as("source"),
            pid_scope: raw.get_as(PID_SCOPE),
            raw,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_written_and_removed_when_it_is_none() {
        let mut record = WatcherRecord {
            cwd: Some("/".into()),
            match_: Some(Value::from(vec![1])),
            chrome: Some(Value::from("chrome")),
            include_timestamps: Some(false),
            source: Some(Value::from("source")),
            ..WatcherRecord::default()
        };
        let all = concat!(
            r#"{"id":"","host":"","port":0,"pid":0,"cwd":"/","startedAt":0,"updatedAt":0,"#,
            r#""match":[1],"chrome":"chrome","includeTimestamps":false,"source":"source"}"#
        );
        assert_eq!(record.clone().into_json(), all);
        let read: WatcherRecord = serde_json::from_str(all).unwrap();
        assert_eq!(read.clone().into_json(), all);
        record = WatcherRecord {
            id: "id".into(),
            host: "host".into(),
            port: 1,
            pid: 2,
            cwd: None,
            started_at: 3,
            updated_at: 4,
            match_: None,
            chrome: None,
            include_timestamps: None,
            source: None,
            ..read
        };
        let few = r#"{"id":"id","host":"host","port":1,"pid":2,"startedAt":3,"updatedAt":4}"#;
        assert_eq!(record.into_json(), few);
    }
}
