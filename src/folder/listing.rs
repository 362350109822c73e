//! Reading all entries of a folder, without a lock.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::content::registry_v1::RegistryV1;
use crate::error::Result;
use crate::folder::entry_file::{self, EntryFile, FoundFile};
use crate::folder::id;
use crate::folder::layout::{FolderPaths, ENTRIES};
use crate::folder::listing_cache::{self, CachedEntries};
use crate::sys;
use crate::sys::FileStamp;
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
    /// With the stamp of each one's file, if it was asked for.
    pub(crate) entries: BTreeMap<String, Option<FileStamp>>,
    pub(crate) temps: Vec<String>,
}

/// The names of the entries' files, and when a name was last added or removed; `None` if there is no
/// folder.
///
/// A name that is there throughout is found: a file that replaces another may get another position in
/// the folder, on some file systems, and so may be missed by one listing. So the names are listed again if
/// they have changed, and those of all listings count.
pub(crate) fn names(paths: &FolderPaths) -> Result<Option<(Names, SystemTime)>> {
    scan(paths, false)
}

fn scan(paths: &FolderPaths, with_stamps: bool) -> Result<Option<(Names, SystemTime)>> {
    match try_scan(&paths.entries, with_stamps) {
        // At any of its calls: another program may delete or move the folder meanwhile.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                && !sys::is_in_deleted_folder(&paths.given) =>
        {
            Ok(None)
        }
        scanned => scanned.map(Some).map_err(|error| paths.error("list the entries of", error)),
    }
}

fn try_scan(entries: &Path, with_stamps: bool) -> io::Result<(Names, SystemTime)> {
    let mut names = Names::default();
    let modified = || fs::metadata(entries)?.modified();
    let mut before = modified()?;
    for _ in 0..MAX_LISTINGS {
        names.temps.clear();
        for listed in sys::names_in(entries)? {
            let Some(name) = listed.name.to_str() else { continue };
            if FolderPaths::is_temp(name) {
                names.temps.push(name.to_owned());
            } else if name.ends_with(id::ENDING) && !name.starts_with('.') {
                let stamp = || sys::stamp_of(&fs::symlink_metadata(entries.join(name)).ok()?);
                let stamp = if with_stamps { stamp() } else { None };
                names.entries.insert(name.to_owned(), stamp);
            }
        }
        let after = modified()?;
        if std::mem::replace(&mut before, after) == after {
            break;
        }
    }
    Ok((names, before))
}

impl Listing {
    /// Reads all entries.
    pub(crate) fn read(paths: &FolderPaths) -> Result<Self> {
        Self::read_changed(paths, None)
    }

    /// Like [`read`](Self::read). Of entries that have not changed since this process read them, it reads no
    /// file.
    fn read_again(paths: &FolderPaths) -> Result<Self> {
        let cached = listing_cache::of_folder(paths);
        // Another thread that reads the folder is not waited for.
        let mut cached = cached.as_ref().and_then(|cached| cached.try_lock().ok());
        Self::read_changed(paths, cached.as_deref_mut())
    }

    fn read_changed(paths: &FolderPaths, mut cached: Option<&mut CachedEntries>) -> Result<Self> {
        let mut earlier = cached.as_mut().map(|cached| cached.begin());
        let Some((names, modified)) = scan(paths, cached.is_some())? else {
            return Ok(Listing { entries: Vec::new(), warnings: Vec::new(), modified_ms: None });
        };
        let mut entries = Vec::with_capacity(names.entries.len());
        let mut warnings = Vec::new();
        for (name, stamp) in &names.entries {
            let mut cache = cached.as_mut().zip(earlier.as_mut());
            let unchanged = cache.as_mut().zip(stamp.as_ref());
            let unchanged = unchanged
                .and_then(|((cached, earlier), stamp)| cached.unchanged(earlier, name, stamp));
            if let Some(entry) = unchanged {
                entries.push(entry);
                continue;
            }
            let (found, stamp) = entry_file::read_with_stamp(paths, name);
            let damage = match found {
                FoundFile::Entry(entry) => {
                    if let Some(((cached, earlier), stamp)) = cache.zip(stamp) {
                        cached.add(earlier, &entry, stamp);
                    }
                    entries.push(entry);
                    continue;
                }
                FoundFile::Damaged(reason) => reason,
                FoundFile::Unreadable(error) if entry_file::is_for_now(&error) => {
                    return Err(paths.error("read an entry of", error))
                }
                FoundFile::Unreadable(error) => error.to_string(),
                FoundFile::Missing => continue,
            };
            let path = paths.given.join(ENTRIES).join(name);
            warnings.push(Warning::DamagedEntry { path, reason: damage });
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
    let listing = Listing::read_again(paths)?;
    let exists = listing.modified_ms.is_some();
    let (registry, warnings) = listing.into_registry(paths);
    Ok((exists.then(|| registry.to_json()), warnings))
}

/// Reads the registry in a folder.
pub(crate) fn read(paths: &FolderPaths) -> Result<(RegistryV1, Vec<Warning>)> {
    Ok(Listing::read_again(paths)?.into_registry(paths))
}
