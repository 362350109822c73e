//! Litter: what dead processes and accidents left beside a file. Found without touching it, and
//! cleared away only where nobody can miss it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::files::paths::{self, FilePaths};
use crate::litter::probe_folder;
use crate::litter::survey::{Beside, Litter, LitterKind};
use crate::lock::file_lock;
use crate::lock::kernel_lock::LockMode;
use crate::lock::registry_lock::RegistryLock;
use crate::lock::wait::{LockOptions, Wait};
use crate::sys;

/// Finds what dead processes and accidents left beside a registry or a document, or beside all
/// of them in a folder (there, names that are not Unicode are passed over), and the probe folders
/// in the same folder. Deletes and creates
/// nothing, and needs no write access. Source: ours.
///
/// Like [`inspect_lock`](crate::inspect_lock) it takes kernel locks, shared, for the moment of the
/// look. `stale_after` counts for what can be judged by its age only (default of
/// [`LockOptions`]: 10 s).
///
/// A file counts as a registry if it has a guard, if its content is one, or if its lockfile says
/// that it is one's. It counts as a document, too, if `path.with_extension("lock")` is there; and
/// one that is no registry, if `<path>.lock` is. A document may have its lock file
/// elsewhere, so its temp files count as abandoned only when they are older than `stale_after`, too,
/// and without any such lock file not at all.
///
/// A lock that somebody holds is no litter, and neither are guards and lock files that carry kernel
/// locks: they are made to stay. Nobody holds them after a crash, so deleting them frees nothing;
/// and deleting one that is held lets two writers in, each with a lock on another file of the
/// same name.
///
/// # Errors
///
/// [`Error::NotFound`] if the folder is missing; [`Error::PermissionDenied`] or [`Error::Io`] if
/// it can't be looked into.
pub fn find_litter(path: impl AsRef<Path>, stale_after: Duration) -> Result<Vec<Litter>> {
    let asked = Asked::resolve(path.as_ref())?;
    let mut litter = Vec::new();
    for paths in &asked.files {
        litter.extend(Beside::look(paths, stale_after)?.litter(stale_after));
    }
    litter.extend(asked.probe_folders());
    Ok(litter)
}

/// Deletes what [`find_litter`] calls safe, and says what that was. Source: ours.
///
/// Only while it holds the lock of the file, which it tries once: by then nobody else is at work
/// there. Without litter that the lock protects it takes no lock and makes nothing. An abandoned
/// lockfile is taken over, as the next update would do.
///
/// Never deleted are guards and lock files (see [`find_litter`]) and kept content, which is the
/// user's: it may be the only copy.
///
/// # Errors
///
/// [`Error::LockBusy`] if somebody holds the lock; [`Error::PermissionDenied`], [`Error::Io`], and
/// those of [`find_litter`]. In a folder the first failure ends it; what was deleted until then
/// stays deleted.
pub fn clear_litter(path: impl AsRef<Path>, stale_after: Duration) -> Result<Vec<Litter>> {
    let asked = Asked::resolve(path.as_ref())?;
    let mut cleared = Vec::new();
    for paths in &asked.files {
        cleared.extend(clear_beside(paths, stale_after)?);
    }
    for litter in asked.probe_folders().filter(|litter| litter.safe_to_delete) {
        probe_folder::remove(&litter.path)?;
        cleared.push(litter);
    }
    Ok(cleared)
}

/// What a path stands for: a file, a probe folder, or all of them in a folder.
struct Asked {
    files: Vec<FilePaths>,
    probe_folders: Vec<PathBuf>,
}

impl Asked {
    fn resolve(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            let paths = FilePaths::resolve(path)?;
            let probe_folders = probe_folder::all_in(&paths.folder)?;
            return Ok(Asked { files: vec![paths], probe_folders });
        }
        let fail = |error| Error::from_io(path, "list", error);
        let folder = fs::canonicalize(path).map_err(fail)?;
        if probe_folder::is_one(&folder) {
            return Ok(Asked { files: Vec::new(), probe_folders: vec![folder] });
        }
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&folder).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            names.extend(name.to_str().and_then(paths::target_name_of).map(str::to_owned));
        }
        // A folder of such a name, or a link that leads elsewhere, is no file of this folder.
        let files = names.iter().filter_map(|name| FilePaths::resolve(&folder.join(name)).ok());
        let files = files.filter(|paths| paths.folder == folder).collect();
        Ok(Asked { files, probe_folders: probe_folder::all_in(&folder)? })
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
    let beside = Beside::look(paths, stale_after)?;
    let mut litter = beside.litter(stale_after);
    litter.retain(|litter| matches!(litter.kind, LitterKind::TempFile | LitterKind::Lockfile));
    if litter.is_empty() {
        return Ok(litter);
    }
    let options = LockOptions { stale_after, ..LockOptions::one_try() };
    // Those of documents first: taking a registry's lock sweeps its temp files away.
    let mut locks = Vec::new();
    for lock_file in &beside.lock_files {
        let none = |_: &Path| Err(io::ErrorKind::NotFound.into());
        locks.push(file_lock::lock(lock_file, LockMode::Exclusive, &Wait::start(&options), none)?);
    }
    let lock = match beside.registry {
        Some(_) => Some(RegistryLock::acquire_at(paths, &Wait::start(&options))?),
        None => None,
    };
    litter.retain(|litter| litter.safe_to_delete);
    for temp in litter.iter().filter(|litter| litter.kind == LitterKind::TempFile) {
        sys::remove_if_there(&temp.path)
            .map_err(|error| Error::from_io(&temp.path, "remove", error))?;
    }
    // The lockfile goes with the lock that took it over.
    lock.map_or(Ok(()), RegistryLock::release)?;
    Ok(litter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::registry_v1::RegistryV1;
    use crate::lock::file_lock::{try_lock_exclusive, try_lock_shared};
    use crate::lock::owner_record::OwnerRecord;
    use crate::{update_registry, ProbeFolder, UpdateOptions};
    use std::time::SystemTime;

    const STALE_AFTER: Duration = Duration::from_secs(10);

    struct Folder {
        _dir: tempfile::TempDir,
        paths: FilePaths,
    }

    impl Folder {
        /// With a registry in it that was updated before: this process's first sweep is done.
        fn with_registry() -> Self {
            let folder = Self::empty();
            let options = UpdateOptions::default();
            update_registry(folder.path(), &options, |registry| {
                registry.set_updated_at(1);
                Ok::<_, Error>(())
            })
            .unwrap();
            folder
        }

        fn empty() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = fs::canonicalize(dir.path()).unwrap().join("registry.json");
            Folder { _dir: dir, paths: FilePaths::resolve(&path).unwrap() }
        }

        fn path(&self) -> &Path {
            &self.paths.target
        }

        fn temp(&self) -> PathBuf {
            let temp = self.paths.temp(&paths::nonce());
            put(&temp, b"half");
            temp
        }

        fn find(&self) -> Vec<Litter> {
            find_litter(self.path(), STALE_AFTER).unwrap()
        }

        /// The one thing that there is to find.
        fn finds(&self, path: &Path, kind: LitterKind, safe: bool, reason: &str) {
            let found = self.find();
            let [litter] = &found[..] else { panic!("{found:#?}") };
            assert_eq!((litter.path.as_path(), litter.kind), (path, kind));
            assert_eq!(litter.beside, self.path());
            assert_eq!(litter.safe_to_delete, safe, "{}", litter.reason);
            assert!(litter.reason.contains(reason), "{}", litter.reason);
        }

        fn clear(&self) -> Result<Vec<PathBuf>> {
            let cleared = clear_litter(self.path(), STALE_AFTER)?;
            Ok(cleared.into_iter().map(|litter| litter.path).collect())
        }

        fn lock(&self) -> RegistryLock {
            RegistryLock::acquire(self.path(), &LockOptions::one_try()).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.paths.folder).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    fn put(path: &Path, bytes: &[u8]) {
        sys::write_start(&fs::File::create(path).unwrap(), bytes).unwrap();
    }

    fn age(path: &Path) {
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
    }

    #[test]
    fn a_registry_in_use_or_at_rest_has_no_litter() {
        let folder = Folder::with_registry();
        assert_eq!(folder.find(), []);
        let lock = folder.lock();
        assert_eq!(folder.find(), []);
        assert_eq!(folder.clear().unwrap(), Vec::<PathBuf>::new());
        drop(lock);
        assert_eq!(folder.names(), ["registry.json", "registry.json.guard"]);
    }

    #[test]
    fn without_litter_nothing_is_made() {
        let folder = Folder::empty();
        put(folder.path(), RegistryV1::new().to_json().as_bytes());
        let kept = folder.paths.keepsake(7, &paths::nonce());
        put(&kept, b"precious {");
        let before = folder.names();
        assert_eq!(folder.clear().unwrap(), Vec::<PathBuf>::new());
        assert_eq!(folder.names(), before);
        let missing = folder.paths.folder.join("no").join("registry.json");
        assert_eq!(find_litter(&missing, STALE_AFTER).unwrap_err().code(), "NOT_FOUND");
        assert_eq!(clear_litter(&missing, STALE_AFTER).unwrap_err().code(), "NOT_FOUND");
    }

    #[test]
    fn a_temp_file_is_litter_only_while_nobody_holds_the_lock() {
        let folder = Folder::with_registry();
        let temp = folder.temp();
        put(&folder.paths.folder.join(".registry.json.mine.tmp"), b"a user's");
        put(&folder.paths.keepsake(7, &paths::nonce()), b"a user's");
        let before = folder.names();
        let of_temp = || folder.find().into_iter().find(|found| found.path == temp).unwrap();
        let lock = folder.lock();
        let (judged, holder) = (of_temp(), format!("process {}", std::process::id()));
        assert!(!judged.safe_to_delete && judged.reason.contains(&holder), "{}", judged.reason);
        assert_eq!(folder.clear().unwrap_err().code(), "LOCK_BUSY");
        drop(lock);
        assert_eq!(folder.names(), before);
        assert!(of_temp().safe_to_delete);
        assert_eq!(folder.clear().unwrap(), [temp.as_path()]);
        let mut after = before;
        after.retain(|name| *name != temp.file_name().unwrap().to_str().unwrap());
        assert_eq!(folder.names(), after);
    }

    /// A holder between taking the guard and making its lockfile, or one that lost its lockfile.
    #[test]
    fn a_temp_file_is_no_litter_while_the_guard_is_locked_without_a_lockfile() {
        let folder = Folder::with_registry();
        let temp = folder.temp();
        let held = try_lock_exclusive(&folder.paths.guard).unwrap();
        folder.finds(&temp, LitterKind::TempFile, false, "another process holds the lock");
        assert_eq!(folder.clear().unwrap_err().code(), "LOCK_BUSY");
        drop(held);
        folder.finds(&temp, LitterKind::TempFile, true, "gone");
    }

    #[cfg(unix)]
    #[test]
    fn what_only_has_a_temp_files_name_is_not_touched() {
        // Not updated before by this process, which would sweep as it takes the lock.
        let folder = Folder::empty();
        put(folder.path(), RegistryV1::new().to_json().as_bytes());
        put(&folder.paths.guard, b"");
        let (link, inside) =
            (folder.paths.temp(&paths::nonce()), folder.paths.temp(&paths::nonce()));
        std::os::unix::fs::symlink("registry.json", &link).unwrap();
        fs::create_dir(&inside).unwrap();
        assert_eq!(folder.find(), []);
        let temp = folder.temp();
        assert_eq!(folder.clear().unwrap(), [temp]);
        assert!(link.is_symlink() && inside.is_dir());
    }

    #[test]
    fn kept_content_is_reported_and_stays() {
        let folder = Folder::with_registry();
        let kept = folder.paths.keepsake(7, &paths::nonce());
        put(&kept, b"precious {");
        folder.finds(&kept, LitterKind::Keepsake, false, "delete it yourself");
        assert_eq!(folder.clear().unwrap(), Vec::<PathBuf>::new());
        assert!(kept.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_dead_holders_lockfile_is_taken_over() {
        let folder = Folder::with_registry();
        sys::hard_link(&folder.paths.guard, &folder.paths.lockfile).unwrap();
        folder.finds(&folder.paths.lockfile, LitterKind::Lockfile, true, "gone");
        assert_eq!(folder.clear().unwrap(), [folder.paths.lockfile.as_path()]);
        assert_eq!(folder.names(), ["registry.json", "registry.json.guard"]);
    }

    #[test]
    fn an_old_arguss_lockfile_is_litter_when_it_is_stale() {
        let folder = Folder::empty();
        put(folder.path(), RegistryV1::new().to_json().as_bytes());
        put(&folder.paths.lockfile, b"");
        let temp = folder.temp();
        folder.finds(&temp, LitterKind::TempFile, false, "names no owner");
        assert_eq!(folder.clear().unwrap_err().code(), "LOCK_BUSY");
        age(&folder.paths.lockfile);
        assert!(folder.find().iter().all(|found| found.safe_to_delete), "{:?}", folder.find());
        assert_eq!(folder.clear().unwrap(), [folder.paths.lockfile.clone(), temp]);
        assert_eq!(folder.names(), ["registry.json", "registry.json.guard"]);
    }

    #[test]
    fn a_lockfile_from_the_future_is_told_of() {
        let folder = Folder::with_registry();
        put(&folder.paths.lockfile, b"");
        let ahead = SystemTime::now() + 10 * STALE_AFTER;
        fs::File::options()
            .write(true)
            .open(&folder.paths.lockfile)
            .unwrap()
            .set_modified(ahead)
            .unwrap();
        folder.finds(&folder.paths.lockfile, LitterKind::Lockfile, false, "clock");
        assert_eq!(folder.clear().unwrap_err().code(), "LOCK_BUSY");
        assert!(folder.paths.lockfile.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_guard_that_was_removed_or_replaced_while_it_was_held() {
        let folder = Folder::with_registry();
        let lock = folder.lock();
        fs::remove_file(&folder.paths.guard).unwrap();
        folder.finds(&folder.paths.guard, LitterKind::Guard, false, "was removed while process");
        put(&folder.paths.guard, b"");
        folder.finds(&folder.paths.guard, LitterKind::Guard, false, "replaced");
        assert_eq!(folder.clear().unwrap(), Vec::<PathBuf>::new());
        assert!(lock.check().is_ok(), "nobody robbed the holder");
        // Killed: its lockfile stays behind, and names a guard that is gone. With no registry
        // either, that is what tells that there was one.
        fs::remove_file(&folder.paths.guard).unwrap();
        fs::remove_file(folder.path()).unwrap();
        let second_name = folder.path().with_extension("copy");
        sys::hard_link(&folder.paths.lockfile, &second_name).unwrap();
        drop(lock);
        sys::rename(&second_name, &folder.paths.lockfile).unwrap();
        let kinds: Vec<_> =
            folder.find().iter().map(|found| (found.kind, found.safe_to_delete)).collect();
        assert_eq!(kinds, [(LitterKind::Guard, false), (LitterKind::Lockfile, true)]);
        assert_eq!(folder.clear().unwrap(), [folder.paths.lockfile.as_path()]);
        assert_eq!(folder.names(), ["registry.json.guard"]);
    }

    #[test]
    fn what_has_the_name_of_a_guard_or_a_lockfile_and_is_none() {
        let folder = Folder::with_registry();
        put(&folder.paths.guard, b"a user's notes on guarding");
        folder.finds(&folder.paths.guard, LitterKind::InTheWay, false, "until it is moved away");
        fs::remove_file(&folder.paths.guard).unwrap();
        fs::create_dir(&folder.paths.lockfile).unwrap();
        let long_ago = find_litter(folder.path(), Duration::ZERO).unwrap();
        assert_eq!(long_ago[0].kind, LitterKind::InTheWay);
        assert!(!long_ago[0].safe_to_delete);
    }

    #[test]
    fn a_documents_temp_files_are_litter_while_its_lock_can_be_had() {
        for lock_file in ["registry.lock", "registry.json.lock"] {
            let folder = Folder::empty();
            put(folder.path(), b"{}");
            let temp = folder.temp();
            folder.finds(&temp, LitterKind::TempFile, false, "no lock file");
            assert_eq!(folder.clear().unwrap(), Vec::<PathBuf>::new());
            let lock_file = folder.path().with_file_name(lock_file);
            let held = try_lock_exclusive(&lock_file).unwrap();
            folder.finds(&temp, LitterKind::TempFile, false, "may be writing it");
            assert_eq!(folder.clear().unwrap_err().path(), lock_file);
            drop(held);
            // Whoever has the document's lock elsewhere may be writing it.
            folder.finds(&temp, LitterKind::TempFile, false, "elsewhere");
            assert_eq!(folder.clear().unwrap(), Vec::<PathBuf>::new());
            age(&temp);
            let reader = try_lock_shared(&lock_file).unwrap();
            folder.finds(&temp, LitterKind::TempFile, true, "nobody holds the lock");
            assert_eq!(folder.clear().unwrap_err().code(), "LOCK_BUSY");
            drop(reader);
            age(&lock_file);
            assert_eq!(folder.clear().unwrap(), [temp]);
            assert!(lock_file.exists(), "the lock file stays, whatever its age");
            assert!(!folder.paths.guard.exists());
        }
    }

    /// Both a registry and a document, by the look of it: whoever holds either lock may be writing.
    #[test]
    fn every_lock_that_there_is_has_to_be_free() {
        let folder = Folder::with_registry();
        let temp = folder.temp();
        let held = try_lock_exclusive(folder.path().with_extension("lock")).unwrap();
        folder.finds(&temp, LitterKind::TempFile, false, "registry.lock");
        assert_eq!(folder.clear().unwrap_err().code(), "LOCK_BUSY");
        assert!(temp.exists());
        drop(held);
        // An empty lockfile that carries a kernel lock is no old argus's, however old it is.
        let held = try_lock_exclusive(&folder.paths.lockfile).unwrap();
        age(&folder.paths.lockfile);
        folder.finds(&temp, LitterKind::TempFile, false, "registry.json.lock");
        assert_eq!(folder.clear().unwrap_err().code(), "LOCK_BUSY");
        drop(held);
        assert!(temp.exists() && folder.paths.lockfile.exists());
    }

    #[cfg(unix)]
    #[test]
    fn the_probe_folder_of_a_process_that_was_killed() {
        let folder = Folder::with_registry();
        let probe = ProbeFolder::create(&folder.paths.folder).unwrap();
        let [in_use] = &folder.find()[..] else { panic!() };
        assert_eq!(in_use.beside, probe.path());
        assert!(in_use.kind == LitterKind::ProbeFolder && !in_use.safe_to_delete);
        assert_eq!(folder.clear().unwrap(), Vec::<PathBuf>::new());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let (location, now) = (sys::location().clone(), SystemTime::now());
        let owner = OwnerRecord::new(child.id(), Some(1), location, None, paths::nonce(), now);
        put(&probe.path().join("owner"), &owner.encode());
        put(&probe.file("lock"), b"");
        assert!(folder.find()[0].safe_to_delete, "{}", folder.find()[0].reason);
        // By itself, or with the file that it lies beside.
        assert_eq!(find_litter(probe.path(), STALE_AFTER).unwrap(), folder.find());
        assert_eq!(folder.clear().unwrap(), [probe.path()]);
        assert_eq!(folder.names(), ["registry.json", "registry.json.guard"]);
    }

    #[test]
    fn a_folder_is_all_its_files() {
        let folder = Folder::with_registry();
        let in_registry = folder.temp();
        let document = FilePaths::resolve(&folder.path().with_file_name("a.toml")).unwrap();
        let of_document = document.temp(&paths::nonce());
        put(&of_document, b"half");
        put(&folder.path().with_file_name("Cargo.lock"), b"somebody else's");
        let found = find_litter(&folder.paths.folder, STALE_AFTER).unwrap();
        let found: Vec<_> =
            found.iter().map(|found| (found.path.clone(), found.safe_to_delete)).collect();
        assert_eq!(found, [(of_document.clone(), false), (in_registry.clone(), true)]);
        let cleared = clear_litter(&folder.paths.folder, STALE_AFTER).unwrap();
        assert_eq!(cleared.len(), 1);
        assert!(of_document.exists() && !in_registry.exists());
    }
}
