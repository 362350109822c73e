//! The claims that this process holds: the open files, and with them the kernel locks, by folder and id.
//!
//! The table is the process's. A claim is held until its entry is removed or found lost, or the process
//! ends. A call finds it by the folder's path as the caller spells it, without asking the system: so a
//! heartbeat is two system calls.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use crate::content::entry_operation::WatcherRef;
use crate::content::entry_text;
use crate::content::record::{WatcherClaim, WatcherRecord};
use crate::folder::layout::FolderPaths;
use crate::lock::kernel_lock;
use crate::registry::own_scope::own_scope;
use crate::sys;
use crate::sys::FileId;

/// An entry of this process, with its open file.
#[derive(Debug)]
pub(crate) struct HeldEntry {
    pub(crate) claim: WatcherClaim,
    /// The record that was published, as compact JSON.
    pub(crate) json: String,
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    /// The file that carries the lock, where that is not the entry's own.
    pub(crate) lock: Option<Arc<ClaimLockFile>>,
}

/// The locked file beside an entry, where a locked file can't be read.
#[derive(Debug)]
pub(crate) struct ClaimLockFile(pub(crate) File);

impl Drop for ClaimLockFile {
    fn drop(&mut self) {
        let _ = kernel_lock::unlock(&self.0);
    }
}

impl HeldEntry {
    /// Dates the entry's file. Returns false if the entry was removed or replaced.
    pub(crate) fn renew(&self, now: SystemTime) -> io::Result<bool> {
        sys::set_modified(&self.file, now)?;
        Ok(!sys::has_lost_name(&self.file, &self.path)?)
    }

    pub(crate) fn file_id(&self) -> io::Result<FileId> {
        sys::id_of(&self.file, &self.file.metadata()?)
    }
}

impl Drop for HeldEntry {
    fn drop(&mut self) {
        // Unlocked explicitly: closing the file would leave it locked as long as a child process that is
        // just being started has a copy of the descriptor, until its exec.
        if self.lock.is_none() {
            let _ = kernel_lock::unlock(&self.file);
        }
    }
}

/// The claims in one folder.
#[derive(Debug, Default)]
pub(crate) struct HeldEntries {
    by_id: RwLock<HashMap<String, Arc<HeldEntry>>>,
}

type Folders = HashMap<OsString, Arc<HeldEntries>>;

/// By the absolute paths under which folders were used, and by their real paths.
static FOLDERS: LazyLock<RwLock<Folders>> = LazyLock::new(RwLock::default);

fn folders() -> RwLockReadGuard<'static, Folders> {
    FOLDERS.read().unwrap_or_else(PoisonError::into_inner)
}

fn folders_mut() -> RwLockWriteGuard<'static, Folders> {
    FOLDERS.write().unwrap_or_else(PoisonError::into_inner)
}

/// The claims of this process in a folder whose path is spelled as it was for an earlier claim. A relative
/// path is not known here: it may mean another folder by now.
pub(crate) fn by_spelling(path: &OsStr) -> Option<Arc<HeldEntries>> {
    folders().get(path).cloned()
}

/// The claims of this process in a folder.
pub(crate) fn in_folder(paths: &FolderPaths) -> Arc<HeldEntries> {
    let found = folders().get(paths.root.as_os_str()).cloned();
    found.unwrap_or_else(|| folders_mut().entry(paths.root.clone().into()).or_default().clone())
}

/// The outcome of a heartbeat by the claim that this process holds; `None` if it holds no such claim, or
/// if the entry was lost, so that the entry of this id has to be looked at.
pub(crate) fn renew(path: &Path, watcher: &WatcherRef, now: SystemTime) -> Option<io::Result<()>> {
    let held = by_spelling(path.as_os_str())?;
    let entry = held.get(watcher.id())?;
    let is_unchanged = match watcher {
        WatcherRef::Id(_) => true,
        WatcherRef::Claim(claim) => *claim == entry.claim,
        // Other fields than its date are written by replacing the file.
        WatcherRef::Record(record) => {
            record.claim() == entry.claim && {
                let mut record = WatcherRecord::clone(record);
                record.set_scope_if_own(&own_scope());
                is_same_but_for_date(&record.to_json(), &entry.json)
            }
        }
    };
    if !is_unchanged {
        return None;
    }
    match entry.renew(now) {
        Ok(true) => Some(Ok(())),
        Ok(false) => {
            held.forget(&entry);
            None
        }
        Err(error) => Some(Err(error)),
    }
}

/// Whether two records' texts differ in `updatedAt` at most.
pub(crate) fn is_same_but_for_date(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let dated = |text: &str| {
        entry_text::parse(text.as_bytes(), u64::MAX).map(|entry| entry.get().to_owned())
    };
    dated(one).is_ok_and(|one| dated(other).is_ok_and(|other| one == other))
}

impl HeldEntries {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Arc<HeldEntry>>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Arc<HeldEntry>>> {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<HeldEntry>> {
        self.read().get(id).cloned()
    }

    /// The entry that this process holds in that file.
    pub(crate) fn of_file(&self, id: &str, file: FileId) -> Option<Arc<HeldEntry>> {
        self.get(id).filter(|entry| entry.file_id().is_ok_and(|held| held == file))
    }

    /// Holds an entry that this process has published, instead of the one that it held under that id.
    pub(crate) fn hold(self: &Arc<Self>, paths: &FolderPaths, entry: HeldEntry) {
        if paths.given.is_absolute() && paths.given.as_os_str() != paths.root.as_os_str() {
            let mut folders = folders_mut();
            match folders.get_mut(paths.given.as_os_str()) {
                Some(known) => known.clone_from(self),
                None => _ = folders.insert(paths.given.clone().into(), self.clone()),
            }
        }
        self.write().insert(entry.claim.id.clone(), Arc::new(entry));
    }

    /// Drops an entry that was removed, and with it the lock; does nothing if another has its id by now.
    pub(crate) fn forget(&self, entry: &Arc<HeldEntry>) {
        let mut by_id = self.write();
        if by_id.get(&entry.claim.id).is_some_and(|held| Arc::ptr_eq(held, entry)) {
            by_id.remove(&entry.claim.id);
        }
    }
}
