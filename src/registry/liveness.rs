//! Whether a watcher's process still runs, as far as its entry lets this process tell.
//!
//! An entry does not say on which machine it was made: its `host` is what the watcher listens on.
//! One that can be reached from its own machine only is taken for one of this machine, and so is
//! one that names this machine; all others are never judged. A registry that several hosts or
//! containers share is one to leave liveness out for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::content::record::{Life, WatcherRecord};
use crate::sys;
use crate::sys::ProcessState;

/// By how much the clocks of an entry and of the kernel may differ: an entry is dated by the
/// watcher, and Linux dates processes by a boot time in whole seconds.
const CLOCK_SLACK: Duration = Duration::from_secs(10);

/// An entry that was renewed for this long since the process began is renewed by that process,
/// even if it claims to be older: somebody has set the clock forward since, and with it the time
/// at which Linux says that a process began.
const PROOF_OF_LIFE: Duration = Duration::from_secs(60);

/// What there is to know about the process that has a watcher's pid now.
#[derive(Debug, Clone, Copy)]
struct Process {
    may_signal: bool,
    began: Option<SystemTime>,
}

impl Process {
    fn of(pid: u32) -> Option<Self> {
        match sys::process_state(pid) {
            ProcessState::Gone => None,
            ProcessState::Running { .. } => {
                Some(Process { may_signal: sys::may_signal(pid), began: sys::process_began(pid) })
            }
        }
    }
}

/// Judges entries, and asks once only of each process: many may name the same one.
#[derive(Debug, Default)]
pub(crate) struct Coroner {
    asked: RefCell<HashMap<u32, Option<Process>>>,
}

impl Coroner {
    /// Whether the watcher of an entry is dead for sure.
    pub(crate) fn is_dead(&self, life: &Life) -> bool {
        let host = life.host.as_deref().unwrap_or_default();
        let Some(pid) = life.pid.filter(|_| is_of_this_host(host, &sys::location().host)) else {
            return false;
        };
        let pid = pid as u32;
        let process = *self.asked.borrow_mut().entry(pid).or_insert_with(|| Process::of(pid));
        process.is_none_or(|process| is_another(life, process))
    }
}

impl WatcherRecord {
    /// Whether this watcher's process lives, by its `pid`, `started_at` and `updated_at`. Source:
    /// ours.
    ///
    /// `Some(false)`: it is dead for sure, since there is no such process, or one that began
    /// later. `None`: it can't be told from here, since `host` is neither an address that only
    /// this host can reach (loopback, unspecified) nor this host's name. A process that may not be
    /// signalled counts as alive. Not for registries that containers or hosts share: there each
    /// takes all loopback entries for its own.
    #[must_use]
    pub fn is_alive(&self) -> Option<bool> {
        if !is_of_this_host(&self.host, &sys::location().host) {
            return None;
        }
        let life = Life {
            host: Some(self.host.clone()),
            pid: Some(f64::from(self.pid)),
            started_at: Some(self.started_at as f64),
            updated_at: Some(self.updated_at as f64),
        };
        Some(!Coroner::default().is_dead(&life))
    }
}

/// Whether the pid is another process's by now.
fn is_another(life: &Life, process: Process) -> bool {
    let at = |ms: Option<f64>| UNIX_EPOCH.checked_add(Duration::from_millis(ms? as u64));
    let is_after = |time: Option<SystemTime>, other: Option<SystemTime>, by: Duration| {
        let gap = time.and_then(|time| time.duration_since(other?).ok());
        gap.is_some_and(|gap| gap > by)
    };
    process.may_signal
        && is_after(process.began, at(life.started_at), CLOCK_SLACK)
        && !is_after(at(life.updated_at), process.began, PROOF_OF_LIFE)
}

fn is_of_this_host(listens_on: &str, own_name: &str) -> bool {
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

    fn life(started_at: f64, updated_at: f64) -> Life {
        Life {
            host: Some("127.0.0.1".into()),
            pid: Some(f64::from(std::process::id())),
            started_at: Some(started_at),
            updated_at: Some(updated_at),
        }
    }

    /// A process that began at noon.
    fn process() -> Process {
        let began = Some(UNIX_EPOCH + Duration::from_millis(NOON as u64));
        Process { may_signal: true, began }
    }

    #[test]
    fn a_process_that_began_after_the_watcher_is_another() {
        let is_another =
            |started_at, updated_at| is_another(&life(started_at, updated_at), process());
        assert!(is_another(NOON - DAY, NOON - 1.0));
        assert!(is_another(NOON - DAY, NOON + 5_000.0));
        assert!(is_another(NOON - 10_001.0, NOON));
        assert!(!is_another(NOON - 10_000.0, NOON));
        assert!(!is_another(NOON + DAY, NOON + DAY), "a watcher that an old process has started");
    }

    #[test]
    fn whoever_has_renewed_its_entry_lives_even_if_the_clock_was_set_forward() {
        let is_another = |updated_at| is_another(&life(NOON - DAY, updated_at), process());
        assert!(!is_another(NOON + 60_001.0));
        assert!(is_another(NOON + 60_000.0));
    }

    #[test]
    fn what_can_not_be_asked_counts_as_alive() {
        let old = life(NOON - DAY, NOON - DAY);
        assert!(!is_another(&old, Process { may_signal: false, ..process() }));
        assert!(!is_another(&old, Process { began: None, ..process() }));
        assert!(!is_another(&Life { started_at: None, ..old }, process()));
    }

    #[test]
    fn only_what_is_surely_of_this_host_is_judged() {
        let own = "Workstation";
        for here in
            ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "0.0.0.0", "::", "LocalHost", "workstation"]
        {
            assert!(is_of_this_host(here, own), "{here}");
        }
        for there in ["", "10.0.0.1", "fe80::1", "example.org", "workstation.example.org"] {
            assert!(!is_of_this_host(there, own), "{there}");
        }
        let nobody = Life { pid: Some(0.0), ..life(0.0, 0.0) };
        assert!(Coroner::default().is_dead(&nobody));
        let elsewhere = Some("elsewhere.example.org".to_owned());
        assert!(!Coroner::default().is_dead(&Life { host: elsewhere, ..nobody.clone() }));
        assert!(!Coroner::default().is_dead(&Life { host: None, ..nobody.clone() }));
        assert!(!Coroner::default().is_dead(&Life { pid: None, ..nobody }));
    }

    #[test]
    fn a_record_tells_whether_its_watcher_lives_if_that_can_be_told_from_here() {
        let mut record = WatcherRecord::new("app", "127.0.0.1", 9222);
        assert_eq!(record.is_alive(), Some(true));
        record.host = sys::location().host.clone();
        assert_eq!(record.is_alive(), Some(true));
        // It has the pid of a process that began long after it.
        (record.started_at, record.updated_at) = (1, 1);
        assert_eq!(record.is_alive(), Some(false));
        record = WatcherRecord::new("app", "127.0.0.1", 9222);
        record.pid = 0;
        assert_eq!(record.is_alive(), Some(false));
        record.host = "10.0.0.1".into();
        assert_eq!(record.is_alive(), None);
    }

    #[test]
    fn this_process_began_lately_and_lives() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as f64;
        assert!(!Coroner::default().is_dead(&life(now, now)));
        let began = sys::process_began(std::process::id()).unwrap();
        let age = SystemTime::now().duration_since(began - CLOCK_SLACK).unwrap();
        assert!(age < Duration::from_secs(600), "began {age:?} ago");
    }
}
