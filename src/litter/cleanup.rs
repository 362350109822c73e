//! Finding litter, the files that dead processes and accidents left beside a file, and deleting those
//! that no process needs.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::files::paths::{self, FilePaths};
use crate::folder::layout::FolderPaths;
use crate::litter::folder as litter_in_folder;
use crate::litter::probe_folder;
use crate::litter::survey::Survey;
use crate::litter::types::{Litter, LitterKind};
use crate::lock::file_lock;
use crate::lock::kernel_lock::LockMode;
use crate::lock::registry_lock::RegistryLock;
use crate::lock::wait::{LockOptions, Wait};
use crate::sys;

/// Finds what dead processes and accidents left beside a registry or a document, and the probe folders
/// in that file's folder. Given a folder, finds what was left beside all registries and documents in
/// it, except those whose names are not Unicode, and in it if it is a registry's folder. Deletes and creates nothing, and needs no write
/// access.
///
/// Like [`inspect_lock`](crate::inspect_lock) it takes shared kernel locks for the moment in which it
/// looks at them. `stale_after` is for files that can be judged by their age only (default of
/// [`LockOptions`]: 10 s).
///
/// A file counts as a registry if it has a guard, if its content is a registry, or if its lockfile
/// names an owner. It also counts as a document if `path.with_extension("lock")` exists; a file that is
/// not a registry counts as a document if `<path>.lock` exists. A document may have its lock file
/// elsewhere. So its temp files count as abandoned only if they are also older than `stale_after`, and
/// never if neither of these lock files exists.
///
/// A held lock is not litter. Guards and lock files that carry kernel locks are not litter either: they
/// are permanent. After a crash no process holds them, so deleting one frees nothing. Deleting one that
/// is held lets a second writer in, which locks a new file of that name.
///
/// # Errors
///
/// [`Error::NotFound`] if the folder is missing; [`Error::PermissionDenied`] or [`Error::Io`] if the
/// folder or a file can't be read.
pub fn find_litter(path: impl AsRef<Path>, stale_after: Duration) -> Result<Vec<Litter>> {
    let scope = SearchScope::resolve(path.as_ref())?;
    let mut litter = Vec::new();
    for paths in &scope.files {
        litter.extend(Survey::of(paths, stale_after)?.litter(stale_after));
    }
    if let Some(paths) = &scope.registry {
        litter.extend(litter_in_folder::find(paths, stale_after)?);
    }
    litter.extend(scope.probe_folders());
    Ok(litter)
}

/// Deletes the litter that [`find_litter`] calls safe to delete, and returns it.
///
/// It deletes only while it holds the lock of the file, which it tries once: then no other process is
/// writing there. If there is no litter that the lock protects, it takes no lock and creates nothing.
/// It takes over an abandoned lockfile, as the next update would do.
///
/// It never deletes guards and lock files (see [`find_litter`]), nor kept content, which belongs to the
/// user and may be the only copy.
///
/// # Errors
///
/// [`Error::LockBusy`] if another process or thread holds the lock; [`Error::PermissionDenied`];
/// [`Error::Io`]; those of [`find_litter`]. In a folder the first failure ends the call, and what was
/// deleted before stays deleted.
pub fn clear_litter(path: impl AsRef<Path>, stale_after: Duration) -> Result<Vec<Litter>> {
    let scope = SearchScope::resolve(path.as_ref())?;
    let mut cleared = Vec::new();
    for paths in &scope.files {
        cleared.extend(clear_beside(paths, stale_after)?);
    }
    if let Some(paths) = &scope.registry {
        cleared.extend(litter_in_folder::clear(paths, stale_after)?);
    }
    for litter in scope.probe_folders().filter(|litter| litter.safe_to_delete) {
        probe_folder::remove(&litter.path)?;
        cleared.push(litter);
    }
    Ok(cleared)
}

/// Where to search for litter: beside one file, in one probe folder, or beside all files of a folder.
struct SearchScope {
    files: Vec<FilePaths>,
    /// The folder itself, if it is that of a registry.
    registry: Option<FolderPaths>,
    probe_folders: Vec<PathBuf>,
}

impl SearchScope {
    fn resolve(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            let paths = FilePaths::resolve(path)?;
            let probe_folders = probe_folder::all_in(&paths.folder)?;
            return Ok(SearchScope { files: vec![paths], registry: None, probe_folders });
        }
        let fail = |error| Error::from_io(path, "list", error);
        let folder = sys::canonicalize(path).map_err(fail)?;
        if probe_folder::is_one(&folder) {
            let probe_folders = vec![folder];
            return Ok(SearchScope { files: Vec::new(), registry: None, probe_folders });
        }
        let mut names = BTreeSet::new();
        for entry in sys::names_in(&folder).map_err(fail)? {
            names.extend(entry.name.to_str().and_then(paths::target_name_of).map(str::to_owned));
        }
        // A folder of such a name, or a link that leads elsewhere, is not a file of this folder.
        let files = names.iter().filter_map(|name| FilePaths::resolve(&folder.join(name)).ok());
        let files = files.filter(|paths| paths.folder == folder).collect();
        let registry = FolderPaths::resolve(&folder).ok().filter(litter_in_folder::is_registry);
        Ok(SearchScope { files, registry, probe_folders: probe_folder::all_in(&folder)? })
    }

    fn probe_folders(&self) -> impl Iterator<Item = Litter> + '_ {
        self.probe_folders.iter().filter_map(|path| {
            let (safe_to_delete, reason) = probe_folder::judge(path)?;
            let (kind, path) = (LitterKind::ProbeFolder, path.clone());
            Some(Litter { beside: path.clone(), path, kind, safe_to_delete, reason })
        })
    }
}

fn clear_beside(paths: &FilePaths, stale_after: Duration) -> Result<Vec<Litter>> {
    let survey = Survey::of(paths, stale_after)?;
    let mut litter = survey.litter(stale_after);
    litter.retain(|litter| matches!(litter.kind, LitterKind::TempFile | LitterKind::Lockfile));
    if litter.is_empty() {
        return Ok(litter);
    }
    let options = LockOptions { stale_after, ..LockOptions::one_try() };
    // Documents' locks first: acquiring a registry's lock deletes the file's temp files, which a
    // document's writer may be using.
    let mut locks = Vec::new();
    for lock_file in &survey.lock_files {
        let do_not_create = |_: &Path| Err(io::ErrorKind::NotFound.into());
        let wait = Wait::start(&options);
        locks.push(file_lock::lock(lock_file, LockMode::Exclusive, &wait, do_not_create)?);
    }
    let lock = match survey.registry {
        Some(_) => Some(RegistryLock::acquire_at(paths, &Wait::start(&options))?),
        None => None,
    };
    litter.retain(|litter| litter.safe_to_delete);
    for temp in litter.iter().filter(|litter| litter.kind == LitterKind::TempFile) {
        sys::remove_if_there(&temp.path)
            .map_err(|error| Error::from_io(&temp.path, "remove", error))?;
    }
    // An abandoned lockfile was taken over with the lock, and is removed by its release.
    lock.map_or(Ok(()), RegistryLock::release)?;
    Ok(litter)
}

#[cfg(test)]
mod tests;
