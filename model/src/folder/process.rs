//! The steps of the processes on a folder, as `src/folder/` makes them.

use super::state::{File, Id, Process, State, Step, Temp, Violation, REMOVED};
use super::{Folder, Left, Role};
use crate::file_system::Pid;

pub struct Actor<'a> {
    pub folder: &'a Folder,
    pub state: &'a mut State,
    pub pid: Pid,
}

impl Actor<'_> {
    pub fn me(&mut self) -> &mut Process {
        &mut self.state.processes[usize::from(self.pid)]
    }

    pub fn this(&self) -> &Process {
        &self.state.processes[usize::from(self.pid)]
    }

    pub fn go(&mut self, step: Step) {
        self.me().step = step;
    }

    pub fn without(&self, left: Left) -> bool {
        self.folder.without == Some(left)
    }

    pub fn role(&self) -> Role {
        self.folder.roles[usize::from(self.pid)]
    }

    pub fn id(&self) -> Id {
        match self.role() {
            Role::Watcher(id) | Role::Remover(id) => id,
            Role::Pruner | Role::Updater => unreachable!("it has no entry of its own"),
        }
    }

    /// Gives an entry's name to a file, or to none.
    pub fn set_entry(&mut self, id: Id, file: Option<File>, is_meant: bool) {
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
            | Step::ReadJournal
            | Step::EndRemoved(_)
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
    pub fn watcher_step(&mut self) {
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
                    Some(file) if self.this().has_guard || self.without(Left::EndOfRemoved) => {
                        self.hold(file)
                    }
                    Some(_) => self.go(Step::ReadJournal),
                    None => self.go(Step::ReadFound),
                }
            }
            Step::ReadJournal => {
                let journal = self.state.journal.filter(|found| found.removes && id == REMOVED);
                let renamed = journal.map(|journal| Temp::Aside(journal.by));
                match renamed.filter(|renamed| self.state.temp(*renamed).is_some()) {
                    Some(renamed) => self.go(Step::EndRemoved(renamed)),
                    None => self.hold_linked(),
                }
            }
            Step::EndRemoved(renamed) => {
                let empty = self.state.create(0);
                self.state.set_temp(renamed, Some(empty));
                self.hold_linked();
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

    pub fn look_at_name(&mut self, id: Id) {
        let Some(file) = self.this().holds else { return self.go(Step::Ended) };
        let is_told = !self.state.is_named(file) && !self.without(Left::LinkCount);
        let is_in_place = self.state.entries[id] == Some(file);
        // An update that is not finished has renamed it. That it is gone has been told to no caller.
        let renamed =
            |(temp, found): &(Temp, File)| *found == file && matches!(temp, Temp::Aside(_));
        let is_aside = self.state.temps.iter().any(renamed);
        let is_of_another = self.state.entries[id].is_some_and(|new| {
            self.state.processes.iter().any(|process| process.holds == Some(new))
        });
        if is_told {
            self.me().holds = None;
            self.state.inode(file).locked_by = None;
        } else if !is_in_place && (!is_aside || is_of_another) {
            self.state.violate(Violation::LossNotTold);
        }
        self.go(Step::Ended);
    }

    pub fn taken(&self) -> Step {
        if self.this().has_guard && !self.without(Left::Guard) {
            return Step::Release;
        }
        Step::Ended
    }

    fn hold_linked(&mut self) {
        let file = self.this().temp.expect("it was published");
        self.hold(file);
    }

    pub fn hold(&mut self, file: File) {
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
    pub fn is_dead(&mut self, id: Id) -> bool {
        let Some(found) = self.this().found else { return false };
        let is_claimed = self.state.inode(found).is_claimed;
        let now = self.state.entries[id];
        let is_locked = now.is_some_and(|file| self.state.inode(file).locked_by.is_some());
        is_claimed && (!is_locked || self.without(Left::EntryLock))
    }
}
