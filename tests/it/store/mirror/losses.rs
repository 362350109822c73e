//! What the mirror does not take for a removal, and what keeps no live watcher's date from the file.

use std::fs::File;
use std::time::SystemTime;

use super::*;

/// Whatever an entry's own process does to its date: that of the entry's file is set.
fn set_date(folder: &Path, id: &str, seconds_ahead: u64) {
    let entry = folder.join(format!("watchers/{id}.json"));
    let date = SystemTime::now() + Duration::from_secs(seconds_ahead);
    File::options().write(true).open(entry).unwrap().set_modified(date).unwrap();
}

fn rename(from: &Path, to: &Path) {
    #[allow(clippy::disallowed_methods, reason = "it stands for another program")]
    fs::rename(from, to).unwrap();
}

/// A mirror, and the codes of its errors.
fn start_with_errors(source: &Path, file: &Path) -> (Mirror, mpsc::Receiver<&'static str>) {
    let (sender, errors) = mpsc::channel();
    let on_error = OnError::new(move |error| _ = sender.send(error.code()));
    let options = MirrorOptions { update: patient(), on_error };
    let mirror = mirror_registry(source, file, options).unwrap();
    assert!(mirror.wait_until_working());
    (mirror, errors)
}

/// Renews the entry of another process in the folder, and waits until the file has its date.
fn await_renewals(folder: &Path, file: &Path, from_seconds_ahead: u64) {
    for seconds in 0..2 {
        set_date(folder, "app", from_seconds_ahead + 10 * seconds);
        await_that("the watcher's date", || date(file, "app") == date(folder, "app"));
    }
}

/// The date of the copy was written into the store. If another process held the claim, the store refused that, and
/// no date reached the file again: readers of the file saw a live watcher as expired.
#[test]
fn the_file_has_a_watchers_date_when_its_clock_is_set_back() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("registry/"), dir.path().join("registry.json"));
    let _holder = claimant(&folder);
    let (mirror, errors) = start_with_errors(&folder, &file);
    await_renewals(&folder, &file, 1000);
    await_renewals(&folder, &file, 500);
    mirror.stop();
    assert_eq!(errors.try_iter().count(), 0);
}

/// After the store had refused it once, no date reached the file again.
#[test]
fn the_file_has_a_claimed_watchers_date_and_fields_after_its_copy_was_renewed_or_edited() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("registry/"), dir.path().join("registry.json"));
    let holder = claimant(&folder);
    let (mirror, errors) = start_with_errors(&folder, &file);
    let port = |path: &Path| read_registry(path).unwrap().0.watcher("app").unwrap().port;
    let own_port = port(&folder);
    for round in 0..3 {
        assert!(heartbeat_watcher(&file, "app", &patient()).unwrap());
        await_that("the store's date", || date(&file, "app") == date(&folder, "app"));
        await_renewals(&folder, &file, 100 * (1 + round));
    }
    assert_eq!(errors.recv().unwrap(), "UNSUPPORTED");
    assert_eq!(errors.try_iter().count(), 0, "it was reported once");
    let edit = || {
        update_registry(&file, &patient(), |registry| {
            let mut watcher = registry.watcher("app").unwrap();
            watcher.port = own_port + 1;
            registry.set_watcher(watcher);
            Ok::<_, Error>(())
        })
        .unwrap();
    };
    for round in 0..2 {
        edit();
        await_that("the watcher's own port", || port(&file) == own_port);
        assert_eq!(errors.recv().unwrap(), "UNSUPPORTED");
        await_renewals(&folder, &file, 1000 * (1 + round));
    }
    // The claim has ended, and the store refuses nothing any more.
    drop(holder);
    edit();
    await_that("the new port", || port(&folder) == own_port + 1);
    mirror.stop();
    assert_eq!(port(&file), own_port + 1);
}

fn state_of(file: &Path) -> String {
    fs::read_to_string(file.with_extension("json.mirror.json")).unwrap_or_default()
}

/// Moves a store away as if it were not mounted, and waits until the mirror knows it. Returns where it is.
fn unmount(source: &Path, file: &Path) -> PathBuf {
    let gone = source.with_file_name("gone");
    rename(source, &gone);
    await_that("the mirror knows", || state_of(file).contains("\"store\":true"));
    gone
}

/// The mirror made the store anew of the entries of the file, and then took all others for removed from it.
#[test]
fn nothing_is_removed_when_the_store_is_missing_for_a_while() {
    for (source, file) in sources() {
        let live = source.store.claim(watcher("live"), &ClaimOptions::default(), &patient());
        let live = live.unwrap();
        for id in ["older", "ended"] {
            announce_watcher(&file, older(id, std::process::id()), &patient()).unwrap();
        }
        let mirror = start(source.path(), &file);
        let gone = unmount(source.path(), &file);
        announce_watcher(&file, older("later", std::process::id()), &patient()).unwrap();
        assert!(remove_watcher(&file, "ended", &patient()).unwrap());
        // By another mirror, whose first round is done.
        mirror.stop();
        let mirror = start(source.path(), &file);
        assert!(!source.path().exists(), "what comes back would lack what the mirror adds");
        await_ids(&file, &["later", "live", "older"]);
        // It is there again, and its entries belong to it as before.
        rename(&gone, source.path());
        for path in [source.path(), &*file] {
            await_ids(path, &["later", "live", "older"]);
        }
        assert!(source.store.remove(live.claim().into(), &patient()).unwrap());
        assert!(remove_watcher(&file, "older", &patient()).unwrap());
        for path in [source.path(), &*file] {
            await_ids(path, &["later"]);
        }
        mirror.stop();
        assert!(!state_of(&file).contains("\"store\":true"));
    }
}

/// A watcher makes the store anew before the mirror does, and another one that has lost its entry claims its id again.
#[test]
fn nothing_is_removed_when_a_watcher_makes_the_missing_store_anew() {
    for (source, file) in sources() {
        source.store.announce(watcher("live"), &patient()).unwrap();
        source.store.announce(watcher("other"), &patient()).unwrap();
        let _mirror = start(source.path(), &file);
        unmount(source.path(), &file);
        source.store.claim(watcher("new"), &ClaimOptions::default(), &patient()).unwrap();
        await_ids(&file, &["live", "new", "other"]);
        let mut again = watcher("live");
        (again.started_at, again.port) = (again.started_at + 1, 7);
        let again = source.store.claim(again, &ClaimOptions::default(), &patient()).unwrap();
        await_that("the claim", || {
            read_registry(&file).unwrap().0.watcher("live").unwrap().port == 7
        });
        assert!(source.store.remove(again.claim().into(), &patient()).unwrap());
        await_ids(&file, &["new", "other"]);
        assert_eq!(ids(source.path()), ["new"]);
    }
}

/// The mirror could not make the file anew at once, and then took all entries that the file lacked for removed from it.
#[test]
fn nothing_is_removed_when_another_program_makes_the_missing_file_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("registry/"), dir.path().join("registry.json"));
    announce_watcher(&folder, watcher("dead"), &patient()).unwrap();
    announce_watcher(&folder, of_process(dead_pid(), watcher("dead")), &patient()).unwrap();
    announce_watcher(&file, older("older", std::process::id()), &patient()).unwrap();
    let (sender, errors) = mpsc::channel();
    let on_error = OnError::new(move |error| _ = sender.send(error.code()));
    let mut options = MirrorOptions { update: patient(), on_error };
    options.update.lock.timeout = Some(Duration::ZERO);
    let mirror = mirror_registry(&folder, &file, options).unwrap();
    assert!(mirror.wait_until_working());
    with_registry_lock(&file, &patient().lock, |_| {
        fs::remove_file(&file).unwrap();
        assert_eq!(errors.recv_timeout(Duration::from_secs(60)).unwrap(), "LOCK_BUSY");
        let text = r#"{"version":1,"updatedAt":5,"watchers":{"another":{"id":"another"}}}"#;
        put(&file, text);
        Ok::<_, Error>(())
    })
    .unwrap();
    for path in [&folder, &file] {
        await_ids(path, &["another", "dead", "older"]);
    }
    mirror.stop();
}
