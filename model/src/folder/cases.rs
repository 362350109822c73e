//! Which processes meet in the model of the folder store, and the checks that are left out in turn.

use super::state::{ADDED, REMOVED};
use super::{Folder, Found, Left, Role};
use crate::cases::{explore, Case, LeftOut};

pub fn cases() -> Vec<Case> {
    use Found::*;
    use Role::*;
    let case = |name, covers, roles: &[Role], found, crashes, long_only| {
        let folder = Folder { roles: roles.to_vec(), found, crashes, without: None };
        let explore = Box::new(move |threads| explore(folder.clone(), threads, false));
        Case { name, covers, finds: None, long_only, explore }
    };
    let (added, removed) = (Watcher(ADDED), Watcher(REMOVED));
    vec![
        case(
            "folder: claims",
            "3 watchers claim one id; 2 kills",
            &[added, added, added],
            [Nothing, Nothing],
            2,
            false,
        ),
        case(
            "folder: takeover",
            "2 watchers claim a dead one's id beside prune; a kill",
            &[added, added, Pruner],
            [OfDead, Nothing],
            1,
            false,
        ),
        case(
            "folder: removal",
            "2 watchers claim one id, beside a removal by id; a kill",
            &[added, added, Remover(ADDED)],
            [Nothing, Nothing],
            1,
            false,
        ),
        case(
            "folder: updates",
            "2 updates of 3 entries with their journal, beside a watcher that claims the added id; 2 kills",
            &[Updater, Updater, added],
            [Nothing, Unclaimed],
            2,
            false,
        ),
        case(
            "folder: removed id",
            "2 updates, beside a watcher that claims the removed id; 2 kills",
            &[Updater, Updater, removed],
            [Nothing, OfDead],
            2,
            false,
        ),
        case(
            "folder: two watchers of the removed id",
            "an update, beside two watchers that claim the removed id; a kill",
            &[Updater, removed, removed],
            [Nothing, Nothing],
            1,
            false,
        ),
        case(
            "folder: all",
            "2 updates, a watcher of the added id and one of the removed id; 2 kills",
            &[Updater, Updater, added, removed],
            [Nothing, OfDead],
            2,
            true,
        ),
    ]
}

pub fn left_out() -> Vec<LeftOut> {
    use Found::*;
    use Role::*;
    let check = |left, what, place, roles: &[Role], found, crashes| {
        let folder = Folder { roles: roles.to_vec(), found, crashes, without: Some(left) };
        let explore = Box::new(move |threads| explore(folder.clone(), threads, true));
        LeftOut { what, place, explore }
    };
    let (added, removed) = (Watcher(ADDED), Watcher(REMOVED));
    let updates = [Updater, Updater, added];
    vec![
        check(
            Left::ExclusiveName,
            "that an entry gets a name only if it is free",
            "publish::publish",
            &[added, added],
            [Nothing, Nothing],
            0,
        ),
        check(
            Left::LockBeforeName,
            "locking an entry's file before it has its name",
            "publish::write",
            &[added, added],
            [Nothing, Nothing],
            0,
        ),
        check(
            Left::EntryLock,
            "asking for an entry's kernel lock",
            "entry_file::state",
            &[added, Pruner],
            [Nothing, Nothing],
            0,
        ),
        check(
            Left::Guard,
            "taking over under the folder's guard only",
            "entries::claim",
            &[added, added],
            [OfDead, Nothing],
            0,
        ),
        check(
            Left::JudgeAgain,
            "judging an entry again under the guard",
            "entries::claim",
            &[added, added],
            [OfDead, Nothing],
            0,
        ),
        check(
            Left::LinkCount,
            "a heartbeat's look at the link count",
            "held::renew",
            &[added, Remover(ADDED)],
            [Nothing, Nothing],
            0,
        ),
        check(
            Left::Recovery,
            "finishing or undoing a killed update before the next",
            "guarded::acquire",
            &updates,
            [Nothing, Unclaimed],
            1,
        ),
        check(
            Left::Prepare,
            "the journal before added entries get their names",
            "update::several",
            &updates,
            [Nothing, Unclaimed],
            1,
        ),
        check(
            Left::Commit,
            "the journal before entries are replaced and removed",
            "update::several",
            &updates,
            [Nothing, Unclaimed],
            1,
        ),
        check(
            Left::Clean,
            "the journal before the former names are removed",
            "update::several",
            &[Updater, removed, Pruner],
            [Nothing, Unclaimed],
            1,
        ),
        check(
            Left::UndoOfOwn,
            "undoing only what is the update's own entry",
            "journal::undo",
            &[Updater, added],
            [Nothing, Unclaimed],
            1,
        ),
        check(
            Left::RenamedOnce,
            "renaming a removed entry only once",
            "journal::apply",
            &[Updater, removed, Pruner],
            [Nothing, Unclaimed],
            1,
        ),
        check(
            Left::EndOfRemoved,
            "ending the file of an entry that an unfinished update has removed",
            "journal::end_removed",
            &[Updater, removed, removed],
            [Nothing, Nothing],
            1,
        ),
    ]
}
