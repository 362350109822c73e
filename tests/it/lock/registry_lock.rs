//! A registry's lock as its callers see it: busy, timed out, cancelled and lost.

#[cfg(unix)]
use std::fs;
use std::thread;
use std::time::Duration;

use argus_registry::{inspect_lock, CancelToken, LockOptions, LockState, RegistryLock};
#[cfg(unix)]
use argus_registry::{read_registry, update_registry, with_registry_lock, Error};

#[cfg(unix)]
use crate::support::files::put;
use crate::support::files::registry_path;
use crate::support::registries::{add, one_try, options, patient};

const STALE: Duration = Duration::from_secs(10);

#[test]
fn busy_timed_out_and_aborted_are_told_apart() {
    let (_dir, path) = registry_path();
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
fn a_lost_lock_is_noticed_and_its_successor_keeps_the_lockfile() {
    let (dir, path) = registry_path();
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
