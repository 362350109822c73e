//! Which calls meet in the model of the store in etcd, and how an order is shown.

use super::{Action, Call, Etcd, Left, Step};
use crate::cases::{explore, letter, Case, Explored, LeftOut, Shown};

impl Shown for Etcd {
    fn introduction(&self) -> String {
        let does = |call: &Call| match call {
            Call::CountUp => "counts up a number beside the entries".to_owned(),
            Call::Add(key) => {
                format!("adds entry {key} if it is missing, with the number of entries in it")
            }
            Call::RemoveOneOf(key) => format!("removes entry {key} if there is another one"),
            Call::Copy(key) => format!("writes into entry {key} what is in the other"),
            Call::Remove(key) => format!("removes entry {key}"),
            Call::Renew(key) => format!("renews entry {key}"),
        };
        let calls = (0..).zip(&self.calls);
        let calls: Vec<String> =
            calls.map(|(pid, call)| format!("{} {}", letter(pid), does(call))).collect();
        let there = self.at_first.iter().enumerate().filter(|(_, found)| found.is_some());
        let there: Vec<String> = there.map(|(key, _)| format!("entry {key}")).collect();
        format!("at first: {}; {}", there.join(", "), calls.join("; "))
    }

    fn describe(action: &Action) -> String {
        match action {
            Action::Step(pid, step) => {
                let does = match step {
                    Step::Lock => "asks for the lock",
                    Step::Wait => "has the lock",
                    Step::Read => "reads all keys",
                    Step::Commit => "sends its transaction",
                    Step::Unlock => "gives the lock back",
                    Step::Ended => "",
                };
                format!("{}  {does}", letter(*pid))
            }
            Action::Expire(key) => format!("-  the lease of entry {key} ends"),
            Action::Delete(key) => format!("-  another program deletes entry {key}"),
            Action::LoseLock(pid) => format!("-  the lease of {}'s lock ends", letter(*pid)),
        }
    }
}

/// A known limit.
pub const UNSEEN: &str = "VanishedUnseen";

pub const UNSEEN_MEANING: &str =
    "In a registry with more entries than one transaction can compare (about a hundred), an entry vanishes, as its \
     lease ends or another program deletes it, while an update is under way that has read it. The update is made, \
     as if the entry had vanished just afterwards. A call that came in between has seen the entry gone, and the \
     update not made. No change is lost, and no entry is restored.";

/// The updates and removals that may meet.
const CALLS: &[Call] = &[
    Call::CountUp,
    Call::Add(0),
    Call::Add(1),
    Call::RemoveOneOf(0),
    Call::RemoveOneOf(1),
    Call::Copy(0),
    Call::Copy(1),
    Call::Remove(0),
    Call::Renew(1),
];

/// The results of several explorations, as of one.
fn explore_all(models: &[Etcd], threads: usize) -> Explored {
    let mut all: Option<Explored> = None;
    for model in models {
        let one = explore(model.clone(), threads, false);
        all = Some(match all {
            None => one,
            Some(before) => Explored {
                states: before.states + one.states,
                depth: before.depth.max(one.depth),
                time: before.time + one.time,
                found: [before.found, one.found].concat(),
            },
        });
    }
    all.expect("there are models")
}

pub fn cases() -> Vec<Case> {
    let of = |calls: &[Call], locked: &[bool], at_first, has_room, lost_locks| Etcd {
        calls: calls.to_vec(),
        locked: locked.to_vec(),
        at_first,
        expiries: 1,
        deletions: 1,
        lost_locks,
        has_room,
        without: None,
    };
    let starts = [[Some(true), Some(false)], [Some(true), None], [None, None]];
    let groups = |size: usize, locked: &[bool], has_room, lost_locks| {
        let mut groups: Vec<Vec<Call>> = vec![vec![]];
        for place in 0..size {
            let longer = groups.iter().flat_map(|group| {
                // Clients without the lock are alike, so each set of calls is taken once.
                let first =
                    match (group.last(), locked.get(place), locked.get(place.wrapping_sub(1))) {
                        (Some(last), Some(here), Some(before)) if here == before => {
                            CALLS.iter().position(|call| call == last).unwrap_or(0)
                        }
                        _ => 0,
                    };
                CALLS[first..].iter().map(|call| [group.as_slice(), &[*call]].concat())
            });
            groups = longer.collect();
        }
        let mut models = Vec::new();
        for group in &groups {
            for start in starts {
                models.push(of(group, locked, start, has_room, lost_locks));
            }
        }
        models
    };
    let case = |name, covers, models: Vec<Etcd>, finds, long_only| Case {
        name,
        covers,
        finds,
        long_only,
        explore: Box::new(move |threads| explore_all(&models, threads)),
    };
    vec![
        case(
            "etcd: small registries",
            "each two of 9 kinds of calls; a lease ends, another program deletes",
            groups(2, &[false; 2], true, 0),
            None,
            false,
        ),
        case(
            "etcd: large registries",
            "like small registries, without room for the fifth comparison",
            groups(2, &[false; 2], false, 0),
            Some(UNSEEN),
            false,
        ),
        case(
            "etcd: with the lock",
            "each two of them, one under the lock, whose lease may end",
            groups(2, &[true, false], true, 1),
            None,
            false,
        ),
        case(
            "etcd: two locks",
            "each two of them under the lock, whose lease may end",
            groups(2, &[true, true], true, 1),
            None,
            false,
        ),
        case(
            "etcd: three calls, small registries",
            "each three of them; a lease ends, another program deletes",
            groups(3, &[false; 3], true, 0),
            None,
            true,
        ),
        case(
            "etcd: three calls, large registries",
            "like small registries, without room for the fifth comparison",
            groups(3, &[false; 3], false, 0),
            Some(UNSEEN),
            true,
        ),
    ]
}

pub fn left_out() -> Vec<LeftOut> {
    let check = |left, what, calls: &[Call], locked: &[bool], expiries, has_room| {
        let etcd = Etcd {
            calls: calls.to_vec(),
            locked: locked.to_vec(),
            at_first: [Some(true), Some(false)],
            expiries,
            deletions: 0,
            lost_locks: u8::from(left == Left::LockIsHeld),
            has_room,
            without: Some(left),
        };
        let explore = Box::new(move |threads| explore(etcd.clone(), threads, true));
        let place = match left {
            Left::LockIsFree | Left::LockIsHeld => "outcome::commit",
            _ => "update::plan",
        };
        LeftOut { what, place, explore }
    };
    let free = [false; 2];
    vec![
        check(
            Left::NoWriteAfter,
            "comparison 1, no entry was written since",
            &[Call::Copy(0), Call::Copy(1)],
            &free,
            0,
            false,
        ),
        check(
            Left::Removals,
            "comparison 2, no call has removed an entry since",
            &[Call::RemoveOneOf(0), Call::RemoveOneOf(1)],
            &free,
            0,
            false,
        ),
        check(
            Left::Meta,
            "comparison 3, the rest of the registry is as it was",
            &[Call::CountUp, Call::CountUp],
            &free,
            0,
            false,
        ),
        check(
            Left::Written,
            "comparison 4, the entries that are written are as they were",
            &[Call::Copy(0), Call::CountUp],
            &free,
            1,
            false,
        ),
        check(
            Left::Read,
            "comparison 5, the entries that are only read are as they were",
            &[Call::Copy(1), Call::CountUp],
            &free,
            1,
            true,
        ),
        check(
            Left::LockIsFree,
            "that no other process has the lock",
            &[Call::CountUp, Call::CountUp],
            &[true, false],
            0,
            false,
        ),
        check(
            Left::LockIsHeld,
            "that the lock is still the caller's",
            &[Call::CountUp, Call::CountUp],
            &[true, true],
            0,
            false,
        ),
    ]
}
