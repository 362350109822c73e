//! What is done under the folder's guard: recovery, and updates of several entries with their journal.

use super::process::Actor;
use super::state::{Call, Journal, Phase, Step, Temp, ADDED, REMOVED, SHARED};
use super::{Left, Role};

impl Actor<'_> {
    pub fn guarded_step(&mut self) {
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
