//! The calls that take a registry's path, which decides the store: a file, a folder, or one of another crate.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::content::entry_operation::{EntryOutcome, PrunedWatcher, WatcherRef};
use crate::content::record::WatcherRecord;
use crate::content::registry_v1::RegistryV1;
use crate::error::{Error, Result};
use crate::files::paths::is_folder;
use crate::folder::layout::FolderPaths;
use crate::folder::{entries as folder_entries, held};
use crate::lock::inspect::{self, LockStatus};
use crate::lock::registry_lock::RegistryLock;
use crate::lock::wait::{LockOptions, WaitPolicy};
use crate::registry::entries::{self, ClaimOptions, EntryRequest, PruneOptions};
use crate::registry::read;
use crate::registry::update::{self, UpdateOptions};
use crate::store::file_store::FileStore;
use crate::store::folder_store::FolderStore;
use crate::store::heartbeat::{self, Heartbeat, HeartbeatOptions};
use crate::store::operations;
use crate::store::other_store::other_store;
use crate::store::registry_store::{update_store, RegistryStore};
use crate::warning::Warning;
#[cfg(feature = "watch")]
use crate::watch::registry_watch::{self, FileWatch};
#[cfg(feature = "watch")]
use crate::watch::state_watch::RegistryWatch;

/// The store of the registry at a path: a [`FolderStore`] if the path ends in a separator or is that of an
/// existing folder, else a [`FileStore`]. Nothing is opened or created.
///
/// A path that begins with `etcd://` is a registry in etcd, which the crate `argus-registry-etcd` opens; if the
/// program has not registered it, every call fails with [`Error::Unsupported`].
#[must_use]
pub fn open_store(path: impl AsRef<Path>) -> Box<dyn RegistryStore> {
    let path = path.as_ref();
    if let Some(store) = other_store(path) {
        return store;
    }
    match is_folder(path) {
        true => Box::new(FolderStore::new(path)),
        false => Box::new(FileStore::new(path)),
    }
}

/// Reads a registry without a lock and without write access.
///
/// A file that is missing, that holds no registry, or that has a newer schema version reads as an empty
/// registry. A warning then says which of these it is.
///
/// In a folder, each entry is read whole. An entry that is there throughout is in the result, whatever
/// other processes add and remove meanwhile. A file that holds no entry is a [`Warning::DamagedEntry`].
///
/// # Errors
///
/// [`Error::PermissionDenied`], [`Error::TooLarge`] or [`Error::Io`] if the file or folder exists and can't
/// be read.
pub fn read_registry(path: impl AsRef<Path>) -> Result<(RegistryV1, Vec<Warning>)> {
    let path = path.as_ref();
    if let Some(store) = other_store(path) {
        return store.read();
    }
    match is_folder(path) {
        true => FolderStore::new(path).read(),
        false => read::read_file(path),
    }
}

/// Updates a registry: reads it, calls `updater` to change it, and replaces the file, all under the
/// registry's lock. When this returns `Ok`, the change is in the file.
///
/// If the updater changes nothing, nothing is written; a durable update then makes durable what is
/// there. If it fails, the file stays as it was, and the
/// updater's error is returned. If a program that does not respect the guard takes the lock away, the
/// updater runs again on fresh content, as long as the timeout allows.
///
/// In a folder, each entry changes in one step, and a reader can see some entries changed and others not
/// yet. If the process dies in the middle, the next call under the folder's lock finishes or undoes the
/// update. The updater runs again if a watcher has claimed the id of an entry that it adds.
///
/// # Errors
///
/// Those of [`RegistryLock::acquire`]; [`Error::LockLost`]; [`Error::UnsupportedVersion`] for a
/// registry of a newer schema, which stays as it was; [`Error::Corrupt`] with
/// [`OnCorrupt::Fail`](crate::OnCorrupt::Fail);
/// [`Error::TooLarge`]; [`Error::ReEntrant`] from inside an updater of this registry on this thread; the
/// errors of `updater`. In a folder [`Error::Unsupported`] for a change of an entry that another live
/// process holds, and for a member of the registry that is no entry.
pub fn update_registry<T, E: From<Error>>(
    path: impl AsRef<Path>,
    options: &UpdateOptions,
    mut updater: impl FnMut(&mut RegistryV1) -> Result<T, E>,
) -> Result<T, E> {
    let path = path.as_ref();
    if let Some(store) = other_store(path) {
        return update_store(&*store, options, updater);
    }
    match is_folder(path) {
        true => FolderStore::new(path).update_with(options, &mut updater),
        false => update::update_file(path, options, &mut updater),
    }
}

/// Replaces a registry's whole content, under its lock.
///
/// # Errors
///
/// Those of [`update_registry`]. A registry of a newer schema is not replaced either.
pub fn write_registry(
    path: impl AsRef<Path>,
    registry: &RegistryV1,
    options: &UpdateOptions,
) -> Result<()> {
    let path = path.as_ref();
    let mut replace = |current: &mut RegistryV1| {
        *current = registry.clone();
        Ok(())
    };
    if let Some(store) = other_store(path) {
        return update_store(&*store, options, replace);
    }
    match is_folder(path) {
        true => FolderStore::new(path).update_with(options, &mut replace),
        false => update::write_file(path, registry, options),
    }
}

/// Runs `body` under a registry's lock.
///
/// ```
/// use argus_registry::{read_registry, with_registry_lock, Error, LockOptions, UpdateOptions};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("registry.json");
/// with_registry_lock(&path, &LockOptions::default(), |lock| {
///     let (mut registry, _) = read_registry(lock.path())?;
///     // No other process or thread changes the registry until this closure returns.
///     registry.remove_watcher("app");
///     lock.write(&registry, &UpdateOptions::default())
/// })?;
/// # Ok::<_, Error>(())
/// ```
///
/// # Errors
///
/// Those of [`RegistryLock::acquire`]; [`Error::ReEntrant`] if this thread holds this registry's lock
/// already; the errors of `body`; [`Error::LockLost`] if a program that does not respect the guard took
/// the lock away before `body` returned: its `written` says whether `body` has written.
/// [`Error::Unsupported`] for a folder, in which watchers enter and renew themselves without its lock.
pub fn with_registry_lock<T, E: From<Error>>(
    path: impl AsRef<Path>,
    options: &LockOptions,
    body: impl FnOnce(&RegistryLock) -> Result<T, E>,
) -> Result<T, E> {
    let path = path.as_ref();
    if other_store(path).is_some() {
        let reason =
            "its lock is taken through its own type; use the function of its crate".to_owned();
        return Err(Error::Unsupported { path: path.to_path_buf(), reason }.into());
    }
    update::with_file_lock(path, options, body)
}

/// Adds a watcher's entry. Replaces the entry that has its id, whichever watcher that belongs to.
///
/// In a folder, a process that announces a watcher of its own, by its own pid, holds the entry's claim like
/// one that has [claimed](claim_watcher) it.
///
/// # Errors
///
/// Those of [`update_registry`](crate::update_registry); [`Error::InvalidValue`] for an empty id.
pub fn announce_watcher(
    path: impl AsRef<Path>,
    watcher: WatcherRecord,
    options: &UpdateOptions,
) -> Result<()> {
    let path = path.as_ref();
    if let Some(store) = other_store(path) {
        return store.announce(watcher, options);
    }
    operations::announce(path, watcher, &|request| apply(path, request, options))
}

/// Adds a watcher's entry under an id that no other watcher has: the record's id or, if that is taken,
/// the first of `-2`, `-3`, ... that is free. The entry of a dead process is replaced, and an expired one
/// of a process that can't be judged. Returns the record with the id under which it was entered. The
/// other operations take the returned record's [`claim`](WatcherRecord::claim).
///
/// In a folder, the process holds the claim until it removes the entry or ends, whichever thread has made
/// it: another process is told by a kernel lock that this one lives, and that it is dead once it is. An
/// entry for another process, by its pid, is judged by that pid.
///
/// ```
/// use argus_registry::{claim_watcher, heartbeat_watcher, remove_watcher};
/// use argus_registry::{ClaimOptions, UpdateOptions, WatcherRecord};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("registry.json");
/// let (claim, options) = (ClaimOptions::default(), UpdateOptions::default());
/// let first = claim_watcher(&path, WatcherRecord::new("app", "127.0.0.1", 1), &claim, &options)?;
/// let next = claim_watcher(&path, WatcherRecord::new("app", "127.0.0.1", 2), &claim, &options)?;
/// assert_eq!((&*first.id, &*next.id), ("app", "app-2"));
/// assert!(heartbeat_watcher(&path, next.claim(), &options)?);
/// assert!(remove_watcher(&path, next.claim(), &options)?);
/// # Ok::<_, argus_registry::Error>(())
/// ```
///
/// # Errors
///
/// Those of [`announce_watcher`]; [`Error::IdTaken`] if the id is taken and `claim` allows no suffix.
pub fn claim_watcher(
    path: impl AsRef<Path>,
    watcher: WatcherRecord,
    claim: &ClaimOptions,
    options: &UpdateOptions,
) -> Result<WatcherRecord> {
    let path = path.as_ref();
    if let Some(store) = other_store(path) {
        return store.claim(watcher, claim, options);
    }
    operations::claim(path, watcher, claim, &|request| apply(path, request, options))
}

/// Sets the date of a watcher's entry to now. With a whole record, replaces the entry by that record.
///
/// Returns whether the entry was there. An entry that was removed is never restored. By claim or
/// record, an entry that now belongs to another watcher is not changed.
///
/// In a folder, this dates the entry's file, and waits for no other process. By the claim that this process
/// holds, and the absolute path under which it was claimed, that takes two system calls. A record whose
/// other fields have changed replaces the file, under the folder's lock.
///
/// # Errors
///
/// Those of [`update_registry`](crate::update_registry).
pub fn heartbeat_watcher(
    path: impl AsRef<Path>,
    watcher: impl Into<WatcherRef>,
    options: &UpdateOptions,
) -> Result<bool> {
    let (path, watcher) = (path.as_ref(), watcher.into());
    // Asked before the system is asked what the path names.
    if let Some(Ok(())) = held::renew(path, &watcher, SystemTime::now()) {
        return Ok(true);
    }
    if let Some(store) = other_store(path) {
        return store.heartbeat(watcher, options);
    }
    operations::heartbeat(watcher, &|request| apply(path, request, options))
}

/// Removes a watcher's entry.
///
/// Returns whether the entry was there. By claim or record, an entry that now belongs to another watcher
/// is not removed.
///
/// # Errors
///
/// Those of [`update_registry`](crate::update_registry).
pub fn remove_watcher(
    path: impl AsRef<Path>,
    watcher: impl Into<WatcherRef>,
    options: &UpdateOptions,
) -> Result<bool> {
    let path = path.as_ref();
    if let Some(store) = other_store(path) {
        return store.remove(watcher.into(), options);
    }
    operations::remove(watcher.into(), &|request| apply(path, request, options))
}

/// Removes the entries that are older than their time to live and, with [`PruneOptions::liveness`],
/// those of dead processes. Returns the removed entries. If there is nothing to remove, it takes no
/// lock, writes nothing, and needs no write access.
///
/// In a folder, the kernel tells which claims are of dead processes, on whichever host or in whichever
/// container they ran. In etcd a hundred entries are removed at a time: if that can't go on after the first hundred,
/// the result is what was removed, also when the call's time is over or it was cancelled.
///
/// # Errors
///
/// Those of [`update_registry`](crate::update_registry).
pub fn prune_stale_watchers(
    path: impl AsRef<Path>,
    prune: &PruneOptions,
    options: &UpdateOptions,
) -> Result<Vec<PrunedWatcher>> {
    let path = path.as_ref();
    if let Some(store) = other_store(path) {
        return store.prune(prune, options);
    }
    operations::prune(prune, &|request| apply(path, request, options))
}

fn apply(path: &Path, request: &EntryRequest, options: &UpdateOptions) -> Result<EntryOutcome> {
    match is_folder(path) {
        true => {
            let paths = FolderPaths::resolve(path)?;
            folder_entries::apply(&paths, request, options, WaitPolicy::default())
        }
        false => entries::apply_request(path, request, options),
    }
}

/// Renews a watcher's entry until the heartbeat is stopped. The first beat comes after one interval,
/// since the entry is fresh when it is announced. Before each beat, the heartbeat calls `get_watcher`
/// for the record.
///
/// A beat never restores an entry that was removed, and never takes over one that now belongs to
/// another watcher. Such a beat fails with [`Error::EntryLost`], and [`HeartbeatOptions::on_error`] may
/// announce the watcher again. A panic of `get_watcher` or `on_error` ends the heartbeat.
///
/// # Errors
///
/// [`Error::InvalidValue`] for an interval of zero; [`Error::Io`] if the system refuses a thread.
pub fn start_registry_heartbeat(
    path: impl AsRef<Path>,
    get_watcher: impl FnMut() -> WatcherRecord + Send + 'static,
    options: HeartbeatOptions,
) -> Result<Heartbeat> {
    heartbeat::start_heartbeat(Arc::from(open_store(path)), get_watcher, options)
}

/// Inspects the lock of a registry. Creates nothing and needs no write access.
///
/// The result is exact because the call takes the guard's kernel lock, shared, for a moment. A
/// one-try update of another process may find the lock busy in that moment. `stale_after` matters
/// only for lockfiles whose holder can't be judged otherwise (see
/// [`LockOptions`](crate::LockOptions)).
///
/// ```
/// use argus_registry::{inspect_lock, LockOptions, LockState, RegistryLock};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("registry.json");
/// let options = LockOptions::default();
/// let lock = RegistryLock::acquire(&path, &options)?;
/// let status = inspect_lock(&path, options.stale_after)?;
/// assert_eq!(status.state, LockState::Held);
/// assert_eq!(status.holder.unwrap().pid, Some(std::process::id()));
/// lock.release()?;
/// assert_eq!(inspect_lock(&path, options.stale_after)?.state, LockState::Free);
/// # Ok::<_, argus_registry::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::PermissionDenied`] or [`Error::Io`] if the files in the registry's folder can't be
/// examined.
pub fn inspect_lock(path: impl AsRef<Path>, stale_after: Duration) -> Result<LockStatus> {
    let path = path.as_ref();
    if let Some(store) = other_store(path) {
        return store.inspect_lock(stale_after);
    }
    match is_folder(path) {
        true => FolderStore::new(path).inspect_lock(stale_after),
        false => inspect::inspect_file_lock(path, stale_after),
    }
}

/// Watches a registry. Returns an iterator over the registry's states, of which the first is the present
/// one.
///
/// Each state is what [`read_registry`] would return. The next state follows when
/// the file's content has changed, in whichever way: by an update, by a write in place, by deleting the
/// file or its folders, or by pointing a symbolic link elsewhere. The path and its folders need not
/// exist. A burst of changes is one state: the last content is always delivered, and earlier ones may
/// be skipped. This also holds for changes between two calls of [`next`](Iterator::next).
///
/// In a folder, the state follows when an entry was added, replaced, renewed or removed.
///
/// Nothing is locked, written or created. Waiting uses no CPU: the operating system's file events wake
/// the watching thread. On a network file system, changes by other machines cause no events.
///
/// # Errors
///
/// [`Error::InvalidValue`] for an empty path. Failures of the system are returned by
/// [`next`](Iterator::next), whose first call opens the folders.
///
/// ```
/// use argus_registry::{update_registry, watch_registry, Error, UpdateOptions, WatcherRecord};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("registry.json");
/// let mut watch = watch_registry(&path)?;
/// let (registry, _) = watch.next().unwrap()?;
/// assert!(registry.watcher("app").is_none());
/// update_registry(&path, &UpdateOptions::default(), |registry| {
///     registry.set_watcher(WatcherRecord::new("app", "127.0.0.1", 9222));
///     Ok::<_, Error>(())
/// })?;
/// let (registry, _) = watch.next().unwrap()?;
/// assert_eq!(registry.watcher("app").unwrap().port, 9222);
/// # Ok::<_, Error>(())
/// ```
#[cfg(feature = "watch")]
pub fn watch_registry(path: impl AsRef<Path>) -> Result<RegistryWatch> {
    let path = path.as_ref();
    match other_store(path) {
        Some(store) => store.watch(),
        None => watch_content(path).map(RegistryWatch::from),
    }
}

/// Watches the registry in a file or a folder, whose contents need not be parsed.
#[cfg(feature = "watch")]
pub(crate) fn watch_content(path: &Path) -> Result<FileWatch> {
    match is_folder(path) {
        true => registry_watch::watch_folder(path),
        false => registry_watch::watch_file(path),
    }
}
