//! The state of the model: the file system, the processes, what was acknowledged, and what may still
//! happen to the machine.

use crate::file_system::{Content, FileSystem, Ino, Name, Nonce, Record, Time, Updates};
use crate::step::Step;

/// What a process found at a lockfile's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    pub ino: Ino,
    pub modified: Time,
    pub writes: u8,
    /// The open file, if it is still the one that was looked at.
    pub opened: bool,
    pub record: Option<Record>,
}

/// The thread that blocks in the kernel for a process's callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueThread {
    None,
    /// It waits for this file's lock.
    Blocked(Ino),
    /// It got the lock after its caller had given up.
    Holds(Ino),
}

/// What came of giving a separate lockfile its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Published {
    #[default]
    NameTaken,
    Yes,
    /// The temp file was removed as a dead process's.
    TempGone,
    /// Files can't have two names.
    Unsupported,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub step: Step,
    pub alive: bool,
    /// The updates that were asked for and are not taken along yet.
    pub queued: Updates,
    /// The updates that the caller asks for later.
    pub later: Updates,
    /// The updates that the next commit carries out.
    pub batch: Updates,
    /// The open guard, or the open lock file of a document.
    pub guard: Option<Ino>,
    /// Whether the guard was unused when it was opened, so that its record is synced.
    pub opened_unused: bool,
    /// The open lockfile of the hold.
    pub lockfile: Option<Ino>,
    pub found: Option<Found>,
    /// The old registry, which is kept open, and what was in it.
    pub old: Option<(Ino, Updates)>,
    /// What an older argus has read.
    pub read: Updates,
    pub nonce: Nonce,
    pub queue: QueueThread,
    /// Temp files that are to be removed.
    pub temps: Vec<Name>,
    /// Whether the link that gives the guard the lockfile's name was made.
    pub linked: bool,
    pub published: Published,
    pub took_over: bool,
    /// Whether this process has held the lock before.
    pub has_held: bool,
    /// Whether the registry was replaced under the present hold.
    pub has_written: bool,
    /// Whether the lock was found lost, so that the update has to run again.
    pub is_lost: bool,
    /// Whether the caller was told that its change may have been replaced.
    pub is_told: bool,
    /// Whether the present hold's lockfile was taken away.
    pub is_taken: bool,
    /// Whether the last check before the rename has found the lock in place.
    pub is_checked: bool,
    /// Whether this hold's rename was made in the window after the last check.
    pub in_window: bool,
    /// Whether the lockfile stays open during the hold.
    pub keeps_open: bool,
    /// Whether the wait for the lock is over, so that the updates are given up after the unlock.
    pub is_over: bool,
    /// Whether the lock file of a document was made by this call.
    pub made_lock_file: bool,
}

impl Process {
    pub fn new(step: Step) -> Self {
        Process {
            step,
            alive: true,
            queued: 0,
            later: 0,
            batch: 0,
            guard: None,
            opened_unused: false,
            lockfile: None,
            found: None,
            old: None,
            read: 0,
            nonce: 0,
            queue: QueueThread::None,
            temps: Vec::new(),
            linked: false,
            published: Published::NameTaken,
            took_over: false,
            has_held: false,
            has_written: false,
            is_lost: false,
            is_told: false,
            is_taken: false,
            is_checked: false,
            in_window: false,
            keeps_open: true,
            is_over: false,
            made_lock_file: false,
        }
    }

    /// Whether a descriptor of this process refers to an inode.
    pub fn has_open(&self, ino: Ino) -> bool {
        let in_queue = match self.queue {
            QueueThread::None => false,
            QueueThread::Blocked(at) | QueueThread::Holds(at) => at == ino,
        };
        in_queue
            || self.guard == Some(ino)
            || (self.keeps_open && self.lockfile == Some(ino))
            || self.found.is_some_and(|found| found.opened && found.ino == ino)
            || self.old.is_some_and(|(old, _)| old == ino)
    }

    pub fn has_ended(&self) -> bool {
        !self.alive || matches!(self.step, Step::Ended)
    }
}

/// How often each thing that is no step of a process may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub crashes: u8,
    pub clock_forward: u8,
    pub clock_back: u8,
    /// How often the guard, or a document's lock file, may be deleted.
    pub deletions: u8,
    pub timeouts: u8,
    pub aborts: u8,
    pub power_failures: u8,
}

/// What a power failure may leave at the names that matter: bit `n` stands for inode `n`, and the
/// highest bit for no file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    pub guard: u16,
    pub lockfile: u16,
    pub registry: u16,
}

/// No file, in a set of [`Disk`].
pub const NO_FILE: u16 = 1 << 15;

impl Disk {
    pub fn refers_to(&self, ino: Ino) -> bool {
        (self.guard | self.lockfile | self.registry) & (1 << ino) != 0
    }
}

/// An order that ARCHITECTURE.md names among the known limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Limit {
    /// The lockfile is taken away between the last check and the rename.
    CommitWindow,
    /// The lockfile is taken away between the look and the deletion of a release.
    ReleaseWindow,
    /// An older argus deletes a fresh lockfile because it had looked at the leftover before.
    LeftoverDeleted,
    /// A process is killed, or the lockfile's name is taken, while an older argus's lockfile is aside.
    MovedAside,
    /// An older argus, whose lockfile was taken over as stale, goes on and writes.
    OlderHasNoFence,
    /// Without kernel locks a holder that can't be judged loses its lock by age.
    JudgedByAge,
    /// Without second names two processes clear away one lockfile after the other.
    ClearedTwice,
    /// A document's lock file is deleted between the last check and the rename.
    LockFileDeleted,
    /// The guard is deleted while a process holds it that has no lockfile yet. That process and the
    /// holder of the next guard both decide about lockfiles then.
    GuardDeleted,
    /// A registry call and a document call with a lock file of another name both go on.
    TwoKinds,
}

impl Limit {
    pub const ALL: &'static [Limit] = &[
        Limit::CommitWindow,
        Limit::ReleaseWindow,
        Limit::LeftoverDeleted,
        Limit::MovedAside,
        Limit::OlderHasNoFence,
        Limit::JudgedByAge,
        Limit::ClearedTwice,
        Limit::LockFileDeleted,
        Limit::GuardDeleted,
        Limit::TwoKinds,
    ];

    pub fn meaning(self) -> &'static str {
        match self {
            Limit::CommitWindow => {
                "An older argus deletes the lockfile between the last check and the rename: it takes it \
                 for stale, had looked at a stale one before, or releases its own, which was taken over. \
                 An acknowledged update is lost, and the release tells the caller."
            }
            Limit::ReleaseWindow => {
                "The lockfile is taken away between the look and the deletion of a release, which then \
                 deletes the fresh one."
            }
            Limit::LeftoverDeleted => {
                "An older argus that had looked at a stale lockfile deletes the fresh one that has its \
                 name by then. The holder notices before it writes."
            }
            Limit::MovedAside => {
                "An older argus's fresh lockfile is moved aside because it replaced the stale one that \
                 was judged. Before it is put back the process is killed, or a third process makes a \
                 lockfile."
            }
            Limit::OlderHasNoFence => {
                "An older argus that was frozen for over 10 s goes on and writes, though its lockfile \
                 was taken over. What was committed since is lost."
            }
            Limit::JudgedByAge => {
                "Without kernel locks a holder that can't be judged, or a process that clears away a \
                 dead holder's lockfile, is frozen for over 10 s. Then another process takes over what \
                 it holds."
            }
            Limit::ClearedTwice => {
                "Without kernel locks and second names two processes judge one dead holder's lockfile, \
                 and the second clears away the fresh one of the first."
            }
            Limit::LockFileDeleted => {
                "Another program deletes a document's lock file between the last check and the rename. \
                 An acknowledged update is lost."
            }
            Limit::GuardDeleted => {
                "Another program deletes the guard while a process has locked it and has no lockfile yet. \
                 That process clears away a lockfile that another one has made meanwhile under the next \
                 guard. That one notices before it writes."
            }
            Limit::TwoKinds => {
                "A registry call and a document call whose lock file has a name of its own come to a new \
                 file at once, and both hold a lock. Nothing is lost: the registry call's sweep removes the \
                 document's temp file, or the fence sees the guard."
            }
        }
    }

    /// Whether a state shows what this limit costs, and no other limit is the cause.
    pub fn is_shown_by(self, state: &State) -> bool {
        let causes = |limits: &[Limit]| {
            let bits = limits.iter().fold(0, |bits, limit| bits | 1 << *limit as u8);
            state.has(self) && state.limits & !bits == 0
        };
        match self {
            Limit::CommitWindow => {
                causes(&[self, Limit::LeftoverDeleted, Limit::JudgedByAge]) && state.missing() != 0
            }
            Limit::ReleaseWindow => causes(&[self, Limit::LeftoverDeleted, Limit::JudgedByAge]),
            Limit::OlderHasNoFence | Limit::LockFileDeleted => {
                causes(&[self, Limit::LockFileDeleted]) && state.missing() != 0
            }
            _ => causes(&[self]),
        }
    }
}

/// What must never happen. A step that does it says so in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Violation {
    TwoHolders,
    CommitWithoutLock,
    ReleaseOfAnother,
    FreshLockfileRemoved,
    LostWithoutCause,
    TornRead,
    OlderRead,
    LossNotTold,
    RejectedIsWritten,
    TempWithoutLock,
    DeadHolderWaitedFor,
    /// A step is repeated at once though nothing has changed.
    BusyLoop,
    TwoKinds,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub fs: FileSystem,
    pub processes: Vec<Process>,
    pub acknowledged: Updates,
    pub rejected: Updates,
    /// Acknowledged updates that one of the known limits may lose.
    pub excused: Updates,
    /// The bits of the limits that came about.
    pub limits: u16,
    /// The bits of the violations.
    pub violations: u16,
    pub budget: Budget,
    pub boot: u8,
    pub disk: Disk,
}

impl State {
    pub fn note(&mut self, limit: Limit) {
        self.limits |= 1 << limit as u8;
    }

    pub fn has(&self, limit: Limit) -> bool {
        self.limits & (1 << limit as u8) != 0
    }

    pub fn violate(&mut self, violation: Violation) {
        self.violations |= 1 << violation as u8;
    }

    pub fn has_violation(&self, violation: Violation) -> bool {
        self.violations & (1 << violation as u8) != 0
    }

    /// The acknowledged updates that are not in the registry.
    pub fn missing(&self) -> Updates {
        self.acknowledged & !self.fs.registry()
    }

    /// The updates in a file that a live process has just exchanged for its own, and may exchange back.
    pub fn in_exchange(&self) -> Updates {
        let processes = self.processes.iter().enumerate();
        let exchanging = processes.filter(|(_, process)| {
            process.alive && matches!(process.step, Step::LookAtReplaced | Step::ExchangeBack)
        });
        let files = exchanging.filter_map(|(pid, process)| {
            let ino = self.fs.at(Name::ContentTemp(pid as u8, process.nonce))?;
            match self.fs.inode(ino).content {
                Content::Updates(updates) => Some(updates),
                _ => None,
            }
        });
        files.fold(0, |all, updates| all | updates)
    }

    /// Frees what nothing refers to any more.
    pub fn tidy(&mut self) {
        let (processes, disk) = (&self.processes, self.disk);
        self.fs.free_unused(|ino| {
            disk.refers_to(ino)
                || processes.iter().any(|process| process.alive && process.has_open(ino))
        });
    }
}
