//! The steps of a document call, of the doctor, of readers and of older argus versions.

use crate::configuration::{Configuration, Mutation, Role};
use crate::file_system::{Content, Name};
use crate::process::Actor;
use crate::state::{Limit, Violation};
use crate::step::Step;

impl Actor<'_> {
    pub fn document_step(&mut self) {
        use Step::*;
        match self.this().step {
            OpenLockFile => {
                let found = self.state.fs.at(Name::LockFile);
                // Asked before the lock file is made, so that a refused call leaves no trace.
                if found.is_none() && self.is_used_as_registry() {
                    self.me().is_over = true;
                    return self.finish();
                }
                self.me().guard = found;
                self.go(if found.is_some() { TryLock } else { CreateLockFile });
            }
            CreateLockFile => {
                let made = self.state.fs.create(Name::LockFile, Content::Empty);
                self.me().guard = made;
                self.me().made_lock_file = made.is_some();
                self.go(if made.is_some() { TryLock } else { OpenLockFile });
            }
            CheckLockFile => {
                let is_in_place = self.state.fs.at(Name::LockFile) == self.this().guard;
                match self.configuration.first_use {
                    _ if !is_in_place && !self.without(Mutation::GuardName) => self.go(UnlockGuard),
                    true if !self.without(Mutation::FirstUse) => self.go(LookForGuard),
                    _ => self.document_held(),
                }
            }
            LookForGuard => match self.is_used_as_registry() {
                true if self.this().made_lock_file => self.go(RemoveLockFile),
                true => {
                    self.me().is_over = true;
                    self.go(UnlockGuard);
                }
                false => self.document_held(),
            },
            RemoveLockFile => {
                if self.state.fs.at(Name::LockFile) == self.this().guard {
                    self.fs().set(Name::LockFile, None);
                }
                self.me().is_over = true;
                self.go(UnlockGuard);
            }
            _ => unreachable!("not a step of a document call"),
        }
    }

    /// Whether the guard has a record.
    pub fn is_used_as_registry(&self) -> bool {
        self.configuration.first_use
            && self.state.fs.at(Name::Guard).is_some_and(|ino| self.state.fs.record(ino).is_some())
    }

    fn document_held(&mut self) {
        let process = self.me();
        process.nonce += 1;
        process.lockfile = process.guard;
        self.acquired();
    }

    pub fn other_step(&mut self) {
        match self.this().step {
            Step::Survey => {
                let fs = &self.state.fs;
                let is_litter = |name: &Name| name.is_temp() || *name == Name::Lockfile;
                let has_litter = fs.names().iter().any(|(name, _)| is_litter(name));
                if !has_litter {
                    self.me().queued = 0;
                }
                self.go(if has_litter { Step::OpenGuard } else { Step::Ended });
            }
            Step::OpenToRead => {
                let opened = self.state.fs.at(Name::Registry);
                let seen = self.this().batch;
                self.me().old = opened.map(|ino| (ino, seen));
                self.go(if opened.is_some() { Step::ReadOpened } else { Step::Ended });
            }
            Step::ReadOpened => {
                let (ino, seen) = self.me().old.take().expect("it is open");
                match self.state.fs.inode(ino).content {
                    Content::Updates(read) => {
                        if seen & !read & !self.state.excused != 0 {
                            self.state.violate(Violation::OlderRead);
                        }
                        self.me().batch = seen | (read & !self.state.excused);
                    }
                    _ => self.state.violate(Violation::TornRead),
                }
                // Two reads.
                let process = self.me();
                process.nonce += 1;
                process.step = if process.nonce == 2 { Step::Ended } else { Step::OpenToRead };
                if process.step == Step::Ended {
                    process.batch = 0;
                }
            }
            _ => unreachable!("not a step of a reader"),
        }
    }

    pub fn older_step(&mut self) {
        use Step::*;
        let pid = self.pid;
        match self.this().step {
            OlderCreate => match self.state.fs.create(Name::Lockfile, Content::Empty) {
                Some(ino) => {
                    self.fs().inode_mut(ino).lockfile_of = Some(pid);
                    if self.one_of_older_is_aside() {
                        self.note(Limit::MovedAside);
                    }
                    self.go(OlderRead);
                }
                None => self.go(OlderLook),
            },
            OlderLook => {
                let found = self.state.fs.at(Name::Lockfile);
                let is_old = found
                    .is_some_and(|ino| self.state.fs.is_old(self.state.fs.inode(ino).modified));
                self.go(if is_old { OlderDelete } else { OlderCreate });
            }
            OlderDelete => {
                self.older_deletes();
                self.go(OlderCreate);
            }
            OlderRead => {
                let (read, batch) = (self.state.fs.registry(), self.next_batch());
                let process = self.me();
                process.batch = batch;
                process.queued &= !batch;
                process.read = read;
                self.go(OlderWrite);
            }
            OlderWrite => {
                let content = self.this().read | self.this().batch;
                self.fs().set(Name::OlderTemp(pid), None);
                self.fs().create(Name::OlderTemp(pid), Content::Updates(content));
                self.go(OlderRename);
            }
            OlderRename => {
                let before = self.state.fs.registry();
                let is_held = self.older_holds() && !self.state.has(Limit::MovedAside);
                self.fs().rename(Name::OlderTemp(pid), Name::Registry);
                let after = self.state.fs.registry();
                if !is_held {
                    if before & !after != 0 && !self.state.has(Limit::MovedAside) {
                        self.note(Limit::OlderHasNoFence);
                    }
                    let batch = self.this().batch;
                    self.state.excused |= (before & !after) | batch;
                }
                self.me().read = 0;
                self.go(OlderRelease);
            }
            OlderRelease => {
                self.older_deletes();
                let batch = self.this().batch;
                self.state.acknowledged |= batch;
                let process = self.me();
                process.batch = 0;
                process.step = if process.queued == 0 { Ended } else { OlderCreate };
            }
            _ => unreachable!("not a step of an older argus"),
        }
    }

    fn one_of_older_is_aside(&self) -> bool {
        let fs = &self.state.fs;
        fs.names().iter().any(|(name, ino)| {
            matches!(name, Name::Aside(_)) && fs.inode(*ino).lockfile_of.is_some()
        })
    }

    fn older_holds(&self) -> bool {
        let found = self.state.fs.at(Name::Lockfile);
        found.is_some_and(|ino| self.state.fs.inode(ino).lockfile_of == Some(self.pid))
    }

    /// Deletes whichever file has the lockfile's name.
    fn older_deletes(&mut self) {
        let Some(ino) = self.state.fs.at(Name::Lockfile) else { return };
        let is_fresh = !self.state.fs.is_old(self.state.fs.inode(ino).modified);
        let configuration: &Configuration = self.configuration;
        let is_held = (0..configuration.roles.len() as u8).any(|holder| {
            !matches!(configuration.role(holder), Role::Older)
                && self.state.processes[usize::from(holder)].alive
                && crate::process::has_lock(configuration, self.state, holder)
        });
        if is_fresh && is_held {
            self.note(Limit::LeftoverDeleted);
        }
        self.fs().set(Name::Lockfile, None);
    }
}
