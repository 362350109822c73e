//! The owner record: who holds a lock, written where anybody can read it.
//!
//! A leaf: it encodes, parses and judges, and asks nobody. What this machine is and whether a
//! process lives are arguments.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Every record is padded to this size, so that a new one overwrites an old one whole and the
/// permanent guard never has to be truncated.
pub(crate) const RECORD_SIZE: usize = 1024;

/// How every record starts: what tells a file of ours from anybody else's.
pub(crate) const MAGIC: &[u8] = b"{\"argusRegistryLock\":1,";

/// Who holds a lock, as far as it can be known from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The process, where the holder left a record; a lockfile of an older argus has none.
    pub pid: Option<u32>,
    /// The host name that the holder saw.
    pub host: Option<String>,
    /// Since when the lock is held.
    pub since: Option<SystemTime>,
    /// Whether it lives; `None` where this process can't tell (another host or pid namespace).
    pub alive: Option<bool>,
}

impl Holder {
    /// Who it is, without since when.
    pub(crate) fn name(&self) -> String {
        let mut name = match self.pid {
            Some(pid) => format!("process {pid}"),
            None => "another process (its lockfile names no owner)".to_owned(),
        };
        if let Some(host) = &self.host {
            name.push_str(&format!(" on {host}"));
        }
        name
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(held) = self.since.and_then(|since| since.elapsed().ok()) {
            write!(f, ", for {:.1} s", held.as_secs_f64())?;
        }
        Ok(())
    }
}

/// The identity of a file while somebody has it open: device and inode, or what the platform has
/// in their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// The place a process runs in. Two processes can judge each other only in the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: String,
    /// `None` where the platform has none to tell.
    pub(crate) boot: Option<String>,
    /// `None` where the platform has no pid namespaces.
    pub(crate) pid_namespace: Option<u64>,
}

/// What the operating system says of a process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessState {
    Gone,
    /// It runs; when it started, in the platform's own unit, if the platform tells.
    Running {
        started: Option<u64>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    Alive,
    Dead,
    /// Not to be judged from here: counts as alive until the lock is stale by age.
    Unknown,
}

impl Liveness {
    pub(crate) fn as_option(self) -> Option<bool> {
        match self {
            Liveness::Alive => Some(true),
            Liveness::Dead => Some(false),
            Liveness::Unknown => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnerRecord {
    pub(crate) pid: u32,
    /// When the process started: what makes a reused pid harmless.
    pub(crate) started: Option<u64>,
    pub(crate) place: Place,
    /// The guard that this hold was entered under; `None` where there are no kernel locks.
    pub(crate) guard: Option<FileId>,
    /// Names this hold and no other. The hold's temp file carries it in its name.
    pub(crate) nonce: String,
    pub(crate) since_ms: u64,
}

/// A record as it is written. Flat, without serde's `flatten`, which buffers values of any kind and
/// would be a good part of the code here.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spelled<'a> {
    /// First, so that the text starts with [`MAGIC`].
    argus_registry_lock: u32,
    pid: u32,
    started: Option<u64>,
    host: Cow<'a, str>,
    boot: Option<Cow<'a, str>>,
    pid_namespace: Option<u64>,
    guard: Option<FileId>,
    nonce: Cow<'a, str>,
    since_ms: u64,
}

impl OwnerRecord {
    pub(crate) fn new(
        pid: u32,
        started: Option<u64>,
        place: Place,
        guard: Option<FileId>,
        nonce: String,
        now: SystemTime,
    ) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        OwnerRecord { pid, started, place, guard, nonce, since_ms }
    }

    /// One line of JSON, padded with spaces to [`RECORD_SIZE`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let spelled = Spelled {
            argus_registry_lock: 1,
            pid: self.pid,
            started: self.started,
            host: Cow::from(&self.place.host),
            boot: self.place.boot.as_deref().map(Cow::from),
            pid_namespace: self.place.pid_namespace,
            guard: self.guard,
            nonce: Cow::from(&self.nonce),
            since_ms: self.since_ms,
        };
        let mut text = serde_json::to_vec(&spelled).expect("a record of plain fields serialises");
        debug_assert!(text.starts_with(MAGIC));
        text.resize(RECORD_SIZE.max(text.len() + 1) - 1, b' ');
        text.push(b'\n');
        text
    }

    /// `None` for anything that is not a whole record of ours: an old argus's lockfile is empty.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let spelled: Spelled = serde_json::from_slice(bytes).ok()?;
        Some(OwnerRecord {
            pid: spelled.pid,
            started: spelled.started,
            place: Place {
                host: spelled.host.into_owned(),
                boot: spelled.boot.map(Cow::into_owned),
                pid_namespace: spelled.pid_namespace,
            },
            guard: spelled.guard,
            nonce: spelled.nonce.into_owned(),
            since_ms: spelled.since_ms,
        })
    }

    /// Whether the process that wrote this record still runs.
    ///
    /// Another host or pid namespace can't be judged. Neither can another boot: two hosts that
    /// share a name and a network folder look just like one that rebooted.
    pub(crate) fn judge(&self, here: &Place, probe: impl Fn(u32) -> ProcessState) -> Liveness {
        if self.place != *here {
            return Liveness::Unknown;
        }
        match probe(self.pid) {
            ProcessState::Gone => Liveness::Dead,
            ProcessState::Running { started } => match (self.started, started) {
                (Some(then), Some(now)) if then != now => Liveness::Dead,
                _ => Liveness::Alive,
            },
        }
    }

    /// As others see it.
    pub(crate) fn holder(&self, alive: Option<bool>) -> Holder {
        Holder {
            pid: Some(self.pid),
            host: Some(self.place.host.clone()),
            since: UNIX_EPOCH.checked_add(Duration::from_millis(self.since_ms)),
            alive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> OwnerRecord {
        let place = Place { host: "here".into(), boot: Some("b".into()), pid_namespace: Some(7) };
        let guard = Some(FileId { device: 1, inode: u64::MAX });
        let now = UNIX_EPOCH + Duration::from_millis(1234);
        OwnerRecord::new(42, Some(99), place, guard, "nonce".into(), now)
    }

    #[test]
    fn survives_encoding() {
        let bytes = record().encode();
        assert_eq!(bytes.len(), RECORD_SIZE);
        assert_eq!(OwnerRecord::parse(&bytes), Some(record()));
    }

    #[test]
    fn a_longer_host_name_only_makes_the_record_longer() {
        let mut long = record();
        long.place.host = "h".repeat(2 * RECORD_SIZE);
        assert_eq!(OwnerRecord::parse(&long.encode()), Some(long));
    }

    #[test]
    fn foreign_or_torn_bytes_are_no_record() {
        let whole = record().encode();
        for bytes in [b"".as_slice(), b"1234\n", b"{}", &whole[..100]] {
            assert_eq!(OwnerRecord::parse(bytes), None);
        }
    }

    #[test]
    fn judged_by_pid_and_start_time() {
        let record = record();
        let judge = |state| record.judge(&record.place, |_| state);
        assert_eq!(judge(ProcessState::Gone), Liveness::Dead);
        assert_eq!(judge(ProcessState::Running { started: Some(99) }), Liveness::Alive);
        assert_eq!(judge(ProcessState::Running { started: Some(100) }), Liveness::Dead);
        assert_eq!(judge(ProcessState::Running { started: None }), Liveness::Alive);
    }

    #[test]
    fn another_place_is_never_judged() {
        let record = record();
        for change in [
            (|place: &mut Place| place.host = "there".into()) as fn(&mut Place),
            |place| place.boot = None,
            |place| place.pid_namespace = Some(8),
        ] {
            let mut here = record.place.clone();
            change(&mut here);
            assert_eq!(record.judge(&here, |_| ProcessState::Gone), Liveness::Unknown);
        }
    }
}
