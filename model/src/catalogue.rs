//! The configurations that are explored.
//!
//! The product of all actors, all faults and all kinds of file systems is too large, so each
//! configuration leaves out what its subject does not depend on. `covers` says what it takes in.

use crate::configuration::{Configuration, Files, Role, Start};
use crate::state::{Budget, Limit};

use Role::*;

pub const NOTHING: Budget = Budget {
    crashes: 0,
    clock_forward: 0,
    clock_back: 0,
    deletions: 0,
    timeouts: 0,
    aborts: 0,
    power_failures: 0,
};

pub fn of(name: &'static str, covers: &'static str, files: Files, roles: &[Role]) -> Configuration {
    Configuration {
        name,
        covers,
        files,
        roles: roles.to_vec(),
        updates: 2,
        starts: vec![Start::Used],
        budget: NOTHING,
        other_hosts: false,
        first_use: false,
        limits: vec![],
        long_only: false,
        mutation: None,
        exchanges: false,
        replayed: false,
    }
}

/// All configurations, the short ones first.
pub fn all() -> Vec<Configuration> {
    use Start::*;
    let crash = Budget { crashes: 1, ..NOTHING };
    let crash_and_clock = Budget { crashes: 1, clock_forward: 1, ..NOTHING };
    let older_limits = vec![
        Limit::CommitWindow,
        Limit::ReleaseWindow,
        Limit::LeftoverDeleted,
        Limit::MovedAside,
        Limit::OlderHasNoFence,
    ];
    vec![
        Configuration {
            starts: vec![Unused, Used, KilledHolder, AbandonedByOlder],
            budget: Budget { clock_back: 1, crashes: 2, ..crash_and_clock },
            ..of(
                "two processes",
                "sync and async with its queue and batch; 2 kills, clock forward and back",
                Files::HARD_LINK,
                &[Sync, Async],
            )
        },
        Configuration {
            starts: vec![Unused, KilledHolder],
            budget: crash,
            updates: 2,
            ..of(
                "three processes",
                "2 sync and 1 async with its queue and batch; a kill",
                Files::HARD_LINK,
                &[Sync, Sync, Async],
            )
        },
        Configuration {
            starts: vec![Used, KilledHolder],
            budget: Budget { timeouts: 1, aborts: 1, ..crash },
            ..of(
                "timeouts and aborts",
                "2 async with queue, batch and queue thread; a timeout, an abort, a kill",
                Files::HARD_LINK,
                &[Async, Async],
            )
        },
        Configuration {
            starts: vec![Unused, Used, KilledHolder],
            updates: 1,
            budget: Budget { deletions: 1, ..crash_and_clock },
            ..of(
                "deleted guard",
                "2 sync, 1 update each; another program deletes the guard; a kill, clock forward",
                Files::HARD_LINK,
                &[Sync, Sync],
            )
        },
        Configuration {
            starts: vec![Unused, KilledHolder],
            long_only: true,
            limits: vec![Limit::GuardDeleted],
            budget: Budget { deletions: 1, ..crash_and_clock },
            ..of(
                "deleted guard, two updates each",
                "2 sync; another program deletes the guard; a kill, clock forward",
                Files::HARD_LINK,
                &[Sync, Sync],
            )
        },
        Configuration {
            starts: vec![Unused, KilledHolder],
            updates: 1,
            long_only: true,
            limits: vec![Limit::GuardDeleted],
            budget: Budget { deletions: 1, ..crash },
            ..of(
                "deleted guard, three processes",
                "3 sync, 1 update each; another program deletes the guard; a kill",
                Files::HARD_LINK,
                &[Sync, Sync, Sync],
            )
        },
        Configuration {
            starts: vec![Used, KilledHolder, AbandonedByOlder],
            updates: 1,
            budget: crash_and_clock,
            limits: older_limits.clone(),
            ..of(
                "beside one older argus",
                "2 sync and 1 older, 1 update each; a kill, clock forward (or all frozen for over 10 s)",
                Files::HARD_LINK,
                &[Sync, Sync, Older],
            )
        },
        Configuration {
            starts: vec![AbandonedByOlder],
            updates: 1,
            limits: vec![
                Limit::CommitWindow,
                Limit::ReleaseWindow,
                Limit::LeftoverDeleted,
                Limit::MovedAside,
                Limit::OlderHasNoFence,
            ],
            ..of(
                "beside two older argus",
                "1 sync and 2 older, 1 update each, that meet an abandoned lockfile",
                Files::HARD_LINK,
                &[Sync, Older, Older],
            )
        },
        Configuration {
            starts: vec![Used, AbandonedByOlder],
            updates: 1,
            budget: Budget { clock_forward: 1, ..NOTHING },
            long_only: true,
            limits: vec![
                Limit::CommitWindow,
                Limit::ReleaseWindow,
                Limit::LeftoverDeleted,
                Limit::MovedAside,
                Limit::OlderHasNoFence,
            ],
            ..of(
                "beside two older argus, clock forward",
                "1 sync and 2 older, 1 update each; clock forward",
                Files::HARD_LINK,
                &[Sync, Older, Older],
            )
        },
        Configuration {
            starts: vec![Used, KilledHolder],
            budget: Budget { crashes: 1, ..NOTHING },
            ..of(
                "readers",
                "2 sync and a reader that reads twice; a kill",
                Files::HARD_LINK,
                &[Sync, Sync, Reader],
            )
        },
        Configuration {
            starts: vec![KilledHolder, AbandonedByOlder],
            updates: 1,
            budget: crash_and_clock,
            ..of(
                "doctor",
                "2 sync and the doctor's --fix; a kill, clock forward",
                Files::HARD_LINK,
                &[Sync, Sync, Doctor],
            )
        },
        Configuration {
            starts: vec![Used, KilledHolder],
            updates: 1,
            budget: Budget { deletions: 1, ..NOTHING },
            limits: vec![Limit::GuardDeleted],
            ..of(
                "separate lockfile, deleted guard",
                "2 sync, 1 update each; another program deletes the guard",
                Files::SEPARATE,
                &[Sync, Sync],
            )
        },
        Configuration {
            starts: vec![Unused, Used, KilledHolder, AbandonedByOlder],
            budget: crash_and_clock,
            ..of(
                "separate lockfile",
                "2 sync; a kill, clock forward",
                Files::SEPARATE,
                &[Sync, Sync],
            )
        },
        Configuration {
            starts: vec![Used, KilledHolder, AbandonedByOlder],
            budget: crash_and_clock,
            updates: 1,
            limits: older_limits.clone(),
            ..of(
                "separate lockfile, beside an older argus",
                "1 sync and 1 older, 1 update each; a kill, clock forward",
                Files::SEPARATE,
                &[Sync, Older],
            )
        },
        Configuration {
            starts: vec![KilledHolder, AbandonedByOlder],
            updates: 1,
            long_only: true,
            budget: Budget { clock_forward: 1, ..NOTHING },
            limits: older_limits.clone(),
            ..of(
                "separate lockfile, three processes beside an older argus",
                "2 sync and 1 older, 1 update each; clock forward",
                Files::SEPARATE,
                &[Sync, Sync, Older],
            )
        },
        Configuration {
            starts: vec![Unused, KilledHolder],
            updates: 1,
            budget: crash,
            ..of(
                "separate lockfile, three processes",
                "3 sync, 1 update each; a kill",
                Files::SEPARATE,
                &[Sync, Sync, Sync],
            )
        },
        Configuration {
            starts: vec![Used, KilledHolder],
            budget: Budget { timeouts: 1, aborts: 1, ..crash },
            ..of(
                "separate lockfile, timeouts and aborts",
                "2 async with queue, batch and queue thread; a timeout, an abort, a kill",
                Files::SEPARATE,
                &[Async, Async],
            )
        },
        Configuration {
            starts: vec![Unused, KilledHolder, AbandonedByOlder],
            budget: crash_and_clock,
            ..of(
                "separate lockfile, no second names",
                "2 sync; a kill, clock forward",
                Files::ONE_NAME,
                &[Sync, Sync],
            )
        },
        Configuration {
            starts: vec![Used, KilledHolder, AbandonedByOlder],
            budget: crash,
            ..of(
                "no kernel locks",
                "2 sync on one host; a kill",
                Files::NO_LOCKS,
                &[Sync, Sync],
            )
        },
        Configuration {
            starts: vec![Used, KilledHolder, AbandonedByOlder],
            updates: 1,
            budget: crash_and_clock,
            limits: vec![Limit::JudgedByAge],
            ..of(
                "no kernel locks, frozen",
                "2 sync on one host, 1 update each; a kill, clock forward (or frozen)",
                Files::NO_LOCKS,
                &[Sync, Sync],
            )
        },
        Configuration {
            starts: vec![KilledHolder],
            updates: 1,
            ..of(
                "no kernel locks, three processes",
                "3 sync on one host, 1 update each, that meet a killed one's lockfile",
                Files::NO_LOCKS,
                &[Sync, Sync, Sync],
            )
        },
        Configuration {
            starts: vec![Used, KilledHolder],
            updates: 1,
            budget: Budget { clock_forward: 1, ..NOTHING },
            other_hosts: true,
            limits: vec![Limit::JudgedByAge, Limit::ReleaseWindow],
            ..of(
                "no kernel locks, two hosts",
                "2 sync that can't judge each other, 1 update each; clock forward (or frozen)",
                Files::NO_LOCKS,
                &[Sync, Sync],
            )
        },
        Configuration {
            starts: vec![Used, KilledHolder],
            updates: 1,
            budget: crash,
            limits: vec![Limit::ClearedTwice],
            ..of(
                "neither kernel locks nor second names",
                "2 sync on one host, 1 update each; a kill",
                Files::NEITHER,
                &[Sync, Sync],
            )
        },
        Configuration {
            starts: vec![Unused, Used, KilledHolder],
            budget: Budget { power_failures: 1, ..NOTHING },
            ..of(
                "power failure",
                "2 sync, then 1 after the restart; any choice of what was not synced survives",
                Files::HARD_LINK,
                &[Sync, Sync, AfterReboot],
            )
        },
        Configuration {
            starts: vec![Unused, Used, KilledHolder],
            budget: Budget { power_failures: 1, ..NOTHING },
            ..of(
                "separate lockfile, power failure",
                "2 sync, then 1 after the restart; any choice of what was not synced survives",
                Files::SEPARATE,
                &[Sync, Sync, AfterReboot],
            )
        },
        Configuration {
            starts: vec![Unused, Used, KilledHolder],
            budget: Budget { power_failures: 1, ..NOTHING },
            ..of(
                "no kernel locks, power failure",
                "2 sync, then 1 after the restart; any choice of what was not synced survives",
                Files::NO_LOCKS,
                &[Sync, Sync, AfterReboot],
            )
        },
        Configuration {
            starts: vec![Used, KilledHolder],
            budget: Budget { timeouts: 1, aborts: 1, ..crash },
            ..of(
                "no kernel locks, timeouts and aborts",
                "2 async with queue, batch and queue thread; a timeout, an abort, a kill",
                Files::NO_LOCKS,
                &[Async, Async],
            )
        },
        Configuration {
            starts: vec![Unused],
            budget: Budget { crashes: 1, timeouts: 1, ..NOTHING },
            ..of(
                "documents",
                "3 processes under a lock file; a kill, a timeout",
                Files::HARD_LINK,
                &[Document, Document, Document],
            )
        },
        Configuration {
            starts: vec![Unused],
            budget: Budget { deletions: 1, crashes: 1, ..NOTHING },
            limits: vec![Limit::LockFileDeleted],
            ..of(
                "documents, deleted lock file",
                "2 processes; another program deletes the lock file; a kill",
                Files::HARD_LINK,
                &[Document, Document],
            )
        },
        Configuration {
            starts: vec![Unused],
            budget: crash,
            first_use: true,
            ..of(
                "first use",
                "1 document call and 2 registry calls on one new file; a kill",
                Files::HARD_LINK,
                &[Document, Sync, Sync],
            )
        },
        Configuration {
            starts: vec![Unused],
            updates: 1,
            budget: crash,
            first_use: true,
            limits: vec![Limit::TwoKinds],
            ..of(
                "first use, lock file of another name",
                "1 document call and 2 registry calls on one new file; a kill",
                Files::HARD_LINK,
                &[DocumentElsewhere, Sync, Sync],
            )
        },
    ]
}

/// For each limit a small configuration that meets it, from which the page's order comes.
pub fn demonstrations() -> Vec<(Limit, Configuration)> {
    use Start::*;
    let forward = Budget { clock_forward: 1, ..NOTHING };
    let crash = Budget { crashes: 1, ..NOTHING };
    let deletion = Budget { deletions: 1, ..NOTHING };
    let small = |files, roles: &[Role], start, budget| Configuration {
        updates: 1,
        starts: vec![start],
        budget,
        ..of("", "", files, roles)
    };
    let beside_older = |start, budget| small(Files::HARD_LINK, &[Sync, Older], start, budget);
    let documents = Configuration {
        updates: 2,
        ..small(Files::HARD_LINK, &[Document, Document], Unused, deletion)
    };
    let elsewhere = Configuration {
        first_use: true,
        ..small(Files::HARD_LINK, &[DocumentElsewhere, Sync], Unused, NOTHING)
    };
    let hosts =
        Configuration { other_hosts: true, ..small(Files::NO_LOCKS, &[Sync, Sync], Used, forward) };
    vec![
        (Limit::CommitWindow, beside_older(Used, forward)),
        (Limit::ReleaseWindow, beside_older(Used, forward)),
        (Limit::LeftoverDeleted, beside_older(AbandonedByOlder, NOTHING)),
        (Limit::MovedAside, beside_older(AbandonedByOlder, crash)),
        (Limit::OlderHasNoFence, beside_older(Used, forward)),
        (Limit::JudgedByAge, hosts),
        (Limit::ClearedTwice, small(Files::NEITHER, &[Sync, Sync], KilledHolder, NOTHING)),
        (Limit::LockFileDeleted, documents),
        (Limit::GuardDeleted, small(Files::SEPARATE, &[Sync, Sync], KilledHolder, deletion)),
        (Limit::TwoKinds, elsewhere),
    ]
}
