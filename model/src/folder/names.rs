//! The steps' names, which are those of the functions of the source, and how an order is shown.

use super::state::{Call, Phase, Step, Temp};
use super::{Action, Folder, Role};
use crate::cases::{letter, Shown};

impl Step {
    /// The function that makes the step's call, and what it does there.
    fn name(self) -> &'static str {
        match self {
            Step::Look => "entries::claim::look",
            Step::CreateTemp => "publish::write::create",
            Step::LockTemp => "publish::lock_new",
            Step::WriteTemp => "publish::write::fill",
            Step::Link => "publish::publish::link",
            Step::LockLinked => "publish::lock_new (too late)",
            Step::RemoveTemp => "publish::publish::remove_temp",
            Step::ReadJournal => "journal::read",
            Step::EndRemoved(_) => "journal::end_removed",
            Step::ReadFound | Step::Judge(_) => "entry_file::read",
            Step::AskForLock | Step::AskForLockOf(_) => "entry_file::claim_lock",
            Step::Replace => "publish::replace",
            Step::Date => "held::renew::date",
            Step::LookAtName => "held::renew::look",
            Step::TakeGuard => "guarded::acquire",
            Step::Recover => "journal::recover",
            Step::Calls => "update::several",
            Step::ReadEntries => "update::read",
            Step::RemoveDead(_) => "entries::remove_entry",
            Step::SweepLock => "temps::judge",
            Step::SweepRemove => "temps::remove",
            Step::Release => "guarded::under_guard (the guard is given back)",
            Step::Ended => "",
        }
    }
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Call::WriteTemp(..) => "publish::write",
            Call::WriteJournal(Phase::Prepare) => "journal::enter (prepare)",
            Call::WriteJournal(Phase::Commit) => "journal::enter (commit)",
            Call::WriteJournal(Phase::Clean) => "journal::enter (clean)",
            Call::RemoveJournal => "journal::remove",
            Call::Link(_) => "update::link_added",
            Call::Unlink(_) => "journal::undo",
            Call::Replace(_) => "journal::apply (a replaced entry)",
            Call::RenameAside(_) => "journal::apply (a removed entry)",
            Call::RemoveTemp(_) => "journal::remove_temps",
            Call::RemoveEntry => "entries::remove_entry",
        }
    }
}

/// The names of all steps, for the comparison with the source.
pub fn names() -> Vec<&'static str> {
    use Step::*;
    let steps = [
        Look,
        CreateTemp,
        LockTemp,
        WriteTemp,
        Link,
        RemoveTemp,
        ReadJournal,
        EndRemoved(Temp::Aside(0)),
        ReadFound,
        AskForLock,
        Replace,
        Date,
        LookAtName,
        TakeGuard,
        Recover,
        Calls,
        ReadEntries,
        RemoveDead(0),
        SweepLock,
        SweepRemove,
        Release,
    ];
    let calls = [
        Call::WriteTemp(Temp::Adding(0), 0),
        Call::WriteJournal(Phase::Prepare),
        Call::RemoveJournal,
        Call::Link(0),
        Call::Unlink(0),
        Call::Replace(0),
        Call::RemoveTemp(Temp::Adding(0)),
        Call::RemoveEntry,
    ];
    let without_words = |name: &'static str| name.split(' ').next().unwrap_or(name);
    let steps = steps.into_iter().map(|step| without_words(step.name()));
    steps.chain(calls.into_iter().map(|call| without_words(call.name()))).collect()
}

impl Shown for Folder {
    fn introduction(&self) -> String {
        let does = |role: &Role| match role {
            Role::Watcher(_) => "claims it",
            Role::Remover(_) => "removes it by its id",
            Role::Pruner => "prunes",
            Role::Updater => "updates three entries, and removes it",
        };
        let roles = (0..).zip(&self.roles);
        let roles: Vec<String> =
            roles.map(|(pid, role)| format!("{} {}", letter(pid), does(role))).collect();
        format!("about one id: {}", roles.join(", "))
    }

    fn describe(action: &Action) -> String {
        match action {
            Action::Step(pid, step) => format!("{}  {}", letter(*pid), step.name()),
            Action::Call(pid, call) => format!("{}  {}", letter(*pid), call.name()),
            Action::Crash(pid) => format!("{}  is killed", letter(*pid)),
        }
    }
}
