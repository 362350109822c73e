//! The steps of `src/lock/lockfile.rs` and `src/lock/sweep.rs`.

use crate::configuration::Mutation;
use crate::file_system::{Content, Name};
use crate::process::Actor;
use crate::state::{Limit, Published, Violation};
use crate::step::Step;

impl Actor<'_> {
    pub fn lockfile_step(&mut self) {
        use Step::*;
        let pid = self.pid;
        let has_names = self.configuration.files.second_names;
        match self.this().step {
            LinkLockfile => match self.state.fs.at(Name::Guard) {
                // The guard has no name any more: the lock on it excludes no other process.
                None => self.go(UnlockGuard),
                Some(_) if !has_names && self.state.fs.at(Name::Lockfile).is_none() => {
                    self.go(CreateLockfileTemp);
                }
                Some(ino) => {
                    let linked = self.fs().link(ino, Name::Lockfile);
                    self.me().linked = linked;
                    self.go(LookAtLockfile);
                }
            },
            LookAtLockfile => {
                let guard = self.this().guard;
                let linked = self.this().linked;
                if self.state.fs.at(Name::Lockfile) == guard {
                    let process = self.me();
                    process.lockfile = guard;
                    process.took_over |= !linked;
                    process.linked = false;
                    self.acquired();
                } else {
                    self.go(if linked { LookAtGuard } else { FindLockfile });
                }
            }
            LookAtGuard => {
                let is_in_place = self.state.fs.at(Name::Guard) == self.this().guard;
                self.go(if is_in_place { WriteRecord } else { UnlockGuard });
            }
            CreateLockfileTemp => {
                self.fs().create(Name::LockfileTemp(pid), Content::Empty);
                self.go(WriteLockfileTemp);
            }
            WriteLockfileTemp => {
                let record = self.record();
                if let Some(ino) = self.state.fs.at(Name::LockfileTemp(pid)) {
                    self.fs().write(ino, Content::Record(record));
                }
                self.go(LinkLockfileTemp);
            }
            LinkLockfileTemp => {
                let temp = self.state.fs.at(Name::LockfileTemp(pid));
                let is_free = self.state.fs.at(Name::Lockfile).is_none();
                self.me().published = match temp {
                    None => Published::TempGone,
                    Some(_) if !is_free => Published::NameTaken,
                    Some(_) if !has_names => Published::Unsupported,
                    Some(ino) => {
                        self.fs().link(ino, Name::Lockfile);
                        Published::Yes
                    }
                };
                self.go(RemoveLockfileTemp);
            }
            RemoveLockfileTemp => {
                self.fs().set(Name::LockfileTemp(pid), None);
                match std::mem::take(&mut self.me().published) {
                    Published::Unsupported => self.go(CreateLockfileInPlace),
                    Published::TempGone => self.retry_lockfile(),
                    Published::Yes => self.go(OpenCreated),
                    Published::NameTaken => self.go(FindLockfile),
                }
            }
            CreateLockfileInPlace => {
                let linked = self.fs().create(Name::Lockfile, Content::Empty).is_some();
                self.me().linked = linked;
                // Open until it is filled.
                self.me().lockfile = self.state.fs.at(Name::Lockfile).filter(|_| linked);
                self.go(if linked { WriteLockfileInPlace } else { FindLockfile });
            }
            WriteLockfileInPlace => {
                let record = self.record();
                let made = self.me().lockfile.take().expect("it is open");
                self.fs().write(made, Content::Record(record));
                self.go(OpenCreated);
            }
            OpenCreated => match self.state.fs.at(Name::Lockfile) {
                None => {
                    self.me().nonce += 1;
                    self.retry_lockfile();
                }
                found => {
                    self.me().lockfile = found;
                    self.me().is_taken = false;
                    self.go(ReadCreated);
                }
            },
            ReadCreated => {
                let opened = self.this().lockfile.expect("it is open");
                let is_own = self.state.fs.exists(opened)
                    && self.state.fs.record(opened) == Some(self.record());
                if is_own || self.without(Mutation::Nonce) {
                    self.me().linked = false;
                    self.acquired();
                } else {
                    self.me().lockfile = None;
                    self.me().nonce += 1;
                    self.retry_lockfile();
                }
            }
            ListTemps => {
                let min_age = !self.configuration.files.kernel_locks;
                let fs = &self.state.fs;
                let temps = fs.names().iter().filter(|(name, ino)| {
                    let is_young = min_age && !fs.is_old(fs.inode(*ino).linked);
                    name.is_temp() && (!is_young || self.without(Mutation::SweepAge))
                });
                let temps = temps.map(|(name, _)| *name).collect();
                if self.without(Mutation::SweepAge) && self.lists_a_live_ones_temp() {
                    self.state.violate(Violation::LostWithoutCause);
                }
                self.me().temps = temps;
                self.swept();
            }
            RemoveTemp => {
                let temp = self.me().temps.remove(0);
                self.notice_swept(temp);
                self.fs().set(temp, None);
                self.swept();
            }
            _ => unreachable!("not a step of the lockfile"),
        }
    }

    /// Two processes hold the lock, by a known limit: one removes the other's temp file, and the
    /// other's update runs again.
    fn notice_swept(&mut self, temp: Name) {
        let Name::ContentTemp(pid, _) = temp else { return };
        let is_known = self.state.has(Limit::TwoKinds)
            || self.state.has(Limit::JudgedByAge)
            || self.state.has(Limit::ClearedTwice);
        let is_deleted = !self.has_lock() && self.this().is_taken;
        if !is_known && !is_deleted || pid == self.pid {
            return;
        }
        if let Some(owner) = self.state.processes.get_mut(usize::from(pid)) {
            owner.is_taken = true;
        }
    }

    /// Whether there is a young temp file of another live process.
    fn lists_a_live_ones_temp(&self) -> bool {
        let fs = &self.state.fs;
        fs.names().iter().any(|(name, ino)| match name {
            Name::LockfileTemp(pid) => *pid != self.pid && !fs.is_old(fs.inode(*ino).linked),
            _ => false,
        })
    }

    fn swept(&mut self) {
        let is_done = self.this().temps.is_empty();
        let is_early = self.without(Mutation::SweepUnderLock) && self.this().lockfile.is_none();
        let next = match (is_done, is_early) {
            (false, _) => Step::RemoveTemp,
            (true, true) => Step::OpenGuard,
            (true, false) => self.after_sweep(),
        };
        self.go(next);
    }

    /// `Lockfile::create` is called again.
    pub fn retry_lockfile(&mut self) {
        let process = self.me();
        process.linked = false;
        let next = match self.this().guard {
            Some(_) => Step::WriteRecord,
            None => Step::CreateLockfileTemp,
        };
        self.go(next);
    }
}
