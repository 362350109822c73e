//! A model of the folder store: claims, takeovers, removals and updates of several entries.
//!
//! The folder's guard is one step here, as its protocol is the subject of the model of a registry. Each other
//! step is one system call, but for a file's content and mark, which are written at once, and the list of the
//! entries, which an update reads at once: under the guard only claims of free ids come in between, and those
//! are found by the link of the added entry.

mod cases;
mod guarded;
mod names;
mod process;
mod pruner;
mod state;

use stateright::{Model, Property};

use crate::file_system::Pid;
pub use cases::{cases, left_out};
pub use names::names;
use process::Actor;
use state::{Call, Id, Inode, Process, State, Step, Violation, ADDED, IDS, REMOVED, SHARED};

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
    EndOfRemoved,
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
        vec![
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
        ]
    }
}
