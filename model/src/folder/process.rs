//! The steps of the processes on a folder, as `src/folder/` makes them.

use super::state::{
    Call, File, Id, Journal, Phase, Process, State, Step, Temp, Violation, ADDED, IDS, REMOVED,
    SHARED,
};
use super::{Folder, Left, Role};
use crate::file_system::Pid;

pub struct Actor<'a> {
    pub folder: &'a Folder,
    pub state: &'a mut State,
    pub pid: Pid,
}

impl Actor<'_> {
    fn me(&mut self) -> &mut Process {
        &mut self.state.processes[usize::from(self.pid)]
    }

    fn this(&self) -> &Process {
        &self.state.processes[usize::from(self.pid)]
    }

    fn go(&mut self, step: Step) {
        self.me().step = step;
    }

    fn without(&self, left: Left) -> bool {
        self.folder.without == Some(left)
    }

    fn role(&self) -> Role {
        self.folder.roles[usize::from(self.pid)]
    }

    fn id(&self) -> Id {
        match self.role() {
            Role::Watcher(id) | Role::Remover(id) => id,
            Role::Pruner | Role::Updater => unreachable!("it has no entry of its own"),
        }
    }

    /// Gives an entry's name to a file, or to none.
    fn set_entry(&mut self, id: Id, file: Option<File>, is_meant: bool) {
        let before = self.state.entries[id];
        self.state.entries[id] = file;
        let Some(lost) = before.filter(|lost| Some(*lost) != file) else { return };
        let inode = *self.state.inode(lost);
        let is_live = inode.is_claimed
            && inode.locked_by.is_some_and(|pid| self.state.processes[usize::from(pid)].alive);
        if is_meant {
            self.state.inode(lost).was_removed = true;
        } else if is_live && inode.locked_by != Some(self.pid) && !inode.was_removed {
            self.state.violate(Violation::LiveEntryRemoved);
        }
    }

    pub fn step(&mut self) {
        match self.this().step {
            Step::Look
            | Step::CreateTemp
            | Step::LockTemp
            | Step::WriteTemp
            | Step::Link
            | Step::LockLinked
            | Step::RemoveTemp
            | Step::ReadFound
            | Step::AskForLock
            | Step::Replace
            | Step::Date
            | Step::LookAtName => self.watcher_step(),
            Step::TakeGuard | Step::Recover | Step::Calls | Step::ReadEntries | Step::Release => {
                self.guarded_step()
            }
            Step::Judge(_)
            | Step::AskForLockOf(_)
            | Step::RemoveDead(_)
            | Step::SweepLock
            | Step::SweepRemove => self.pruner_step(),
            Step::Ended => unreachable!("no step is left"),
        }
    }

    /// `entries::claim` and `publish::publish`, `entries::replace`, `held::renew`.
    fn watcher_step(&mut self) {
        let (pid, id) = (self.pid, self.id());
        let temp = Temp::Claim(pid);
        match self.this().step {
            Step::Look => {
                let is_there = self.state.entries[id].is_some();
                self.go(if is_there { Step::ReadFound } else { Step::CreateTemp });
            }
            Step::CreateTemp => {
                let file = self.state.create(0);
                self.state.set_temp(temp, Some(file));
                self.me().temp = Some(file);
                self.go(if self.without(Left::LockBeforeName) {
                    Step::WriteTemp
                } else {
                    Step::LockTemp
                });
            }
            Step::LockTemp => {
                let file = self.this().temp.expect("it was made");
                if self.state.inode(file).is_swept {
                    // A sweep is about to delete it.
                    return self.go(Step::CreateTemp);
                }
                self.state.inode(file).locked_by = Some(pid);
                self.go(Step::WriteTemp);
            }
            Step::WriteTemp => {
                let file = self.this().temp.expect("it was made");
                self.state.inode(file).is_claimed = true;
                // Under the guard a name that is taken is judged anew.
                let replaces = self.this().has_guard && self.this().found.is_some();
                self.go(if replaces { Step::Replace } else { Step::Link });
            }
            Step::Link => {
                let is_free = self.state.entries[id].is_none() || self.without(Left::ExclusiveName);
                match (self.state.temp(temp), is_free) {
                    // It was swept before it was locked.
                    (None, _) => self.go(Step::CreateTemp),
                    (Some(_), false) => {
                        self.me().temp = None;
                        self.go(Step::RemoveTemp);
                    }
                    (Some(file), true) => {
                        self.set_entry(id, Some(file), false);
                        let locks = self.without(Left::LockBeforeName);
                        self.go(if locks { Step::LockLinked } else { Step::RemoveTemp });
                    }
                }
            }
            // Only in a mutation.
            Step::LockLinked => {
                let file = self.this().temp.expect("it was made");
                self.state.inode(file).locked_by = Some(pid);
                self.go(Step::RemoveTemp);
            }
            Step::RemoveTemp => {
                self.state.set_temp(temp, None);
                match self.this().temp {
                    Some(file) => self.hold(file),
                    None => self.go(Step::ReadFound),
                }
            }
            Step::ReadFound => {
                let found = self.state.entries[id];
                self.me().found = found;
                self.go(if found.is_some() { Step::AskForLock } else { self.taken() });
            }
            Step::AskForLock => {
                let is_dead = self.is_dead(id);
                let next = match (is_dead, self.this().has_guard) {
                    (false, _) => self.taken(),
                    (true, true) => Step::CreateTemp,
                    (true, false) if self.without(Left::Guard) => Step::CreateTemp,
                    (true, false) => Step::TakeGuard,
                };
                let is_judged_again = self.without(Left::JudgeAgain) || self.without(Left::Guard);
                if next == Step::TakeGuard && !is_judged_again {
                    self.me().found = None;
                }
                if self.without(Left::Guard) && is_dead {
                    self.me().has_guard = true;
                }
                self.go(next);
            }
            Step::Replace => match self.state.temp(temp) {
                None => self.go(Step::CreateTemp),
                Some(file) => {
                    self.state.set_temp(temp, None);
                    self.set_entry(id, Some(file), false);
                    self.hold(file);
                }
            },
            Step::Date => self.go(Step::LookAtName),
            Step::LookAtName => self.look_at_name(id),
            _ => unreachable!("not a step of a watcher"),
        }
    }

    fn look_at_name(&mut self, id: Id) {
        let Some(file) = self.this().holds else { return self.go(Step::Ended) };
        let is_told = !self.state.is_named(file) && !self.without(Left::LinkCount);
        let is_in_place = self.state.entries[id] == Some(file);
        let is_aside = self
            .state
            .temps
            .iter()
            .any(|(temp, found)| *found == file && matches!(temp, Temp::Aside(_)));
        if is_told {
            self.me().holds = None;
            self.state.inode(file).locked_by = None;
        } else if is_aside {
            let other = self.state.entries[id].is_some();
            self.state.has_renewed_aside |= other && self.state.guard.is_none();
        } else if !is_in_place {
            self.state.violate(Violation::LossNotTold);
        }
        self.go(Step::Ended);
    }

    fn taken(&self) -> Step {
        if self.this().has_guard && !self.without(Left::Guard) {
            return Step::Release;
        }
        Step::Ended
    }

    fn hold(&mut self, file: File) {
        let (pid, id) = (self.pid, self.id());
        self.me().holds = Some(file);
        self.me().temp = None;
        self.me().found = None;
        let owners = self.folder.roles.iter().zip(&self.state.processes).enumerate();
        let others = owners.filter(|(other, (role, process))| {
            *other != usize::from(pid) && **role == Role::Watcher(id) && process.alive
        });
        let files: Vec<File> = others.filter_map(|(_, (_, process))| process.holds).collect();
        let is_present = |file: File| !self.state.files[usize::from(file)].was_removed;
        if is_present(file) && files.into_iter().any(is_present) {
            self.state.violate(Violation::TwoOwners);
        }
        let has_guard = self.this().has_guard && !self.without(Left::Guard);
        self.go(if has_guard { Step::Release } else { Step::Date });
    }

    /// Whether the entry that was read, and the lock of what has its name now, say that its watcher is dead.
    fn is_dead(&mut self, id: Id) -> bool {
        let Some(found) = self.this().found else { return false };
        let is_claimed = self.state.inode(found).is_claimed;
        let now = self.state.entries[id];
        let is_locked = now.is_some_and(|file| self.state.inode(file).locked_by.is_some());
        is_claimed && (!is_locked || self.without(Left::EntryLock))
    }

    fn guarded_step(&mut self) {
        match self.this().step {
            Step::TakeGuard => {
                self.state.guard = Some(self.pid);
                self.me().has_guard = true;
                self.go(if self.without(Left::Recovery) {
                    self.after_recovery()
                } else {
                    Step::Recover
                });
            }
            Step::Recover => {
                let calls = self.state.journal.map_or(Vec::new(), |journal| self.recovery(journal));
                let next = if calls.is_empty() { self.after_recovery() } else { Step::Calls };
                self.me().calls = calls;
                self.me().is_own = false;
                self.go(next);
            }
            Step::ReadEntries => {
                self.me().read = self.state.entries;
                self.me().is_taken = false;
                self.me().has_removed = false;
                let calls = self.update();
                self.me().calls = calls;
                self.me().is_own = true;
                self.go(Step::Calls);
            }
            Step::Calls => self.call(),
            Step::Release => {
                self.state.guard = None;
                self.me().has_guard = false;
                let holds = self.this().holds.is_some();
                self.go(if holds { Step::Date } else { Step::Ended });
            }
            _ => unreachable!("not a step under the guard"),
        }
    }

    fn after_recovery(&self) -> Step {
        match self.role() {
            // Published anew, as the entry may have been removed meanwhile.
            Role::Watcher(_) => Step::CreateTemp,
            Role::Remover(id) => Step::Judge(id),
            Role::Pruner => Step::SweepLock,
            Role::Updater => Step::ReadEntries,
        }
    }

    /// `journal::recover`
    fn recovery(&self, journal: Journal) -> Vec<Call> {
        match journal.phase {
            Phase::Prepare => self.undo(journal),
            Phase::Commit => {
                let mut calls = apply(journal);
                calls.push(Call::WriteJournal(Phase::Clean));
                calls.extend(clean(journal));
                calls
            }
            Phase::Clean => clean(journal),
        }
    }

    /// `journal::undo`
    fn undo(&self, journal: Journal) -> Vec<Call> {
        let by = journal.by;
        let mut calls = Vec::new();
        if journal.adds {
            calls.extend([Call::Unlink(by), Call::RemoveTemp(Temp::Adding(by))]);
        }
        calls.extend([Call::RemoveTemp(Temp::Replacing(by)), Call::RemoveJournal]);
        calls
    }

    /// `update::several` and `update::one_change`
    fn update(&mut self) -> Vec<Call> {
        let (pid, read) = (self.pid, self.this().read);
        let bit = 1 << pid;
        let shared = read[SHARED].map_or(0, |file| self.state.inode(file).bits);
        let journal = Journal {
            phase: Phase::Prepare,
            by: pid,
            adds: read[ADDED].is_none(),
            removes: read[REMOVED].is_some(),
        };
        let mut calls = vec![Call::WriteTemp(Temp::Replacing(pid), shared | bit)];
        self.me().plan = None;
        if !journal.adds && !journal.removes {
            calls.push(Call::Replace(pid));
            return calls;
        }
        self.me().plan = Some((None, read[REMOVED]));
        if journal.adds {
            calls.push(Call::WriteTemp(Temp::Adding(pid), 0));
            if !self.without(Left::Prepare) {
                calls.push(Call::WriteJournal(Phase::Prepare));
            }
            calls.push(Call::Link(pid));
        }
        if !self.without(Left::Commit) {
            calls.push(Call::WriteJournal(Phase::Commit));
        }
        calls.extend(apply(journal));
        if !self.without(Left::Clean) {
            calls.push(Call::WriteJournal(Phase::Clean));
        }
        calls.extend(clean(journal));
        calls
    }

    fn call(&mut self) {
        let call = self.me().calls.remove(0);
        let pid = self.pid;
        match call {
            Call::WriteTemp(temp, bits) => {
                let file = self.state.create(bits);
                self.state.set_temp(temp, Some(file));
                if let (Temp::Adding(_), Some((added, _))) = (temp, &mut self.me().plan) {
                    *added = Some(file);
                }
            }
            Call::WriteJournal(phase) => {
                let known = self.state.journal.filter(|_| !self.this().is_own);
                let read = self.this().read;
                let new = Journal {
                    phase,
                    by: pid,
                    adds: read[ADDED].is_none(),
                    removes: read[REMOVED].is_some(),
                };
                self.state.journal = Some(Journal { phase, ..known.unwrap_or(new) });
            }
            Call::RemoveJournal => self.state.journal = None,
            Call::Link(by) => match self.state.entries[ADDED] {
                None => {
                    let file = self.state.temp(Temp::Adding(by));
                    self.set_entry(ADDED, file, false);
                }
                Some(_) => {
                    // A watcher has claimed the id: the update is undone, and runs again.
                    self.me().is_taken = true;
                    let journal = Journal { phase: Phase::Prepare, by, adds: true, removes: false };
                    self.me().calls = self.undo(journal);
                    self.me().plan = None;
                }
            },
            Call::Unlink(by) => {
                let added = self.state.temp(Temp::Adding(by));
                let is_it = added.is_some() && self.state.entries[ADDED] == added;
                if is_it || self.without(Left::UndoOfOwn) {
                    self.set_entry(ADDED, None, false);
                }
            }
            Call::Replace(by) => {
                if let Some(file) = self.state.temp(Temp::Replacing(by)) {
                    self.state.set_temp(Temp::Replacing(by), None);
                    self.set_entry(SHARED, Some(file), false);
                }
            }
            Call::RenameAside(by) => {
                let is_done = self.state.temp(Temp::Aside(by)).is_some();
                let file = self.state.entries[REMOVED];
                if (!is_done || self.without(Left::RenamedOnce)) && file.is_some() {
                    self.state.set_temp(Temp::Aside(by), file);
                    let planned = self.state.processes[usize::from(by)].plan;
                    let is_meant = planned.is_some_and(|(_, removed)| removed == file);
                    self.state.processes[usize::from(by)].has_removed |= is_meant;
                    self.set_entry(REMOVED, None, is_meant);
                }
            }
            Call::RemoveTemp(temp) => self.state.set_temp(temp, None),
            Call::RemoveEntry => {
                let id = self.id();
                self.set_entry(id, None, true);
            }
        }
        if !self.this().calls.is_empty() {
            return;
        }
        let next = match (self.this().is_own, self.this().is_taken) {
            (false, _) => self.after_recovery(),
            (true, true) => Step::ReadEntries,
            (true, false) => {
                self.me().is_acknowledged = self.role() == Role::Updater;
                Step::Release
            }
        };
        self.go(next);
    }

    /// `entries::prune`, `temps::sweep` and `entries::remove`
    fn pruner_step(&mut self) {
        match self.this().step {
            Step::SweepLock => {
                let claims = |(temp, _): &&(Temp, File)| matches!(temp, Temp::Claim(_));
                let claimed = self.state.temps.iter().find(claims).copied();
                let free = claimed
                    .filter(|(_, file)| self.state.files[usize::from(*file)].locked_by.is_none());
                self.me().sweeps = free;
                if let Some((_, file)) = free {
                    self.state.inode(file).is_swept = true;
                }
                self.go(if free.is_some() { Step::SweepRemove } else { Step::Judge(0) });
            }
            Step::SweepRemove => {
                let (temp, file) = self.me().sweeps.take().expect("it was locked");
                self.state.inode(file).is_swept = false;
                // A temp file that was made anew has another name.
                if self.state.temp(temp) == Some(file) {
                    self.state.set_temp(temp, None);
                }
                self.go(Step::Judge(0));
            }
            Step::Judge(id) => {
                self.me().found = self.state.entries[id];
                let next = match (self.role(), self.this().found.is_some()) {
                    (Role::Remover(_), true) => {
                        self.me().calls = vec![Call::RemoveEntry];
                        self.me().is_own = true;
                        Step::Calls
                    }
                    (Role::Remover(_), false) => Step::Release,
                    (_, true) => Step::AskForLockOf(id),
                    (_, false) => self.judge_next(id),
                };
                self.go(next);
            }
            Step::AskForLockOf(id) => {
                let next =
                    if self.is_dead(id) { Step::RemoveDead(id) } else { self.judge_next(id) };
                self.go(next);
            }
            Step::RemoveDead(id) => {
                self.set_entry(id, None, false);
                self.go(self.judge_next(id));
            }
            _ => unreachable!("not a step of a pruner"),
        }
    }

    fn judge_next(&self, id: Id) -> Step {
        if id + 1 < IDS {
            Step::Judge(id + 1)
        } else {
            Step::Release
        }
    }
}

/// `journal::apply`
fn apply(journal: Journal) -> Vec<Call> {
    let mut calls = vec![Call::Replace(journal.by)];
    if journal.removes {
        calls.push(Call::RenameAside(journal.by));
    }
    calls
}

/// `journal::clean`
fn clean(journal: Journal) -> Vec<Call> {
    let mut calls = Vec::new();
    if journal.adds {
        calls.push(Call::RemoveTemp(Temp::Adding(journal.by)));
    }
    if journal.removes {
        calls.push(Call::RemoveTemp(Temp::Aside(journal.by)));
    }
    calls.push(Call::RemoveJournal);
    calls
}
