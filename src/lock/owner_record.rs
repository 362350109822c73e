//! The owner record: which process holds a lock, in a form that every process can read.
//!
//! This module encodes, parses and judges records, and makes no system call: the location of this
//! process and the states of others are arguments.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::holder::Holder;
use crate::sys::{FileId, ProcessLocation, ProcessState, START_TIME_SLACK};

/// The size in bytes to which every record is padded. A new record so overwrites all of an old one,
/// and the permanent guard need not be truncated.
pub(crate) const RECORD_SIZE: usize = 1024;

/// The first bytes of every record, which tell this crate's files from those of other programs.
pub(crate) const MAGIC: &[u8] = b"{\"argusRegistryLock\":1,";

/// Whether a record may begin with these bytes, at most as many as [`MAGIC`] has: with the first
/// bytes of every record, with a part of them, which a full disk, a file-size limit or a kill may
/// leave, or with zeros, which a power failure may leave of what was not on the disk yet.
pub(crate) fn begins_a_record(start: &[u8]) -> bool {
    let written = start.len() - start.iter().rev().take_while(|byte| **byte == 0).count();
    MAGIC.starts_with(&start[..written])
}

/// Whether the process that wrote a record still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    Alive,
    Dead,
    /// This process can't tell. The owner counts as alive until its lock is stale by age.
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

/// The process that holds a lock, and the acquisition by which it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnerRecord {
    pub(crate) pid: u32,
    /// When the process started, which tells it from a later process with a reused pid.
    pub(crate) started: Option<u64>,
    pub(crate) location: ProcessLocation,
    /// The guard under which the lock was acquired; `None` where there are no kernel locks.
    pub(crate) guard: Option<FileId>,
    /// A random name of this acquisition, which is also part of its temp file's name.
    pub(crate) nonce: String,
    /// When the lock was acquired, in milliseconds since 1970.
    pub(crate) since_ms: u64,
}

/// A record's fields in the order in which they are written. They are listed here because serde's
/// `flatten` buffers values of any type, which would add much code for a few fields.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordFields<'a> {
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
        let fields = RecordFields {
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
        let mut text = Vec::with_capacity(RECORD_SIZE);
        serde_json::to_writer(&mut text, &fields).expect("a record of plain fields serialises");
        debug_assert!(text.starts_with(MAGIC));
        text.resize(RECORD_SIZE.max(text.len() + 1) - 1, b' ');
        text.push(b'\n');
        text
    }

    /// `None` for anything but a complete record. The lockfile of an older argus version has none:
    /// it is empty.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let fields: RecordFields = serde_json::from_slice(bytes).ok()?;
        Some(OwnerRecord {
            pid: fields.pid,
            started: fields.started,
            location: ProcessLocation {
                host: fields.host.into_owned(),
                boot: fields.boot.map(Cow::into_owned),
                pid_namespace: fields.pid_namespace,
            },
            guard: fields.guard,
            nonce: fields.nonce.into_owned(),
            since_ms: fields.since_ms,
        })
    }

    /// Whether these are the bytes of a record that was written in part. Not of an empty file, as an
    /// older argus version makes it.
    pub(crate) fn is_cut(bytes: &[u8]) -> bool {
        let start = &bytes[..bytes.len().min(MAGIC.len())];
        // Every record ends with a line end.
        bytes.last().is_some_and(|last| *last != b'\n') && begins_a_record(start)
    }

    /// Whether the process that wrote this record still runs.
    ///
    /// A process of another host or pid namespace can't be judged. Neither can one of another boot:
    /// two hosts that share a name and a network folder look like one host that rebooted.
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
                // A process that got the pid of the owner began after the owner. One that began before
                // is the owner, whose own answer was not exact.
                (Some(then), Some(now)) if now > then.saturating_add(START_TIME_SLACK) => {
                    Liveness::Dead
                }
                _ => Liveness::Alive,
            },
        }
    }

    /// The holder, as errors and statuses name it.
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
    fn an_encoded_record_parses_to_itself() {
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
    fn other_or_incomplete_bytes_are_no_record() {
        let whole = record().encode();
        for bytes in [b"".as_slice(), b"1234\n", b"{}", &whole[..100]] {
            assert_eq!(OwnerRecord::parse(bytes), None);
        }
    }

    #[test]
    fn a_record_that_was_written_in_part_is_told_from_other_files() {
        let whole = record().encode();
        for length in 1..whole.len() {
            assert!(OwnerRecord::is_cut(&whole[..length]), "{length}");
            let start = &whole[..length.min(MAGIC.len())];
            assert!(begins_a_record(start), "{length}");
            let mut zeros_after = whole[..length].to_vec();
            zeros_after.resize(RECORD_SIZE, 0);
            assert!(OwnerRecord::is_cut(&zeros_after), "{length}");
            assert!(begins_a_record(&zeros_after[..MAGIC.len()]), "{length}");
        }
        assert!(OwnerRecord::is_cut(&[0; RECORD_SIZE]));
        for other in [b"".as_slice(), &whole, b"1234", b"{\"argus\":1}", b"\0x"] {
            assert!(!OwnerRecord::is_cut(other), "{other:?}");
        }
        for other in [b"1234".as_slice(), b"{\"argus\":1}", b"\0x"] {
            assert!(!begins_a_record(other), "{other:?}");
        }
    }

    #[test]
    fn liveness_is_judged_by_pid_and_start_time() {
        let record = record();
        let judge = |state| record.judge(&record.location, |_| state);
        assert_eq!(judge(ProcessState::Gone), Liveness::Dead);
        assert_eq!(judge(ProcessState::Running { started: Some(99) }), Liveness::Alive);
        let slack = START_TIME_SLACK;
        assert_eq!(judge(ProcessState::Running { started: Some(99 + slack) }), Liveness::Alive);
        assert_eq!(judge(ProcessState::Running { started: Some(100 + slack) }), Liveness::Dead);
        // It began before the owner says that it began: no later process has its pid.
        assert_eq!(judge(ProcessState::Running { started: Some(1) }), Liveness::Alive);
        assert_eq!(judge(ProcessState::Running { started: None }), Liveness::Alive);
    }

    #[test]
    fn a_process_of_another_location_is_never_judged() {
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
