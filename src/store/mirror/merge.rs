//! What a mirror does about one id, decided from the entry in the store, the entry in the file, and what it
//! has copied before.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::content::entry_text;
use crate::content::raw_object::to_raw;
use crate::content::record::{RawEntry, WatcherClaim};
use crate::util::stable_hash::fnv_1a;

/// An entry on one of the two sides.
#[derive(Debug, Clone)]
pub(super) struct MirroredEntry {
    pub(super) value: Box<RawValue>,
    pub(super) content: Content,
    /// When its watcher renewed it, in milliseconds since 1970.
    pub(super) date: u64,
}

/// Equal for two entries that differ in their dates and their layout at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Content(u128);

impl MirroredEntry {
    /// An entry that is valid JSON.
    pub(super) fn new(value: &str) -> Self {
        let undated = entry_text::parse(value.as_bytes(), u64::MAX);
        let text = entry_text::print(undated.as_ref().map_or(value, |entry| entry.get()));
        let (content, date) = (Content(fnv_1a(text.as_bytes())), RawEntry(value).date());
        MirroredEntry { value: to_raw(value), content, date: date.unwrap_or_default() }
    }

    fn claim(&self) -> Option<WatcherClaim> {
        RawEntry(self.value.get()).claim("")
    }

    pub(super) fn is_of_same_watcher(&self, other: &MirroredEntry) -> bool {
        self.claim().is_some() && self.claim() == other.claim()
    }
}

/// On which side an entry was written first. Its watcher renews it there; on the other side is the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Origin {
    Store,
    File,
}

/// An entry that the mirror has copied, as both sides had it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) origin: Origin,
    pub(super) content: Content,
    pub(super) date: u64,
    /// False while the copy is being made: it may be there or not.
    pub(super) is_made: bool,
    pub(super) was_missing: WasMissing,
}

/// Which sides were missing as a whole since both had an entry. A side that is there again, and lacks the entry,
/// has not removed it: another program may have made that side anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WasMissing {
    pub(super) store: bool,
    pub(super) file: bool,
}

/// What is known of the two sides as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides {
    /// Whether the store exists. A folder that is not mounted has removed no entry.
    pub(super) store_exists: bool,
    /// Whether the store is missing that was there before. It is not made anew: of the entries that it got then, the
    /// one that comes back has none, as if they were removed from it.
    pub(super) store_is_gone: bool,
    /// Whether all entries of the store could be read. One that is damaged was not removed.
    pub(super) store_is_whole: bool,
    /// Whether the file exists and holds a registry.
    pub(super) file_exists: bool,
}

/// What is to become of one side's entry.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Keep,
    /// The entry of the other side takes its place.
    Copy,
    Remove,
}

/// What is to become of an id.
#[derive(Debug, Clone)]
pub(super) struct Merged {
    pub(super) in_store: Change,
    pub(super) in_file: Change,
    /// What the two sides have in common afterwards; `None` if that is nothing.
    pub(super) copied: Option<Copied>,
    /// Whether both sides have an entry, of different watchers, and keep it.
    pub(super) is_conflict: bool,
}

impl Merged {
    fn new(in_store: Change, in_file: Change, copied: Option<Copied>) -> Self {
        Merged { in_store, in_file, copied, is_conflict: false }
    }

    fn to_store(entry: &MirroredEntry, origin: Origin) -> Self {
        Merged::new(Change::Copy, Change::Keep, Some(Copied::of(entry, origin)))
    }

    pub(super) fn to_file(entry: &MirroredEntry, origin: Origin) -> Self {
        Merged::new(Change::Keep, Change::Copy, Some(Copied::of(entry, origin)))
    }

    fn conflict() -> Self {
        Merged { is_conflict: true, ..Merged::new(Change::Keep, Change::Keep, None) }
    }
}

impl Copied {
    fn of(entry: &MirroredEntry, origin: Origin) -> Self {
        let (content, date) = (entry.content, entry.date);
        Copied { origin, content, date, is_made: true, was_missing: WasMissing::default() }
    }

    /// Whether an entry is the one that was copied, and was not renewed since.
    fn is_last_of(&self, entry: &MirroredEntry) -> bool {
        entry.content == self.content && entry.date <= self.date
    }
}

/// Decides about one id. `is_dead` tells whether the store knows that the watcher of its entry is dead.
///
/// No entry is removed whose watcher has renewed it since it was copied, and none without the mirror's
/// having copied it.
pub(super) fn merge(
    copied: Option<&Copied>,
    store: Option<&MirroredEntry>,
    file: Option<&MirroredEntry>,
    sides: Sides,
    is_dead: &dyn Fn() -> bool,
) -> Merged {
    match (store, file) {
        (None, None) => {
            // A side that comes back may still have an entry that was removed meanwhile.
            let is_missing = !sides.store_exists || !sides.file_exists;
            Merged::new(Change::Keep, Change::Keep, copied.copied().filter(|_| is_missing))
        }
        (Some(store), None) => only_in_store(copied, store, sides, is_dead),
        (None, Some(file)) => only_in_file(copied, file, sides),
        (Some(store), Some(file)) if store.content == file.content => same(copied, store, file),
        (Some(store), Some(file)) => differing(copied, store, file, is_dead),
    }
}

fn same(copied: Option<&Copied>, store: &MirroredEntry, file: &MirroredEntry) -> Merged {
    let guess = if file.date > store.date { Origin::File } else { Origin::Store };
    let origin = copied.map_or(guess, |copied| copied.origin);
    // The clock of the entry's watcher was set back, and the copy is as it was made. Without this, the date of the
    // copy would replace that of the watcher until the clock has passed it.
    let was_set_back = |copy: &MirroredEntry| copied.is_some_and(|copied| copied.date == copy.date);
    let is_from_store = match store.date.cmp(&file.date) {
        Ordering::Equal => {
            return Merged::new(Change::Keep, Change::Keep, Some(Copied::of(store, origin)))
        }
        Ordering::Less => origin == Origin::Store && was_set_back(file),
        Ordering::Greater => !(origin == Origin::File && was_set_back(store)),
    };
    match is_from_store {
        true => Merged::to_file(store, origin),
        false => Merged::to_store(file, origin),
    }
}

fn differing(
    copied: Option<&Copied>,
    store: &MirroredEntry,
    file: &MirroredEntry,
    is_dead: &dyn Fn() -> bool,
) -> Merged {
    let is_same_watcher = store.is_of_same_watcher(file);
    // A copy that is being made tells nothing: both may have got their entries meanwhile.
    match copied.filter(|copied| copied.is_made) {
        // Changed in the file alone.
        Some(copied) if store.content == copied.content => match copied.origin {
            Origin::File => Merged::to_store(file, Origin::File),
            Origin::Store if is_same_watcher => Merged::to_store(file, Origin::Store),
            // An older program has announced a watcher under the id of one that is in the store.
            Origin::Store if is_dead() => Merged::to_store(file, Origin::File),
            Origin::Store => Merged::conflict(),
        },
        // Changed in the store alone.
        Some(copied) if file.content == copied.content => match copied.origin {
            Origin::Store => Merged::to_file(store, Origin::Store),
            Origin::File if is_same_watcher => Merged::to_file(store, Origin::File),
            // The id of an older program's watcher was taken in the store.
            // Not if the store was missing, and has lost the entry with all others: its watcher may live.
            Origin::File if copied.is_last_of(file) && !copied.was_missing.store => {
                Merged::to_file(store, Origin::Store)
            }
            Origin::File => Merged::conflict(),
        },
        // The one that was renewed last counts.
        _ if is_same_watcher => {
            let origin = copied.map_or(Origin::Store, |copied| copied.origin);
            match file.date > store.date {
                true => Merged::to_store(file, origin),
                false => Merged::to_file(store, origin),
            }
        }
        _ => Merged::conflict(),
    }
}

fn only_in_store(
    copied: Option<&Copied>,
    store: &MirroredEntry,
    sides: Sides,
    is_dead: &dyn Fn() -> bool,
) -> Merged {
    let Some(copied) = copied else { return Merged::to_file(store, Origin::Store) };
    if !sides.file_exists || copied.was_missing.file {
        return Merged::to_file(store, copied.origin);
    }
    let is_removed = match copied.origin {
        // Its watcher has ended, or was pruned.
        Origin::File => copied.is_last_of(store),
        // Older programs take a watcher's entry away by its age. A live one is not gone by that.
        Origin::Store => copied.is_made && copied.is_last_of(store) && is_dead(),
    };
    match is_removed {
        true => Merged::new(Change::Remove, Change::Keep, None),
        false => Merged::to_file(store, Origin::Store),
    }
}

fn only_in_file(copied: Option<&Copied>, file: &MirroredEntry, sides: Sides) -> Merged {
    if sides.store_is_gone {
        return Merged::new(Change::Keep, Change::Keep, copied.copied());
    }
    let Some(copied) = copied else { return Merged::to_store(file, Origin::File) };
    let store_tells = sides.store_exists && sides.store_is_whole;
    let is_last = copied.is_last_of(file);
    match copied.origin {
        Origin::Store if !store_tells || (copied.was_missing.store && is_last) => {
            // Not copied back into the store: the watcher could not claim its own id there.
            Merged::new(Change::Keep, Change::Keep, Some(*copied))
        }
        Origin::Store if is_last => Merged::new(Change::Keep, Change::Remove, None),
        Origin::File if copied.is_made && store_tells && !copied.was_missing.store && is_last => {
            Merged::new(Change::Keep, Change::Remove, None)
        }
        _ => Merged::to_store(file, Origin::File),
    }
}

impl Serialize for Content {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        u128::from_str_radix(&digits, 16).map(Content).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
