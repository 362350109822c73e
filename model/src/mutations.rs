//! Each check of the protocol, left out in turn: a model that still found nothing would prove nothing.

use crate::configuration::{Configuration, Files, Mutation, Role, Start};
use crate::explore::{explore, Found};
use crate::state::Budget;

use Role::*;

pub struct Check {
    /// What is left out, in words.
    pub what: &'static str,
    /// Where it is in the source.
    pub place: &'static str,
    pub configuration: Configuration,
}

fn check(
    mutation: Mutation,
    what: &'static str,
    place: &'static str,
    files: Files,
    roles: &[Role],
    starts: &[Start],
    budget: Budget,
) -> Check {
    let configuration = Configuration {
        name: what,
        covers: "",
        files,
        roles: roles.to_vec(),
        updates: 1,
        starts: starts.to_vec(),
        budget,
        other_hosts: false,
        first_use: mutation == Mutation::FirstUse,
        limits: Vec::new(),
        long_only: false,
        mutation: Some(mutation),
        exchanges: false,
        replayed: false,
    };
    Check { what, place, configuration }
}

/// All checks, each with a configuration that misses it.
pub fn all() -> Vec<Check> {
    use Files as F;
    use Mutation as M;
    use Start::*;
    let none = Budget::default();
    let forward = Budget { clock_forward: 1, ..none };
    let deletion = Budget { deletions: 1, ..none };
    let power = Budget { power_failures: 1, ..none };
    vec![
        check(
            M::FirstCheck,
            "the fence before the temp file",
            "shared_file::commit",
            F::HARD_LINK,
            &[Sync, Older],
            &[Used],
            forward,
        ),
        check(
            M::LastCheck,
            "the fence before the rename",
            "shared_file::commit",
            F::HARD_LINK,
            &[Sync, Older],
            &[Used],
            forward,
        ),
        check(
            M::Nonce,
            "the nonce of a lockfile that was just made",
            "lockfile::open_created",
            F::SEPARATE,
            &[Sync, Older],
            &[AbandonedByOlder],
            none,
        ),
        check(
            M::LockfileKeptOpen,
            "keeping the lockfile open, so that its number is not given to another",
            "lockfile::open_created",
            F::NO_LOCKS,
            &[Sync, Older],
            &[Used],
            forward,
        ),
        check(
            M::GuardName,
            "the guard's name, once it is locked",
            "guard::check",
            F::HARD_LINK,
            &[Sync, Sync, Sync],
            &[Used],
            deletion,
        ),
        check(
            M::OtherGuardsLock,
            "asking for the kernel lock of a lockfile that is another guard's name",
            "stale_lockfile::verdict",
            F::HARD_LINK,
            &[Sync, Sync],
            &[Used],
            deletion,
        ),
        check(
            M::MovedAside,
            "comparing a lockfile that was moved aside with the judged one",
            "stale_lockfile::remove_stale",
            F::HARD_LINK,
            &[Sync, Older],
            &[AbandonedByOlder],
            none,
        ),
        check(
            M::Claim,
            "claiming a dead holder's lockfile, without kernel locks",
            "stale_lockfile::remove_stale_without_guard",
            F::NO_LOCKS,
            &[Sync, Sync],
            &[KilledHolder],
            none,
        ),
        check(
            M::ClaimPause,
            "pausing when another process has claimed it",
            "stale_lockfile::clear_if_stale",
            F::NO_LOCKS,
            &[Sync, Sync],
            &[KilledHolder],
            none,
        ),
        check(
            M::SweepUnderLock,
            "sweeping under the lock only",
            "registry_lock::acquire_by",
            F::HARD_LINK,
            &[Sync, Sync],
            &[Used],
            none,
        ),
        check(
            M::SweepAge,
            "the age of what is swept, without kernel locks",
            "sweep::run",
            F::NO_LOCKS,
            &[Sync, Sync],
            &[Used],
            none,
        ),
        check(
            M::ReleaseOwner,
            "the owner's check of the release",
            "lockfile::remove",
            F::HARD_LINK,
            &[Sync, Older],
            &[Used],
            forward,
        ),
        check(
            M::FileSync,
            "the fsync of the new file",
            "atomic_write::fill",
            F::HARD_LINK,
            &[Sync, AfterReboot],
            &[Used],
            power,
        ),
        check(
            M::FolderSync,
            "the fsync of the folder",
            "atomic_write::run",
            F::HARD_LINK,
            &[Sync, AfterReboot],
            &[Used],
            power,
        ),
        check(
            M::FirstUse,
            "the second looks for the other kind of lock",
            "guard::check and document::lock_file",
            F::HARD_LINK,
            &[Document, Sync],
            &[Unused],
            none,
        ),
        check(
            M::DocumentCheck,
            "a document's fence before the rename",
            "shared_file::commit",
            F::HARD_LINK,
            &[Document, Document],
            &[Unused],
            deletion,
        ),
    ]
}

impl Check {
    pub fn explore(&self, threads: usize) -> Found {
        explore(&self.configuration, threads)
    }
}
