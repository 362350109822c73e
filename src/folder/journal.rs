//! The journal of an update that changes several entries: what the next holder of the folder's lock
//! finishes, or undoes, if the process dies in the middle.
//!
//! | phase | what has been done | the next holder |
//! |---|---|---|
//! | none | the new entries' files are written, under names of temp files | nothing; they are litter |
//! | `prepare` | added entries are getting their names, which must be free | undoes: takes those names away |
//! | `commit` | all added entries have their names. Files are being replaced, and removed entries renamed | finishes |
//! | `clean` | all entries are as they have to be | removes the second and the former names |
//!
//! Each step can be done again. A name that was taken away is not mistaken for a later entry of that name:
//! an added entry is known by its temp file, which is the same file under a second name, and a removed one
//! has got another name, under which it stays until every removal is done. If that update dies, and a watcher
//! claims the id meanwhile, the claim replaces the file under that name by an empty one: a heartbeat tells that
//! its entry is gone by the number of its file's names.
//!
//! What a phase builds on is made durable before the journal names the phase: the journal and the entries are in two
//! folders, whose changes need not reach the disk in order.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::new_file;
use crate::folder::layout::FolderPaths;
use crate::folder::names;
use crate::folder::publish::replace_entry;
use crate::sys;

/// The version of the journal that this crate writes and reads.
const VERSION: u32 = 1;

/// How an error names what is left of an update that can't be undone any more.
pub(crate) const FINISH: &str = "finish an update (which the next call under its lock does) of";

/// How far an update has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Phase {
    Prepare,
    Commit,
    Clean,
}

/// A file under the name of a temp file, and the name of the entry that it is to be or was.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    pub(crate) temp: String,
    pub(crate) entry: String,
    /// Of a file that replaces another: whether heartbeats count that come to that one until then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) keeps_renewals: bool,
}

/// What an update does with the files of the entries.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Journal {
    argus_registry_update: u32,
    pub(crate) phase: Phase,
    pub(crate) added: Vec<Step>,
    pub(crate) replaced: Vec<Step>,
    /// Here `temp` is the name that the removed entry gets.
    pub(crate) removed: Vec<Step>,
}

/// How the journal is written.
pub(crate) struct JournalFile<'a> {
    pub(crate) paths: &'a FolderPaths,
    /// Of the lock under which it is written.
    pub(crate) nonce: &'a str,
    pub(crate) durable: bool,
}

impl Journal {
    pub(crate) fn new(added: Vec<Step>, replaced: Vec<Step>, removed: Vec<Step>) -> Self {
        let argus_registry_update = VERSION;
        Journal { argus_registry_update, phase: Phase::Prepare, added, replaced, removed }
    }

    fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a journal serialises")
    }

    /// Makes this the folder's journal, in this phase.
    pub(crate) fn enter(&mut self, phase: Phase, file: &JournalFile<'_>) -> io::Result<()> {
        self.phase = phase;
        let text = self.text();
        let temp = file.paths.lock.temp(file.nonce);
        let written = || -> io::Result<()> {
            sys::remove_if_there(&temp)?;
            let new = sys::create_new(&temp, 0o644)?;
            sys::give_to_owner_of(&fs::metadata(&file.paths.root)?, &new);
            sys::write_start(&new, &text)?;
            if file.durable {
                sys::sync_opened(&new)?;
            }
            names::rename(&temp, &file.paths.journal)?;
            if file.durable {
                sys::sync_folder(&file.paths.root)?;
            }
            Ok(())
        };
        written().inspect_err(|_| _ = sys::remove_if_there(&temp))
    }

    /// Whether this is the folder's journal, though entering it has failed.
    pub(crate) fn is_entered(&self, paths: &FolderPaths) -> Result<bool> {
        let found = read_file(paths).map_err(|error| {
            let operation =
                "tell whether it has begun (which the next call under its lock does) an update of";
            paths.error(operation, error)
        })?;
        Ok(found == Some(self.text()))
    }

    /// Takes away the names that added entries have got, and all temp files.
    pub(crate) fn undo(&self, paths: &FolderPaths) -> Result<()> {
        let fail = |error| paths.error("undo an update of", error);
        for step in &self.added {
            let (temp, entry) = (paths.entries.join(&step.temp), paths.entry(&step.entry));
            let id = sys::id_at(&temp).map_err(fail)?;
            if id.is_some() && sys::id_at(&entry).map_err(fail)? == id {
                sys::remove_if_there(&entry).map_err(fail)?;
            }
        }
        // Otherwise a power failure could bring an added entry back, and not the temp file by which it is known, or not the
        // journal.
        if_there(sys::sync_folder(&paths.entries)).map_err(fail)?;
        remove_temps(paths, self.added.iter().chain(&self.replaced)).map_err(fail)?;
        remove(paths).map_err(fail)
    }

    /// Replaces and renames what the update replaces and removes.
    pub(crate) fn apply(&self, paths: &FolderPaths) -> Result<()> {
        let fail = |error| paths.error(FINISH, error);
        for step in &self.replaced {
            let (temp, entry) = (paths.entries.join(&step.temp), paths.entry(&step.entry));
            if_there(replace_entry(&temp, &entry, step.keeps_renewals)).map_err(fail)?;
        }
        for step in &self.removed {
            let (entry, aside) = (paths.entry(&step.entry), paths.entries.join(&step.temp));
            let renamed = sys::id_at(&aside).map_err(fail)?;
            match sys::id_at(&entry).map_err(fail)? {
                // A power failure may have left both names.
                found if found.is_some() && found == renamed => {
                    sys::remove_if_there(&entry).map_err(fail)?;
                }
                Some(_) if renamed.is_none() => {
                    if_there(names::rename(&entry, &aside)).map_err(fail)?;
                }
                // It has been renamed: the name is free, or that of another entry by now.
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the second names of added entries, the entries that were removed, and the journal.
    pub(crate) fn clean(&self, paths: &FolderPaths) -> Result<()> {
        let fail = |error| paths.error(FINISH, error);
        // Those of replaced entries, too, which have been renamed: a power failure may have left both names.
        let all = self.added.iter().chain(&self.replaced).chain(&self.removed);
        remove_temps(paths, all).map_err(fail)?;
        remove(paths).map_err(fail)
    }
}

/// Removes the journal. Its removal need not survive a power failure: what it says can be done again.
fn remove(paths: &FolderPaths) -> io::Result<()> {
    sys::remove_if_there(&paths.journal)
}

fn remove_temps<'a>(
    paths: &FolderPaths,
    mut steps: impl Iterator<Item = &'a Step>,
) -> io::Result<()> {
    steps.try_for_each(|step| sys::remove_if_there(&paths.entries.join(&step.temp)))
}

/// The outcome of a step that may have been done already, or whose file or folder has gone since.
fn if_there(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// The bytes of the folder's journal; `None` if no update is under way.
fn read(paths: &FolderPaths) -> Result<Option<Vec<u8>>> {
    read_file(paths).map_err(|error| fail_to_read(paths, error))
}

fn read_file(paths: &FolderPaths) -> io::Result<Option<Vec<u8>>> {
    match fs::read(&paths.journal) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

fn fail_to_read(paths: &FolderPaths, error: io::Error) -> Error {
    paths.error("read the journal of an update of", error)
}

/// Takes the last name of the file that was the entry with this name before, if an update has removed that
/// entry and is not finished. As long as the file has a name, the heartbeats of its watcher take it for the
/// entry. The caller has just given the entry's name to another file, without the folder's guard, and tells no
/// caller so before this is done.
pub(crate) fn end_removed(paths: &FolderPaths, name: &str) -> Result<()> {
    // There, a heartbeat looks at the entry's name.
    if !sys::OPEN_FILES_CAN_BE_REPLACED {
        return Ok(());
    }
    let Some(bytes) = read(paths)? else { return Ok(()) };
    // What can't be read is the next holder's of the guard, which reports it.
    let Ok(journal) = serde_json::from_slice::<Journal>(&bytes) else { return Ok(()) };
    let fail = |error| paths.error("remove the earlier entry of an id from", error);
    for step in journal.removed.iter().filter(|step| step.entry == name) {
        let renamed = paths.entries.join(&step.temp);
        if sys::id_at(&renamed).map_err(fail)?.is_some() {
            // Not deleted: the next holder would take the new file for the one that is to be removed.
            let empty = paths.new_temp();
            new_file::create(&empty, None).map_err(fail)?;
            sys::rename(&empty, &renamed).map_err(fail)?;
        }
    }
    Ok(())
}

/// Finishes or undoes the update of a process that died under the folder's lock, which the caller holds.
pub(crate) fn recover(paths: &FolderPaths) -> Result<()> {
    let Some(bytes) = read(paths)? else { return Ok(()) };
    let Ok(mut journal) = serde_json::from_slice::<Journal>(&bytes) else {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            argus_registry_update: u32,
        }
        if let Ok(Version { argus_registry_update: found }) = serde_json::from_slice(&bytes) {
            let (path, found) = (paths.given.clone(), found.to_string());
            return Err(Error::UnsupportedVersion { path, found, expected: VERSION });
        }
        // A power failure after an update that was not durable. What it said can't be known.
        return sys::rename(&paths.journal, &paths.damaged_journal())
            .map_err(|error| fail_to_read(paths, error));
    };
    if journal.argus_registry_update != VERSION {
        let (path, found) = (paths.given.clone(), journal.argus_registry_update.to_string());
        return Err(Error::UnsupportedVersion { path, found, expected: VERSION });
    }
    match journal.phase {
        Phase::Prepare => journal.undo(paths),
        Phase::Commit => {
            journal.apply(paths)?;
            let synced = if_there(sys::sync_folder(&paths.entries));
            synced.map_err(|error| paths.error(FINISH, error))?;
            // Otherwise a crash in the middle of cleaning would remove a later entry in place of one
            // that is gone.
            let nonce = crate::files::paths::nonce();
            let file = JournalFile { paths, nonce: &nonce, durable: true };
            journal.enter(Phase::Clean, &file).map_err(|error| paths.error(FINISH, error))?;
            journal.clean(paths)
        }
        Phase::Clean => journal.clean(paths),
    }
}
