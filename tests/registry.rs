//! The Rust API on real files and threads.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use argus_registry::{
    inspect_lock, read_registry, update_registry, with_registry_lock, write_registry, CancelToken,
    Error, LockOptions, LockState, OnWarning, RegistryLock, RegistryV1, UpdateOptions, Warning,
    WatcherRecord,
};
use tempfile::TempDir;

const STALE: Duration = Duration::from_secs(10);

fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("registry.json");
    (dir, path)
}

fn options(timeout: Duration) -> UpdateOptions {
    UpdateOptions {
        lock: LockOptions { timeout: Some(timeout), ..LockOptions::default() },
        durable: false,
        ..UpdateOptions::default()
    }
}

fn patient() -> UpdateOptions {
    options(Duration::from_secs(60))
}

fn one_try() -> UpdateOptions {
    options(Duration::ZERO)
}

fn add(path: &Path, id: &str, options: &UpdateOptions) -> Result<(), Error> {
    update_registry(path, options, |registry| {
        registry.set_watcher(WatcherRecord::new(id, "127.0.0.1", 1));
        Ok(())
    })
}

fn put(path: &Path, text: &str) {
    let mut file = fs::File::create(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_was_updated_is_read() {
    let (dir, path) = folder();
    let (empty, warnings) = read_registry(&path).unwrap();
    assert!(empty.is_empty());
    assert_eq!(warnings, [Warning::Missing { path: path.clone() }]);
    add(&path, "a", &UpdateOptions::default()).unwrap();
    let (registry, warnings) = read_registry(&path).unwrap();
    assert_eq!(registry.ids().collect::<Vec<_>>(), ["a"]);
    assert!(warnings.is_empty());
    assert_eq!(names(dir.path()), ["registry.json", "registry.json.guard"]);
}

#[test]
fn an_updater_that_changes_nothing_or_fails_writes_nothing() {
    let (_dir, path) = folder();
    update_registry(&path, &one_try(), |_| Ok::<_, Error>(())).unwrap();
    assert!(!path.exists());
    let failed = update_registry(&path, &one_try(), |registry| {
        registry.set_updated_at(7);
        Err::<(), Box<dyn std::error::Error>>("mine".into())
    });
    assert_eq!(failed.unwrap_err().to_string(), "mine");
    assert!(!path.exists());
    add(&path, "a", &one_try()).unwrap();
}

#[test]
fn a_write_is_a_write_even_of_an_empty_registry() {
    let (_dir, path) = folder();
    write_registry(&path, &RegistryV1::new(), &one_try()).unwrap();
    assert!(read_registry(&path).unwrap().1.is_empty());
}

#[test]
fn a_nested_update_fails_at_once() {
    let (dir, path) = folder();
    let other_name = dir.path().join("link.json");
    #[cfg(unix)]
    std::os::unix::fs::symlink("registry.json", &other_name).unwrap();
    let names = if cfg!(unix) { vec![path.clone(), other_name] } else { vec![path.clone()] };
    for name in names {
        let nested = update_registry(&path, &patient(), |_| add(&name, "a", &patient()));
        assert_eq!(nested.unwrap_err().code(), "RE_ENTRANT");
        let nested =
            with_registry_lock(&path, &LockOptions::default(), |_| add(&name, "a", &patient()));
        assert_eq!(nested.unwrap_err().code(), "RE_ENTRANT");
    }
    add(&path, "a", &one_try()).unwrap();
}

#[test]
fn corrupt_bytes_are_kept_and_a_newer_version_is_refused() {
    let (dir, path) = folder();
    put(&path, "precious {");
    let mut quiet = one_try();
    let (told, warnings) = mpsc::channel();
    quiet.on_warning = OnWarning::new(move |warning| told.send(warning.code()).unwrap());
    add(&path, "a", &quiet).unwrap();
    assert_eq!(warnings.try_iter().collect::<Vec<_>>(), ["CORRUPT"]);
    let kept = names(dir.path()).into_iter().find(|name| name.contains(".corrupt-")).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join(kept)).unwrap(), "precious {");

    let newer = r#"{"version":2}"#;
    put(&path, newer);
    for refused in
        [add(&path, "a", &one_try()), write_registry(&path, &RegistryV1::new(), &one_try())]
    {
        assert_eq!(refused.unwrap_err().code(), "UNSUPPORTED_VERSION");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
    let (_, warnings) = read_registry(&path).unwrap();
    assert_eq!(warnings[0].code(), "UNSUPPORTED_VERSION");
}

#[test]
fn a_held_lock_writes() {
    let (_dir, path) = folder();
    let mut registry = RegistryV1::new();
    registry.set_watcher(WatcherRecord::new("a", "127.0.0.1", 1));
    with_registry_lock(&path, &LockOptions::default(), |lock| lock.write(&registry, &one_try()))
        .unwrap();
    assert_eq!(read_registry(&path).unwrap().0.len(), 1);
    put(&path, r#"{"version":2}"#);
    let refused = with_registry_lock(&path, &LockOptions::default(), |lock| {
        lock.write(&registry, &one_try())
    });
    assert_eq!(refused.unwrap_err().code(), "UNSUPPORTED_VERSION");
}

#[test]
fn threads_count_exactly() {
    let (_dir, path) = folder();
    thread::scope(|scope| {
        for thread in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for round in 0..50 {
                    add(path, &format!("{thread} {round}"), &patient()).unwrap();
                }
            });
        }
    });
    assert_eq!(read_registry(&path).unwrap().0.len(), 400);
}

#[test]
fn busy_timed_out_and_aborted_are_told_apart() {
    let (_dir, path) = folder();
    let lock = RegistryLock::acquire(&path, &LockOptions::default()).unwrap();
    assert!(!lock.took_over());
    let busy = add(&path, "a", &one_try()).unwrap_err();
    assert_eq!(busy.code(), "LOCK_BUSY");
    assert_eq!(busy.holder().unwrap().pid, Some(std::process::id()));
    assert_eq!(busy.holder().unwrap().alive, Some(true));
    let late = add(&path, "a", &options(Duration::from_millis(20))).unwrap_err();
    assert_eq!(late.code(), "LOCK_TIMEOUT");

    let token = CancelToken::new();
    let mut endless = patient();
    endless.lock.timeout = None;
    endless.lock.cancel = Some(token.clone());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| add(&path, "a", &endless).unwrap_err().code());
        token.cancel();
        assert_eq!(waiting.join().unwrap(), "ABORTED");
    });
    assert_eq!(add(&path, "a", &endless).unwrap_err().code(), "ABORTED");
    assert_eq!(inspect_lock(&path, STALE).unwrap().state, LockState::Held);
    lock.release().unwrap();
    assert_eq!(inspect_lock(&path, STALE).unwrap().state, LockState::Free);
    add(&path, "a", &one_try()).unwrap();
}

// Wine, where the Windows build is tried, keeps a deleted file's name until the file is closed.
#[cfg(unix)]
#[test]
fn a_lost_lock_is_noticed_and_a_successor_keeps_his() {
    let (dir, path) = folder();
    add(&path, "a", &one_try()).unwrap();
    let lockfile = dir.path().join("registry.json.lock");
    let lost = with_registry_lock(&path, &LockOptions::default(), |lock| {
        lock.check()?;
        fs::remove_file(&lockfile).unwrap();
        put(&lockfile, "");
        Ok::<_, Error>(())
    });
    assert_eq!(lost.unwrap_err().code(), "LOCK_LOST");
    assert!(lockfile.exists(), "the successor's lock stays");
    fs::remove_file(&lockfile).unwrap();

    let mut runs = 0;
    update_registry(&path, &patient(), |registry| {
        runs += 1;
        if runs == 1 {
            fs::remove_file(&lockfile).unwrap();
            put(&path, &registry.to_json().replace("\"a\"", "\"b\""));
        }
        registry.set_updated_at(runs);
        Ok::<_, Error>(())
    })
    .unwrap();
    let (registry, _) = read_registry(&path).unwrap();
    assert_eq!(registry.ids().collect::<Vec<_>>(), ["b"]);
    assert_eq!(registry.updated_at(), 2);
}

#[test]
fn a_panic_in_an_updater_frees_the_lock() {
    let (_dir, path) = folder();
    let panicked = thread::scope(|scope| {
        scope
            .spawn(|| {
                update_registry(&path, &patient(), |_| -> Result<(), Error> { panic!("mine") })
            })
            .join()
    });
    assert!(panicked.is_err());
    add(&path, "a", &one_try()).unwrap();
}

// On Windows the lockfile is not the guard's second name.
#[cfg(unix)]
#[test]
fn a_leftover_of_a_killed_holder_is_cleared_with_its_temp_file() {
    let (dir, path) = folder();
    add(&path, "a", &one_try()).unwrap();
    // What a kill leaves between the temp file and the rename.
    let temp = format!(".registry.json.{}.tmp", "0".repeat(32));
    put(&dir.path().join(&temp), "half");
    put(&dir.path().join(".registry.json.mine.tmp"), "not ours");
    let guard = dir.path().join("registry.json.guard");
    #[allow(clippy::disallowed_methods, reason = "a crash's leftover is made by hand")]
    fs::hard_link(&guard, dir.path().join("registry.json.lock")).unwrap();
    assert_eq!(inspect_lock(&path, STALE).unwrap().state, LockState::Stale);
    let lock = RegistryLock::acquire(&path, &one_try().lock).unwrap();
    assert!(lock.took_over());
    drop(lock);
    assert_eq!(
        names(dir.path()),
        [".registry.json.mine.tmp", "registry.json", "registry.json.guard"]
    );
}

#[test]
fn an_old_arguss_abandoned_lockfile_is_taken_over_and_said_so() {
    let (dir, path) = folder();
    let temp = dir.path().join(format!(".registry.json.{}.tmp", "0".repeat(32)));
    put(&temp, "half");
    let lockfile = fs::File::create(dir.path().join("registry.json.lock")).unwrap();
    lockfile.set_modified(std::time::UNIX_EPOCH).unwrap();
    let lock = RegistryLock::acquire(&path, &one_try().lock).unwrap();
    assert!(lock.took_over());
    drop(lock);
    assert_eq!(names(dir.path()), ["registry.json.guard"], "the litter is swept");
}

/// While it is waited for it is only seen to be there still, and judged now and then.
#[test]
fn an_old_arguss_lockfile_grows_old_while_it_is_waited_for() {
    let (_dir, path) = folder();
    fs::File::create(path.with_extension("json.lock")).unwrap();
    let lock = LockOptions {
        timeout: Some(Duration::from_secs(20)),
        stale_after: Duration::from_millis(400),
        ..LockOptions::default()
    };
    assert!(RegistryLock::acquire(&path, &lock).unwrap().took_over());
}

#[test]
fn an_update_of_one_try_that_lost_its_lock_fails_and_does_not_run_again() {
    let (_dir, path) = folder();
    let mut runs = 0;
    let lost = update_registry(&path, &one_try(), |registry| {
        runs += 1;
        if runs == 1 {
            fs::remove_file(path.with_extension("json.lock")).unwrap();
        }
        registry.set_updated_at(runs);
        Ok::<_, Error>(())
    });
    assert_eq!(lost.unwrap_err().code(), "LOCK_LOST");
    assert_eq!(runs, 1);
    assert!(!path.exists());
}

#[test]
fn what_a_caller_has_waited_elsewhere_counts_and_makes_no_one_try_of_it() {
    let (_dir, path) = folder();
    let minute = Duration::from_secs(60);
    let mut late = options(minute);
    late.lock.since = Some(Instant::now().checked_sub(minute).unwrap());
    let _lock = RegistryLock::acquire(&path, &LockOptions::default()).unwrap();
    let error = add(&path, "a", &late).unwrap_err();
    assert!(matches!(error, Error::LockTimeout { waited, .. } if waited >= minute), "{error}");
}

/// It panicked over a warning that it could not print, after the update and inside its lock.
#[test]
fn a_warning_that_nobody_reads_is_no_failure() {
    use std::io::{BufRead, Write};
    use std::process::{Command, Stdio};
    const PART: &str = "ARGUS_REGISTRY_TEST_PART";
    const TEST: &str = "a_warning_that_nobody_reads_is_no_failure";
    if let Ok(path) = std::env::var(PART) {
        std::io::stdin().lock().read_line(&mut String::new()).unwrap();
        add(Path::new(&path), "app", &patient()).unwrap();
        return;
    }
    let (_dir, path) = folder();
    put(&path, "precious {");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(PART, &path)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(read_registry(&path).unwrap().0.watcher("app").is_some());
}

/// Old argus locks nothing. What carries a kernel lock is the lock file of somebody's document, and
/// was taken over and deleted while it was held, when it looked old.
#[cfg(unix)]
#[test]
fn a_lockfile_without_an_owner_that_carries_a_kernel_lock_is_held() {
    let (_dir, path) = folder();
    let lockfile = path.with_extension("json.lock");
    let held = argus_registry::try_lock_exclusive(&lockfile).unwrap();
    let opened = fs::File::options().write(true).open(&lockfile).unwrap();
    opened.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(add(&path, "app", &one_try()).unwrap_err().code(), "LOCK_BUSY");
    assert_eq!(inspect_lock(&path, STALE).unwrap().state, LockState::Held);
    assert!(lockfile.exists());
    drop(held);
    add(&path, "app", &one_try()).unwrap();
}
