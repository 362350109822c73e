//! One step of one process: what every step needs.

use crate::configuration::{Configuration, Mutation, Role};
use crate::file_system::{FileSystem, Ino, Name, Pid, Record, Updates};
use crate::state::{Limit, Process, QueueThread, State, Violation};
use crate::step::Step;

/// A process that makes a step.
pub struct Actor<'a> {
    pub configuration: &'a Configuration,
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

    pub fn fs(&mut self) -> &mut FileSystem {
        &mut self.state.fs
    }

    pub fn role(&self) -> Role {
        self.configuration.role(self.pid)
    }

    pub fn without(&self, check: Mutation) -> bool {
        self.configuration.without(check)
    }

    pub fn go(&mut self, step: Step) {
        self.me().step = step;
    }

    /// The record of the present acquisition.
    pub fn record(&self) -> Record {
        let process = self.this();
        let has_locks = self.configuration.files.kernel_locks;
        let guard = if has_locks { process.guard } else { None };
        Record { pid: self.pid, nonce: process.nonce, guard, boot: self.state.boot }
    }

    /// Whether the lockfile's name, or that of a document's lock file, still stands for the file of this
    /// hold: what the protocol's checks find out, known without a call.
    pub fn has_lock(&self) -> bool {
        has_lock(self.configuration, self.state, self.pid)
    }

    /// Makes one step.
    pub fn step(&mut self) {
        use Step::*;
        match self.this().step {
            OpenGuard | OpenGuardAgain | CreateGuard | LinkGuard | RemoveGuardTemp
            | CreateGuardInPlace | TryLock | WaitForLock | CheckGuard | LookForLockFile
            | RemoveUnusedGuard | WriteRecord | SyncGuard | UnlockGuard => self.guard_step(),
            LinkLockfile
            | LookAtLockfile
            | LookAtGuard
            | CreateLockfileTemp
            | WriteLockfileTemp
            | LinkLockfileTemp
            | RemoveLockfileTemp
            | CreateLockfileInPlace
            | WriteLockfileInPlace
            | OpenCreated
            | ReadCreated
            | ListTemps
            | RemoveTemp => {
                self.lockfile_step();
            }
            FindLockfile | OpenFound | JudgeFound | DateFound | LookAtStale | MoveAside
            | LookAside | LinkBack | LookBeforeRenameBack | RenameBack | RemoveAside | Claim
            | LookAtClaim | RemoveOwnersTemp | RemoveClaim | RemoveAbandonedClaim
            | PollLockfile | CheckGuardAgain => self.stale_lockfile_step(),
            ReadOld | FirstCheck | CreateTemp | WriteTemp | SyncTemp | LastCheck | Rename
            | Exchange | LookAtReplaced | ExchangeBack | RemoveReplaced | SyncFolder
            | RemoveOwnTemp | LookBeforeRemove | RemoveLockfile | FirstDocumentCheck
            | LastDocumentCheck => self.commit_step(),
            OpenLockFile | CreateLockFile | CheckLockFile | LookForGuard | RemoveLockFile => {
                self.document_step();
            }
            Survey | OpenToRead | ReadOpened => self.other_step(),
            OlderCreate | OlderLook | OlderDelete | OlderRead | OlderWrite | OlderRename
            | OlderRelease => self.older_step(),
            Reboot | Ended => unreachable!("no step is left"),
        }
    }

    /// The updates that the next commit takes along.
    pub fn next_batch(&self) -> Updates {
        let queued = self.this().queued;
        match self.role() {
            Role::Async => queued,
            _ => queued & queued.wrapping_neg(),
        }
    }

    /// Gives up the updates that wait for the lock.
    pub fn reject(&mut self, updates: Updates) {
        self.state.rejected |= updates;
        let process = self.me();
        process.queued &= !updates;
        process.batch &= !updates;
    }

    /// What a process does that holds nothing any more: runs again what was lost, or goes on with the
    /// next update.
    pub fn finish(&mut self) {
        let is_lost_in_silence = {
            let process = self.this();
            process.in_window && !process.is_told
        };
        if is_lost_in_silence {
            self.state.violate(Violation::LossNotTold);
        }
        let is_over = self.this().is_over;
        if is_over {
            let batch = self.this().batch | self.next_batch();
            self.reject(batch);
        }
        let first = match self.role() {
            role if role.is_document() => Step::OpenLockFile,
            _ => Step::OpenGuard,
        };
        let process = self.me();
        // What was lost runs again.
        process.queued |= process.batch;
        process.batch = 0;
        process.guard = None;
        process.opened_unused = false;
        process.lockfile = None;
        process.found = None;
        process.old = None;
        process.temps.clear();
        process.linked = false;
        // An acquisition that begins again with another guard knows what it took over.
        process.took_over &= !is_over;
        process.has_written = false;
        process.is_lost = false;
        process.is_told = false;
        process.is_taken = false;
        process.is_checked = false;
        process.in_window = false;
        process.is_over = false;
        process.made_lock_file = false;
        process.step = if process.queued == 0 { Step::Ended } else { first };
    }

    /// Ends a wait for the lock.
    pub fn give_up(&mut self) {
        let step = self.this().step;
        self.me().is_over = true;
        match step {
            // The queue's thread stays, and keeps the file open.
            Step::WaitForLock => self.finish(),
            Step::PollLockfile if self.this().guard.is_some() => self.go(Step::UnlockGuard),
            _ => self.finish(),
        }
    }

    pub fn lock_is_free(&self, ino: Ino) -> bool {
        self.state.fs.inode(ino).locked_by.is_none()
    }

    /// A step of the thread that blocks in the kernel for this process's callers.
    pub fn queue_step(&mut self) {
        let pid = self.pid;
        match self.this().queue {
            QueueThread::Blocked(ino) => {
                self.fs().inode_mut(ino).locked_by = Some(pid);
                let is_waiting =
                    self.this().step == Step::WaitForLock && self.this().guard == Some(ino);
                if is_waiting {
                    let next = self.after_lock();
                    self.me().queue = QueueThread::None;
                    self.go(next);
                } else {
                    self.me().queue = QueueThread::Holds(ino);
                }
            }
            QueueThread::Holds(ino) => {
                self.fs().inode_mut(ino).locked_by = None;
                let process = self.me();
                let waits = process.step == Step::WaitForLock && process.guard == Some(ino);
                process.queue = if waits { QueueThread::Blocked(ino) } else { QueueThread::None };
            }
            QueueThread::None => unreachable!("no thread waits"),
        }
    }

    pub fn after_lock(&self) -> Step {
        match self.role() {
            role if role.is_document() => Step::CheckLockFile,
            _ if self.without(Mutation::GuardName) => Step::WriteRecord,
            _ => Step::CheckGuard,
        }
    }

    pub fn note(&mut self, limit: Limit) {
        self.state.note(limit);
    }
}

/// Whether a process's hold still has its name.
pub fn has_lock(configuration: &Configuration, state: &State, pid: Pid) -> bool {
    let process = &state.processes[usize::from(pid)];
    if configuration.role(pid).is_document() {
        return process.guard.is_some() && state.fs.at(Name::LockFile) == process.guard;
    }
    let Some(ino) = state.fs.at(Name::Lockfile) else { return false };
    process.lockfile.is_some()
        && state.fs.record(ino).is_some_and(|record| {
            (record.pid, record.nonce, record.boot) == (pid, process.nonce, state.boot)
        })
}
