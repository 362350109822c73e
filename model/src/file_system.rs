//! The file system of the model: names, inodes, link counts, times and kernel locks.
//!
//! An inode number is free for another file as soon as no name and no open descriptor refers to the
//! file, and a new file gets the lowest free number, as on ext4.

/// The number of a process.
pub type Pid = u8;
/// The number of an inode.
pub type Ino = u8;
/// A time, in steps that are longer than the stale threshold (10 s).
pub type Time = i8;
/// A set of updates, one bit each.
pub type Updates = u16;
/// Counts the acquisitions of a process.
pub type Nonce = u8;

/// The names in the registry's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// `registry.json.guard`
    Guard,
    /// `registry.json.lock`
    Lockfile,
    /// `registry.json`, or the document
    Registry,
    /// `registry.lock`, a document's lock file
    LockFile,
    /// The temp file as which a process makes a guard.
    GuardTemp(Pid),
    /// The temp file as which a process makes a separate lockfile.
    LockfileTemp(Pid),
    /// The temp file of one commit.
    ContentTemp(Pid, Nonce),
    /// A lockfile that a process has moved aside.
    Aside(Pid),
    /// The claim on the lockfile with this inode and time.
    Claim(Ino, Time),
    /// The temp file of an older argus, which no sweep finds.
    OlderTemp(Pid),
}

impl Name {
    /// Whether a sweep removes files of this name.
    pub fn is_temp(self) -> bool {
        use Name::*;
        matches!(self, GuardTemp(_) | LockfileTemp(_) | ContentTemp(..) | Aside(_) | Claim(..))
    }
}

/// What an owner record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    pub pid: Pid,
    pub nonce: Nonce,
    pub guard: Option<Ino>,
    pub boot: u8,
}

/// What is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    Empty,
    /// A version of the registry: the updates that are in it.
    Updates(Updates),
    /// An owner record.
    Record(Record),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Inode {
    pub content: Content,
    /// Whether the content would survive a power failure.
    pub is_synced: bool,
    pub modified: Time,
    /// When it got its latest name.
    pub linked: Time,
    /// Which process has its kernel lock.
    pub locked_by: Option<Pid>,
    /// The older argus whose lockfile this is.
    pub lockfile_of: Option<Pid>,
    /// How often it was written to; counted where each write has a time of its own.
    pub writes: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct FileSystem {
    /// In the order of the names.
    names: Vec<(Name, Ino)>,
    inodes: Vec<Option<Inode>>,
    pub now: Time,
    /// Whether no inode number is given twice, and no two writes have one time: as on the machine of a
    /// replay, where that can be seen to.
    pub is_exact: bool,
}

impl FileSystem {
    pub fn at(&self, name: Name) -> Option<Ino> {
        self.names.iter().find(|(found, _)| *found == name).map(|(_, ino)| *ino)
    }

    pub fn names(&self) -> &[(Name, Ino)] {
        &self.names
    }

    pub fn inode(&self, ino: Ino) -> &Inode {
        self.inodes[usize::from(ino)].as_ref().expect("the inode is in use")
    }

    pub fn inode_mut(&mut self, ino: Ino) -> &mut Inode {
        self.inodes[usize::from(ino)].as_mut().expect("the inode is in use")
    }

    pub fn exists(&self, ino: Ino) -> bool {
        self.inodes.get(usize::from(ino)).is_some_and(Option::is_some)
    }

    /// Creates a file; `None` if the name is taken.
    pub fn create(&mut self, name: Name, content: Content) -> Option<Ino> {
        if self.at(name).is_some() {
            return None;
        }
        let freed = self.inodes.iter().position(Option::is_none).filter(|_| !self.is_exact);
        let free = freed.unwrap_or(self.inodes.len());
        if free == self.inodes.len() {
            self.inodes.push(None);
        }
        self.inodes[free] = Some(Inode {
            content,
            is_synced: false,
            modified: self.now,
            linked: self.now,
            locked_by: None,
            lockfile_of: None,
            writes: 0,
        });
        let ino = Ino::try_from(free).expect("few inodes");
        self.set(name, Some(ino));
        Some(ino)
    }

    /// Lets a name stand for an inode or for none.
    pub fn set(&mut self, name: Name, ino: Option<Ino>) {
        let place = self.names.binary_search_by_key(&name, |(found, _)| *found);
        match (place, ino) {
            (Ok(place), Some(ino)) => self.names[place].1 = ino,
            (Ok(place), None) => _ = self.names.remove(place),
            (Err(place), Some(ino)) => self.names.insert(place, (name, ino)),
            (Err(_), None) => {}
        }
    }

    /// Gives an inode a further name; false if that name is taken.
    pub fn link(&mut self, ino: Ino, name: Name) -> bool {
        if self.at(name).is_some() {
            return false;
        }
        self.set(name, Some(ino));
        let now = self.now;
        self.inode_mut(ino).linked = now;
        true
    }

    /// Renames a file, over another one if there is one; false if there is no file of the old name.
    pub fn rename(&mut self, from: Name, to: Name) -> bool {
        let Some(ino) = self.at(from) else { return false };
        self.set(from, None);
        self.set(to, Some(ino));
        let now = self.now;
        self.inode_mut(ino).linked = now;
        true
    }

    pub fn write(&mut self, ino: Ino, content: Content) {
        let (now, is_exact) = (self.now, self.is_exact);
        let inode = self.inode_mut(ino);
        inode.writes += u8::from(is_exact);
        inode.content = content;
        inode.modified = now;
        inode.is_synced = false;
    }

    pub fn record(&self, ino: Ino) -> Option<Record> {
        match self.inode(ino).content {
            Content::Record(record) => Some(record),
            _ => None,
        }
    }

    /// What a reader finds in the registry.
    pub fn registry(&self) -> Updates {
        match self.at(Name::Registry).map(|ino| self.inode(ino).content) {
            Some(Content::Updates(updates)) => updates,
            _ => 0,
        }
    }

    /// Whether an older argus takes a file of this time for stale.
    pub fn is_old(&self, modified: Time) -> bool {
        self.now > modified
    }

    /// Frees the inodes that have no name and that `is_open` does not know either.
    pub fn free_unused(&mut self, is_open: impl Fn(Ino) -> bool) {
        for ino in 0..self.inodes.len() {
            let number = ino as Ino;
            if self.inodes[ino].is_some()
                && !self.names.iter().any(|(_, named)| *named == number)
                && !is_open(number)
            {
                self.inodes[ino] = None;
            }
        }
        while !self.is_exact && self.inodes.last().is_some_and(Option::is_none) {
            self.inodes.pop();
        }
    }

    pub fn inos(&self) -> impl Iterator<Item = Ino> + '_ {
        (0..self.inodes.len()).filter(|ino| self.inodes[*ino].is_some()).map(|ino| ino as Ino)
    }
}
