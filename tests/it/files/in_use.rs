//! Windows: files that another program has open and does not share, and the read-only attribute.

use std::fs::{self, File, OpenOptions};
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use argus_registry::{
    announce_watcher, heartbeat_watcher, inspect_lock, read_registry, remove_watcher,
    update_registry, CancelToken, Error, LockOptions, LockState, RegistryLock, UpdateOptions,
};

use crate::support::registries::watcher;

/// As of a program that permits nothing while it has a file open, and one that permits reading: Python
/// and many editors do.
const SHARE_NOTHING: u32 = 0;
const SHARE_READING: u32 = 1;

fn open_with(path: &Path, share_mode: u32) -> File {
    OpenOptions::new().read(true).share_mode(share_mode).open(path).unwrap()
}

/// Longer than the 200 ms for which a call was repeated, whatever its timeout.
const USED_FOR: Duration = Duration::from_millis(600);

#[allow(clippy::disallowed_methods, reason = "it stands for the work of another program")]
fn use_for_a_while(path: &Path, share_mode: u32) -> thread::JoinHandle<()> {
    let used = open_with(path, share_mode);
    thread::spawn(move || {
        thread::sleep(USED_FOR);
        drop(used);
    })
}

fn registry() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.json");
    date(&path, 1, LockOptions::default()).unwrap();
    (dir, path)
}

/// Updates the registry.
fn date(path: &Path, at: u64, lock: LockOptions) -> Result<(), Error> {
    let options = UpdateOptions { lock, ..UpdateOptions::default() };
    update_registry(path, &options, |registry| {
        registry.set_updated_at(at);
        Ok(())
    })
}

fn date_of(path: &Path) -> u64 {
    read_registry(path).unwrap().0.updated_at()
}

#[test]
fn an_update_waits_for_a_program_that_has_the_registry_open() {
    let (_dir, path) = registry();
    let other = use_for_a_while(&path, SHARE_READING);
    date(&path, 2, LockOptions::within(Duration::from_secs(60))).unwrap();
    assert!(other.is_finished());
    assert_eq!(date_of(&path), 2);
}

#[test]
fn an_update_whose_time_is_over_says_that_the_registry_is_in_use() {
    let (_dir, path) = registry();
    let used = open_with(&path, SHARE_READING);
    let timeout = Duration::from_millis(500);
    let started = Instant::now();
    let error = date(&path, 2, LockOptions::within(timeout)).unwrap_err();
    assert!(started.elapsed() >= timeout);
    assert_eq!(error.code(), "IO", "{error}");
    assert!(error.to_string().contains("another program has it open"), "{error}");
    date(&path, 2, LockOptions::one_try()).unwrap_err();
    assert_eq!(date_of(&path), 1);
    drop(used);
    date(&path, 2, LockOptions::one_try()).unwrap();
}

#[test]
fn a_cancelled_update_does_not_wait_for_the_other_program() {
    let (_dir, path) = registry();
    let _used = open_with(&path, SHARE_READING);
    let token = CancelToken::new();
    let lock = LockOptions { timeout: None, cancel: Some(token.clone()), ..LockOptions::default() };
    let of_thread = path.clone();
    let update = thread::spawn(move || date(&of_thread, 2, lock).map_err(|error| error.code()));
    use_for_a_while(&path.with_extension("json.guard"), SHARE_READING).join().unwrap();
    assert!(!update.is_finished());
    token.cancel();
    update.join().unwrap().unwrap_err();
}

#[test]
fn readers_and_updates_wait_for_a_program_that_permits_no_reading() {
    let (_dir, path) = registry();
    for name in ["registry.json", "registry.json.guard"] {
        let other = use_for_a_while(&path.with_file_name(name), SHARE_NOTHING);
        assert_eq!(date_of(&path), 1);
        date(&path, 1, LockOptions::within(Duration::from_secs(60))).unwrap();
        other.join().unwrap();
    }
    let state = inspect_lock(&path, Duration::from_secs(10)).unwrap().state;
    assert_eq!(state, LockState::Free);
}

#[test]
fn a_heartbeat_waits_for_a_program_that_has_the_registry_open_and_says_so_when_its_time_is_over() {
    let (_dir, path) = registry();
    let patient = UpdateOptions {
        lock: LockOptions::within(Duration::from_secs(60)),
        ..UpdateOptions::default()
    };
    announce_watcher(&path, watcher("app"), &patient).unwrap();
    let other = use_for_a_while(&path, SHARE_READING);
    assert!(heartbeat_watcher(&path, "app", &patient).unwrap());
    assert!(other.is_finished());
    let _used = open_with(&path, SHARE_READING);
    let short = UpdateOptions {
        lock: LockOptions::within(Duration::from_millis(300)),
        ..UpdateOptions::default()
    };
    let before = fs::read(&path).unwrap();
    let error = heartbeat_watcher(&path, "app", &short).unwrap_err();
    assert!(error.to_string().contains("another program has it open"), "{error}");
    let error = remove_watcher(&path, "app", &short).unwrap_err();
    assert!(error.to_string().contains("another program has it open"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_guard_that_stays_in_use_is_reported_as_such() {
    let (_dir, path) = registry();
    let _used = open_with(&path.with_extension("json.guard"), SHARE_NOTHING);
    let error = date(&path, 2, LockOptions::one_try()).unwrap_err();
    assert!(error.to_string().contains("another program has it open"), "{error}");
}

#[test]
fn a_folder_in_the_place_of_a_file_is_reported_as_such_at_once() {
    for name in ["registry.json.guard", "registry.json.lock"] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(name)).unwrap();
        let path = dir.path().join("registry.json");
        let error = date(&path, 1, LockOptions::one_try()).unwrap_err();
        // A lockfile of any kind is waited for until it is stale.
        match name {
            "registry.json.lock" => assert_eq!(error.code(), "LOCK_BUSY"),
            _ => assert!(error.to_string().contains("not a regular file"), "{error}"),
        }
        let options = LockOptions {
            stale_after: Duration::ZERO,
            timeout: Some(Duration::from_millis(300)),
            ..LockOptions::default()
        };
        let error = date(&path, 1, options).unwrap_err().to_string();
        assert!(
            error.contains("it is a folder") || error.contains("not a regular file"),
            "{error}"
        );
    }
}

#[test]
fn the_read_only_attribute_of_a_registry_survives_an_update() {
    let (_dir, path) = registry();
    let set_read_only = |read_only| {
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(read_only);
        fs::set_permissions(&path, permissions).unwrap();
    };
    set_read_only(true);
    date(&path, 2, LockOptions::one_try()).unwrap();
    assert_eq!(date_of(&path), 2);
    assert!(fs::metadata(&path).unwrap().permissions().readonly());
    // `tempfile` can't delete it otherwise.
    set_read_only(false);
}

/// The name of a deleted file stays on some file systems as long as a program has the file open.
#[test]
fn a_lockfile_that_another_program_has_open_is_gone_after_the_release() {
    let (_dir, path) = registry();
    let lockfile = path.with_extension("json.lock");
    let mut opened = Vec::new();
    for _ in 0..3 {
        let lock = RegistryLock::acquire(&path, &LockOptions::one_try()).unwrap();
        opened.push(File::open(&lockfile).unwrap());
        lock.release().unwrap();
        let state = inspect_lock(&path, Duration::from_secs(10)).unwrap().state;
        assert_eq!(state, LockState::Free);
    }
}

#[test]
fn a_folder_and_a_stream_of_a_file_are_refused() {
    let (dir, path) = registry();
    for (name, code) in [
        (r"sub\", "UNSUPPORTED"),
        ("sub/", "UNSUPPORTED"),
        ("registry.json:stream", "INVALID_VALUE"),
    ] {
        let lock = RegistryLock::acquire(dir.path().join(name), &LockOptions::one_try());
        assert_eq!(lock.unwrap_err().code(), code, "{name}");
    }
    let error = date(&dir.path().join("registry.json:stream"), 1, LockOptions::one_try());
    assert_eq!(error.unwrap_err().code(), "INVALID_VALUE");
    assert_eq!(date_of(&path), 1);
    assert!(!dir.path().join("sub").exists());
}

#[test]
fn results_and_errors_have_no_verbatim_paths() {
    let (dir, path) = registry();
    let status = inspect_lock(&path, Duration::from_secs(10)).unwrap();
    assert!(!status.path.to_string_lossy().starts_with(r"\\?\"), "{status:?}");
    let verbatim = fs::canonicalize(dir.path()).unwrap();
    assert!(verbatim.to_string_lossy().starts_with(r"\\?\"));
    let of_verbatim = inspect_lock(verbatim.join("registry.json"), Duration::from_secs(10));
    assert_eq!(of_verbatim.unwrap().path, status.path);
}

#[test]
fn errors_and_warnings_name_paths_as_their_caller_does() {
    let (dir, path) = registry();
    let is_plain =
        |text: &str| text.contains(dir.path().to_str().unwrap()) && !text.contains(r"\\?\");
    let (_, warnings) = read_registry(dir.path().join("missing.json")).unwrap();
    assert!(is_plain(&warnings[0].to_string()), "{}", warnings[0]);
    fs::write(&path, "{").unwrap();
    let (_, warnings) = read_registry(&path).unwrap();
    assert!(is_plain(&warnings[0].to_string()), "{}", warnings[0]);
    let lock = RegistryLock::acquire(&path, &LockOptions::one_try()).unwrap();
    let busy = thread::scope(|scope| {
        scope.spawn(|| date(&path, 1, LockOptions::one_try()).unwrap_err().to_string()).join()
    });
    assert!(is_plain(&busy.unwrap()));
    lock.release().unwrap();
    let _used = open_with(&path.with_extension("json.guard"), SHARE_NOTHING);
    let error = date(&path, 1, LockOptions::one_try()).unwrap_err().to_string();
    assert!(is_plain(&error), "{error}");
}

/// The file that is not there yet has no spelling of its own.
#[test]
fn two_spellings_of_a_registry_that_is_not_there_yet_are_one() {
    let dir = tempfile::tempdir().unwrap();
    let options = UpdateOptions {
        lock: LockOptions::within(Duration::from_millis(200)),
        ..UpdateOptions::default()
    };
    let error = update_registry(dir.path().join("new.json"), &options, |_| {
        update_registry(dir.path().join("NEW.json"), &options, |_| Ok::<_, Error>(()))
    });
    assert_eq!(error.unwrap_err().code(), "RE_ENTRANT");
}
