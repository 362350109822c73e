//! What an update does about a file that holds no registry.

use std::sync::mpsc;
use std::time::Duration;

use argus_registry::{
    announce_watcher, claim_watcher, heartbeat_watcher, prune_stale_watchers, remove_watcher,
    start_registry_heartbeat, with_registry_lock, write_registry, ClaimOptions, Error,
    HeartbeatOptions, LockOptions, OnCorrupt, OnError, PruneOptions, RegistryV1, UpdateOptions,
};

use crate::support::files::{names_in, put, registry_path, text};
use crate::support::registries::{add, ids, one_try, patient, watcher};

/// No registry: a person has mistyped a comma.
const MISTYPED: &str = r#"{"version": 1,, "updatedAt": 0, "watchers": {}}"#;

fn refusing() -> UpdateOptions {
    UpdateOptions { on_corrupt: OnCorrupt::Fail, ..one_try() }
}

#[test]
fn with_fail_every_update_refuses_content_that_is_no_registry_and_leaves_it() {
    let (dir, path) = registry_path();
    put(&path, MISTYPED);
    let options = refusing();
    let prune = |liveness| {
        let prune = PruneOptions { liveness, ..PruneOptions::default() };
        prune_stale_watchers(&path, &prune, &options).map(|_| ())
    };
    for (index, refused) in [
        add(&path, "a", &options),
        write_registry(&path, &RegistryV1::new(), &options),
        with_registry_lock(&path, &LockOptions::default(), |lock| {
            lock.write(&RegistryV1::new(), &options)
        }),
        announce_watcher(&path, watcher("a"), &options),
        claim_watcher(&path, watcher("a"), &ClaimOptions::default(), &options).map(|_| ()),
        heartbeat_watcher(&path, watcher("a"), &options).map(|_| ()),
        remove_watcher(&path, "a", &options).map(|_| ()),
        prune(false),
        prune(true),
    ]
    .into_iter()
    .enumerate()
    {
        let error = refused.unwrap_err();
        assert_eq!((error.code(), error.path()), ("CORRUPT", &*path), "{index}: {error}");
        assert_eq!(text(&path), MISTYPED, "{index}");
        assert_eq!(names_in(dir.path()).len(), 2, "{index}: {:?}", names_in(dir.path()));
    }
}

#[test]
fn with_fail_a_registry_and_a_missing_file_are_updated_as_ever() {
    let (_dir, path) = registry_path();
    add(&path, "a", &refusing()).unwrap();
    announce_watcher(&path, watcher("b"), &refusing()).unwrap();
    assert_eq!(ids(&path), ["a", "b"]);
}

#[test]
fn a_heartbeat_with_fail_reports_corrupt_content_and_leaves_it() {
    let (_dir, path) = registry_path();
    put(&path, MISTYPED);
    let (tell, told) = mpsc::channel();
    let options = HeartbeatOptions {
        interval: Duration::from_millis(1),
        update: UpdateOptions { on_corrupt: OnCorrupt::Fail, ..patient() },
        on_error: OnError::new(move |error: &Error| _ = tell.send(error.code())),
    };
    let heartbeat = start_registry_heartbeat(&path, || watcher("a"), options).unwrap();
    assert_eq!(told.recv().unwrap(), "CORRUPT");
    heartbeat.stop();
    assert_eq!(text(&path), MISTYPED);
}
