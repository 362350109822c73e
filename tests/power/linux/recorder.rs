//! What a process did to the files of one folder and those below it, in order, from its system calls.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use super::tracer::{Action, Call, Observer};

pub(crate) type Inode = u64;

/// The files of a folder, and of the folders in it: their paths from there, and what the inodes have that
/// these stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Files {
    pub(crate) names: BTreeMap<String, Inode>,
    pub(crate) data: BTreeMap<Inode, Vec<u8>>,
}

/// One change, or one step that makes changes durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A name was given to an inode: by creating it, or by a hard link.
    Name {
        name: String,
        inode: Inode,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        name: String,
    },
    Write {
        inode: Inode,
        offset: usize,
        bytes: Vec<u8>,
    },
    SyncFile {
        inode: Inode,
    },
    /// By its path; empty for the folder that is recorded.
    SyncFolder {
        folder: String,
    },
    /// The caller was told that the operation is done.
    Acknowledged,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Write { inode, offset, bytes } => {
                write!(f, "write {} bytes at {offset} of {inode}", bytes.len())
            }
            other => write!(f, "{other:?}"),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Recording {
    pub(crate) before: Files,
    pub(crate) events: Vec<Event>,
}

impl Recording {
    /// Whether a file had this content at any time.
    pub(crate) fn has_been(&self, name: &str, content: Option<&[u8]>) -> bool {
        let mut files = self.before.clone();
        let mut events = self.events.iter();
        loop {
            if files.content(name) == content {
                return true;
            }
            match events.next() {
                Some(event) => files.apply(event),
                None => return false,
            }
        }
    }

    /// The recording of a program that leaves out some of its calls.
    pub(crate) fn without(&self, left_out: fn(&Event) -> bool) -> Self {
        let events = self.events.iter().filter(|event| !left_out(event)).cloned().collect();
        Recording { before: self.before.clone(), events }
    }

    /// What the files are when nothing is lost.
    pub(crate) fn after(&self) -> Files {
        let mut files = self.before.clone();
        for event in &self.events {
            files.apply(event);
        }
        files
    }
}

impl Files {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let mut files = Files::default();
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (name, metadata) =
                (entry.file_name().into_string().unwrap(), entry.metadata().unwrap());
            if metadata.is_dir() {
                let inside = Files::in_folder(&entry.path());
                let names =
                    inside.names.into_iter().map(|(path, inode)| (format!("{name}/{path}"), inode));
                files.names.extend(names);
                files.data.extend(inside.data);
                continue;
            }
            files.names.insert(name, metadata.ino());
            files.data.insert(metadata.ino(), fs::read(entry.path()).unwrap());
        }
        files
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Name { name, inode } => {
                self.names.insert(name.clone(), *inode);
                self.data.entry(*inode).or_default();
            }
            Event::Rename { from, to } => {
                if let Some(inode) = self.names.remove(from) {
                    self.names.insert(to.clone(), inode);
                }
            }
            Event::Remove { name } => drop(self.names.remove(name)),
            Event::Write { inode, offset, bytes } => {
                let data = self.data.entry(*inode).or_default();
                data.resize(data.len().max(offset + bytes.len()), 0);
                data[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            Event::SyncFile { .. } | Event::SyncFolder { .. } | Event::Acknowledged => {}
        }
    }

    pub(crate) fn content(&self, name: &str) -> Option<&[u8]> {
        Some(&self.data[self.names.get(name)?])
    }
}

/// Records a process from now on.
pub(crate) struct Recorder {
    folder: PathBuf,
    pub(crate) recording: Recording,
    /// The files as they are now, for the offsets of what is written at the end.
    now: Files,
    /// What calls that have begun write.
    writing: HashMap<Pid, Vec<u8>>,
}

impl Recorder {
    pub(crate) fn new(folder: &Path) -> Self {
        let before = Files::in_folder(folder);
        Recorder {
            folder: folder.to_path_buf(),
            now: before.clone(),
            recording: Recording { before, events: Vec::new() },
            writing: HashMap::new(),
        }
    }

    fn name(&self, path: &Path) -> Option<String> {
        let name = path.strip_prefix(&self.folder).ok()?;
        // A path may have a separator twice.
        let parts: Vec<_> = name.iter().map(|part| part.to_str().unwrap()).collect();
        (!parts.is_empty()).then(|| parts.join("/"))
    }

    fn push(&mut self, event: Event) {
        self.now.apply(&event);
        self.recording.events.push(event);
    }

    /// The inode of an open descriptor, if it is of this folder.
    fn inode(&self, call: &Call, descriptor: u64) -> Option<Inode> {
        self.name(&call.descriptor(descriptor))?;
        let inode = fs::metadata(format!("/proc/{}/fd/{descriptor}", call.thread)).ok()?.ino();
        self.now.data.contains_key(&inode).then_some(inode)
    }

    fn event(&mut self, call: &Call, result: i64) -> Option<Event> {
        match call.name {
            "openat" | "open" => {
                let name = self.name(&call.target())?;
                let path = format!("/proc/{}/fd/{result}", call.thread);
                let opened = fs::metadata(path).ok()?;
                let inode = opened.ino();
                // One that was there before is no change.
                let is_new = !opened.is_dir() && !self.now.names.contains_key(&name);
                is_new.then_some(Event::Name { name, inode })
            }
            "write" | "pwrite64" => {
                let inode = self.inode(call, call.arguments[0])?;
                let mut bytes = self.writing.remove(&call.thread)?;
                bytes.truncate(result as usize);
                let offset = match call.name {
                    "pwrite64" => call.arguments[3] as usize,
                    _ => self.now.data[&inode].len(),
                };
                Some(Event::Write { inode, offset, bytes })
            }
            "link" | "linkat" => {
                let [from, to] = if call.name == "link" { [0, 1] } else { [1, 3] };
                let inode = *self.now.names.get(&self.name(&call.path(from))?)?;
                Some(Event::Name { name: self.name(&call.path(to))?, inode })
            }
            "rename" | "renameat" | "renameat2" => {
                let [from, to] = if call.name == "rename" { [0, 1] } else { [1, 3] };
                let from = self.name(&call.path(from))?;
                Some(Event::Rename { from, to: self.name(&call.path(to))? })
            }
            "unlink" => Some(Event::Remove { name: self.name(&call.path(0))? }),
            "unlinkat" => Some(Event::Remove { name: self.name(&call.path(1))? }),
            "fsync" | "fdatasync" => match call.descriptor(call.arguments[0]) {
                synced if synced.is_dir() => {
                    let folder =
                        synced.strip_prefix(&self.folder).ok()?.to_str().unwrap().to_owned();
                    Some(Event::SyncFolder { folder })
                }
                _ => Some(Event::SyncFile { inode: self.inode(call, call.arguments[0])? }),
            },
            "ftruncate" | "truncate" | "fallocate" | "copy_file_range" | "writev" | "pwritev"
            | "symlink" | "mkdir" | "rmdir" => {
                panic!("{} is not recorded: {:?}", call.name, call.target())
            }
            _ => None,
        }
    }
}

impl Observer for Recorder {
    fn entry(&mut self, call: &Call) -> Action {
        if matches!(call.name, "write" | "pwrite64") && call.arguments[0] > 2 {
            let bytes = call.memory(call.arguments[1], call.arguments[2] as usize);
            self.writing.insert(call.thread, bytes);
        }
        Action::Run
    }

    fn exit(&mut self, call: &Call, result: i64) {
        if result < 0 {
            return;
        }
        if let Some(event) = self.event(call, result) {
            self.push(event);
        }
    }

    fn outcome(&mut self) -> &'static str {
        self.push(Event::Acknowledged);
        ""
    }
}
