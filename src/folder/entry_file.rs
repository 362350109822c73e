//! One entry's file: reading it, and whether the process that claimed it lives.

use std::fs::{self, File, Metadata};
use std::io;
use std::time::SystemTime;

use serde_json::value::RawValue;

use crate::content::entry_text;
use crate::content::record::RawEntry;
use crate::content::stale_entry::WatcherState;
use crate::error::MAX_CONTENT_BYTES;
use crate::folder::id::{EntryId, NamedId};
use crate::folder::layout::FolderPaths;
use crate::lock::kernel_lock;
use crate::registry::liveness::LivenessCheck;
use crate::sys;
use crate::sys::{FileId, FileStamp};

/// An entry as it is in its file.
#[derive(Debug, Clone)]
pub(crate) struct EntryFile {
    pub(crate) id: EntryId,
    pub(crate) name: String,
    /// The entry, with the later of its own date and the file's.
    pub(crate) value: Box<RawValue>,
    pub(crate) file: FileId,
    /// The file's date.
    modified: SystemTime,
    /// Whether a process that claimed the entry has published the file, and locked it.
    is_claimed: bool,
}

/// What a file among the entries holds.
#[derive(Debug)]
pub(crate) enum FoundFile {
    Entry(EntryFile),
    /// What it holds is no entry, for this reason.
    Damaged(String),
    /// The system does not let this process read it, now or at all.
    Unreadable(io::Error),
    /// It is gone.
    Missing,
}

/// Whether a file can't be read now, and may be read later: a call that has to know all entries fails. A file that this
/// user may not read at all is like a damaged one, which no call has to know.
pub(crate) fn is_for_now(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::PermissionDenied
}

/// Reads the entry in the file of this name.
pub(crate) fn read(paths: &FolderPaths, name: &str) -> FoundFile {
    read_with_stamp(paths, name).0
}

/// Reads the entry in the file of this name. Returns the stamp, too, that the file had just before.
pub(crate) fn read_with_stamp(paths: &FolderPaths, name: &str) -> (FoundFile, Option<FileStamp>) {
    let opened = sys::open_read_only(&paths.entry(name));
    let opened = opened.and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    let (file, metadata) = match opened {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (FoundFile::Missing, None),
        Err(error) => {
            // A link or a socket is none that could be opened.
            let is_file = |metadata: Metadata| metadata.is_file();
            let may_be_entry = fs::symlink_metadata(paths.entry(name)).map_or(true, is_file);
            return match may_be_entry {
                true => (FoundFile::Unreadable(error), None),
                false => (FoundFile::Damaged(error.to_string()), None),
            };
        }
    };
    let found = match try_read(paths, name, &file, &metadata) {
        Ok(Ok(entry)) => FoundFile::Entry(entry),
        Ok(Err(reason)) => FoundFile::Damaged(reason),
        Err(error) => FoundFile::Unreadable(error),
    };
    (found, sys::stamp_of(&metadata))
}

fn try_read(
    paths: &FolderPaths,
    name: &str,
    file: &File,
    metadata: &Metadata,
) -> io::Result<Result<EntryFile, String>> {
    if !metadata.is_file() {
        return Ok(Err("it is not a regular file".to_owned()));
    }
    if metadata.len() > MAX_CONTENT_BYTES {
        return Ok(Err(format!("it has more than {MAX_CONTENT_BYTES} bytes")));
    }
    let bytes = sys::read_all(file, metadata.len(), MAX_CONTENT_BYTES)?;
    let value = match entry_text::parse(&bytes, modified_ms(metadata)) {
        Ok(value) => value,
        Err(reason) => return Ok(Err(reason)),
    };
    let id = match EntryId::of_file_name(name) {
        NamedId::Id(id) => Some(id),
        NamedId::Cut => RawEntry(value.get()).raw_id().map(|id| EntryId::of_json(&id)),
        NamedId::None => None,
    };
    let Some(id) = id.filter(|id| id.file_name() == name) else {
        return Ok(Err("its name is not that of the record's id".to_owned()));
    };
    let is_claimed = match sys::LOCKED_FILE_IS_READABLE {
        true => sys::is_marked(metadata),
        false => paths.claim_lock(name).exists(),
    };
    let file = sys::id_of(file, metadata)?;
    let modified = metadata.modified()?;
    Ok(Ok(EntryFile { id, name: name.to_owned(), value, file, modified, is_claimed }))
}

fn modified_ms(metadata: &Metadata) -> u64 {
    let modified = metadata.modified().ok();
    let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// What the kernel says of the process that claimed an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimLock {
    /// A process holds the lock: it lives, even if it is frozen.
    Held,
    /// No process holds it.
    Free,
    /// The file system has no kernel locks, or the file can't be opened.
    Unknown,
}

/// Asks for the lock of the claim on the entry of this name.
pub(crate) fn claim_lock(paths: &FolderPaths, name: &str) -> ClaimLock {
    let path = match sys::LOCKED_FILE_IS_READABLE {
        true => paths.entry(name),
        false => paths.claim_lock(name),
    };
    match sys::open_read_only(&path).and_then(|file| kernel_lock::is_held(&file)) {
        Ok(true) => ClaimLock::Held,
        Ok(false) => ClaimLock::Free,
        // Without a lock file no process has claimed the entry.
        Err(error) if error.kind() == io::ErrorKind::NotFound => ClaimLock::Free,
        Err(_) => ClaimLock::Unknown,
    }
}

impl EntryFile {
    pub(crate) fn raw(&self) -> RawEntry<'_> {
        RawEntry(self.value.get())
    }

    /// Whether the entry was renewed since it was read, or has gone. Asked just before an entry is removed that was judged
    /// as too old: a heartbeat takes no lock of the folder, and says that it has renewed the entry.
    pub(crate) fn is_renewed(&self, paths: &FolderPaths) -> io::Result<bool> {
        match fs::symlink_metadata(paths.entry(&self.name)).and_then(|found| found.modified()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            modified => Ok(modified? != self.modified),
        }
    }

    /// What is known of the entry's process.
    ///
    /// The lock of a claim tells for sure. An entry that no process has claimed for itself, as one that an
    /// update has added, is judged by its pid like an entry in a file; so is every entry where the file
    /// system has no kernel locks.
    pub(crate) fn state(&self, paths: &FolderPaths, liveness: &LivenessCheck) -> WatcherState {
        match claim_lock(paths, &self.name) {
            ClaimLock::Held => WatcherState::Alive,
            ClaimLock::Free if self.is_claimed => WatcherState::Dead,
            ClaimLock::Free | ClaimLock::Unknown => {
                let fields = self.raw().liveness_fields();
                fields.map_or(WatcherState::NotOfThisHost, |fields| liveness.state_of(&fields))
            }
        }
    }
}
