//! Litter is found beside each kind of file, and deleted only while all locks of the file are free.

use super::*;
use crate::content::registry_v1::RegistryV1;
use crate::lock::file_lock::{try_lock_exclusive, try_lock_shared};
#[cfg(unix)]
use crate::lock::owner_record::OwnerRecord;
#[cfg(unix)]
use crate::ProbeFolder;
use crate::{update_registry, UpdateOptions};
use std::fs;
use std::time::SystemTime;

const STALE_AFTER: Duration = Duration::from_secs(10);

struct Folder {
    _dir: tempfile::TempDir,
    paths: FilePaths,
}

impl Folder {
    /// A folder with a registry that this process has updated before, so that its first-hold sweep
    /// is done.
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

    /// Asserts that exactly this litter is found.
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
fn a_registry_has_no_litter_whether_its_lock_is_held_or_free() {
    let folder = Folder::with_registry();
    assert_eq!(folder.find(), []);
    let lock = folder.lock();
    assert_eq!(folder.find(), []);
    assert_eq!(folder.clear().unwrap(), Vec::<PathBuf>::new());
    drop(lock);
    assert_eq!(folder.names(), ["registry.json", "registry.json.guard"]);
}

#[test]
fn without_litter_nothing_is_created() {
    let folder = Folder::empty();
    put(folder.path(), RegistryV1::new().to_json().as_bytes());
    let kept = folder.paths.kept_copy(7, &paths::nonce());
    put(&kept, b"precious {");
    let before = folder.names();
    assert_eq!(folder.clear().unwrap(), Vec::<PathBuf>::new());
    assert_eq!(folder.names(), before);
    let missing = folder.paths.folder.join("no").join("registry.json");
    assert_eq!(find_litter(&missing, STALE_AFTER).unwrap_err().code(), "NOT_FOUND");
    assert_eq!(clear_litter(&missing, STALE_AFTER).unwrap_err().code(), "NOT_FOUND");
}

#[test]
fn a_temp_file_is_safe_to_delete_only_while_the_lock_is_free() {
    let folder = Folder::with_registry();
    let temp = folder.temp();
    put(&folder.paths.folder.join(".registry.json.mine.tmp"), b"a user's");
    put(&folder.paths.kept_copy(7, &paths::nonce()), b"a user's");
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

/// The holder is between locking the guard and creating its lockfile, or has lost its lockfile.
#[test]
fn a_temp_file_is_not_safe_to_delete_while_the_guard_is_locked_without_a_lockfile() {
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
fn a_link_or_folder_with_a_temp_files_name_is_not_deleted() {
    // This process has not updated the registry before: its first-hold sweep must spare them, too.
    let folder = Folder::empty();
    put(folder.path(), RegistryV1::new().to_json().as_bytes());
    put(&folder.paths.guard, b"");
    let (link, inside) = (folder.paths.temp(&paths::nonce()), folder.paths.temp(&paths::nonce()));
    std::os::unix::fs::symlink("registry.json", &link).unwrap();
    fs::create_dir(&inside).unwrap();
    assert_eq!(folder.find(), []);
    let temp = folder.temp();
    assert_eq!(folder.clear().unwrap(), [temp]);
    assert!(link.is_symlink() && inside.is_dir());
}

#[test]
fn kept_content_is_reported_and_not_deleted() {
    let folder = Folder::with_registry();
    let kept = folder.paths.kept_copy(7, &paths::nonce());
    put(&kept, b"precious {");
    folder.finds(&kept, LitterKind::KeptContent, false, "delete it yourself");
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
fn a_lockfile_of_an_older_argus_is_litter_when_it_is_stale() {
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
fn a_lockfile_that_is_dated_in_the_future_is_reported() {
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
fn a_guard_that_was_removed_or_replaced_while_it_was_held_is_reported() {
    let folder = Folder::with_registry();
    let lock = folder.lock();
    fs::remove_file(&folder.paths.guard).unwrap();
    folder.finds(&folder.paths.guard, LitterKind::Guard, false, "was removed while process");
    put(&folder.paths.guard, b"");
    folder.finds(&folder.paths.guard, LitterKind::Guard, false, "replaced");
    assert_eq!(folder.clear().unwrap(), Vec::<PathBuf>::new());
    assert!(lock.check().is_ok(), "the holder still has its lock");
    // As if the holder was killed: its lockfile stays, and names a guard that is gone. The
    // registry is missing, too, so only the lockfile tells that there was one.
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
fn another_file_or_folder_with_the_name_of_a_guard_or_lockfile_is_in_the_way() {
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
fn a_documents_temp_files_are_litter_while_its_lock_is_free() {
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
        // A process that holds the document's lock on a file elsewhere may be writing it.
        folder.finds(&temp, LitterKind::TempFile, false, "elsewhere");
        assert_eq!(folder.clear().unwrap(), Vec::<PathBuf>::new());
        age(&temp);
        let reader = try_lock_shared(&lock_file).unwrap();
        folder.finds(&temp, LitterKind::TempFile, true, "no process holds the lock");
        assert_eq!(folder.clear().unwrap_err().code(), "LOCK_BUSY");
        drop(reader);
        age(&lock_file);
        assert_eq!(folder.clear().unwrap(), [temp]);
        assert!(lock_file.exists(), "the lock file stays, whatever its age");
        assert!(!folder.paths.guard.exists());
    }
}

/// The file could be a registry and a document: a process that holds either lock may be writing.
#[test]
fn litter_is_cleared_only_while_all_locks_of_the_file_are_free() {
    let folder = Folder::with_registry();
    let temp = folder.temp();
    let held = try_lock_exclusive(folder.path().with_extension("lock")).unwrap();
    folder.finds(&temp, LitterKind::TempFile, false, "registry.lock");
    assert_eq!(folder.clear().unwrap_err().code(), "LOCK_BUSY");
    assert!(temp.exists());
    drop(held);
    // An empty lockfile that carries a kernel lock was not made by an older argus, at any age.
    let held = try_lock_exclusive(&folder.paths.lockfile).unwrap();
    age(&folder.paths.lockfile);
    folder.finds(&temp, LitterKind::TempFile, false, "registry.json.lock");
    assert_eq!(folder.clear().unwrap_err().code(), "LOCK_BUSY");
    drop(held);
    assert!(temp.exists() && folder.paths.lockfile.exists());
}

#[cfg(unix)]
#[test]
fn the_probe_folder_of_a_killed_process_is_cleared() {
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
    // The probe folder's own path finds it as well as the path of the file beside it.
    assert_eq!(find_litter(probe.path(), STALE_AFTER).unwrap(), folder.find());
    assert_eq!(folder.clear().unwrap(), [probe.path()]);
    assert_eq!(folder.names(), ["registry.json", "registry.json.guard"]);
}

#[test]
fn a_folder_stands_for_all_files_in_it() {
    let folder = Folder::with_registry();
    let in_registry = folder.temp();
    let document = FilePaths::resolve(&folder.path().with_file_name("a.toml")).unwrap();
    let of_document = document.temp(&paths::nonce());
    put(&of_document, b"half");
    put(&folder.path().with_file_name("Cargo.lock"), b"another program's");
    let found = find_litter(&folder.paths.folder, STALE_AFTER).unwrap();
    let found: Vec<_> =
        found.iter().map(|found| (found.path.clone(), found.safe_to_delete)).collect();
    assert_eq!(found, [(of_document.clone(), false), (in_registry.clone(), true)]);
    let cleared = clear_litter(&folder.paths.folder, STALE_AFTER).unwrap();
    assert_eq!(cleared.len(), 1);
    assert!(of_document.exists() && !in_registry.exists());
}
