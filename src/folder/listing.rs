//! Reading all entries of a folder, without a lock.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::time::SystemTime;

use crate::content::registry_v1::RegistryV1;
use crate::error::Result;
use crate::folder::entry_file::{self, EntryFile, FoundFile};
use crate::folder::id;
use crate::folder::layout::{FolderPaths, ENTRIES};
use crate::sys;
use crate::warning::Warning;

/// How often the names are listed again while other processes change them.
const MAX_LISTINGS: u32 = 4;

/// The entries of a folder, in the order of their files' names.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) entries: Vec<EntryFile>,
    pub(crate) warnings: Vec<Warning>,
    /// When a name was last added or removed, in milliseconds since 1970; `None` if there is no folder.
    modified_ms: Option<u64>,
}

/// The names in the folder of the entries.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) entries: BTreeSet<String>,
    pub(crate) temps: Vec<String>,
}

/// The names of the entries' files, and when a name was last added or removed; `None` if there is no
/// folder.
///
/// A name that is there throughout is found: a file that replaces another may get another position in
/// the folder, on some file systems, and so may be missed by one listing. So the names are listed again if
/// they have changed, and those of all listings count.
pub(crate) fn names(paths: &FolderPaths) -> Result<Option<(Names, SystemTime)>> {
    let fail = |error| paths.error("list the entries of", error);
    let mut names = Names::default();
    let mut before = match fs::metadata(&paths.entries) {
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                && !sys::is_in_deleted_folder(&paths.given) =>
        {
            return Ok(None)
        }
        found => found.and_then(|found| found.modified()).map_err(fail)?,
    };
    for _ in 0..MAX_LISTINGS {
        names.temps.clear();
        for entry in fs::read_dir(&paths.entries).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            let Some(name) = name.to_str() else { continue };
            if FolderPaths::is_temp(name) {
                names.temps.push(name.to_owned());
            } else if name.ends_with(id::ENDING) && !name.starts_with('.') {
                names.entries.insert(name.to_owned());
            }
        }
        let after =
            fs::metadata(&paths.entries).and_then(|found| found.modified()).map_err(fail)?;
        if std::mem::replace(&mut before, after) == after {
            break;
        }
    }
    Ok(Some((names, before)))
}

impl Listing {
    pub(crate) fn read(paths: &FolderPaths) -> Result<Self> {
        let Some((names, modified)) = names(paths)? else {
            return Ok(Listing { entries: Vec::new(), warnings: Vec::new(), modified_ms: None });
        };
        let mut entries = Vec::with_capacity(names.entries.len());
        let mut warnings = Vec::new();
        for name in &names.entries {
            match entry_file::read(paths, name) {
                FoundFile::Entry(entry) => entries.push(entry),
                FoundFile::Damaged(reason) => {
                    let path = paths.given.join(ENTRIES).join(name);
                    warnings.push(Warning::DamagedEntry { path, reason });
                }
                FoundFile::Missing => {}
            }
        }
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let modified_ms = Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        Ok(Listing { entries, warnings, modified_ms })
    }

    /// The registry that a reader gets, and its warnings. The registry's date is that of the last entry
    /// that was renewed, added or removed.
    pub(crate) fn into_registry(mut self, paths: &FolderPaths) -> (RegistryV1, Vec<Warning>) {
        let Some(modified) = self.modified_ms else {
            self.warnings.push(Warning::Missing { path: paths.given.clone() });
            return (RegistryV1::new(), self.warnings);
        };
        let dates = self.entries.iter().filter_map(|entry| entry.raw().date());
        let updated_at = dates.fold(modified, u64::max);
        let entries = self.entries.into_iter().map(|entry| (entry.id.to_json(), entry.value));
        (RegistryV1::of_entries(updated_at, entries), self.warnings)
    }
}

/// Reads the text of the registry in a folder, which is `None` if there is no registry, and the warnings.
pub(crate) fn read_text(paths: &FolderPaths) -> Result<(Option<String>, Vec<Warning>)> {
    let listing = Listing::read(paths)?;
    let exists = listing.modified_ms.is_some();
    let (registry, warnings) = listing.into_registry(paths);
    Ok((exists.then(|| registry.to_json()), warnings))
}

/// Reads the registry in a folder.
pub(crate) fn read(paths: &FolderPaths) -> Result<(RegistryV1, Vec<Warning>)> {
    Ok(Listing::read(paths)?.into_registry(paths))
}
