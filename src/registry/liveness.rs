//! Whether a watcher's process still runs, as far as this process can tell from the watcher's entry.
//!
//! An entry's `host` is the address that the watcher listens on. If that address can be reached from its
//! own machine only, or names this machine, the watcher is taken to run on this machine. No other entry
//! is judged.
//!
//! A pid names a process in one pid namespace of one boot only. `pidScope` in the entry says in which.
//!
//! | the entry's scope | judged |
//! |---|---|
//! | this process's own | by its pid |
//! | an earlier boot of this machine | dead, if it was last renewed before this boot |
//! | any other, or one that can't be read | unknown |
//! | missing: an older argus, or written for another process | see below |
//!
//! A pid without a scope may be that of any namespace. A process in a container sees no process outside
//! of it, so it calls no such entry dead. A process in the initial namespace sees every process of the
//! machine, with its number in its own namespace: if none that has the pid there can be the watcher, the
//! watcher is dead. Not if some processes are hidden from it (`hidepid`).

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::content::pid_scope::{EntryScope, PidMeaning};
use crate::content::record::{LivenessFields, WatcherRecord};
use crate::content::stale_entry::WatcherState;
use crate::registry::own_scope::own_scope;
use crate::sys;
use crate::sys::{NestedProcess, ProcessState};

/// How far the start times in an entry and in the kernel may differ for one process: the watcher reads
/// its clock, and Linux computes start times from a boot time in whole seconds.
const START_TIME_TOLERANCE: Duration = Duration::from_secs(10);

/// An entry whose last renewal is this much later than the start of the process with its pid was
/// renewed by that process, even if the entry's own start time is older. In that case a person or a
/// service has set the clock forward, which also moves the start time that Linux reports.
const MIN_RENEWED_AFTER_START: Duration = Duration::from_secs(60);

/// The process that has a watcher's pid now.
#[derive(Debug, Clone, Copy)]
struct RunningProcess {
    may_signal: bool,
    began: Option<SystemTime>,
}

impl RunningProcess {
    fn with_pid(pid: u32) -> Option<Self> {
        match sys::process_state(pid) {
            ProcessState::Gone => None,
            ProcessState::Running { .. } => Some(RunningProcess {
                may_signal: sys::may_signal(pid),
                began: sys::process_began(pid),
            }),
        }
    }
}

/// Judges entries. Asks the system once only for each pid, since many entries may name one process.
#[derive(Debug, Default)]
pub(crate) struct LivenessCheck {
    processes: RefCell<HashMap<u32, Option<RunningProcess>>>,
    nested: OnceCell<Option<Vec<NestedProcess>>>,
}

impl LivenessCheck {
    /// What this process knows of the watcher of an entry.
    pub(crate) fn state_of(&self, fields: &LivenessFields) -> WatcherState {
        let host = fields.host.as_deref().unwrap_or_default();
        let Some(pid) = fields.pid.filter(|_| is_this_host(host, &sys::location().host)) else {
            return WatcherState::NotOfThisHost;
        };
        match pid as u32 {
            // No process has it, in any namespace.
            0 => WatcherState::Dead,
            pid => match fields.pid_scope.of_pid(pid) {
                EntryScope::Readable(scope) => match scope.seen_from(&own_scope()) {
                    PidMeaning::ProcessHere => self.state_of_process_here(pid, fields),
                    PidMeaning::EarlierBoot => state_since_earlier_boot(fields),
                    PidMeaning::Unknown => WatcherState::Unknown,
                },
                EntryScope::Unreadable => WatcherState::Unknown,
                EntryScope::Missing => self.state_without_scope(pid, fields),
            },
        }
    }

    fn state_of_process_here(&self, pid: u32, fields: &LivenessFields) -> WatcherState {
        if !sys::proc_is_of_own_namespace() {
            return WatcherState::Unknown;
        }
        match self.may_be_watcher(pid, fields) {
            true => WatcherState::Alive,
            false => WatcherState::Dead,
        }
    }

    fn state_without_scope(&self, pid: u32, fields: &LivenessFields) -> WatcherState {
        match self.state_of_process_here(pid, fields) {
            WatcherState::Dead if !self.is_surely_not_nested(pid, fields) => WatcherState::Unknown,
            state => state,
        }
    }

    /// Whether this process sees all processes, and none that has this pid in a namespace of its own
    /// may be the watcher.
    fn is_surely_not_nested(&self, pid: u32, fields: &LivenessFields) -> bool {
        if !sys::in_initial_pid_namespace() {
            return false;
        }
        let nested = self.nested.get_or_init(sys::nested_processes).as_deref();
        let may_be = |process: &NestedProcess| {
            process.inner_pid == pid && self.may_be_watcher(process.pid, fields)
        };
        nested.is_some_and(|nested| !nested.iter().any(may_be))
    }

    /// Whether the process with this number in this process's namespace may be the watcher.
    fn may_be_watcher(&self, pid: u32, fields: &LivenessFields) -> bool {
        let mut processes = self.processes.borrow_mut();
        let process = *processes.entry(pid).or_insert_with(|| RunningProcess::with_pid(pid));
        process.is_some_and(|process| !is_another(fields, process))
    }
}

/// A machine has its id alone, but a copy of a virtual machine has that of its original, and a program
/// may renew an entry without knowing its scope: a watcher that is renewed is not dead.
fn state_since_earlier_boot(fields: &LivenessFields) -> WatcherState {
    let renewed = instant(fields.updated_at);
    match sys::boot_began().is_some_and(|boot| renewed.is_some_and(|renewed| renewed < boot)) {
        true => WatcherState::Dead,
        false => WatcherState::Unknown,
    }
}

impl WatcherRecord {
    /// Whether this watcher's process runs, judged by `pid`, `started_at` and `updated_at`.
    ///
    /// `Some(false)` means that the watcher is known to be dead: there is no process with its pid, that
    /// process began after the watcher, or the machine was booted since. `None` means that this process
    /// can't tell: `host` is neither an address that only this host can reach (loopback, unspecified)
    /// nor this host's name, or the pid may be that of another container. A process that the caller may
    /// not signal counts as alive.
    #[must_use]
    pub fn is_alive(&self) -> Option<bool> {
        match LivenessCheck::default().state_of(&self.liveness_fields()) {
            WatcherState::Alive => Some(true),
            WatcherState::Dead => Some(false),
            WatcherState::Unknown | WatcherState::NotOfThisHost => None,
        }
    }
}

fn instant(ms: Option<f64>) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(ms? as u64))
}

/// Whether the process with the watcher's pid is another one than the watcher's.
fn is_another(fields: &LivenessFields, process: RunningProcess) -> bool {
    let is_after = |time: Option<SystemTime>, other: Option<SystemTime>, by: Duration| {
        let gap = time.and_then(|time| time.duration_since(other?).ok());
        gap.is_some_and(|gap| gap > by)
    };
    process.may_signal
        && is_after(process.began, instant(fields.started_at), START_TIME_TOLERANCE)
        && !is_after(instant(fields.updated_at), process.began, MIN_RENEWED_AFTER_START)
}

fn is_this_host(listens_on: &str, own_name: &str) -> bool {
    let bare = listens_on.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.is_loopback() || address.is_unspecified();
    }
    listens_on.eq_ignore_ascii_case("localhost") || listens_on.eq_ignore_ascii_case(own_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: f64 = 1_700_000_000_000.0;
    const DAY: f64 = 86_400_000.0;

    fn fields(started_at: f64, updated_at: f64) -> LivenessFields {
        LivenessFields {
            host: Some("127.0.0.1".into()),
            pid: Some(f64::from(std::process::id())),
            started_at: Some(started_at),
            updated_at: Some(updated_at),
            pid_scope: EntryScope::Readable(own_scope()),
        }
    }

    /// A process that began at noon.
    fn process() -> RunningProcess {
        let began = Some(UNIX_EPOCH + Duration::from_millis(NOON as u64));
        RunningProcess { may_signal: true, began }
    }

    #[test]
    fn a_process_that_began_after_the_watcher_is_another() {
        let is_another =
            |started_at, updated_at| is_another(&fields(started_at, updated_at), process());
        assert!(is_another(NOON - DAY, NOON - 1.0));
        assert!(is_another(NOON - DAY, NOON + 5_000.0));
        assert!(is_another(NOON - 10_001.0, NOON));
        assert!(!is_another(NOON - 10_000.0, NOON));
        assert!(
            !is_another(NOON + DAY, NOON + DAY),
            "a watcher that started long after its process"
        );
    }

    #[test]
    fn a_watcher_that_has_renewed_its_entry_is_alive_even_if_the_clock_was_set_forward() {
        let is_another = |updated_at| is_another(&fields(NOON - DAY, updated_at), process());
        assert!(!is_another(NOON + 60_001.0));
        assert!(is_another(NOON + 60_000.0));
    }

    #[test]
    fn a_watcher_that_can_not_be_judged_counts_as_alive() {
        let old = fields(NOON - DAY, NOON - DAY);
        assert!(!is_another(&old, RunningProcess { may_signal: false, ..process() }));
        assert!(!is_another(&old, RunningProcess { began: None, ..process() }));
        assert!(!is_another(&LivenessFields { started_at: None, ..old }, process()));
    }

    #[test]
    fn only_entries_of_this_host_are_judged() {
        let own = "Workstation";
        for here in
            ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "0.0.0.0", "::", "LocalHost", "workstation"]
        {
            assert!(is_this_host(here, own), "{here}");
        }
        for there in ["", "10.0.0.1", "fe80::1", "example.org", "workstation.example.org"] {
            assert!(!is_this_host(there, own), "{there}");
        }
        let state_of = |fields: &LivenessFields| LivenessCheck::default().state_of(fields);
        let is_dead = |fields: &LivenessFields| state_of(fields) == WatcherState::Dead;
        let dead = LivenessFields { pid: Some(0.0), ..fields(0.0, 0.0) };
        assert!(is_dead(&dead));
        let elsewhere = Some("elsewhere.example.org".to_owned());
        assert!(!is_dead(&LivenessFields { host: elsewhere, ..dead.clone() }));
        assert!(!is_dead(&LivenessFields { host: None, ..dead.clone() }));
        assert!(!is_dead(&LivenessFields { pid: None, ..dead }));
    }

    #[test]
    fn a_record_tells_whether_its_watcher_is_alive_if_it_is_of_this_host() {
        let mut record = WatcherRecord::new("app", "127.0.0.1", 9222);
        assert_eq!(record.is_alive(), Some(true));
        record.host = sys::location().host.clone();
        assert_eq!(record.is_alive(), Some(true));
        // Its pid belongs to a process that began long after the watcher.
        (record.started_at, record.updated_at) = (1, 1);
        assert_eq!(record.is_alive(), Some(false));
        record = WatcherRecord::new("app", "127.0.0.1", 9222);
        record.pid = 0;
        assert_eq!(record.is_alive(), Some(false));
        record.host = "10.0.0.1".into();
        assert_eq!(record.is_alive(), None);
    }

    #[test]
    fn this_process_is_alive_and_began_lately() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as f64;
        let state = LivenessCheck::default().state_of(&fields(now, now));
        assert_eq!(state, WatcherState::Alive);
        let began = sys::process_began(std::process::id()).unwrap();
        let age = SystemTime::now().duration_since(began - START_TIME_TOLERANCE).unwrap();
        assert!(age < Duration::from_secs(600), "began {age:?} ago");
    }
}
