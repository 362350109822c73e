//! The steps of `src/files/`, and the release.

use crate::configuration::{Mutation, Role};
use crate::file_system::{Content, Name};
use crate::process::Actor;
use crate::state::{Limit, Violation};
use crate::step::Step;

impl Actor<'_> {
    pub fn commit_step(&mut self) {
        use Step::*;
        let temp = Name::ContentTemp(self.pid, self.this().nonce);
        match self.this().step {
            ReadOld => {
                let old =
                    self.state.fs.at(Name::Registry).map(|ino| (ino, self.state.fs.registry()));
                let batch = self.next_batch();
                let process = self.me();
                process.old = old;
                process.batch = batch;
                process.queued &= !batch;
                if batch == 0 {
                    // All calls were cancelled.
                    return self.go(self.releasing());
                }
                let skips_check = self.without(Mutation::FirstCheck);
                let next = match self.role().is_document() {
                    _ if skips_check => CreateTemp,
                    true => FirstDocumentCheck,
                    false => FirstCheck,
                };
                self.me().is_checked = false;
                self.go(next);
            }
            FirstCheck | FirstDocumentCheck => match self.check() {
                true => {
                    self.me().is_checked = true;
                    self.go(CreateTemp);
                }
                false => self.lost(),
            },
            CreateTemp => {
                if !self.this().is_checked && !self.has_lock() {
                    self.state.violate(Violation::TempWithoutLock);
                }
                self.fs().create(temp, Content::Empty);
                self.go(WriteTemp);
            }
            WriteTemp => {
                let content = self.this().old.map_or(0, |(_, updates)| updates) | self.this().batch;
                if let Some(ino) = self.state.fs.at(temp) {
                    self.fs().write(ino, Content::Updates(content));
                }
                let syncs = self.configuration.syncs();
                let next = match syncs && !self.without(Mutation::FileSync) {
                    true => SyncTemp,
                    false => self.last_check(),
                };
                self.go(next);
            }
            SyncTemp => {
                if let Some(ino) = self.state.fs.at(temp) {
                    self.fs().inode_mut(ino).is_synced = true;
                }
                self.go(self.last_check());
            }
            LastCheck | LastDocumentCheck => match self.check() {
                true => {
                    if !self.has_lock() {
                        self.state.violate(Violation::CommitWithoutLock);
                    }
                    self.me().is_checked = true;
                    self.go(if self.configuration.exchanges { Exchange } else { Rename });
                }
                false => {
                    self.me().is_lost = true;
                    self.go(RemoveOwnTemp);
                }
            },
            RemoveOwnTemp => {
                self.fs().set(temp, None);
                self.lost();
            }
            Rename => self.rename(temp),
            Exchange | LookAtReplaced | ExchangeBack | RemoveReplaced => self.exchange_step(temp),
            SyncFolder => {
                self.acknowledge();
                self.go(self.releasing());
            }
            LookBeforeRemove => {
                if self.role() == Role::Doctor {
                    self.me().queued = 0;
                }
                let is_in_place = self.state.fs.at(Name::Lockfile) == self.this().lockfile;
                if !is_in_place {
                    self.me().lockfile = None;
                    self.me().is_told |= self.this().has_written;
                }
                self.go(if is_in_place { RemoveLockfile } else { UnlockGuard });
                if !is_in_place && self.this().guard.is_none() {
                    self.finish();
                }
            }
            RemoveLockfile => {
                let is_there = self.state.fs.at(Name::Lockfile).is_some();
                if is_there && !self.has_lock() {
                    match self.without(Mutation::ReleaseOwner) {
                        true => self.state.violate(Violation::ReleaseOfAnother),
                        false => self.note(Limit::ReleaseWindow),
                    }
                }
                self.fs().set(Name::Lockfile, None);
                self.me().lockfile = None;
                // The look before has found the lockfile in place, so no loss is told.
                self.me().in_window = false;
                match self.this().guard {
                    Some(_) => self.go(UnlockGuard),
                    None => self.finish(),
                }
            }
            _ => unreachable!("not a step of a commit"),
        }
    }

    fn check(&self) -> bool {
        let process = self.this();
        if self.role().is_document() {
            return process.guard.is_some()
                && self.state.fs.at(Name::LockFile) == process.guard
                && !self.is_used_as_registry();
        }
        self.state.fs.at(Name::Lockfile) == process.lockfile
    }

    fn last_check(&self) -> Step {
        match self.role().is_document() {
            _ if self.without(Mutation::LastCheck) => Step::Rename,
            true if self.without(Mutation::DocumentCheck) => Step::Rename,
            true => Step::LastDocumentCheck,
            false => Step::LastCheck,
        }
    }

    pub fn releasing(&self) -> Step {
        match self.role().is_document() {
            true => Step::UnlockGuard,
            false if self.without(Mutation::ReleaseOwner) => Step::RemoveLockfile,
            false => Step::LookBeforeRemove,
        }
    }

    /// The update runs again.
    fn lost(&mut self) {
        let is_used = self.role().is_document() && self.is_used_as_registry();
        if !self.this().is_taken && !is_used {
            self.state.violate(Violation::LostWithoutCause);
        }
        self.me().is_lost = true;
        self.go(self.releasing());
    }

    fn rename(&mut self, temp: Name) {
        let before = self.state.fs.registry();
        let is_held = self.has_lock();
        if !self.fs().rename(temp, Name::Registry) {
            // Another process has removed the temp file because it took this process for dead.
            self.me().is_lost = true;
            return self.go(Step::RemoveOwnTemp);
        }
        let after = self.state.fs.registry();
        if !is_held {
            let skips = [Mutation::LastCheck, Mutation::DocumentCheck];
            let is_mutated = skips.iter().any(|check| self.without(*check));
            match self.role().is_document() {
                _ if is_mutated => self.state.violate(Violation::CommitWithoutLock),
                true => self.note(Limit::LockFileDeleted),
                false => self.note(Limit::CommitWindow),
            }
            self.me().in_window = !self.role().is_document();
            let batch = self.this().batch;
            self.state.excused |= (before & !after) | batch;
        }
        if self.state.has(Limit::TwoKinds) {
            let batch = self.this().batch;
            self.state.excused |= (before & !after) | batch;
        }
        let batch = self.this().batch;
        if self.state.rejected & batch != 0 {
            self.state.violate(Violation::RejectedIsWritten);
        }
        self.me().has_written = true;
        let syncs = self.configuration.syncs() && !self.without(Mutation::FolderSync);
        if syncs {
            return self.go(Step::SyncFolder);
        }
        self.acknowledge();
        self.go(self.releasing());
    }

    /// The change would survive a power failure from here on.
    fn acknowledge(&mut self) {
        let batch = self.this().batch;
        self.state.acknowledged |= batch;
        self.me().batch = 0;
    }
}
