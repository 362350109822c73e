//! Pruning, the sweep of temp files, and removal by an id.

use super::process::Actor;
use super::state::{Call, File, Id, Step, Temp, IDS};
use super::Role;

impl Actor<'_> {
    /// `entries::prune`, `temps::sweep` and `entries::remove`
    pub fn pruner_step(&mut self) {
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
