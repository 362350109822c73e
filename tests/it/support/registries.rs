//! Updates of a registry.

use std::path::Path;
use std::time::Duration;

use argus_registry::{
    read_registry, update_registry, Error, LockOptions, RegistryV1, UpdateOptions, WatcherRecord,
};

/// Not durable: no test waits for the disk where that makes no difference.
pub(crate) fn options(timeout: Duration) -> UpdateOptions {
    UpdateOptions {
        lock: LockOptions { timeout: Some(timeout), ..LockOptions::default() },
        durable: false,
        ..UpdateOptions::default()
    }
}

/// The longest wait for a lock in a test. It ends a test that hangs, not one that is slow.
pub(crate) fn patient() -> UpdateOptions {
    options(Duration::from_secs(60))
}

pub(crate) fn one_try() -> UpdateOptions {
    options(Duration::ZERO)
}

pub(crate) fn watcher(id: &str) -> WatcherRecord {
    WatcherRecord::new(id, "127.0.0.1", 9222)
}

/// The record as the process with this pid, beside this one, would have written it: with the scope of its
/// pid, so that it is judged in a container, too.
pub(crate) fn of_process(pid: u32, record: WatcherRecord) -> WatcherRecord {
    let (id, own) = (record.id.clone(), record.pid);
    let mut registry = RegistryV1::new();
    registry.set_watcher(record);
    let own_pid = format!("\"pid\": {own},");
    let text = registry.to_json().replace(&own_pid, &format!("\"pid\": {pid},"));
    let registry = RegistryV1::parse(Path::new("registry.json"), text.as_bytes()).unwrap();
    registry.watcher(&id).unwrap()
}

pub(crate) fn add(path: &Path, id: &str, options: &UpdateOptions) -> Result<(), Error> {
    update_registry(path, options, |registry| {
        registry.set_watcher(watcher(id));
        Ok(())
    })
}

pub(crate) fn ids(path: &Path) -> Vec<String> {
    read_registry(path).unwrap().0.ids().map(str::to_owned).collect()
}
