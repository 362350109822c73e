//! A model of the folder store: claims, takeovers, removals and updates of several entries.
//!
//! The folder's guard is one step here, as its protocol is the subject of the model of a registry. Each other
//! step is one system call, but for a file's content and mark, which are written at once, and the list of the
//! entries, which an update reads at once: under the guard only claims of free ids come in between, and those
//! are found by the link of the added entry.

mod process;
mod state;

use stateright::{Model, Property};

use crate::cases::{explore, letter, Case, LeftOut, Shown};
use crate::file_system::Pid;
use process::Actor;
use state::{
    Call, Id, Inode, Phase, Process, State, Step, Temp, Violation, ADDED, IDS, REMOVED, SHARED,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Claims an id, of a dead watcher too, and renews the entry once.
    Watcher(Id),
    /// Removes an entry by its id, also that of a live watcher.
    Remover(Id),
    Pruner,
    /// Changes the shared entry, adds one if it is missing, and removes one if it is there.
    Updater,
}

/// A check that a mutation leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    ExclusiveName,
    LockBeforeName,
    EntryLock,
    Guard,
    JudgeAgain,
    LinkCount,
    Recovery,
    Prepare,
    Commit,
    Clean,
    UndoOfOwn,
    RenamedOnce,
}

/// What is at an id at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// An entry that an update has added.
    Unclaimed,
    /// The entry of a watcher that was killed.
    OfDead,
}

#[derive(Clone, Debug)]
pub struct Folder {
    pub roles: Vec<Role>,
    /// What is at [`ADDED`] and [`REMOVED`] at first.
    pub found: [Found; 2],
    pub crashes: u8,
    pub without: Option<Left>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Step(Pid, Step),
    /// A call of an update, or of the recovery of one.
    Call(Pid, Call),
    Crash(Pid),
}

impl Folder {
    fn start(&self) -> State {
        let mut state = State {
            entries: [None; IDS],
            temps: Vec::new(),
            files: Vec::new(),
            journal: None,
            guard: None,
            processes: self.roles.iter().map(|role| Process::new(first(*role))).collect(),
            crashes: self.crashes,
            violations: 0,
            has_renewed_aside: false,
        };
        let found = [(SHARED, Found::Unclaimed), (ADDED, self.found[0]), (REMOVED, self.found[1])];
        for (id, found) in found {
            if found != Found::Nothing {
                let file = state.create(0);
                state.inode(file).is_claimed = found == Found::OfDead;
                state.entries[id] = Some(file);
            }
        }
        state
    }

    fn can_step(&self, state: &State, pid: Pid) -> bool {
        let process = &state.processes[usize::from(pid)];
        process.alive
            && match process.step {
                Step::Ended => false,
                Step::TakeGuard => state.guard.is_none(),
                _ => true,
            }
    }
}

fn first(role: Role) -> Step {
    match role {
        Role::Watcher(_) => Step::Look,
        Role::Remover(_) | Role::Pruner | Role::Updater => Step::TakeGuard,
    }
}

fn kill(state: &mut State, pid: Pid) {
    for inode in &mut state.files {
        if inode.locked_by == Some(pid) {
            inode.locked_by = None;
        }
    }
    if state.guard == Some(pid) {
        state.guard = None;
    }
    let process = &mut state.processes[usize::from(pid)];
    let Process { plan, has_removed, is_acknowledged, sweeps, .. } = *process;
    let killed = Process::new(Step::Ended);
    *process = Process { alive: false, plan, has_removed, is_acknowledged, ..killed };
    if let Some((_, file)) = sweeps {
        state.inode(file).is_swept = false;
    }
}

/// Forgets what is in files that nothing refers to, so that it distinguishes no states.
fn tidy(state: &mut State) {
    for number in 0..state.files.len() {
        let file = number as state::File;
        let is_used = state.is_named(file)
            || state.processes.iter().any(|process| {
                [process.temp, process.found, process.holds].contains(&Some(file))
                    || process.read.contains(&Some(file))
            });
        if !is_used {
            state.files[number] = Inode::default();
        }
    }
}

/// Looks for updates that are half done, or acknowledged and not done.
fn look_at_updates(state: &mut State) {
    let is_quiet = state.guard.is_none() && state.journal.is_none();
    let shared = state.entries[SHARED].map_or(0, |file| state.inode(file).bits);
    for pid in 0..state.processes.len() {
        let process = &state.processes[pid];
        let is_changed = shared & (1 << pid) != 0;
        let (added, removed) = process.plan.unwrap_or((None, None));
        let mut parts = vec![is_changed];
        parts.extend(added.map(|file| state.entries[ADDED] == Some(file)));
        let has_removed = process.has_removed;
        parts.extend(removed.map(|file| has_removed && state.entries[REMOVED] != Some(file)));
        let is_done = parts.iter().all(|part| *part);
        let is_half_done = !is_done && parts.contains(&true);
        let is_lost = process.is_acknowledged && !is_done;
        if process.plan.is_some() && is_quiet && is_half_done {
            state.violate(Violation::HalfDone);
        }
        if is_lost {
            state.violate(Violation::AcknowledgedIsLost);
        }
    }
}

impl Model for Folder {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.violations != 0 {
            return;
        }
        for pid in 0..self.roles.len() as Pid {
            let process = &state.processes[usize::from(pid)];
            if self.can_step(state, pid) {
                actions.push(match process.calls.first() {
                    Some(call) if process.step == Step::Calls => Action::Call(pid, *call),
                    _ => Action::Step(pid, process.step),
                });
            }
            let has_something = process.step != Step::Ended || process.holds.is_some();
            if state.crashes > 0 && process.alive && has_something {
                actions.push(Action::Crash(pid));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Step(pid, _) | Action::Call(pid, _) => {
                Actor { folder: self, state: &mut state, pid }.step()
            }
            Action::Crash(pid) => {
                state.crashes -= 1;
                kill(&mut state, pid);
            }
        }
        look_at_updates(&mut state);
        tidy(&mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always("no live watcher's entry is taken away", |_, state| {
                !state.has(Violation::LiveEntryRemoved)
            }),
            Property::<Self>::always("an id has one live owner", |_, state| {
                !state.has(Violation::TwoOwners)
            }),
            Property::<Self>::always("a heartbeat tells that the entry is gone", |_, state| {
                !state.has(Violation::LossNotTold)
            }),
            Property::<Self>::always("an update is done whole or not at all", |_, state| {
                !state.has(Violation::HalfDone)
            }),
            Property::<Self>::always(
                "nothing acknowledged is lost, nothing removed is back",
                |_, state| !state.has(Violation::AcknowledgedIsLost),
            ),
            Property::<Self>::always("every call ends", |folder: &Folder, state: &State| {
                let waits = |process: &Process| process.alive && process.step != Step::Ended;
                !state.processes.iter().any(waits)
                    || (0..folder.roles.len() as Pid).any(|pid| folder.can_step(state, pid))
            }),
        ];
        if self.without.is_none() {
            properties.push(Property::<Self>::sometimes(RENEWED_ASIDE, |_, state| {
                state.has_renewed_aside
            }));
        }
        properties
    }
}

impl Step {
    /// The function that makes the step's call, and what it does there.
    fn name(self) -> &'static str {
        match self {
            Step::Look => "entries::claim::look",
            Step::CreateTemp => "publish::write::create",
            Step::LockTemp => "publish::lock_new",
            Step::WriteTemp => "publish::write::fill",
            Step::Link => "publish::publish::link",
            Step::LockLinked => "publish::lock_new (too late)",
            Step::RemoveTemp => "publish::publish::remove_temp",
            Step::ReadFound | Step::Judge(_) => "entry_file::read",
            Step::AskForLock | Step::AskForLockOf(_) => "entry_file::claim_lock",
            Step::Replace => "publish::replace",
            Step::Date => "held::renew::date",
            Step::LookAtName => "held::renew::look",
            Step::TakeGuard => "guarded::acquire",
            Step::Recover => "journal::recover",
            Step::Calls => "update::several",
            Step::ReadEntries => "update::read",
            Step::RemoveDead(_) => "entries::remove_entry",
            Step::SweepLock => "temps::judge",
            Step::SweepRemove => "temps::remove",
            Step::Release => "guarded::under_guard (the guard is given back)",
            Step::Ended => "",
        }
    }
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Call::WriteTemp(..) => "publish::write",
            Call::WriteJournal(Phase::Prepare) => "journal::enter (prepare)",
            Call::WriteJournal(Phase::Commit) => "journal::enter (commit)",
            Call::WriteJournal(Phase::Clean) => "journal::enter (clean)",
            Call::RemoveJournal => "journal::remove",
            Call::Link(_) => "update::link_added",
            Call::Unlink(_) => "journal::undo",
            Call::Replace(_) => "journal::apply (a replaced entry)",
            Call::RenameAside(_) => "journal::apply (a removed entry)",
            Call::RemoveTemp(_) => "journal::remove_temps",
            Call::RemoveEntry => "entries::remove_entry",
        }
    }
}

/// The names of all steps, for the comparison with the source.
pub fn names() -> Vec<&'static str> {
    use Step::*;
    let steps = [
        Look,
        CreateTemp,
        LockTemp,
        WriteTemp,
        Link,
        RemoveTemp,
        ReadFound,
        AskForLock,
        Replace,
        Date,
        LookAtName,
        TakeGuard,
        Recover,
        Calls,
        ReadEntries,
        RemoveDead(0),
        SweepLock,
        SweepRemove,
        Release,
    ];
    let calls = [
        Call::WriteTemp(Temp::Adding(0), 0),
        Call::WriteJournal(Phase::Prepare),
        Call::RemoveJournal,
        Call::Link(0),
        Call::Unlink(0),
        Call::Replace(0),
        Call::RemoveTemp(Temp::Adding(0)),
        Call::RemoveEntry,
    ];
    let without_words = |name: &'static str| name.split(' ').next().unwrap_or(name);
    let steps = steps.into_iter().map(|step| without_words(step.name()));
    steps.chain(calls.into_iter().map(|call| without_words(call.name()))).collect()
}

impl Shown for Folder {
    fn introduction(&self) -> String {
        let does = |role: &Role| match role {
            Role::Watcher(_) => "claims it",
            Role::Remover(_) => "removes it by its id",
            Role::Pruner => "prunes",
            Role::Updater => "updates three entries, and removes it",
        };
        let roles = (0..).zip(&self.roles);
        let roles: Vec<String> =
            roles.map(|(pid, role)| format!("{} {}", letter(pid), does(role))).collect();
        format!("about one id: {}", roles.join(", "))
    }

    fn describe(action: &Action) -> String {
        match action {
            Action::Step(pid, step) => format!("{}  {}", letter(*pid), step.name()),
            Action::Call(pid, call) => format!("{}  {}", letter(*pid), call.name()),
            Action::Crash(pid) => format!("{}  is killed", letter(*pid)),
        }
    }
}

/// A known limit.
pub const RENEWED_ASIDE: &str = "RenewedAside";

pub const RENEWED_ASIDE_MEANING: &str =
    "An update of several entries is killed when it has renamed an entry that it removes. Until the next call \
     under the folder's guard finishes that update, the entry's file still has a name, so its watcher's heartbeats \
     take the entry for present, while another watcher claims the id.";

pub fn cases() -> Vec<Case> {
    use Found::*;
    use Role::*;
    let case = |name, covers, roles: &[Role], found, crashes, finds, long_only| {
        let folder = Folder { roles: roles.to_vec(), found, crashes, without: None };
        let explore = Box::new(move |threads| explore(folder.clone(), threads, false));
        Case { name, covers, finds, long_only, explore }
    };
    let (added, removed) = (Watcher(ADDED), Watcher(REMOVED));
    vec![
        case(
            "folder: claims",
            "3 watchers claim one id; 2 kills",
            &[added, added, added],
            [Nothing, Nothing],
            2,
            None,
            false,
        ),
        case(
            "folder: takeover",
            "2 watchers claim a dead one's id beside prune; a kill",
            &[added, added, Pruner],
            [OfDead, Nothing],
            1,
            None,
            false,
        ),
        case(
            "folder: removal",
            "2 watchers claim one id, beside a removal by id; a kill",
            &[added, added, Remover(ADDED)],
            [Nothing, Nothing],
            1,
            None,
            false,
        ),
        case(
            "folder: updates",
            "2 updates of 3 entries with their journal, beside a watcher that claims the added id; 2 kills",
            &[Updater, Updater, added],
            [Nothing, Unclaimed],
            2,
            None,
            false,
        ),
        case(
            "folder: removed id",
            "2 updates, beside a watcher that claims the removed id; 2 kills",
            &[Updater, Updater, removed],
            [Nothing, OfDead],
            2,
            None,
            false,
        ),
        case(
            "folder: two watchers of the removed id",
            "an update, beside two watchers that claim the removed id; a kill",
            &[Updater, removed, removed],
            [Nothing, Nothing],
            1,
            Some(RENEWED_ASIDE),
            false,
        ),
        case(
            "folder: all",
            "2 updates, a watcher of the added id and one of the removed id; 2 kills",
            &[Updater, Updater, added, removed],
            [Nothing, OfDead],
            2,
            None,
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
    ]
}
