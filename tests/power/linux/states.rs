//! The states that a power failure can leave.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::recorder::{Event, Files, Inode, Recording};

/// What is known of the order in which changes reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileSystem {
    /// POSIX promises what was synced, and nothing else: any set of the other changes may be there, a
    /// rename may have made its new name and not removed the old one, and what was written may be there,
    /// missing, zeros, or there in part.
    Posix,
    /// Names change in the order of the calls (one journal), and a sync takes along what came before the
    /// last change of its file. What was written to a new file may be missing, but not once it has
    /// replaced another one by a rename (`auto_da_alloc`).
    Ext4,
    /// Like ext4, without that promise about renames; unwritten blocks may be zeros.
    Xfs,
}

impl FileSystem {
    pub(crate) const ALL: [FileSystem; 3] = [FileSystem::Posix, FileSystem::Ext4, FileSystem::Xfs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            FileSystem::Posix => "POSIX",
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "XFS",
        }
    }
}

/// What is on the disk, and whether the operation had been acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct State {
    pub(crate) is_acknowledged: bool,
    pub(crate) files: Files,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = if self.is_acknowledged { "acknowledged" } else { "not acknowledged" };
        write!(f, "{told};")?;
        for (name, inode) in &self.files.names {
            let data = &self.files.data[inode];
            let zeros = data.iter().filter(|byte| **byte == 0).count();
            write!(f, " {name} = inode {inode} ({} bytes, {zeros} zeros)", data.len())?;
        }
        Ok(())
    }
}

/// What has become of the bytes that were written to a file and not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsynced {
    Missing,
    There,
    Zeros,
    /// The first sector.
    Half,
}

const SECTOR: usize = 512;

/// A change of a name that is there or not.
#[derive(Clone)]
struct NameChange {
    index: usize,
    name: String,
    /// None: the name is removed.
    inode: Option<Inode>,
    /// Whether it gave a file the name of another one.
    replaces: bool,
}

/// Every state, once, that a crash before or after any event can leave.
pub(crate) fn after_a_crash(recording: &Recording, file_system: FileSystem) -> BTreeSet<State> {
    let mut states = BTreeSet::new();
    for length in 0..=recording.events.len() {
        add_states(recording, &recording.events[..length], file_system, &mut states);
    }
    states
}

fn add_states(
    recording: &Recording,
    events: &[Event],
    file_system: FileSystem,
    states: &mut BTreeSet<State>,
) {
    let is_acknowledged = events.contains(&Event::Acknowledged);
    let (synced, open) = name_changes(recording, events, file_system);
    let choices = match file_system {
        FileSystem::Posix => subsets(&open),
        FileSystem::Ext4 | FileSystem::Xfs => prefixes(&open),
    };
    let written = unsynced_inodes(events);
    for chosen in choices {
        let there: Vec<NameChange> = synced.iter().chain(&chosen).cloned().collect();
        for fates in fates_of(&written, &there, file_system) {
            let mut files = Files::default();
            files.names.clone_from(&recording.before.names);
            for change in &there {
                match change.inode {
                    Some(inode) => drop(files.names.insert(change.name.clone(), inode)),
                    None => drop(files.names.remove(&change.name)),
                }
            }
            let inodes: BTreeSet<Inode> = files.names.values().copied().collect();
            for inode in inodes {
                let fate = fates.get(&inode).copied().unwrap_or(Unsynced::There);
                files.data.insert(inode, data_of(recording, events, inode, fate));
            }
            states.insert(State { is_acknowledged, files });
        }
    }
}

/// The changes of names that are surely on the disk, and those that may be.
fn name_changes(
    recording: &Recording,
    events: &[Event],
    file_system: FileSystem,
) -> (Vec<NameChange>, Vec<NameChange>) {
    let mut names = recording.before.names.clone();
    let mut changes = Vec::new();
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::Name { name, inode } => {
                names.insert(name.clone(), *inode);
                let inode = Some(*inode);
                changes.push(NameChange { index, name: name.clone(), inode, replaces: false });
            }
            Event::Rename { from, to } => {
                let inode = names.remove(from);
                let replaces = names.insert(to.clone(), inode.unwrap()).is_some();
                changes.push(NameChange { index, name: to.clone(), inode, replaces });
                let name = from.clone();
                changes.push(NameChange { index, name, inode: None, replaces: false });
            }
            Event::Remove { name } => {
                names.remove(name);
                let name = name.clone();
                changes.push(NameChange { index, name, inode: None, replaces: false });
            }
            _ => {}
        }
    }
    changes.into_iter().partition(|change| {
        let folder = change.name.rsplit_once('/').map_or("", |(folder, _)| folder);
        change.index < synced_up_to(events, folder, file_system)
    })
}

/// The changes of names in a folder before this event are on the disk. POSIX promises it of the folder that is synced;
/// file systems with one journal for all names do so of all folders.
fn synced_up_to(events: &[Event], of: &str, file_system: FileSystem) -> usize {
    let mut synced = 0;
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::SyncFolder { folder } if folder == of || file_system != FileSystem::Posix => {
                synced = index;
            }
            Event::SyncFile { inode } if file_system != FileSystem::Posix => {
                let touches = |event: &Event| match event {
                    Event::Name { inode: named, .. } => named == inode,
                    Event::Write { inode: written, .. } => written == inode,
                    _ => false,
                };
                let last = events[..index].iter().rposition(touches);
                synced = synced.max(last.map_or(0, |last| last + 1));
            }
            _ => {}
        }
    }
    synced
}

/// No file system loses a file that it renames: the old name goes when the new one is there.
fn subsets(changes: &[NameChange]) -> Vec<Vec<NameChange>> {
    let is_in = |set: u32, index: &usize| set & (1 << index) != 0;
    let loses_a_file = |set: u32| {
        (1..changes.len()).any(|index| {
            let (to, from) = (&changes[index - 1], &changes[index]);
            to.index == from.index && is_in(set, &index) && !is_in(set, &(index - 1))
        })
    };
    (0..1_u32 << changes.len())
        .filter(|set| !loses_a_file(*set))
        .map(|set| {
            let chosen = (0..changes.len()).filter(|index| is_in(set, index));
            chosen.map(|index| changes[index].clone()).collect()
        })
        .collect()
}

/// A rename is one change.
fn prefixes(changes: &[NameChange]) -> Vec<Vec<NameChange>> {
    (0..=changes.len())
        .filter(|length| match (changes.get(length.wrapping_sub(1)), changes.get(*length)) {
            (Some(last), Some(next)) => last.index != next.index,
            _ => true,
        })
        .map(|length| changes[..length].to_vec())
        .collect()
}

/// The files with bytes that were not synced.
fn unsynced_inodes(events: &[Event]) -> Vec<Inode> {
    let mut open = BTreeSet::new();
    for event in events {
        match event {
            Event::Write { inode, .. } => drop(open.insert(*inode)),
            Event::SyncFile { inode } => drop(open.remove(inode)),
            _ => {}
        }
    }
    open.into_iter().collect()
}

fn fates_of(
    written: &[Inode],
    there: &[NameChange],
    file_system: FileSystem,
) -> Vec<BTreeMap<Inode, Unsynced>> {
    let mut all = vec![BTreeMap::new()];
    for inode in written {
        let has_replaced =
            there.iter().any(|change| change.inode == Some(*inode) && change.replaces);
        let fates: &[Unsynced] = match file_system {
            FileSystem::Ext4 if has_replaced => &[Unsynced::There],
            FileSystem::Ext4 => &[Unsynced::Missing, Unsynced::There, Unsynced::Half],
            FileSystem::Posix | FileSystem::Xfs => {
                &[Unsynced::Missing, Unsynced::There, Unsynced::Half, Unsynced::Zeros]
            }
        };
        all = all
            .into_iter()
            .flat_map(|so_far: BTreeMap<Inode, Unsynced>| {
                fates.iter().map(move |fate| {
                    let mut with = so_far.clone();
                    with.insert(*inode, *fate);
                    with
                })
            })
            .collect();
    }
    all
}

/// What a file has: what was synced, and of the rest what its fate leaves.
fn data_of(recording: &Recording, events: &[Event], inode: Inode, fate: Unsynced) -> Vec<u8> {
    let is_sync = |event: &Event| *event == Event::SyncFile { inode };
    let last_sync = events.iter().rposition(is_sync).unwrap_or(0);
    let mut data = recording.before.data.get(&inode).cloned().unwrap_or_default();
    for (index, event) in events.iter().enumerate() {
        let Event::Write { inode: written, offset, bytes } = event else { continue };
        if *written != inode {
            continue;
        }
        let bytes = match (index < last_sync, fate) {
            (true, _) | (false, Unsynced::There) => bytes.clone(),
            (false, Unsynced::Missing) => continue,
            (false, Unsynced::Zeros) => vec![0; bytes.len()],
            (false, Unsynced::Half) => bytes[..bytes.len().min(SECTOR) / 2 * 2].to_vec(),
        };
        // A file with less than a sector is cut in the middle.
        let bytes = match fate {
            Unsynced::Half if index >= last_sync && bytes.len() < SECTOR => {
                bytes[..bytes.len() / 2].to_vec()
            }
            _ => bytes,
        };
        data.resize(data.len().max(offset + bytes.len()), 0);
        data[*offset..offset + bytes.len()].copy_from_slice(&bytes);
    }
    data
}
