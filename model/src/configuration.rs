//! What one exploration covers: the kind of file system, the processes, and what may happen to them.

use crate::file_system::{Content, FileSystem, Ino, Name, Pid, Record, Updates};
use crate::state::{Budget, Disk, Limit, Process, State, NO_FILE};
use crate::step::Step;

/// What the file system can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    pub kernel_locks: bool,
    /// Whether files can have two names.
    pub second_names: bool,
    /// Whether the lockfile is the guard's second name: not on Windows.
    pub lockfile_is_guard: bool,
}

impl Files {
    /// Unix: the lockfile is a hard link of the guard.
    pub const HARD_LINK: Files =
        Files { kernel_locks: true, second_names: true, lockfile_is_guard: true };
    /// Windows: the lockfile is a file of its own, under a guard.
    pub const SEPARATE: Files =
        Files { kernel_locks: true, second_names: true, lockfile_is_guard: false };
    /// Under a guard, where files can't have two names.
    pub const ONE_NAME: Files =
        Files { kernel_locks: true, second_names: false, lockfile_is_guard: false };
    /// No kernel locks.
    pub const NO_LOCKS: Files =
        Files { kernel_locks: false, second_names: true, lockfile_is_guard: false };
    /// Neither kernel locks nor second names.
    pub const NEITHER: Files =
        Files { kernel_locks: false, second_names: false, lockfile_is_guard: false };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A process that makes its updates one after the other.
    Sync,
    /// A process whose updates wait in a queue and are run in batches.
    Async,
    /// Like `Sync`; it starts when the machine has started again.
    AfterReboot,
    Doctor,
    Reader,
    Older,
    /// A document call with the default lock file.
    Document,
    /// A document call with a lock file of a name that registry calls don't know.
    DocumentElsewhere,
}

impl Role {
    pub fn is_document(self) -> bool {
        matches!(self, Role::Document | Role::DocumentElsewhere)
    }
}

/// What is in the folder at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing but the registry.
    Unused,
    /// The guard of earlier updates.
    Used,
    /// The lockfile and the temp file of a process of this library that was killed.
    KilledHolder,
    /// The lockfile of an older argus that was killed over 10 s ago.
    AbandonedByOlder,
}

/// A check of the protocol that a mutation leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    LastCheck,
    FirstCheck,
    Nonce,
    LockfileKeptOpen,
    GuardName,
    SweepUnderLock,
    SweepAge,
    ReleaseOwner,
    MovedAside,
    Claim,
    ClaimPause,
    OtherGuardsLock,
    FileSync,
    FolderSync,
    FirstUse,
    DocumentCheck,
}

#[derive(Clone, Debug)]
pub struct Configuration {
    pub name: &'static str,
    pub covers: &'static str,
    pub files: Files,
    pub roles: Vec<Role>,
    pub updates: u8,
    pub starts: Vec<Start>,
    pub budget: Budget,
    /// Whether each process is on a host of its own, so that none can judge another.
    pub other_hosts: bool,
    /// Whether a registry and a document may be one file, so that the steps of the first use count.
    pub first_use: bool,
    /// The limits that this configuration has to find, and no others.
    pub limits: Vec<Limit>,
    pub long_only: bool,
    pub mutation: Option<Mutation>,
    /// Whether the new file and the old one are exchanged, and exchanged back if another file came out.
    pub exchanges: bool,
    /// Whether its orders are replayed on the real code, where files are synced though the power does not
    /// fail, and times and inode numbers are exact.
    pub replayed: bool,
}

/// The process that left what [`Start::KilledHolder`] says.
pub const DEAD: Pid = 15;

impl Configuration {
    pub fn without(&self, check: Mutation) -> bool {
        self.mutation == Some(check)
    }

    pub fn role(&self, pid: Pid) -> Role {
        self.roles[usize::from(pid)]
    }

    pub fn has_power_failures(&self) -> bool {
        self.budget.power_failures > 0
    }

    /// Whether files and folders are synced. Where the power does not fail that changes nothing.
    pub fn syncs(&self) -> bool {
        self.has_power_failures() || self.replayed
    }

    /// The bit of an update.
    pub fn update(pid: Pid, number: u8) -> Updates {
        1 << (pid * 2 + number)
    }

    fn process(&self, pid: Pid) -> Process {
        let role = self.role(pid);
        let step = match role {
            Role::Sync if self.without(Mutation::SweepUnderLock) => Step::ListTemps,
            Role::Sync | Role::Async => Step::OpenGuard,
            Role::AfterReboot => Step::Reboot,
            Role::Doctor => Step::Survey,
            Role::Reader => Step::OpenToRead,
            Role::Older => Step::OlderCreate,
            Role::Document | Role::DocumentElsewhere => Step::OpenLockFile,
        };
        let mut process = Process::new(step);
        process.keeps_open = !self.without(Mutation::LockfileKeptOpen);
        let all = (0..self.updates).map(|number| Self::update(pid, number)).sum();
        match role {
            Role::Reader => {}
            // Not an update: it stands for the cleaning up that is still to be done.
            Role::Doctor => process.queued = Self::update(pid, 0),
            Role::Async => {
                process.queued = Self::update(pid, 0);
                process.later = all & !process.queued;
            }
            _ => process.queued = all,
        }
        process
    }

    fn start(&self, start: Start) -> State {
        let mut fs = FileSystem::default();
        fs.is_exact = self.replayed;
        let synced = |fs: &mut FileSystem, name, content| {
            let ino = fs.create(name, content).expect("the name is free");
            fs.inode_mut(ino).is_synced = true;
            ino
        };
        synced(&mut fs, Name::Registry, Content::Updates(0));
        let mut record = Record { pid: DEAD, nonce: 0, guard: None, boot: 0 };
        if start != Start::Unused {
            let guard = synced(&mut fs, Name::Guard, Content::Empty);
            record.guard = self.files.kernel_locks.then_some(guard);
            fs.inode_mut(guard).content = Content::Record(record);
        }
        match start {
            Start::Unused | Start::Used => {}
            Start::KilledHolder => {
                synced(&mut fs, Name::ContentTemp(DEAD, 0), Content::Empty);
                match fs.at(Name::Guard) {
                    Some(guard) if self.files.lockfile_is_guard => {
                        fs.link(guard, Name::Lockfile);
                    }
                    _ => _ = synced(&mut fs, Name::Lockfile, Content::Record(record)),
                }
            }
            Start::AbandonedByOlder => {
                let lockfile = synced(&mut fs, Name::Lockfile, Content::Empty);
                fs.inode_mut(lockfile).lockfile_of = Some(DEAD);
                fs.now = 1;
            }
        }
        let pids = 0..self.roles.len() as Pid;
        let on_disk = |name| fs.at(name).map_or(NO_FILE, |ino: Ino| 1 << ino);
        let disk = match self.has_power_failures() {
            false => Disk::default(),
            true => Disk {
                guard: on_disk(Name::Guard),
                lockfile: on_disk(Name::Lockfile),
                registry: on_disk(Name::Registry),
            },
        };
        State {
            processes: pids.map(|pid| self.process(pid)).collect(),
            fs,
            acknowledged: 0,
            rejected: 0,
            excused: 0,
            limits: 0,
            violations: 0,
            budget: self.budget,
            boot: 0,
            disk,
        }
    }

    pub fn initial_states(&self) -> Vec<State> {
        self.starts.iter().map(|start| self.start(*start)).collect()
    }
}
