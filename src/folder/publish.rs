//! Publishing an entry: its file is written and locked under another name, and then gets its own, which
//! must be free, or replaces the file that has it. So an entry appears complete or not at all, and with its
//! claim's lock from its first moment.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::Result;
use crate::files::new_file;
use crate::folder::entry_file::EntryFile;
use crate::folder::held::ClaimLockFile;
use crate::folder::layout::FolderPaths;
use crate::folder::names;
use crate::lock::kernel_lock;
use crate::sys;
use crate::sys::FileId;

/// How often a temp file is written again that another process has taken for litter: it was found before
/// it was locked.
const MAX_SWEPT: u32 = 100;

/// An entry that is to be published.
pub(crate) struct NewEntry<'a> {
    pub(crate) paths: &'a FolderPaths,
    /// Of its file.
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    /// When the watcher renewed the entry, in milliseconds since 1970: the date that its file gets.
    pub(crate) date: Option<u64>,
    pub(crate) owner: Owner,
    /// Whether heartbeats count that come to the replaced entry until it is replaced.
    pub(crate) keeps_renewals: bool,
    pub(crate) durable: bool,
}

/// Whether the process that publishes an entry holds the lock of a claim on it.
#[derive(Debug, Clone)]
pub(crate) enum Owner {
    /// No process does: the entry is of another process than this one, or was added by an update.
    None,
    /// This process takes the lock.
    ThisProcess,
    /// This process has the lock already, on this file beside the entry.
    Holds(Arc<ClaimLockFile>),
}

/// The files of a published entry. The caller keeps them, if this process holds the entry's claim, before it makes the
/// entry's name durable: without them, the process would count as dead where that fails.
pub(crate) struct PublishedFiles {
    pub(crate) id: FileId,
    /// `None` if this process holds no claim on it.
    pub(crate) file: Option<File>,
    pub(crate) lock: Option<Arc<ClaimLockFile>>,
}

/// What became of publishing under a name that has to be free.
pub(crate) enum Published {
    Yes(PublishedFiles),
    /// Another entry has the name.
    NameTaken,
    /// The file system has no second names: the caller needs the folder's guard.
    NeedsGuard,
}

impl NewEntry<'_> {
    /// Publishes the entry under its name if no other entry has it. `under_guard` says that the caller
    /// holds the folder's guard.
    pub(crate) fn publish(&self, under_guard: bool) -> Result<Published> {
        let fail = |error| self.paths.error("enter a watcher in", error);
        let target = self.paths.entry(self.name);
        for _ in 0..MAX_SWEPT {
            // A lock file beside the entry of another process would say that it was claimed, and that
            // its process has ended.
            if !sys::LOCKED_FILE_IS_READABLE && sys::id_at(&target).map_err(fail)?.is_some() {
                return Ok(Published::NameTaken);
            }
            let Some(written) = self.write().map_err(fail)? else {
                return Ok(Published::NameTaken);
            };
            match names::link(&written.path, &target) {
                Ok(()) => {
                    // A further name would keep the entry's removal from being noticed.
                    if let Err(error) = sys::remove_if_there(&written.path) {
                        self.take_back(written.id)?;
                        return Err(fail(error));
                    }
                    return Ok(Published::Yes(written.into_files()));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Ok(Published::NameTaken)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if sys::links_unsupported(&error) => {
                    if !under_guard {
                        return Ok(Published::NeedsGuard);
                    }
                    if sys::id_at(&target).map_err(fail)?.is_some() {
                        return Ok(Published::NameTaken);
                    }
                    names::rename(&written.path, &target).map_err(fail)?;
                    return Ok(Published::Yes(written.into_files()));
                }
                Err(error) => return Err(fail(error)),
            }
        }
        Err(fail(io::Error::other("other programs delete its temp files all the time")))
    }

    /// Takes the name back from an entry that was published, where the call fails nevertheless.
    pub(crate) fn take_back(&self, file: FileId) -> Result<()> {
        let taken = names::take_back(file, &self.paths.entry(self.name));
        taken.map_err(|error| {
            self.paths.error("take back the entry (though it has changed) of a watcher in", error)
        })
    }

    /// Publishes the entry under its name, and replaces the entry that has it; `None` if that one was judged as too old,
    /// and was renewed while the new one was written. The caller holds the folder's guard.
    pub(crate) fn replace(&self, judged: Option<&EntryFile>) -> Result<Option<PublishedFiles>> {
        let fail = |error| self.paths.error("replace an entry of", error);
        for _ in 0..MAX_SWEPT {
            let Some(written) = self.write().map_err(fail)? else {
                // Another process holds the lock file of the entry that is replaced.
                let lock = self.paths.claim_lock(self.name);
                sys::remove_name(&lock, &self.paths.new_temp()).map_err(fail)?;
                continue;
            };
            if let Some(judged) = judged {
                if judged.is_renewed(self.paths).map_err(fail)? {
                    return Ok(None);
                }
            }
            let target = self.paths.entry(self.name);
            match replace_entry(&written.path, &target, self.keeps_renewals) {
                Ok(()) => return Ok(Some(written.into_files())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(fail(error)),
            }
        }
        Err(fail(io::Error::other("other programs delete its temp files all the time")))
    }

    /// Writes and locks the file; `None` if another process holds the lock of the claim.
    pub(crate) fn write(&self) -> io::Result<Option<WrittenEntry>> {
        for _ in 0..MAX_SWEPT {
            let path = self.paths.new_temp();
            let file = match new_file::create(&path, None) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    new_file::create_folder(&self.paths.entries)?;
                    new_file::create(&path, None)
                }
                created => created,
            }?;
            let mut written = WrittenEntry::new(path, file)?;
            let file = written.file.as_mut().expect("it was set");
            let is_claim = !matches!(self.owner, Owner::None);
            let mut is_locked = false;
            if is_claim && sys::LOCKED_FILE_IS_READABLE {
                is_locked = match lock_new(file)? {
                    // Another process judges whether it is litter, and may be about to delete it.
                    NewLock::Taken => continue,
                    lock => lock == NewLock::Held,
                };
            }
            if is_claim && !sys::LOCKED_FILE_IS_READABLE {
                written.lock = match &self.owner {
                    Owner::Holds(lock) => Some(lock.clone()),
                    _ => {
                        let path = self.paths.claim_lock(self.name);
                        let Some((lock, is_new)) = lock_beside(&path)? else { return Ok(None) };
                        written.new_lock = is_new.then_some(path);
                        Some(Arc::new(ClaimLockFile(lock)))
                    }
                };
            }
            file.write_all(self.text.as_bytes())?;
            // With the mark and without the lock its process would count as dead.
            if is_locked {
                sys::mark(file)?;
            }
            if let Some(date) = self.date {
                sys::set_modified(file, SystemTime::UNIX_EPOCH + Duration::from_millis(date))?;
            }
            if self.durable {
                sys::sync_opened(file)?;
            }
            if !is_claim {
                // An update may write more entries than a process may have open files.
                written.file = None;
            }
            return Ok(Some(written));
        }
        Err(io::Error::other("other programs lock its temp files all the time"))
    }
}

/// Gives a written file the name of the entry that it replaces. With `keeps_renewals` it gets the date of that entry's
/// file if that is the later one: a heartbeat, which takes no lock of the folder, has been acknowledged.
pub(crate) fn replace_entry(written: &Path, entry: &Path, keeps_renewals: bool) -> io::Result<()> {
    let mut files = match keeps_renewals {
        true => open_both(written, entry)?,
        false => None,
    };
    if let Some((new, old)) = &files {
        keep_later_date(new, old)?;
    }
    if !sys::OPEN_FILES_CAN_BE_REPLACED {
        files = None;
    }
    names::rename(written, entry)?;
    if let Some((new, old)) = &files {
        // From here on, a heartbeat of the old file finds it replaced, and looks for the new one. A failure is none of the
        // caller's: the entry is replaced, and its watcher has to keep the lock on it.
        let _ = keep_later_date(new, old);
    }
    Ok(())
}

/// Opens a written file, and that of the entry that it is to replace. `None` if either is not there, or is another
/// user's: a process that finishes the update of another user's may only rename its files.
fn open_both(written: &Path, entry: &Path) -> io::Result<Option<(File, File)>> {
    let both = sys::open_existing(written).and_then(|new| Ok((new, sys::open_read_only(entry)?)));
    match both {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        both => both.map(Some),
    }
}

/// Dates a new file with the date of the old one if that is later.
fn keep_later_date(new: &File, old: &File) -> io::Result<()> {
    let date = old.metadata()?.modified()?;
    match new.metadata()?.modified()? < date {
        true => sys::set_modified(new, date),
        false => Ok(()),
    }
}

/// How an error names what a sync was to do.
pub(crate) const NOT_DURABLE: &str = "make durable (though it has changed)";

/// Makes the names of the entries durable.
pub(crate) fn sync_entries(paths: &FolderPaths) -> Result<()> {
    let synced = sys::sync_folder(&paths.entries);
    synced.map_err(|error| paths.error(NOT_DURABLE, error))
}

/// Whether this process has locked a file that it has just created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NewLock {
    Held,
    /// Another process has locked it.
    Taken,
    /// There are no kernel locks, now or at all: the entry's process is known by its pid.
    Unsupported,
}

/// Locks a file that this process has just created.
fn lock_new(file: &File) -> io::Result<NewLock> {
    match kernel_lock::attempt(file, kernel_lock::LockMode::Exclusive) {
        Ok(true) => Ok(NewLock::Held),
        Ok(false) => Ok(NewLock::Taken),
        Err(error) if sys::locks_unsupported(&error) => Ok(NewLock::Unsupported),
        Err(error) => Err(error),
    }
}

/// Locks the file that carries the lock of a claim, and says whether it was not there before; `None` if
/// another process holds it.
fn lock_beside(path: &Path) -> io::Result<Option<(File, bool)>> {
    for _ in 0..MAX_SWEPT {
        let (opened, is_new) = match sys::open_existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (sys::create_new(path, 0o666), true)
            }
            opened => (opened, false),
        };
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            opened => opened?,
        };
        if lock_new(&file)? == NewLock::Taken {
            return Ok(None);
        }
        if kernel_lock::is_at(&file, path)? {
            return Ok(Some((file, is_new)));
        }
    }
    Err(io::Error::other("other programs create and delete it all the time"))
}

/// The file of an entry that has no name of an entry yet. It is deleted when this is dropped unless the
/// entry was published.
pub(crate) struct WrittenEntry {
    pub(crate) path: PathBuf,
    id: FileId,
    file: Option<File>,
    lock: Option<Arc<ClaimLockFile>>,
    /// The file that carries the lock, if it was created for this entry.
    new_lock: Option<PathBuf>,
    is_published: bool,
}

impl WrittenEntry {
    fn new(path: PathBuf, file: File) -> io::Result<Self> {
        let id = file.metadata().and_then(|metadata| sys::id_of(&file, &metadata));
        let id = id.inspect_err(|_| _ = sys::remove_if_there(&path))?;
        Ok(WrittenEntry {
            path,
            id,
            file: Some(file),
            lock: None,
            new_lock: None,
            is_published: false,
        })
    }

    /// The open files, of an entry that has its name, or gets it by the caller.
    pub(crate) fn into_files(mut self) -> PublishedFiles {
        self.is_published = true;
        PublishedFiles { id: self.id, file: self.file.take(), lock: self.lock.take() }
    }
}

impl Drop for WrittenEntry {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = sys::remove_if_there(&self.path);
            if let Some(lock) = &self.new_lock {
                let _ = sys::remove_if_there(lock);
            }
        }
    }
}
