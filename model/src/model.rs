//! The model as the explorer sees it: which actions a state allows, and what each does.

use stateright::{Model, Property};

use crate::configuration::{Configuration, Role};
use crate::file_system::{Content, Ino, Name, Pid};
use crate::process::{has_lock, Actor};
use crate::stale_lockfile::poll_finds_news;
use crate::state::{Disk, Limit, QueueThread, State, Violation, NO_FILE};
use crate::step::Step;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A process makes its next step.
    Step(Pid, Step),
    /// The thread that waits in the kernel for a process's callers gets the lock, or gives it back.
    Queue(Pid),
    /// The thread that keeps a lockfile's time fresh writes to it.
    Refresh(Pid),
    /// A caller of an async process asks for one more update.
    Submit(Pid),
    /// A caller cancels its update.
    Abort(Pid),
    /// The time of a wait is over.
    Timeout(Pid),
    Crash(Pid),
    /// Over 10 s pass while all holders are frozen, or the clock is set forward.
    ClockForward,
    ClockBack,
    /// All processes wait, and over 10 s pass.
    TimePasses,
    /// Another program deletes the guard.
    DeleteGuard,
    /// Another program deletes a document's lock file.
    DeleteLockFile,
    /// The power fails. These files are at their names afterwards; without `keeps_data`, files that
    /// were not synced are empty.
    PowerFailure {
        guard: Option<Ino>,
        lockfile: Option<Ino>,
        registry: Option<Ino>,
        keeps_data: bool,
    },
}

impl Configuration {
    fn pids(&self) -> impl Iterator<Item = Pid> {
        0..self.roles.len() as Pid
    }

    /// Whether a process can make its next step, and that step would change anything.
    fn can_step(&self, state: &State, pid: Pid) -> bool {
        let process = &state.processes[usize::from(pid)];
        if !process.alive {
            return false;
        }
        match process.step {
            Step::Ended | Step::Reboot | Step::WaitForLock => false,
            Step::PollLockfile => poll_finds_news(self, state, pid),
            // A wait for the decision of a registry call.
            Step::LookForGuard => !self.is_undecided(state),
            Step::OlderCreate => match state.fs.at(Name::Lockfile) {
                None => true,
                Some(ino) => state.fs.is_old(state.fs.inode(ino).modified),
            },
            _ => true,
        }
    }

    fn is_undecided(&self, state: &State) -> bool {
        let guard = state.fs.at(Name::Guard);
        guard.is_some_and(|ino| {
            state.fs.record(ino).is_none() && state.fs.inode(ino).locked_by.is_some()
        })
    }

    fn queue_can_step(&self, state: &State, pid: Pid) -> bool {
        let process = &state.processes[usize::from(pid)];
        process.alive
            && match process.queue {
                QueueThread::None => false,
                QueueThread::Blocked(ino) => state.fs.inode(ino).locked_by.is_none(),
                QueueThread::Holds(_) => true,
            }
    }

    fn power_failures(&self, state: &State, actions: &mut Vec<Action>) {
        let choices = |set: u16| {
            (0..16).filter(move |bit| set & (1 << bit) != 0).map(|bit| (bit < 15).then_some(bit))
        };
        for guard in choices(state.disk.guard) {
            for lockfile in choices(state.disk.lockfile) {
                for registry in choices(state.disk.registry) {
                    for keeps_data in [true, false] {
                        actions.push(Action::PowerFailure {
                            guard,
                            lockfile,
                            registry,
                            keeps_data,
                        });
                    }
                }
            }
        }
    }

    pub fn actions_of(&self, state: &State, actions: &mut Vec<Action>) {
        for pid in self.pids() {
            let process = &state.processes[usize::from(pid)];
            if !process.alive {
                continue;
            }
            if self.can_step(state, pid) {
                actions.push(Action::Step(pid, process.step));
            }
            if self.queue_can_step(state, pid) {
                actions.push(Action::Queue(pid));
            }
            if process.later != 0 {
                actions.push(Action::Submit(pid));
            }
            let is_stale =
                |ino: Ino| state.fs.exists(ino) && state.fs.inode(ino).modified != state.fs.now;
            let refreshes = !self.role(pid).is_document() && self.role(pid) != Role::Older;
            if refreshes && process.lockfile.is_some_and(is_stale) && has_lock(self, state, pid) {
                actions.push(Action::Refresh(pid));
            }
        }
        let is_stuck = actions.is_empty();
        if is_stuck && self.time_helps(state) {
            actions.push(Action::TimePasses);
        }
        let budget = &state.budget;
        for pid in self.pids() {
            let process = &state.processes[usize::from(pid)];
            let role = self.role(pid);
            if !process.alive {
                continue;
            }
            let is_waiting = matches!(process.step, Step::WaitForLock | Step::PollLockfile)
                || (process.step == Step::OlderCreate && !self.can_step(state, pid));
            if budget.timeouts > 0 && is_waiting {
                actions.push(Action::Timeout(pid));
            }
            let can_abort =
                role == Role::Async && process.queued != 0 && process.step < Step::ReadOld;
            if budget.aborts > 0 && can_abort {
                actions.push(Action::Abort(pid));
            }
            let may_crash =
                !process.has_ended() && role != Role::Reader && process.step != Step::Reboot;
            if budget.crashes > 0 && may_crash {
                actions.push(Action::Crash(pid));
            }
        }
        let is_over = state.processes.iter().all(|process| process.has_ended());
        if is_over {
            return;
        }
        if budget.clock_forward > 0 {
            actions.push(Action::ClockForward);
        }
        if budget.clock_back > 0 {
            actions.push(Action::ClockBack);
        }
        if budget.deletions > 0 {
            if state.fs.at(Name::Guard).is_some() {
                actions.push(Action::DeleteGuard);
            }
            if state.fs.at(Name::LockFile).is_some() {
                actions.push(Action::DeleteLockFile);
            }
        }
        if budget.power_failures > 0 {
            self.power_failures(state, actions);
        }
    }

    /// Whether a process waits for a file to become stale.
    fn time_helps(&self, state: &State) -> bool {
        let waits = |pid: Pid| {
            let process = &state.processes[usize::from(pid)];
            process.alive && matches!(process.step, Step::PollLockfile | Step::OlderCreate)
        };
        let lockfile = state.fs.at(Name::Lockfile);
        let is_fresh = lockfile.is_some_and(|ino| {
            let inode = state.fs.inode(ino);
            !state.fs.is_old(inode.modified) || !state.fs.is_old(inode.linked)
        });
        is_fresh && self.pids().any(waits)
    }

    pub fn apply(&self, state: &mut State, action: Action) {
        let (guard, lockfile, registry, lock_file) = names(state);
        match action {
            Action::Step(pid, _) => Actor { configuration: self, state, pid }.step(),
            Action::Queue(pid) => Actor { configuration: self, state, pid }.queue_step(),
            Action::Refresh(pid) => {
                let lockfile = state.processes[usize::from(pid)].lockfile.expect("it is held");
                let now = state.fs.now;
                state.fs.inode_mut(lockfile).modified = now;
            }
            Action::Submit(pid) => {
                let process = &mut state.processes[usize::from(pid)];
                process.queued |= process.later;
                process.later = 0;
                if process.step == Step::Ended {
                    process.step = Step::OpenGuard;
                }
            }
            Action::Abort(pid) => {
                state.budget.aborts -= 1;
                let mut actor = Actor { configuration: self, state, pid };
                let queued = actor.this().queued;
                actor.reject(queued & queued.wrapping_neg());
                let waits = matches!(actor.this().step, Step::WaitForLock | Step::PollLockfile);
                if actor.this().queued == 0 && waits {
                    actor.give_up();
                }
            }
            Action::Timeout(pid) => {
                state.budget.timeouts -= 1;
                let mut actor = Actor { configuration: self, state, pid };
                if actor.role() == Role::Older {
                    let batch = actor.next_batch();
                    actor.reject(batch);
                    let process = actor.me();
                    process.step =
                        if process.queued == 0 { Step::Ended } else { Step::OlderCreate };
                } else {
                    actor.give_up();
                }
            }
            Action::Crash(pid) => {
                state.budget.crashes -= 1;
                let step = state.processes[usize::from(pid)].step;
                let has_moved = step == Step::LookAside
                    || matches!(
                        step,
                        Step::LinkBack | Step::LookBeforeRenameBack | Step::RenameBack
                    );
                if has_moved && self.is_lockfile_of_older(state, Name::Aside(pid)) {
                    state.note(Limit::MovedAside);
                }
                self.kill(state, pid);
            }
            Action::ClockForward => {
                state.budget.clock_forward -= 1;
                state.fs.now += 1;
            }
            Action::TimePasses => state.fs.now += 1,
            Action::ClockBack => {
                state.budget.clock_back -= 1;
                state.fs.now -= 1;
            }
            Action::DeleteGuard => {
                state.budget.deletions -= 1;
                state.fs.set(Name::Guard, None);
            }
            Action::DeleteLockFile => {
                state.budget.deletions -= 1;
                state.fs.set(Name::LockFile, None);
            }
            Action::PowerFailure { guard, lockfile, registry, keeps_data } => {
                self.fail_power(state, [guard, lockfile, registry], keeps_data);
            }
        }
        let actor = match action {
            Action::Step(pid, step) => Some((pid, step)),
            _ => None,
        };
        self.notice_taken(state, actor, lockfile, lock_file);
        if self.has_power_failures() {
            self.track_disk(state, [guard, lockfile, registry], action);
        }
        state.tidy();
    }

    fn is_lockfile_of_older(&self, state: &State, name: Name) -> bool {
        let older = state.fs.at(name).and_then(|ino| state.fs.inode(ino).lockfile_of);
        older.is_some_and(|pid| {
            state.processes.get(usize::from(pid)).is_some_and(|process| process.alive)
        })
    }

    fn kill(&self, state: &mut State, pid: Pid) {
        let inos: Vec<Ino> = state.fs.inos().collect();
        for ino in inos {
            let inode = state.fs.inode_mut(ino);
            if inode.locked_by == Some(pid) {
                inode.locked_by = None;
            }
        }
        let process = &mut state.processes[usize::from(pid)];
        let mut dead = crate::state::Process::new(Step::Ended);
        dead.alive = false;
        std::mem::swap(process, &mut dead);
    }

    fn fail_power(&self, state: &mut State, at: [Option<Ino>; 3], keeps_data: bool) {
        state.budget.power_failures -= 1;
        for pid in self.pids() {
            let reboots = state.processes[usize::from(pid)].step == Step::Reboot;
            match reboots {
                true => state.processes[usize::from(pid)].step = Step::OpenGuard,
                false => self.kill(state, pid),
            }
        }
        for (name, ino) in [Name::Guard, Name::Lockfile, Name::Registry].into_iter().zip(at) {
            state.fs.set(name, ino);
        }
        state.boot += 1;
        state.disk = Disk::default();
        let inos: Vec<Ino> = state.fs.inos().collect();
        for ino in inos {
            let inode = state.fs.inode_mut(ino);
            inode.locked_by = None;
            if !inode.is_synced && !keeps_data {
                inode.content = Content::Empty;
            }
            inode.is_synced = true;
        }
        let is_torn = state
            .fs
            .at(Name::Registry)
            .is_none_or(|ino| !matches!(state.fs.inode(ino).content, Content::Updates(_)));
        if is_torn {
            state.violate(Violation::TornRead);
        }
    }

    /// Notes which holds have lost the name of their lock by what just happened.
    fn notice_taken(
        &self,
        state: &mut State,
        actor: Option<(Pid, Step)>,
        lockfile: Option<Ino>,
        lock_file: Option<Ino>,
    ) {
        for pid in self.pids() {
            let process = &state.processes[usize::from(pid)];
            if !process.alive || process.lockfile.is_none() || process.is_taken {
                continue;
            }
            let (name, before) = match self.role(pid).is_document() {
                true => (Name::LockFile, lock_file),
                false => (Name::Lockfile, lockfile),
            };
            let is_unchanged = state.fs.at(name) == before;
            let is_own = actor.is_some_and(|(actor, _)| actor == pid);
            if is_unchanged || before != process.lockfile || is_own {
                continue;
            }
            let by_another = match actor {
                None => true,
                Some((actor, step)) => match self.role(actor) {
                    Role::Older => true,
                    _ => self.is_known_to_be_taken(state, actor, step, pid),
                },
            };
            state.processes[usize::from(pid)].is_taken |= by_another;
        }
    }

    /// Whether a process of this library may have taken a live one's lockfile by a known limit.
    fn is_known_to_be_taken(&self, state: &mut State, actor: Pid, step: Step, holder: Pid) -> bool {
        if state.has(Limit::ReleaseWindow) && step == Step::RemoveLockfile {
            return true;
        }
        if state.has(Limit::JudgedByAge) && !self.files.kernel_locks {
            return true;
        }
        let is_deleted = [actor, holder]
            .iter()
            .any(|pid| state.processes[usize::from(*pid)].guard != state.fs.at(Name::Guard));
        if self.files.kernel_locks && self.mutation.is_none() && is_deleted {
            state.note(Limit::GuardDeleted);
            return true;
        }
        if self.files.kernel_locks || self.mutation.is_some() {
            return false;
        }
        let found = state.processes[usize::from(actor)].found;
        let by_age = found.is_some_and(|found| found.record.is_none() || self.other_hosts);
        let is_judged_one = found.is_some_and(|found| found.modified < state.fs.now);
        if self.other_hosts && by_age && is_judged_one {
            state.note(Limit::JudgedByAge);
            return true;
        }
        let is_of_dead = found.and_then(|found| found.record).is_some_and(|record| {
            state.processes.get(usize::from(record.pid)).is_none_or(|owner| !owner.alive)
        });
        if !self.files.second_names && is_of_dead {
            state.note(Limit::ClearedTwice);
            return true;
        }
        false
    }

    fn track_disk(&self, state: &mut State, before: [Option<Ino>; 3], action: Action) {
        if matches!(action, Action::PowerFailure { .. }) {
            return;
        }
        let bit = |ino: Option<Ino>| ino.map_or(NO_FILE, |ino| 1 << ino);
        let (guard, lockfile, registry, _) = names(state);
        let synced = matches!(action, Action::Step(_, Step::SyncFolder));
        let _ = before;
        let set = |old: u16, now: Option<Ino>| if synced { bit(now) } else { old | bit(now) };
        if state.budget.power_failures == 0 {
            return;
        }
        state.disk = Disk {
            guard: set(state.disk.guard, guard),
            lockfile: set(state.disk.lockfile, lockfile),
            registry: set(state.disk.registry, registry),
        };
    }

    /// Whether every process has come to its end, or still can.
    fn is_stuck(&self, state: &State) -> bool {
        // A lockfile that was put back after its holder had given it up (known limits).
        let limits = [Limit::JudgedByAge, Limit::ClearedTwice, Limit::GuardDeleted];
        if !self.files.lockfile_is_guard && limits.iter().any(|limit| state.has(*limit)) {
            return false;
        }
        let waits =
            |process: &crate::state::Process| !process.has_ended() && process.step != Step::Reboot;
        let can_go_on = |pid| self.can_step(state, pid) || self.queue_can_step(state, pid);
        if !state.processes.iter().any(waits) || self.pids().any(can_go_on) {
            return false;
        }
        let mut actions = Vec::new();
        self.actions_of(state, &mut actions);
        actions.is_empty()
    }
}

type Names = (Option<Ino>, Option<Ino>, Option<Ino>, Option<Ino>);

fn names(state: &State) -> Names {
    let fs = &state.fs;
    let at = |name| fs.at(name);
    (at(Name::Guard), at(Name::Lockfile), at(Name::Registry), at(Name::LockFile))
}

/// Whether a property holds in a state.
type Holds = fn(&Configuration, &State) -> bool;

/// The properties, in the words of the invariants.
pub const PROPERTIES: &[(&str, Holds)] = &[
    ("one holder", |_, state| !state.has_violation(Violation::TwoHolders)),
    ("nothing acknowledged is lost", |_, state| {
        state.missing() & !state.excused & !state.in_exchange() == 0
    }),
    ("an update that failed left no trace", |_, state| {
        !state.has_violation(Violation::RejectedIsWritten)
            && state.rejected & state.fs.registry() == 0
    }),
    ("the holder checks before it commits", |_, state| {
        !state.has_violation(Violation::CommitWithoutLock)
    }),
    ("a process without the lock makes no temp file", |_, state| {
        !state.has_violation(Violation::TempWithoutLock)
    }),
    ("release is owner-checked", |_, state| !state.has_violation(Violation::ReleaseOfAnother)),
    ("an older argus's fresh lockfile stays", |_, state| {
        !state.has_violation(Violation::FreshLockfileRemoved)
    }),
    ("a hold is lost only to a program without this library", |_, state| {
        !state.has_violation(Violation::LostWithoutCause)
    }),
    ("a dead holder is not waited for", |_, state| {
        !state.has_violation(Violation::DeadHolderWaitedFor)
    }),
    ("a loss is told", |_, state| !state.has_violation(Violation::LossNotTold)),
    ("readers see whole files", |_, state| !state.has_violation(Violation::TornRead)),
    ("readers see no older file after a newer", |_, state| {
        !state.has_violation(Violation::OlderRead)
    }),
    ("waiting burns no CPU", |_, state| !state.has_violation(Violation::BusyLoop)),
    ("one file, one lock", |_, state| !state.has_violation(Violation::TwoKinds)),
    ("every wait ends", |configuration, state| !configuration.is_stuck(state)),
];

impl Model for Configuration {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.initial_states()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // What follows a violation shows nothing new.
        if state.violations == 0 {
            self.actions_of(state, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.apply(&mut state, action);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! always {
            ($($index:literal)*) => {
                vec![$(Property::<Self>::always(PROPERTIES[$index].0, |configuration, state| {
                    PROPERTIES[$index].1(configuration, state)
                }),)*]
            };
        }
        macro_rules! limits {
            ($($limit:ident)*) => {
                vec![$(Property::<Self>::sometimes(stringify!($limit), |_, state: &State| {
                    Limit::$limit.is_shown_by(state)
                }),)*]
            };
        }
        let mut properties = always![0 1 2 3 4 5 6 7 8 9 10 11 12 13 14];
        if self.mutation.is_none() {
            let limits = limits![
                CommitWindow ReleaseWindow LeftoverDeleted MovedAside OlderHasNoFence JudgedByAge
                ClearedTwice LockFileDeleted GuardDeleted TwoKinds
            ];
            properties.extend(limits);
        }
        properties
    }
}
