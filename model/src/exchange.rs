//! A commit that exchanges the new file and the old one (`RENAME_EXCHANGE`) in the place of the rename, looks
//! which file came out, and exchanges back if that is not the one that was read. It is not built: the cases
//! here show what it would mend and what it would break.

use crate::catalogue::{of, NOTHING};
use crate::configuration::{Configuration, Files, Role, Start};
use crate::explore::{Found, Trace};
use crate::file_system::{Content, Ino, Name, Pid};
use crate::process::Actor;
use crate::state::{Budget, Limit};
use crate::step::Step;

use Role::*;

pub const INTRODUCTION: &str = "
### With an exchange in the place of the rename

`CommitWindow` could be made narrower: exchange the new file and the old one (`RENAME_EXCHANGE`), look which file
came out, and exchange back if it is not the one that was read. An older argus that had written by then would keep
its update. The library does not do so, because it costs more than it gives:

- One that has read and not written yet overwrites the update of this library, as now.
- Until the way back is done, a kill loses the other's update, readers see a state that is taken back, and what a
  third process writes is lost: the orders below.
- ext4 writes a file's data out before a rename makes it replace another one (`auto_da_alloc`). It does not for an
  exchange: an update with `durable: false` could leave an empty file after a power failure, where it now leaves the
  old or the new one.
- Each update makes two calls more, and file events name the temp file, too.
";

pub struct Case {
    pub configuration: Configuration,
    /// The property that does not hold.
    pub breaks: Option<&'static str>,
}

impl Case {
    /// The property that does not hold, with the shortest order that shows it.
    pub fn broken<'f>(&self, found: &'f Found) -> Option<&'f (&'static str, Trace)> {
        found.broken.first()
    }
}

pub fn all() -> Vec<Case> {
    let forward = Budget { clock_forward: 1, ..NOTHING };
    let killed = Budget { crashes: 1, ..forward };
    let lost = Some("nothing acknowledged is lost");
    let older = Some("readers see no older file after a newer");
    let case = |name, roles: &[Role], budget, breaks| Case {
        configuration: Configuration {
            updates: 1,
            starts: vec![Start::Used],
            budget,
            exchanges: true,
            ..of(name, "", Files::HARD_LINK, roles)
        },
        breaks,
    };
    vec![
        case("two of this library, a kill", &[Sync, Sync], killed, None),
        case("one beside an older argus", &[Sync, Older], forward, None),
        case("one beside an older argus, a kill", &[Sync, Older], killed, lost),
        case("one beside an older argus, a reader", &[Sync, Older, Reader], forward, older),
        case("one beside two older argus", &[Sync, Older, Older], forward, lost),
    ]
}

impl Actor<'_> {
    pub fn exchange_step(&mut self, temp: Name) {
        match self.this().step {
            Step::Exchange => {
                let (Some(new), Some(old)) =
                    (self.state.fs.at(temp), self.state.fs.at(Name::Registry))
                else {
                    // Another process has removed the temp file because it took this process for dead.
                    self.me().is_lost = true;
                    return self.go(Step::RemoveOwnTemp);
                };
                if !self.has_lock() {
                    self.note(Limit::CommitWindow);
                    self.me().in_window = true;
                    // What another one has read before may still be written over it: that is told.
                    let batch = self.this().batch;
                    self.state.excused |= batch;
                }
                self.fs().set(temp, Some(old));
                self.fs().set(Name::Registry, Some(new));
                self.go(Step::LookAtReplaced);
            }
            Step::LookAtReplaced => {
                let is_as_read = self.state.fs.at(temp) == self.this().old.map(|(ino, _)| ino);
                self.go(if is_as_read { Step::RemoveReplaced } else { Step::ExchangeBack });
            }
            Step::ExchangeBack => {
                let (ours, others) = (self.state.fs.at(Name::Registry), self.state.fs.at(temp));
                self.fs().set(Name::Registry, others);
                self.fs().set(temp, ours);
                let is_by_older = others.is_some_and(|ino| self.is_written_by_older(ino));
                let process = self.me();
                process.in_window = false;
                process.is_lost = true;
                process.is_taken |= is_by_older;
                self.go(Step::RemoveOwnTemp);
            }
            Step::RemoveReplaced => {
                self.fs().set(temp, None);
                let batch = self.this().batch;
                let process = self.me();
                process.has_written = true;
                process.batch = 0;
                self.state.acknowledged |= batch;
                self.go(self.releasing());
            }
            _ => unreachable!("not a step of an exchange"),
        }
    }

    /// Whether a registry has updates of an older argus.
    fn is_written_by_older(&self, ino: Ino) -> bool {
        let Content::Updates(updates) = self.state.fs.inode(ino).content else { return false };
        let pids = 0..self.configuration.roles.len() as Pid;
        pids.filter(|pid| self.configuration.role(*pid) == Role::Older)
            .any(|pid| updates & Configuration::update(pid, 0) != 0)
    }
}
