//! What is to become of one id, and doing it on one side.

use std::collections::{HashMap, HashSet};

use super::merge::{Change, Content, Merged, MirroredEntry, Origin};
use crate::error::{Error, Result};
use crate::folder::id::EntryId;
use crate::registry::update::UpdateOptions;
use crate::store::registry_store::{update_store, RegistryStore};
use crate::sys;

/// An entry that can't be copied, with what both sides have.
pub(super) type Reported = (EntryId, Option<Content>, Option<Content>);

/// What is to become of an id.
pub(super) struct Planned {
    pub(super) id: EntryId,
    pub(super) store: Option<MirroredEntry>,
    pub(super) file: Option<MirroredEntry>,
    pub(super) merged: Merged,
}

impl Planned {
    pub(super) fn reported(&self) -> Reported {
        let content = |entry: &Option<MirroredEntry>| entry.as_ref().map(|entry| entry.content);
        (self.id.clone(), content(&self.store), content(&self.file))
    }

    /// Whether both sides have an entry of one watcher.
    pub(super) fn is_of_one_watcher(&self) -> bool {
        let both = self.store.as_ref().zip(self.file.as_ref());
        both.is_some_and(|(store, file)| store.is_of_same_watcher(file))
    }

    /// Instead of a change of the store's entry that the store has refused: it takes the place of the copy in the
    /// file. `None` if the file's entry is no copy.
    pub(super) fn taken_back(&self, refusal: &Error) -> Option<Self> {
        let is_claimed = matches!(refusal, Error::Unsupported { .. });
        let is_of_store = self.merged.copied?.origin == Origin::Store;
        let is_copy = self.is_of_one_watcher() && (is_claimed || is_of_store);
        let store = self.store.as_ref().filter(|_| is_copy)?;
        let merged = Merged::to_file(store, Origin::Store);
        let (id, store, file) = (self.id.clone(), self.store.clone(), self.file.clone());
        Some(Planned { id, store, file, merged })
    }

    /// Whether only the date of the file's entry changes.
    pub(super) fn is_renewal(&self) -> bool {
        let content = |entry: &Option<MirroredEntry>| entry.as_ref().map(|entry| entry.content);
        matches!(self.merged.in_file, Change::Copy) && content(&self.store) == content(&self.file)
    }
}

#[derive(Clone, Copy)]
pub(super) enum Side {
    Store,
    File,
}

/// Changes entries of one side; returns the ids of those that were as the plan has them, and are changed.
pub(super) fn change_side(
    store: &dyn RegistryStore,
    options: &UpdateOptions,
    plan: &[&Planned],
    side: Side,
) -> Result<HashSet<EntryId>> {
    update_store(store, options, |registry| {
        let current: HashMap<_, _> =
            registry.raw_entries().map(|(key, value)| (EntryId::of_json(key), value)).collect();
        let (mut set, mut removed, mut done) = (Vec::new(), HashSet::new(), HashSet::new());
        for planned in plan {
            let (change, own, other) = match side {
                Side::Store => (&planned.merged.in_store, &planned.store, &planned.file),
                Side::File => (&planned.merged.in_file, &planned.file, &planned.store),
            };
            let found = current.get(&planned.id).copied();
            if found != own.as_ref().map(|own| own.value.get()) {
                continue;
            }
            match (change, other) {
                (Change::Copy, Some(other)) => {
                    set.push((planned.id.to_json(), other.value.clone()))
                }
                (Change::Remove, _) => _ = removed.insert(planned.id.clone()),
                _ => continue,
            }
            done.insert(planned.id.clone());
        }
        if !done.is_empty() {
            registry.set_raw_entries(set);
            registry.retain_entries(|key, _| !removed.contains(&EntryId::of_json(key)));
            registry.set_updated_at(sys::now_ms());
        }
        Ok::<_, Error>(done)
    })
}

/// Whether a store can't have an entry as it is, now or later.
pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Unsupported { .. } | Error::InvalidValue { .. })
}
