//! The configurations whose orders are replayed.

use crate::catalogue::{of, NOTHING};
use crate::configuration::{Configuration, Files, Mutation, Role, Start};
use crate::state::Budget;

pub fn configurations() -> Vec<Configuration> {
    use Role::*;
    let crashes = |crashes| Budget { crashes, ..NOTHING };
    let replayed = |starts: &[Start], updates, budget, configuration| Configuration {
        starts: starts.to_vec(),
        updates,
        budget,
        replayed: true,
        ..configuration
    };
    let files = Files::HARD_LINK;
    let all_starts = [Start::Unused, Start::Used, Start::KilledHolder, Start::AbandonedByOlder];
    vec![
        replayed(
            &all_starts,
            2,
            crashes(1),
            of("two processes", "2 processes, 2 updates each; a kill", files, &[Sync, Sync]),
        ),
        replayed(
            &[Start::Unused, Start::KilledHolder],
            1,
            crashes(2),
            of(
                "three processes",
                "3 processes, 1 update each; 2 kills",
                files,
                &[Sync, Sync, Sync],
            ),
        ),
        replayed(
            &[Start::Used, Start::KilledHolder],
            2,
            Budget { deletions: 1, ..crashes(1) },
            of(
                "deleted guard",
                "2 processes; another program deletes the guard; a kill",
                files,
                &[Sync, Sync],
            ),
        ),
        replayed(
            &[Start::Used, Start::AbandonedByOlder],
            1,
            crashes(1),
            of(
                "beside an older argus",
                "2 processes and an older one, 1 update each; a kill",
                files,
                &[Sync, Sync, Older],
            ),
        ),
        replayed(
            &all_starts,
            2,
            crashes(1),
            of(
                "no locks",
                "2 processes without kernel locks; a kill",
                Files::NO_LOCKS,
                &[Sync, Sync],
            ),
        ),
        replayed(
            &all_starts,
            2,
            crashes(1),
            of(
                "one name",
                "2 processes without second names; a kill",
                Files::ONE_NAME,
                &[Sync, Sync],
            ),
        ),
        replayed(
            &all_starts,
            1,
            crashes(1),
            of(
                "neither",
                "3 processes, 1 update each, with neither; a kill",
                Files::NEITHER,
                &[Sync, Sync, Sync],
            ),
        ),
    ]
}

/// Drifts of the model that the replay has to find out: a check that only the code makes, and the place of a
/// configuration that shows it.
pub const DRIFTS: &[(Mutation, usize)] = &[
    (Mutation::FirstCheck, 0),
    (Mutation::LastCheck, 0),
    (Mutation::GuardName, 2),
    (Mutation::ReleaseOwner, 0),
    (Mutation::FolderSync, 0),
];
