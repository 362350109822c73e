//! Moving all entries from one store to another.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::content::raw_object::to_raw;
use crate::content::record::{RawEntry, WatcherClaim};
use crate::content::registry_v1::RegistryV1;
use crate::error::{Error, Result};
use crate::files::paths::{is_folder, FilePaths};
use crate::registry::update::UpdateOptions;
use crate::store::mirror::state::MirrorPaths;
use crate::store::other_store::is_other;
use crate::store::registry_store::{update_store, RegistryStore};
use crate::sys;
use crate::warning::Warning;

/// How often a migration looks for entries that have come meanwhile.
const MAX_ROUNDS: u32 = 20;

/// What [`migrate`] has moved, and what it has left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migration {
    /// The number of entries that were moved.
    pub moved: usize,
    /// The ids of the entries that are still where they were, because another watcher has that id in the
    /// other registry. An id with a lone surrogate has its JSON escapes.
    pub kept: Vec<String>,
    /// The number of entries that came, or were renewed, while the last ones were moved, and are still where
    /// they were: a further call moves them. Zero unless watchers enter themselves all the time.
    pub remaining: usize,
}

/// Moves all entries of one registry to another, between any two stores.
///
/// Each entry is added there before it is removed here, so a crash in between, or a failure, loses none: the
/// next call goes on. An entry that is added, changed or renewed here meanwhile is moved, too: the call
/// looks again until none is left but those whose id another watcher has there, or 20 times. A watcher that renews its entry
/// here finds it lost afterwards: let watchers use the other registry first, or start them again.
///
/// An entry of a watcher that is in the other registry already, by its claim, stays there as it is unless
/// the one that is moved was renewed later and has other fields.
///
/// ```
/// use argus_registry::{claim_watcher, migrate, open_store, UpdateOptions, WatcherRecord};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let (file, folder) = (dir.path().join("registry.json"), dir.path().join("registry/"));
/// let options = UpdateOptions::default();
/// let watcher = WatcherRecord::new("app", "127.0.0.1", 9222);
/// claim_watcher(&file, watcher, &Default::default(), &options)?;
/// let migration = migrate(&*open_store(&file), &*open_store(&folder), &options)?;
/// assert_eq!(migration.moved, 1);
/// assert!(open_store(&folder).read()?.0.watcher("app").is_some());
/// # Ok::<_, argus_registry::Error>(())
/// ```
///
/// # Errors
///
/// Those of [`update_registry`](crate::update_registry) on either registry; [`Error::Corrupt`] and
/// [`Error::UnsupportedVersion`] if the entries can't be read; [`Error::InvalidValue`] if both are one
/// registry, or if one is a file that a mirror keeps in step.
pub fn migrate(
    from: &dyn RegistryStore,
    to: &dyn RegistryStore,
    options: &UpdateOptions,
) -> Result<Migration> {
    if is_one_registry(from, to, options)? {
        let reason = format!("it is the registry {} itself", to.path().display());
        return Err(Error::InvalidValue { path: from.path().to_path_buf(), reason });
    }
    for store in [from, to] {
        must_not_be_mirrored(store.path())?;
    }
    let mut migration = Migration::default();
    for _ in 0..MAX_ROUNDS {
        let found = read(from)?;
        if found.is_empty() {
            return Ok(Migration { moved: migration.moved, ..Migration::default() });
        }
        let (mut kept, mut moved, mut remaining) = (HashSet::new(), migration.moved, 0);
        for part in parts(found, from.max_changed_entries().min(to.max_changed_entries())) {
            kept.extend(add(to, &part, options)?);
            let removed = remove(from, &part, &kept, options)?;
            moved += removed.removed;
            // After the last part: before it, those of later parts are among them.
            remaining = removed.remaining;
        }
        let mut kept: Vec<_> = kept.into_iter().collect();
        kept.sort();
        migration = Migration { moved, kept, remaining };
        if remaining == 0 {
            break;
        }
    }
    Ok(migration)
}

/// Whether two paths lead to one registry: its entries would be found in it, and then removed from it.
fn is_one_registry(
    from: &dyn RegistryStore,
    to: &dyn RegistryStore,
    options: &UpdateOptions,
) -> Result<bool> {
    if from.path() == to.path() {
        return Ok(true);
    }
    if [from, to].into_iter().any(|store| !is_other(store.path())) {
        let real = |store: &dyn RegistryStore| sys::canonicalize(store.path()).ok();
        return Ok(real(from).is_some_and(|path| real(to) == Some(path)));
    }
    // A registry on servers has as many paths as they have names. If it is one, its lock is held under both.
    let stale_after = options.lock.stale_after;
    let mut holders = Ok(None);
    from.hold_lock(&options.lock, &mut || {
        let holder = |store: &dyn RegistryStore| Ok(store.inspect_lock(stale_after)?.holder);
        holders = holder(from).and_then(|own| Ok(Some((own, holder(to)?))));
    })?;
    Ok(holders?.is_some_and(|(own, other)| own.is_some() && own == other))
}

/// Refuses a file that a mirror keeps in step with a store: its entries are in both, and those that are
/// removed from one would be removed from the other.
fn must_not_be_mirrored(path: &Path) -> Result<()> {
    let Some(paths) = FilePaths::resolve(path).ok().filter(|_| !is_folder(path)) else {
        return Ok(());
    };
    let Some(state) = MirrorPaths::of_file(&paths).existing_state().map(Path::to_path_buf) else {
        return Ok(());
    };
    let reason = format!(
        "a mirror keeps it in step with another registry, so its entries are in both; stop the mirror, delete \
         {}, and migrate again",
        state.display()
    );
    Err(Error::InvalidValue { path: path.to_path_buf(), reason })
}

/// The entries in parts of at most this size.
fn parts(found: RegistryV1, size: usize) -> Vec<RegistryV1> {
    if found.len() <= size {
        return vec![found];
    }
    let entries = found.raw_entries().map(|(key, entry)| (to_raw(key), to_raw(entry)));
    let entries: Vec<_> = entries.collect();
    let parts = entries.chunks(size.max(1));
    parts.map(|part| RegistryV1::of_entries(found.updated_at(), part.to_vec())).collect()
}

fn read(from: &dyn RegistryStore) -> Result<RegistryV1> {
    let (registry, warnings) = from.read()?;
    match warnings.iter().find_map(Warning::as_error) {
        Some(error) => Err(error),
        None => Ok(registry),
    }
}

/// An id in one spelling.
fn id(key: &str) -> String {
    serde_json::from_str(key).unwrap_or_else(|_| key.trim_matches('"').to_owned())
}

fn claim(entry: &str) -> Option<WatcherClaim> {
    RawEntry(entry).claim("")
}

/// Adds the entries that are found here and not there; returns the ids that another watcher has there.
fn add(
    to: &dyn RegistryStore,
    found: &RegistryV1,
    options: &UpdateOptions,
) -> Result<HashSet<String>> {
    update_store(to, options, |registry| {
        let there: HashMap<String, &str> =
            registry.raw_entries().map(|(key, entry)| (id(key), entry)).collect();
        let (mut added, mut kept) = (Vec::new(), HashSet::new());
        for (key, entry) in found.raw_entries() {
            let is_new = match there.get(&id(key)) {
                None => true,
                Some(other) if *other == entry => false,
                Some(other) if claim(other).is_some() && claim(other) == claim(entry) => {
                    let date = |entry| RawEntry(entry).date();
                    date(entry) > date(other) && !is_same_but_for_date(entry, other)
                }
                Some(_) => {
                    kept.insert(id(key));
                    false
                }
            };
            if is_new {
                added.push((to_raw(key), to_raw(entry)));
            }
        }
        if !added.is_empty() {
            registry.set_raw_entries(added);
            registry.set_updated_at(sys::now_ms());
        }
        Ok(kept)
    })
}

fn is_same_but_for_date(one: &str, other: &str) -> bool {
    let undated = |entry: &str| {
        RawEntry(entry).dated(0, None).map(|entry| crate::content::entry_text::print(&entry))
    };
    undated(one) == undated(other)
}

struct Removed {
    removed: usize,
    /// The entries that are there and were neither kept nor found: those that have come or changed since they were
    /// read.
    remaining: usize,
}

/// Removes the entries that are still as they were found.
fn remove(
    from: &dyn RegistryStore,
    found: &RegistryV1,
    kept: &HashSet<String>,
    options: &UpdateOptions,
) -> Result<Removed> {
    let found: HashMap<String, &str> =
        found.raw_entries().map(|(key, entry)| (id(key), entry)).collect();
    update_store(from, options, |registry| {
        let (mut removed, mut remaining) = (0, 0);
        registry.retain_entries(|key, entry| {
            let id = id(key);
            if kept.contains(&id) {
                return true;
            }
            let is_same = found.get(&id).is_some_and(|found| *found == entry);
            *(if is_same { &mut removed } else { &mut remaining }) += 1;
            !is_same
        });
        if removed > 0 {
            registry.set_updated_at(sys::now_ms());
        }
        Ok(Removed { removed, remaining })
    })
}
