//! The owner record: who holds a lock, written where anybody can read it.
//!
//! A leaf: it encodes, parses and judges, and asks nobody. What this machine is and whether a
//! process lives are arguments.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::holder::Holder;
use crate::sys::{FileId, ProcessLocation, ProcessState};

/// Every record is padded to this size, so that a new one overwrites an old one whole and the
/// permanent guard never has to be truncated.
pub(crate) const RECORD_SIZE: usize = 1024;

/// How every record starts: what tells a file of ours from anybody else's.
pub(crate) const MAGIC: &[u8] = b"{\"argusRegistryLock\":1,";

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
    pub(crate) location: ProcessLocation,
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
        location: ProcessLocation,
        guard: Option<FileId>,
        nonce: String,
        now: SystemTime,
    ) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        OwnerRecord { pid, started, location, guard, nonce, since_ms }
    }

    /// One line of JSON, padded with spaces to [`RECORD_SIZE`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let spelled = Spelled {
            argus_registry_lock: 1,
            pid: self.pid,
            started: self.started,
            host: Cow::from(&self.location.host),
            boot: self.location.boot.as_deref().map(Cow::from),
            pid_namespace: self.location.pid_namespace,
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
            location: ProcessLocation {
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
    pub(crate) fn judge(
        &self,
        here: &ProcessLocation,
        probe: impl Fn(u32) -> ProcessState,
    ) -> Liveness {
        if self.location != *here {
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
            host: Some(self.location.host.clone()),
            since: UNIX_EPOCH.checked_add(Duration::from_millis(self.since_ms)),
            alive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> OwnerRecord {
        let location =
            ProcessLocation { host: "here".into(), boot: Some("b".into()), pid_namespace: Some(7) };
        let guard = Some(FileId { device: 1, inode: u64::MAX });
        let now = UNIX_EPOCH + Duration::from_millis(1234);
        OwnerRecord::new(42, Some(99), location, guard, "nonce".into(), now)
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
        long.location.host = "h".repeat(2 * RECORD_SIZE);
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
        let judge = |state| record.judge(&record.location, |_| state);
        assert_eq!(judge(ProcessState::Gone), Liveness::Dead);
        assert_eq!(judge(ProcessState::Running { started: Some(99) }), Liveness::Alive);
        assert_eq!(judge(ProcessState::Running { started: Some(100) }), Liveness::Dead);
        assert_eq!(judge(ProcessState::Running { started: None }), Liveness::Alive);
    }

    #[test]
    fn another_place_is_never_judged() {
        let record = record();
        for change in [
            (|location: &mut ProcessLocation| location.host = "there".into())
                as fn(&mut ProcessLocation),
            |location| location.boot = None,
            |location| location.pid_namespace = Some(8),
        ] {
            let mut here = record.location.clone();
            change(&mut here);
            assert_eq!(record.judge(&here, |_| ProcessState::Gone), Liveness::Unknown);
        }
    }
}
