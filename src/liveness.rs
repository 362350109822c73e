//! Whether a watcher's process still runs, as far as its entry lets this process tell.
//!
//! An entry does not say on which machine it was made: its `host` is what the watcher listens on.
//! One that can be reached from its own machine only is taken for one of this machine, and so is
//! one that names this machine; all others are never judged. A registry that several hosts or
//! containers share is one to leave liveness out for.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::owner::{Liveness, ProcessState};
use crate::record::WatcherRecord;
use crate::sys;

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

/// Whether the watcher of an entry lives.
pub(crate) fn judge(record: &WatcherRecord) -> Liveness {
    if !is_of_this_host(&record.host, &sys::place().host) {
        return Liveness::Unknown;
    }
    let process = match sys::process_state(record.pid) {
        ProcessState::Gone => None,
        ProcessState::Running { .. } => Some(Process {
            may_signal: sys::may_signal(record.pid),
            began: sys::process_began(record.pid),
        }),
    };
    judge_process(record, process)
}

fn judge_process(record: &WatcherRecord, process: Option<Process>) -> Liveness {
    let Some(process) = process else { return Liveness::Dead };
    let at = |ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    let is_after = |time: Option<SystemTime>, other: Option<SystemTime>, by: Duration| {
        let gap = time.and_then(|time| time.duration_since(other?).ok());
        gap.is_some_and(|gap| gap > by)
    };
    let reused = process.may_signal
        && is_after(process.began, at(record.started_at), CLOCK_SLACK)
        && !is_after(at(record.updated_at), process.began, PROOF_OF_LIFE);
    if reused {
        Liveness::Dead
    } else {
        Liveness::Alive
    }
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

    const NOON: u64 = 1_700_000_000_000;
    const DAY: u64 = 86_400_000;

    fn record(started_at: u64, updated_at: u64) -> WatcherRecord {
        let mut record = WatcherRecord::new("app", "127.0.0.1", 9222);
        record.started_at = started_at;
        record.updated_at = updated_at;
        record
    }

    fn process(began_ms: u64) -> Process {
        let began = Some(UNIX_EPOCH + Duration::from_millis(began_ms));
        Process { may_signal: true, began }
    }

    #[test]
    fn a_process_that_is_gone_or_began_after_the_watcher_is_not_the_watcher() {
        assert_eq!(judge_process(&record(NOON, NOON), None), Liveness::Dead);
        let judge = |started_at, updated_at| {
            judge_process(&record(started_at, updated_at), Some(process(NOON)))
        };
        assert_eq!(judge(NOON - DAY, NOON - 1), Liveness::Dead);
        assert_eq!(judge(NOON - DAY, NOON + 5_000), Liveness::Dead);
        assert_eq!(judge(NOON - 10_001, NOON), Liveness::Dead);
        assert_eq!(judge(NOON - 10_000, NOON), Liveness::Alive);
        assert_eq!(judge(NOON + DAY, NOON + DAY), Liveness::Alive, "a watcher in an old process");
    }

    #[test]
    fn whoever_has_renewed_its_entry_lives_even_if_the_clock_was_set_forward() {
        let judge =
            |updated_at| judge_process(&record(NOON - DAY, updated_at), Some(process(NOON)));
        assert_eq!(judge(NOON + 60_001), Liveness::Alive);
        assert_eq!(judge(NOON + 60_000), Liveness::Dead);
    }

    #[test]
    fn what_can_not_be_asked_counts_as_alive() {
        let old = record(NOON - DAY, NOON - DAY);
        let no_permission = Process { may_signal: false, ..process(NOON) };
        assert_eq!(judge_process(&old, Some(no_permission)), Liveness::Alive);
        let no_date = Process { may_signal: true, began: None };
        assert_eq!(judge_process(&old, Some(no_date)), Liveness::Alive);
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
        let mut record = record(0, 0);
        record.host = "elsewhere.example.org".into();
        assert_eq!(judge(&record), Liveness::Unknown);
    }

    #[test]
    fn this_process_lives() {
        assert_eq!(judge(&WatcherRecord::new("app", "127.0.0.1", 9222)), Liveness::Alive);
        let began = sys::process_began(std::process::id()).unwrap();
        let age = SystemTime::now().duration_since(began - CLOCK_SLACK).unwrap();
        assert!(age < Duration::from_secs(600), "began {age:?} ago");
    }
}
