//! A document's lock: shared with programs that know only fs2, busy, deleted, and one for all names.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use argus_registry::{
    inspect_lock_file, try_lock_exclusive, try_lock_shared, CancelToken, Error, LockFile,
    LockOptions, RegistryLock, UnlockedReason,
};

use crate::support::counter::{count_up, counter, patient, Counter};
#[cfg(unix)]
use crate::support::files::names_in;
use crate::support::files::{document_path, put};
use crate::support::processes::{again, example, this_test, Holder, PART};

/// A lock file locked by fs2 alone, as veil locks it.
struct PlainLock(fs::File);

impl PlainLock {
    #[allow(clippy::disallowed_methods, reason = "a program that knows nothing of this crate")]
    fn take(path: &str, exclusive: bool) -> std::io::Result<Self> {
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).truncate(false).read(true).write(true).open(path)?;
        match exclusive {
            true => fs2::FileExt::try_lock_exclusive(&file)?,
            false => fs2::FileExt::try_lock_shared(&file)?,
        }
        Ok(PlainLock(file))
    }
}

impl Drop for PlainLock {
    /// To close the file is not enough: a child that another test starts at this moment has a copy of
    /// the descriptor until its exec, and keeps the lock with it.
    #[allow(clippy::disallowed_methods, reason = "a program that knows nothing of this crate")]
    fn drop(&mut self) {
        fs2::FileExt::unlock(&self.0).unwrap();
    }
}

#[test]
fn plain_fs2_and_this_crate_share_one_lock() {
    if let Ok(part) = env::var(PART) {
        let (mode, path) = part.split_once(' ').unwrap();
        let held = PlainLock::take(path, mode == "exclusive");
        println!("\nplain fs2: {}", if held.is_ok() { "held" } else { "busy" });
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut Vec::new()).unwrap();
        return;
    }
    let (_dir, path) = document_path();
    let document = counter(&path);
    document.save(&mut Counter::default()).unwrap();
    let lock_file = path.with_extension("lock");
    let lock_file = lock_file.to_str().unwrap();
    assert_eq!(document.lock_path().unwrap(), Path::new(lock_file));
    let loads = || document.load().map(|_| ());
    let saves = || document.save(&mut Counter::default());
    let updates = || document.update(&LockOptions::one_try(), count_up).map(|_| ());
    let is_busy = |result: Result<(), Error>| match result {
        Ok(()) => false,
        Err(Error::LockBusy { path, .. }) => {
            assert_eq!(path, Path::new(lock_file), "busy names the lock file");
            true
        }
        Err(error) => panic!("{error}"),
    };
    let test = this_test!();
    for across_processes in [false, true] {
        for (exclusive, load_is_busy) in [(false, false), (true, true)] {
            // The plain lock first.
            let mode = if exclusive { "exclusive" } else { "shared" };
            let part = format!("{mode} {lock_file}");
            let program = env::current_exe().unwrap();
            let process = || Holder::start(again(&program, test, &part), "plain fs2: ");
            let theirs =
                (!across_processes).then(|| PlainLock::take(lock_file, exclusive).unwrap());
            let holder = across_processes.then(process);
            assert!(holder.as_ref().is_none_or(|holder| holder.said.ends_with("held")));
            assert_eq!(is_busy(loads()), load_is_busy, "{mode}");
            assert!(is_busy(saves()) && is_busy(updates()), "{mode}");
            drop(theirs);
            holder.into_iter().for_each(Holder::end);
            assert!(!is_busy(loads()) && !is_busy(saves()) && !is_busy(updates()));
            // The crate's lock first.
            let ours = match exclusive {
                true => try_lock_exclusive(lock_file).unwrap(),
                false => try_lock_shared(lock_file).unwrap(),
            };
            for (they_want, they_get) in [("shared", !exclusive), ("exclusive", false)] {
                let got = if across_processes {
                    let part = format!("{they_want} {lock_file}");
                    let holder = Holder::start(again(&program, test, &part), "plain fs2: ");
                    let got = holder.said.ends_with("held");
                    holder.end();
                    got
                } else {
                    PlainLock::take(lock_file, they_want == "exclusive").is_ok()
                };
                assert_eq!(got, they_get, "the crate has it {mode}, fs2 wants it {they_want}");
            }
            drop(ours);
        }
    }
}

#[test]
fn a_busy_error_names_the_lock_file_and_the_holder() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    document.save(&mut Counter::default()).unwrap();
    let lock_file = path.with_extension("lock");
    // Held by another descriptor of this process, and then by another process.
    let _shared = try_lock_shared(&lock_file).unwrap();
    let busy = document.save(&mut Counter::default()).unwrap_err();
    let message = busy.to_string();
    for part in ["lock", "busy", "another process", lock_file.to_str().unwrap()] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    let mut command = example("hold_lock");
    command.arg(path.with_extension("other")).arg("exclusive");
    let holder = Holder::start(command, "holding");
    let document = document.lock_file(LockFile::At(path.with_extension("other")));
    let busy = document.load().unwrap_err();
    assert!(busy.to_string().contains("another process"), "{busy}");
    // The holder's id, where the system tells it at all. A look at the system's table can miss it.
    let told = inspect_lock_file(path.with_extension("other")).unwrap().holders;
    let named = (0..100).find_map(|_| document.load().unwrap_err().holder()?.pid);
    assert_eq!(named, told.first().map(|_| holder.child.id()).or(named));
    assert!(named.is_none_or(|pid| pid == holder.child.id()));
    holder.end();
    document.load().unwrap();
}

#[test]
fn two_updates_at_once_are_both_in_the_file() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    let (inside, entered) = mpsc::channel();
    let (go_on, wait) = mpsc::channel();
    thread::scope(|scope| {
        let first = document.clone();
        scope.spawn(move || {
            first.update(&patient(), |counter| {
                inside.send(()).unwrap();
                wait.recv().unwrap();
                count_up(counter)
            })
        });
        entered.recv().unwrap();
        // While the first update runs, one try finds the lock busy, also to read; a call that waits
        // gets its turn.
        assert_eq!(
            document.update(&LockOptions::one_try(), count_up).unwrap_err().code(),
            "LOCK_BUSY"
        );
        let short = LockOptions { timeout: Some(Duration::from_millis(10)), ..patient() };
        let late = document.update(&short, count_up).unwrap_err();
        assert_eq!((late.code(), late.path()), ("LOCK_TIMEOUT", &*path.with_extension("lock")));
        let cancel = CancelToken::new();
        cancel.cancel();
        let cancelled = LockOptions { cancel: Some(cancel), ..patient() };
        assert_eq!(document.update(&cancelled, count_up).unwrap_err().code(), "ABORTED");
        let second = document.clone();
        let second = scope.spawn(move || second.update(&patient(), count_up));
        go_on.send(()).unwrap();
        assert_eq!(second.join().unwrap().unwrap(), 2);
    });
}

/// The limit of every lock that is a file's: a process that deletes the file while it is held lets
/// the next one in. That second writer gets its lock, and may write. But the first one checks its lock
/// before it writes, so that it overwrites nothing and runs its update again.
#[cfg(unix)]
#[test]
fn a_lock_file_that_is_deleted_while_held_costs_no_update() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    let lock_file = path.with_extension("lock");
    let mut runs = 0;
    let count = document.update(&patient(), |counter| {
        runs += 1;
        if runs == 1 {
            fs::remove_file(&lock_file).unwrap();
            // In another process, which has a lock of its own.
            let second = example("counter").arg(&path).arg("5").output().unwrap();
            assert_eq!(second.stdout, b"acknowledged 5, busy 0\n");
        }
        count_up(counter)
    });
    assert_eq!((count.unwrap(), runs), (6, 2));
    assert_eq!(document.load().unwrap().value.count, 6);
    // An update with no time left to run again says so, and has written nothing.
    let lost = document.update(&LockOptions::one_try(), |counter| {
        fs::remove_file(&lock_file).unwrap();
        count_up(counter)
    });
    assert_eq!(lost.unwrap_err().code(), "LOCK_LOST");
    assert_eq!(document.load().unwrap().value.count, 6);
    assert_eq!(names_in(path.parent().unwrap()), ["doc.json", "doc.lock"]);
}

#[cfg(unix)]
#[test]
fn all_names_of_a_document_have_one_lock() {
    let (_dir, path) = document_path();
    let link = path.with_file_name("link.toml");
    std::os::unix::fs::symlink("doc.json", &link).unwrap();
    let (by_name, by_link) = (counter(&path), counter(&link));
    assert_eq!(by_link.update(&patient(), count_up).unwrap(), 1);
    assert_eq!(by_name.lock_path().unwrap(), by_link.lock_path().unwrap());
    let _held = try_lock_exclusive(by_name.lock_path().unwrap()).unwrap();
    assert_eq!(by_link.load().unwrap_err().code(), "LOCK_BUSY");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "the link is still one");
    let folder = path.with_file_name("folder");
    std::os::unix::fs::symlink(".", &folder).unwrap();
    let itself = counter(&path).lock_file(LockFile::At(folder.join("doc.json")));
    assert_eq!(itself.load().unwrap_err().code(), "INVALID_VALUE");
    let elsewhere = by_link.lock_file(LockFile::At(path.with_file_name("other.lock")));
    assert_eq!(elsewhere.lock_path().unwrap(), path.with_file_name("other.lock"));
    elsewhere.load().unwrap();
}

/// A caller that has to know that no writer was at work could not tell a read under the lock from one
/// that had to do without.
#[test]
fn a_document_can_require_its_lock_for_reading() {
    let (_dir, path) = document_path();
    let document = counter(&path).require_lock();
    assert_eq!(document.load().unwrap_err().code(), "NOT_FOUND");
    put(&path, r#"{"count":7}"#);
    let loaded = document.load().unwrap();
    assert_eq!((loaded.value.count, loaded.locked, loaded.unlocked), (7, true, None));
    let writing = try_lock_exclusive(path.with_extension("lock")).unwrap();
    assert_eq!(document.load().unwrap_err().code(), "LOCK_BUSY");
    drop(writing);
    // Without the requirement a read does not create the lock file's folder.
    let elsewhere = LockFile::At(path.with_file_name("locks").join("doc.lock"));
    let loaded = counter(&path).lock_file(elsewhere.clone()).load().unwrap();
    assert!(!loaded.locked);
    let Some(UnlockedReason::NotCreated { message }) = loaded.unlocked else {
        panic!("{loaded:?}")
    };
    assert!(message.contains("doc.lock"), "{message}");
    assert!(counter(&path).require_lock().lock_file(elsewhere).load().unwrap().locked);
    // The first update of an existing document creates that folder, too.
    let elsewhere = LockFile::At(path.with_file_name("other").join("doc.lock"));
    assert_eq!(counter(&path).lock_file(elsewhere).update(&patient(), count_up).unwrap(), 8);
}

#[test]
fn a_read_that_requires_a_registrys_lock_takes_it() {
    let (_dir, path) = document_path();
    let document = counter(&path).registry_lock();
    document.save(&mut Counter { count: 7 }).unwrap();
    let required = document.clone().require_lock();
    let loaded = required.load().unwrap();
    assert_eq!((loaded.value.count, loaded.locked, loaded.unlocked), (7, true, None));
    let lock = RegistryLock::acquire(&path, &patient()).unwrap();
    assert_eq!(required.load().unwrap_err().code(), "LOCK_BUSY");
    let loaded = document.load().unwrap();
    assert_eq!((loaded.locked, loaded.unlocked), (false, Some(UnlockedReason::RegistryLock)));
    drop(lock);
}

/// Every update fails on such a lock file, but a read went on without a lock and said nothing.
#[cfg(unix)]
#[test]
fn a_lock_file_that_is_a_dangling_symbolic_link_is_an_error_for_readers_too() {
    let (_dir, path) = document_path();
    put(&path, r#"{"count":7}"#);
    let document = counter(&path);
    let lock_file = path.with_extension("lock");
    std::os::unix::fs::symlink("nowhere", &lock_file).unwrap();
    for error in [
        document.load().unwrap_err(),
        document.save(&mut Counter::default()).unwrap_err(),
        document.update(&patient(), count_up).unwrap_err(),
    ] {
        assert_eq!((error.code(), error.path()), ("IO", &*lock_file));
        assert!(error.to_string().contains("symbolic link"), "{error}");
    }
}
