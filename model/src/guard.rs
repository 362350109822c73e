//! The steps of `src/lock/guard.rs`, `kernel_lock.rs` and `kernel_queue.rs`.

use crate::configuration::{Mutation, Role};
use crate::file_system::{Content, Name};
use crate::process::Actor;
use crate::state::{Limit, QueueThread, Violation};
use crate::step::Step;

impl Actor<'_> {
    pub fn guard_step(&mut self) {
        use Step::*;
        let pid = self.pid;
        let files = self.configuration.files;
        match self.this().step {
            OpenGuard | OpenGuardAgain => match self.state.fs.at(Name::Guard) {
                Some(ino) => {
                    self.me().guard = Some(ino);
                    let is_unused = self.state.fs.record(ino).is_none();
                    self.me().opened_unused = is_unused && self.configuration.syncs();
                    self.go(TryLock);
                }
                None if self.this().step == OpenGuardAgain => self.go(CreateGuard),
                None if self.configuration.first_use => self.go(LookForLockFile),
                None => self.go(OpenGuardAgain),
            },
            // Before the guard is made, and again when an unused one is locked.
            LookForLockFile => {
                let is_there = self.state.fs.at(Name::LockFile).is_some() && self.knows_lock_file();
                match (is_there, self.this().guard.is_some()) {
                    (false, false) => self.go(OpenGuardAgain),
                    (false, true) => self.go(WriteRecord),
                    (true, false) => {
                        self.me().is_over = true;
                        self.finish();
                    }
                    (true, true) => self.go(RemoveUnusedGuard),
                }
            }
            RemoveUnusedGuard => {
                self.fs().set(Name::Guard, None);
                self.me().is_over = true;
                self.go(UnlockGuard);
            }
            CreateGuard => {
                self.me().guard = self.state.fs.create(Name::GuardTemp(pid), Content::Empty);
                self.go(LinkGuard);
            }
            LinkGuard => {
                let temp = self.state.fs.at(Name::GuardTemp(pid));
                let is_free = self.state.fs.at(Name::Guard).is_none();
                let is_made = |ino| match files.second_names {
                    true => self.fs().link(ino, Name::Guard),
                    false => is_free,
                };
                if !temp.is_some_and(is_made) {
                    self.me().guard = None;
                }
                self.go(RemoveGuardTemp);
            }
            RemoveGuardTemp => {
                self.fs().set(Name::GuardTemp(pid), None);
                let next = match (files.second_names, self.this().guard) {
                    (_, None) => OpenGuardAgain,
                    (false, Some(_)) => {
                        self.me().guard = None;
                        CreateGuardInPlace
                    }
                    (true, Some(_)) => TryLock,
                };
                // Another process may have used the new guard by now.
                let made = self.this().guard.filter(|_| self.configuration.syncs());
                self.me().opened_unused =
                    made.is_some_and(|ino| self.state.fs.record(ino).is_none());
                self.go(next);
            }
            CreateGuardInPlace => {
                self.me().guard = self.state.fs.create(Name::Guard, Content::Empty);
                let is_made = self.this().guard.is_some();
                self.me().opened_unused = is_made && self.configuration.syncs();
                self.go(if is_made { TryLock } else { OpenGuardAgain });
            }
            TryLock => self.try_lock(),
            WaitForLock => unreachable!("the queue's thread hands the lock over"),
            CheckGuard => {
                let guard = self.this().guard.expect("the guard is open");
                let is_unused = self.state.fs.record(guard).is_none();
                let next = match self.state.fs.at(Name::Guard) == Some(guard) {
                    true if self.configuration.first_use
                        && is_unused
                        && !self.without(Mutation::FirstUse) =>
                    {
                        LookForLockFile
                    }
                    true => WriteRecord,
                    false => UnlockGuard,
                };
                self.go(next);
            }
            WriteRecord => {
                let guard = self.this().guard.expect("the guard is open");
                // A retry after a lockfile was cleared away is one acquisition here.
                if !self.this().linked && self.this().found.is_none() {
                    self.me().nonce += 1;
                }
                self.me().linked = false;
                self.me().found = None;
                let was_unused = self.state.fs.record(guard).is_none();
                let was_synced = self.state.fs.inode(guard).is_synced;
                let record = self.record();
                self.fs().write(guard, Content::Record(record));
                // What was synced once is not lost: a power failure leaves this record or that one.
                self.fs().inode_mut(guard).is_synced = was_synced && !was_unused;
                self.go(if self.this().opened_unused { SyncGuard } else { self.naming() });
            }
            SyncGuard => {
                let guard = self.this().guard.expect("the guard is open");
                self.fs().inode_mut(guard).is_synced = true;
                self.go(self.naming());
            }
            UnlockGuard => {
                if let Some(guard) = self.this().guard {
                    self.fs().inode_mut(guard).locked_by = None;
                }
                self.finish();
            }
            _ => unreachable!("not a step of the guard"),
        }
    }

    /// The step that gives the lockfile its name.
    pub fn naming(&self) -> Step {
        let files = self.configuration.files;
        // Where files can't have two names, that is found out by the link.
        match files.lockfile_is_guard || !files.second_names {
            true => Step::LinkLockfile,
            false => Step::CreateLockfileTemp,
        }
    }

    fn knows_lock_file(&self) -> bool {
        !self.configuration.roles.contains(&Role::DocumentElsewhere)
    }

    fn try_lock(&mut self) {
        let (pid, ino) = (self.pid, self.this().guard.expect("the file is open"));
        if !self.configuration.files.kernel_locks {
            let process = self.me();
            process.nonce += 1;
            process.guard = None;
            return self.go(Step::CreateLockfileTemp);
        }
        let joins = self.this().queue != QueueThread::None;
        if !joins && self.lock_is_free(ino) {
            self.fs().inode_mut(ino).locked_by = Some(pid);
            return self.go(self.after_lock());
        }
        if self.role() == Role::Doctor {
            // One try.
            self.me().is_over = true;
            return self.finish();
        }
        if !joins {
            self.me().queue = QueueThread::Blocked(ino);
        }
        self.go(Step::WaitForLock);
    }

    /// The lock was taken.
    pub fn acquired(&mut self) {
        let is_document = self.role().is_document();
        let others = self.state.processes.iter().enumerate();
        let held = others.filter(|(other, process)| {
            *other != usize::from(self.pid)
                && process.alive
                && process.lockfile.is_some()
                && process.step >= Step::ListTemps
                && !process.is_taken
        });
        let held: Vec<bool> =
            held.map(|(other, _)| self.configuration.role(other as u8).is_document()).collect();
        let is_taken = self.this().is_taken;
        for other_is_document in held.into_iter().filter(|_| !is_taken) {
            match (other_is_document == is_document, self.knows_lock_file()) {
                (true, _) => self.state.violate(Violation::TwoHolders),
                (false, true) => self.state.violate(Violation::TwoKinds),
                (false, false) => self.note(Limit::TwoKinds),
            }
        }
        let needs_sweep = self.this().took_over || !self.this().has_held;
        self.me().has_held = true;
        self.me().took_over = false;
        self.me().found = None;
        self.go(if needs_sweep { Step::ListTemps } else { self.after_sweep() });
    }

    pub fn after_sweep(&self) -> Step {
        match self.role() {
            Role::Doctor => Step::LookBeforeRemove,
            _ => Step::ReadOld,
        }
    }
}
