//! The state of the model of the folder store: the entries, their files, the journal, and the processes.

use crate::file_system::Pid;

/// The number of a file; no number is given twice.
pub type File = u8;
/// The updates that are in an entry, one bit for each process.
pub type Bits = u8;

/// The ids of the entries. A name is `watchers/<id>.json`.
pub type Id = usize;
/// The entry that every update replaces.
pub const SHARED: Id = 0;
/// The entry that an update adds, and that a watcher may claim meanwhile.
pub const ADDED: Id = 1;
/// The entry that an update removes, and that a watcher may claim afterwards.
pub const REMOVED: Id = 2;
pub const IDS: usize = 3;

/// Each process has one temp file of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Temp {
    Claim(Pid),
    Replacing(Pid),
    Adding(Pid),
    /// The name that a removed entry gets.
    Aside(Pid),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Inode {
    pub bits: Bits,
    /// Whether a watcher has published it for itself.
    pub is_claimed: bool,
    pub locked_by: Option<Pid>,
    /// Whether a sweep has its lock, shared.
    pub is_swept: bool,
    /// Whether a call that names the entry has taken its name away, so that its loss is no fault.
    pub was_removed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Prepare,
    Commit,
    Clean,
}

/// What the journal says. The names of the temp files are those of the process that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Journal {
    pub phase: Phase,
    pub by: Pid,
    pub adds: bool,
    pub removes: bool,
}

/// A system call under the folder's guard, of an update or of what finishes or undoes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    WriteTemp(Temp, Bits),
    WriteJournal(Phase),
    RemoveJournal,
    /// Gives an added entry its name, which must be free.
    Link(Pid),
    /// Takes the name of an added entry away, if it is the one of this process.
    Unlink(Pid),
    Replace(Pid),
    /// Renames the entry that is removed, unless that was done.
    RenameAside(Pid),
    RemoveTemp(Temp),
    RemoveEntry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    // A claim.
    Look,
    CreateTemp,
    LockTemp,
    WriteTemp,
    Link,
    LockLinked,
    RemoveTemp,
    ReadJournal,
    /// Replaces the file under that name by an empty one.
    EndRemoved(Temp),
    ReadFound,
    AskForLock,
    Replace,
    // A heartbeat.
    Date,
    LookAtName,
    // Under the guard.
    TakeGuard,
    Recover,
    Calls,
    ReadEntries,
    Judge(Id),
    AskForLockOf(Id),
    RemoveDead(Id),
    SweepLock,
    SweepRemove,
    Release,
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub step: Step,
    pub alive: bool,
    pub has_guard: bool,
    pub temp: Option<File>,
    /// The entry that is judged.
    pub found: Option<File>,
    /// The entry that this process has claimed and not found lost.
    pub holds: Option<File>,
    /// The entries as an update has read them.
    pub read: [Option<File>; IDS],
    /// The calls that are to be made next.
    pub calls: Vec<Call>,
    /// Whether the calls are those of the update itself, not of the recovery of another one.
    pub is_own: bool,
    /// The temp file that a sweep has locked.
    pub sweeps: Option<(Temp, File)>,
    /// Of an update of several entries: which file it adds, and which it removes.
    pub plan: Option<(Option<File>, Option<File>)>,
    /// Whether the entry that it removes was renamed by it, or by the recovery of it.
    pub has_removed: bool,
    pub is_acknowledged: bool,
    /// Whether the name of its new entry was taken, so that the update runs again.
    pub is_taken: bool,
}

impl Process {
    pub fn new(step: Step) -> Self {
        Process {
            step,
            alive: true,
            has_guard: false,
            temp: None,
            found: None,
            holds: None,
            read: [None; IDS],
            calls: Vec::new(),
            is_own: false,
            sweeps: None,
            plan: None,
            has_removed: false,
            is_acknowledged: false,
            is_taken: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Violation {
    LiveEntryRemoved,
    TwoOwners,
    LossNotTold,
    HalfDone,
    AcknowledgedIsLost,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub entries: [Option<File>; IDS],
    /// In the order of the names.
    pub temps: Vec<(Temp, File)>,
    pub files: Vec<Inode>,
    pub journal: Option<Journal>,
    pub guard: Option<Pid>,
    pub processes: Vec<Process>,
    pub crashes: u8,
    pub violations: u8,
}

impl State {
    pub fn violate(&mut self, violation: Violation) {
        self.violations |= 1 << violation as u8;
    }

    pub fn has(&self, violation: Violation) -> bool {
        self.violations & (1 << violation as u8) != 0
    }

    pub fn temp(&self, temp: Temp) -> Option<File> {
        self.temps.iter().find(|(found, _)| *found == temp).map(|(_, file)| *file)
    }

    pub fn set_temp(&mut self, temp: Temp, file: Option<File>) {
        self.temps.retain(|(found, _)| *found != temp);
        if let Some(file) = file {
            self.temps.push((temp, file));
            self.temps.sort();
        }
    }

    pub fn create(&mut self, bits: Bits) -> File {
        self.files.push(Inode { bits, ..Inode::default() });
        File::try_from(self.files.len() - 1).expect("few files")
    }

    pub fn inode(&mut self, file: File) -> &mut Inode {
        &mut self.files[usize::from(file)]
    }

    pub fn is_named(&self, file: File) -> bool {
        self.entries.contains(&Some(file)) || self.temps.iter().any(|(_, found)| *found == file)
    }
}
