//! The steps of `src/lock/stale_lockfile.rs`, and the wait for a lockfile that is held.

use crate::configuration::{Configuration, Mutation};
use crate::file_system::{Content, Ino, Name, Pid, Record, Time};
use crate::process::Actor;
use crate::state::{Found, Limit, State, Violation};
use crate::step::Step;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Held,
    Stale,
    FromTheFuture,
}

/// Whether the process that wrote a record still runs; `None` if this process can't tell.
fn is_alive(configuration: &Configuration, state: &State, record: Record) -> Option<bool> {
    if configuration.other_hosts || record.boot != state.boot {
        return None;
    }
    let process = state.processes.get(usize::from(record.pid));
    Some(process.is_some_and(|process| process.alive))
}

/// Judges a lockfile as `clear_if_stale` does. `guard` is the one that the judging process holds.
pub fn judge(
    configuration: &Configuration,
    state: &State,
    guard: Option<Ino>,
    ino: Option<Ino>,
    modified: Time,
) -> Verdict {
    let content = ino.map(|ino| &state.fs.inode(ino).content);
    let is_locked = ino.is_some_and(|ino| state.fs.inode(ino).locked_by.is_some());
    let record = match content {
        Some(Content::Record(record)) => Some(*record),
        _ => None,
    };
    let by_proof = match record {
        Some(record) if guard.is_some() && record.guard == guard => return Verdict::Stale,
        Some(_) if configuration.without(Mutation::OtherGuardsLock) => return Verdict::Stale,
        // The second name of another guard: its kernel lock tells.
        Some(record) if record.guard.is_some() && record.guard == ino => Some(is_locked),
        Some(record) => is_alive(configuration, state, record),
        None if is_locked => Some(true),
        None => None,
    };
    let ahead = modified - state.fs.now;
    match by_proof {
        Some(true) => Verdict::Held,
        Some(false) => Verdict::Stale,
        None if ahead < 0 => Verdict::Stale,
        None if ahead > 0 => Verdict::FromTheFuture,
        None => Verdict::Held,
    }
}

/// Whether a look at the lockfile would find out something new.
pub fn poll_finds_news(configuration: &Configuration, state: &State, pid: Pid) -> bool {
    let guard = state.processes[usize::from(pid)].guard;
    let Some(ino) = state.fs.at(Name::Lockfile) else { return true };
    let is_replaced = guard.is_some() && state.fs.at(Name::Guard) != guard;
    if guard == Some(ino) || is_replaced {
        return true;
    }
    let modified = state.fs.inode(ino).modified;
    let claim = state.fs.at(Name::Claim(ino, modified)).map(|claim| state.fs.inode(claim).linked);
    if !configuration.files.kernel_locks && claim.is_some_and(|linked| !state.fs.is_old(linked)) {
        return false;
    }
    judge(configuration, state, guard, Some(ino), modified) != Verdict::Held
}

impl Actor<'_> {
    /// The inode, its time, and what tells two writes in one step of the clock.
    fn identity(&self, name: Name) -> Option<(Ino, Time, u8)> {
        let ino = self.state.fs.at(name)?;
        let inode = self.state.fs.inode(ino);
        Some((ino, inode.modified, inode.writes))
    }

    fn judged(&self) -> (Ino, Time, u8) {
        let found = self.this().found.expect("a lockfile was found");
        (found.ino, found.modified, found.writes)
    }

    /// The name of the claim on the judged lockfile.
    fn claim(&self) -> Name {
        let (ino, modified, _) = self.judged();
        Name::Claim(ino, modified)
    }

    /// The lockfile is tried again at once: `took_over` says that a stale one was removed.
    fn free(&mut self, took_over: bool) {
        self.me().took_over |= took_over;
        if let Some(found) = &mut self.me().found {
            found.opened = false;
        }
        self.retry_lockfile();
    }

    pub fn stale_lockfile_step(&mut self) {
        use Step::*;
        let (pid, files) = (self.pid, self.configuration.files);
        match self.this().step {
            FindLockfile => match self.identity(Name::Lockfile) {
                None => self.free(false),
                Some((ino, modified, writes)) => {
                    let found = Found { ino, modified, writes, opened: false, record: None };
                    self.me().found = Some(found);
                    self.go(OpenFound);
                }
            },
            OpenFound => {
                let is_same = self.state.fs.at(Name::Lockfile) == Some(self.judged().0);
                self.me().found.as_mut().expect("it was found").opened = is_same;
                self.go(JudgeFound);
            }
            JudgeFound => self.judge_found(),
            DateFound => {
                let found = self.this().found.expect("it was found");
                let now = self.state.fs.now;
                if found.opened {
                    self.fs().inode_mut(found.ino).modified = now;
                }
                self.go(PollLockfile);
            }
            PollLockfile => {
                if let Some(found) = &mut self.me().found {
                    found.opened = false;
                }
                match self.this().guard {
                    Some(_) => self.go(CheckGuardAgain),
                    None => self.retry_lockfile(),
                }
            }
            CheckGuardAgain => {
                let is_in_place = self.state.fs.at(Name::Guard) == self.this().guard;
                match is_in_place {
                    true => self.retry_lockfile(),
                    false => self.go(UnlockGuard),
                }
            }
            LookAtStale => match self.identity(Name::Lockfile) == Some(self.judged()) {
                true => self.go(MoveAside),
                false => self.cleared(false),
            },
            MoveAside => match self.fs().rename(Name::Lockfile, Name::Aside(pid)) {
                true => self.go(LookAside),
                false => self.cleared(false),
            },
            LookAside => {
                let is_judged = self.identity(Name::Aside(pid)) == Some(self.judged());
                self.me().linked = is_judged;
                if !is_judged && !files.second_names && !files.kernel_locks {
                    self.note(Limit::ClearedTwice);
                }
                let removes = is_judged || self.without(Mutation::MovedAside);
                self.go(if removes { RemoveAside } else { LinkBack });
            }
            LinkBack if !files.second_names && self.state.fs.at(Name::Lockfile).is_none() => {
                self.go(LookBeforeRenameBack);
            }
            LinkBack => {
                let aside = self.state.fs.at(Name::Aside(pid));
                if !aside.is_some_and(|ino| self.fs().link(ino, Name::Lockfile)) {
                    self.not_put_back();
                }
                self.go(RemoveAside);
            }
            LookBeforeRenameBack => match self.state.fs.at(Name::Lockfile) {
                None => self.go(RenameBack),
                Some(_) => {
                    self.not_put_back();
                    self.go(RemoveAside);
                }
            },
            RenameBack => {
                if self.state.fs.at(Name::Lockfile).is_some() {
                    self.note(Limit::ClearedTwice);
                }
                self.fs().rename(Name::Aside(pid), Name::Lockfile);
                self.go(RemoveAside);
            }
            RemoveAside => self.remove_aside(),
            Claim => {
                let name = self.claim();
                match self.state.fs.at(Name::Lockfile) {
                    None => self.free(false),
                    Some(_) if !files.second_names => self.go(LookAtStale),
                    Some(now) => match self.fs().link(now, name) {
                        true => self.go(LookAtClaim),
                        false => self.go(RemoveAbandonedClaim),
                    },
                }
            }
            LookAtClaim => {
                let is_judged = self.identity(self.claim()) == Some(self.judged());
                self.go(if is_judged { LookAtStale } else { RemoveClaim });
            }
            RemoveOwnersTemp => {
                if let Some(record) = self.this().found.and_then(|found| found.record) {
                    self.fs().set(Name::ContentTemp(record.pid, record.nonce), None);
                }
                self.go(RemoveClaim);
            }
            RemoveClaim => {
                let claim = self.claim();
                self.fs().set(claim, None);
                let took_over = self.this().linked;
                self.free(took_over);
            }
            RemoveAbandonedClaim => {
                let claim = self.claim();
                let claimed = self.state.fs.at(claim);
                let linked = claimed.map(|ino| self.state.fs.inode(ino).linked);
                let in_use = self.claim_is_in_use(claim);
                match linked {
                    Some(at) if self.state.fs.is_old(at) => {
                        if in_use {
                            self.note(Limit::JudgedByAge);
                        }
                        self.fs().set(claim, None);
                    }
                    Some(_) if !self.without(Mutation::ClaimPause) => {
                        return self.go(PollLockfile);
                    }
                    Some(_) => self.state.violate(Violation::BusyLoop),
                    // Its age is not known any more, so that the process pauses as for a young one.
                    None => return self.go(PollLockfile),
                }
                self.free(false);
            }
            _ => unreachable!("not a step about another lockfile"),
        }
    }

    fn judge_found(&mut self) {
        let mut found = self.this().found.expect("it was found");
        let ino = found.opened.then_some(found.ino);
        found.record = ino.and_then(|ino| self.state.fs.record(ino));
        self.me().found = Some(found);
        let guard = self.this().guard;
        let verdict = judge(self.configuration, self.state, guard, ino, found.modified);
        let is_dead = |record| is_alive(self.configuration, self.state, record) == Some(false);
        let is_locked = ino.is_some_and(|ino| self.state.fs.inode(ino).locked_by.is_some());
        if verdict == Verdict::Held && !is_locked && found.record.is_some_and(is_dead) {
            self.state.violate(Violation::DeadHolderWaitedFor);
        }
        let files = self.configuration.files;
        let claims = !files.kernel_locks;
        self.me().linked = false;
        match verdict {
            Verdict::Held if self.role() == crate::configuration::Role::Doctor => {
                self.me().is_over = true;
                self.go(Step::UnlockGuard);
            }
            Verdict::Held => self.go(Step::PollLockfile),
            Verdict::FromTheFuture => self.go(Step::DateFound),
            Verdict::Stale if claims && !self.without(Mutation::Claim) => self.go(Step::Claim),
            Verdict::Stale => self.go(Step::LookAtStale),
        }
    }

    /// `remove_stale` returns whether it removed the judged lockfile.
    fn cleared(&mut self, removed: bool) {
        self.me().linked = removed;
        let files = self.configuration.files;
        let has_claim = !files.kernel_locks && files.second_names && !self.without(Mutation::Claim);
        match (has_claim, removed) {
            (true, true) if self.this().found.is_some_and(|found| found.record.is_some()) => {
                self.go(Step::RemoveOwnersTemp);
            }
            (true, _) => self.go(Step::RemoveClaim),
            (false, _) => self.free(removed),
        }
    }

    /// Another process has created a third lockfile meanwhile.
    fn not_put_back(&mut self) {
        let aside = Name::Aside(self.pid);
        let is_of_older = self
            .state
            .fs
            .at(aside)
            .is_some_and(|ino| self.state.fs.inode(ino).lockfile_of.is_some());
        if is_of_older {
            self.note(Limit::MovedAside);
        }
    }

    fn claim_is_in_use(&self, claim: Name) -> bool {
        self.state.processes.iter().any(|process| {
            let names = |found: Found| Name::Claim(found.ino, found.modified) == claim;
            let is_clearing = matches!(
                process.step,
                Step::LookAtClaim
                    | Step::LookAtStale
                    | Step::MoveAside
                    | Step::LookAside
                    | Step::LinkBack
                    | Step::RemoveAside
                    | Step::RemoveOwnersTemp
                    | Step::RemoveClaim
            );
            process.alive && is_clearing && process.found.is_some_and(names)
        })
    }

    fn remove_aside(&mut self) {
        let pid = self.pid;
        let removed = self.this().linked || self.without(Mutation::MovedAside);
        if let Some(ino) = self.state.fs.at(Name::Aside(pid)) {
            let inode = self.state.fs.inode(ino);
            let is_fresh = !self.state.fs.is_old(inode.modified);
            let is_of_a_live_one = inode.lockfile_of.is_some_and(|older| {
                self.state.processes.get(usize::from(older)).is_some_and(|process| process.alive)
            });
            if removed && is_fresh && is_of_a_live_one && !self.clock_was_set_back() {
                self.state.violate(Violation::FreshLockfileRemoved);
            }
            self.fs().set(Name::Aside(pid), None);
        }
        self.cleared(removed);
    }

    fn clock_was_set_back(&self) -> bool {
        self.state.budget.clock_back < self.configuration.budget.clock_back
    }
}
