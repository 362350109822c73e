//! The operations on a registry in a folder, and what the checks read of one.

use std::fs;
use std::path::Path;

use argus_registry::{
    read_registry, update_registry, Error, FolderStore, OnWarning, RegistryStore, UpdateOptions,
    Warning, WatcherRecord,
};
use nix::errno::Errno;

use super::operation::{
    has, is_renewed, is_unchanged, nothing, registry, watchers, Kind, Operation, Program,
    NO_HARD_LINKS, NO_KERNEL_LOCKS,
};

/// The entry that the process of an operation has claimed before, where its name begins with `own-`.
const OWN: &str = "own";

/// The entries of a folder, as a registry in a file would have them. A folder that is not there has none.
pub(crate) fn content(folder: &Path) -> Result<Option<String>, String> {
    let (registry, warnings) = read_registry(folder).map_err(|error| error.to_string())?;
    match warnings.iter().find(|warning| !matches!(warning, Warning::Missing { .. })) {
        Some(warning) => Err(warning.to_string()),
        None => {
            let watchers = watchers(Some(&registry.to_json()));
            Ok(Some(serde_json::json!({ "watchers": watchers }).to_string()))
        }
    }
}

/// Has an update finished or undone that its process has left in its middle. Until then, a reader may see a part of it.
pub(crate) fn settle(folder: &Path) -> Result<(), Error> {
    if !folder.exists() {
        return Ok(());
    }
    let on_warning = OnWarning::new(|_| {});
    let options = UpdateOptions { durable: false, on_warning, ..UpdateOptions::default() };
    update_registry(folder, &options, |_| Ok(()))
}

/// What is in a folder beside its entries and its lock's guard.
pub(crate) fn litter(folder: &Path) -> Vec<String> {
    let names = |folder: &Path| -> Vec<_> {
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let inside =
        names(folder).into_iter().filter(|name| ![".guard", "watchers"].contains(&name.as_str()));
    let entries =
        names(&folder.join("watchers")).into_iter().filter(|name| !name.ends_with(".json"));
    inside.chain(entries).collect()
}

/// Whether the process of an operation counts as alive; `None` if it has no entry.
pub(crate) fn own_is_alive(folder: &Path) -> Option<bool> {
    let (registry, _) = read_registry(folder).ok()?;
    let record: WatcherRecord = registry.watcher(OWN)?;
    FolderStore::new(folder).is_alive(OWN, &record)
}

fn with_entries(folder: &Path, entries: &[WatcherRecord]) {
    registry(folder);
    update_registry(folder, &UpdateOptions::default(), |registry| {
        entries.iter().for_each(|entry| registry.set_watcher(entry.clone()));
        Ok::<_, Error>(())
    })
    .unwrap();
}

fn with_several_entries(folder: &Path) {
    let ids = ["changed", "removed", "removed-too"];
    with_entries(folder, &ids.map(|id| WatcherRecord::new(id, "127.0.0.1", 9222)));
}

fn with_stale_entry(folder: &Path) {
    let mut stale = WatcherRecord::new("stale", "127.0.0.1", 9222);
    (stale.pid, stale.started_at, stale.updated_at) = (1, 1, 1);
    with_entries(folder, &[stale]);
}

/// Those entries that an update of several adds, changes and removes, and its process's own.
fn are_updated(before: Option<&str>, after: Option<&str>) -> bool {
    let has_own = has(before, OWN);
    has(after, "new")
        && has(after, "new-2")
        && !has(after, "removed")
        && !has(after, "removed-too")
        && watchers(after)["changed"]["port"] == 9333
        && has(after, OWN) == has_own
        && (!has_own || watchers(after)[OWN]["port"] == 9333)
}

fn is_own_changed(_: Option<&str>, after: Option<&str>) -> bool {
    watchers(after)[OWN]["port"] == 9333
}

fn is_own_renewed(before: Option<&str>, after: Option<&str>) -> bool {
    let date = |text| watchers(text)[OWN]["updatedAt"].as_u64();
    date(after) > date(before)
}

fn has_own(_: Option<&str>, after: Option<&str>) -> bool {
    has(after, OWN)
}

fn has_no_own(_: Option<&str>, after: Option<&str>) -> bool {
    !has(after, OWN)
}

type IsDone = fn(Option<&str>, Option<&str>) -> bool;

/// The template of the list below.
const fn rust(name: &'static str, prepare: fn(&Path), is_done: IsDone) -> Operation {
    Operation {
        name,
        program: Program::Rust,
        kind: Kind::Folder,
        prepare,
        is_done,
        may_be: |_, _| false,
        without: &[],
        is_short: false,
    }
}

const fn node(name: &'static str, prepare: fn(&Path), is_done: IsDone) -> Operation {
    Operation { program: Program::Node, ..rust(name, prepare, is_done) }
}

const fn short(operation: Operation) -> Operation {
    Operation { is_short: true, ..operation }
}

const fn without(calls: &'static [(&'static str, Errno)], operation: Operation) -> Operation {
    Operation { without: calls, ..operation }
}

fn has_new(_: Option<&str>, after: Option<&str>) -> bool {
    has(after, "new")
}

fn has_no_old(_: Option<&str>, after: Option<&str>) -> bool {
    !has(after, "old")
}

fn has_no_stale(_: Option<&str>, after: Option<&str>) -> bool {
    !has(after, "stale")
}

fn has_old_2(_: Option<&str>, after: Option<&str>) -> bool {
    has(after, "old-2")
}

/// A name before a colon is that of the program's operation.
pub(crate) const OPERATIONS: &[Operation] = &[
    rust("update: folder", registry, has_new),
    rust("update: folder, first", nothing, has_new),
    short(rust("update-several: folder", with_several_entries, are_updated)),
    without(
        NO_HARD_LINKS,
        rust("update-several: folder, no hard links", with_several_entries, are_updated),
    ),
    without(
        NO_KERNEL_LOCKS,
        rust("update-several: folder, no kernel locks", with_several_entries, are_updated),
    ),
    rust("announce: folder", registry, has_new),
    rust("announce: folder, first", nothing, has_new),
    without(NO_HARD_LINKS, rust("announce: folder, no hard links", registry, has_new)),
    without(NO_KERNEL_LOCKS, rust("announce: folder, no kernel locks", registry, has_new)),
    rust("claim: folder", registry, has_old_2),
    rust("heartbeat: folder", registry, is_renewed),
    rust("remove: folder", registry, has_no_old),
    rust("prune: folder", with_stale_entry, has_no_stale),
    rust("read: folder", registry, is_unchanged),
    rust("watch: folder", registry, is_unchanged),
    rust("clear-litter: folder", registry, is_unchanged),
    rust("own-announce: folder", nothing, has_own),
    rust("own-heartbeat: folder", nothing, is_own_renewed),
    short(rust("own-update: folder", nothing, is_own_changed)),
    short(rust("own-update-several: folder", with_several_entries, are_updated)),
    rust("own-remove: folder", nothing, has_no_own),
    node("updateRegistry: folder", registry, has_new),
    node("updateRegistry-several: folder", with_several_entries, are_updated),
    node("updateRegistrySync: folder", registry, has_new),
    node("announceWatcher: folder", registry, has_new),
    node("claimWatcher: folder", registry, has_old_2),
    node("heartbeatWatcher: folder", registry, is_renewed),
    node("removeWatcher: folder", registry, has_no_old),
    node("pruneStaleWatchers: folder", with_stale_entry, has_no_stale),
    node("readRegistry: folder", registry, is_unchanged),
    node("watchRegistry: folder", registry, is_unchanged),
];
