//! One round of a mirror: both sides are read, compared with what was copied, and changed.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::time::{Duration, Instant};

use super::merge::{merge, Change, Copied, Merged, MirroredEntry, Origin, Sides};
use super::planned::{change_side, is_refusal, Planned, Reported, Side};
use super::state::{CopiedEntries, MirrorPaths};
use crate::content::record::RawEntry;
use crate::content::registry_v1::RegistryV1;
use crate::error::{Error, Result};
use crate::folder::id::EntryId;
use crate::registry::update::UpdateOptions;
use crate::store::file_store::FileStore;
use crate::store::registry_store::RegistryStore;
use crate::warning::Warning;

/// The least time between two updates of the file that only renew entries.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(2);

/// How many entries of the store one update changes: some stores bound that number.
const MAX_CHANGES_PER_UPDATE: usize = 100;

/// The entries of one side.
type Entries = HashMap<EntryId, MirroredEntry>;

/// A mirror that holds the lock.
pub(super) struct WorkingMirror<'a> {
    store: &'a dyn RegistryStore,
    file: &'a FileStore,
    paths: &'a MirrorPaths,
    options: &'a UpdateOptions,
    copied: CopiedEntries,
    /// Whether the state lacks that a side is missing.
    has_unwritten: bool,
    /// What the last round has read.
    in_store: Entries,
    in_file: Entries,
    /// What was reported already, and is as it was.
    reported: HashSet<Reported>,
    /// When the file was last updated.
    updated: Option<Instant>,
}

impl<'a> WorkingMirror<'a> {
    pub(super) fn new(
        store: &'a dyn RegistryStore,
        file: &'a FileStore,
        paths: &'a MirrorPaths,
        options: &'a UpdateOptions,
    ) -> Result<Self> {
        let copied = paths.read(store.path())?;
        let (in_store, in_file) = (Entries::new(), Entries::new());
        let reported = HashSet::new();
        Ok(WorkingMirror {
            store,
            file,
            paths,
            options,
            copied,
            has_unwritten: false,
            in_store,
            in_file,
            reported,
            updated: None,
        })
    }

    /// Brings both sides in step. Returns when the next round is due if nothing is changed until then;
    /// `None` if none is. Calls `report` for each entry that can't be copied.
    pub(super) fn run(&mut self, report: &dyn Fn(Error)) -> Result<Option<Instant>> {
        let sides = self.read()?;
        self.note_missing(sides)?;
        let (plan, unchanged) = self.plan(sides, report);
        let next = self.updated.map(|updated| updated + RENEWAL_INTERVAL);
        if let Some(next) = next.filter(|next| *next > Instant::now()) {
            if !plan.is_empty() && plan.iter().all(Planned::is_renewal) {
                return Ok(Some(next));
            }
        }
        // First: if it fails, the next round has to know what was copied.
        self.write_ahead(&self.copied, &plan)?;
        let before = mem::take(&mut self.copied);
        // Of an entry that is not changed after all, what was known before stays known.
        let planned = plan.iter().filter_map(|planned| {
            before.get(&planned.id).map(|copied| (planned.id.clone(), *copied))
        });
        self.copied = unchanged.into_iter().chain(planned).collect();
        let applied = self.apply(&plan, report);
        let written = self.paths.write(self.store.path(), &self.copied);
        applied.and(written).map(|()| None)
    }

    /// Reads both sides.
    fn read(&mut self) -> Result<Sides> {
        let (store, warnings) = read(self.store)?;
        let store_exists =
            !warnings.iter().any(|warning| matches!(warning, Warning::Missing { .. }));
        let store_is_whole =
            !warnings.iter().any(|warning| matches!(warning, Warning::DamagedEntry { .. }));
        let (file, warnings) = match read(self.file) {
            // The update decides about it, as the caller has chosen.
            Err(Error::Corrupt { path, .. }) => {
                (RegistryV1::new(), vec![Warning::Missing { path }])
            }
            read => read?,
        };
        self.in_store = entries_of(&store, mem::take(&mut self.in_store));
        self.in_file = entries_of(&file, mem::take(&mut self.in_file));
        let store_is_gone = !store_exists && self.copied.values().any(|copied| copied.is_made);
        let file_exists = warnings.is_empty();
        Ok(Sides { store_exists, store_is_gone, store_is_whole, file_exists })
    }

    /// Writes down that a side is missing. If another program makes it anew, with its own entry alone, all others
    /// would else count as removed from it.
    fn note_missing(&mut self, sides: Sides) -> Result<()> {
        for was_missing in self.copied.values_mut().map(|copied| &mut copied.was_missing) {
            let before = *was_missing;
            was_missing.store |= !sides.store_exists;
            was_missing.file |= !sides.file_exists;
            self.has_unwritten |= *was_missing != before;
        }
        if self.has_unwritten {
            self.paths.write(self.store.path(), &self.copied)?;
            self.has_unwritten = false;
        }
        Ok(())
    }

    /// What has to be changed, and what both sides have in common of all other entries.
    fn plan(&mut self, sides: Sides, report: &dyn Fn(Error)) -> (Vec<Planned>, CopiedEntries) {
        let (mut plan, mut unchanged) = (Vec::new(), CopiedEntries::new());
        let mut ids: HashSet<&EntryId> = self.copied.keys().collect();
        ids.extend(self.in_store.keys().chain(self.in_file.keys()));
        let mut reported = HashSet::new();
        for id in ids {
            let (store, file) = (self.in_store.get(id), self.in_file.get(id));
            let copied = self.copied.get(id);
            let is_dead = || store.is_some_and(|entry| is_dead(self.store, id, entry));
            let merged = merge(copied, store, file, sides, &is_dead);
            let is_unchanged =
                matches!((&merged.in_store, &merged.in_file), (Change::Keep, Change::Keep));
            let is_conflict = merged.is_conflict;
            let common = merged.copied;
            let planned =
                Planned { id: id.clone(), store: store.cloned(), file: file.cloned(), merged };
            let key = planned.reported();
            let was_reported = self.reported.contains(&key);
            // The store has refused it, and would again. Not so the claimed entry of a watcher, whose claim may have
            // ended since; and what is copied into the file is no matter of the store.
            let is_refused = was_reported
                && matches!(planned.merged.in_store, Change::Copy)
                && !planned.is_of_one_watcher();
            if is_conflict && !was_reported {
                report(self.id_taken(&planned));
            }
            if is_conflict || was_reported {
                reported.insert(key);
            }
            if is_refused {
                unchanged.extend(copied.map(|copied| (id.clone(), *copied)));
            } else if is_unchanged {
                unchanged.extend(common.map(|copied| (id.clone(), copied)));
            } else {
                plan.push(planned);
            }
        }
        self.reported = reported;
        (plan, unchanged)
    }

    /// The error of an id that different watchers have on the two sides.
    fn id_taken(&self, planned: &Planned) -> Error {
        let fields =
            planned.file.as_ref().and_then(|entry| RawEntry(entry.value.get()).liveness_fields());
        let pid = fields.and_then(|fields| fields.pid).map(|pid| pid as u32);
        let (path, id) = (self.file.path().to_path_buf(), planned.id.to_display());
        Error::IdTaken { path, id, pid }
    }

    /// Writes down which copies are about to be made, and renewed. If this process dies before it has
    /// written down that they are made, the next mirror takes none for an entry that was removed on one
    /// side, or added on the other.
    fn write_ahead(&self, before: &CopiedEntries, plan: &[Planned]) -> Result<()> {
        let mut ahead = before.clone();
        for planned in plan {
            let Some(copied) = planned.merged.copied else { continue };
            let is_new = planned.store.is_none() || planned.file.is_none();
            if is_new {
                let before = before.get(&planned.id);
                let was_missing = before.map(|before| before.was_missing).unwrap_or_default();
                let being_made = Copied { is_made: false, was_missing, ..copied };
                ahead.insert(planned.id.clone(), being_made);
            } else if copied.origin == Origin::Store && planned.is_renewal() {
                ahead.insert(planned.id.clone(), copied);
            }
        }
        match ahead == *before {
            true => Ok(()),
            false => self.paths.write(self.store.path(), &ahead),
        }
    }

    fn apply(&mut self, plan: &[Planned], report: &dyn Fn(Error)) -> Result<()> {
        let changed_in = |change: fn(&Merged) -> &Change| {
            let is_changed =
                move |planned: &&Planned| !matches!(change(&planned.merged), Change::Keep);
            plan.iter().filter(is_changed).collect::<Vec<_>>()
        };
        let in_file = changed_in(|merged| &merged.in_file);
        if !in_file.is_empty() {
            let done = change_side(self.file, self.options, &in_file, Side::File)?;
            self.updated = Some(Instant::now());
            self.note(&in_file, &done);
        }
        let mut taken_back = Vec::new();
        for chunk in changed_in(|merged| &merged.in_store).chunks(MAX_CHANGES_PER_UPDATE) {
            match change_side(self.store, self.options, chunk, Side::Store) {
                Ok(done) => self.note(chunk, &done),
                // One that the store can't have must not keep the others from it.
                Err(error) if is_refusal(&error) => {
                    for planned in chunk {
                        let one = std::slice::from_ref(planned);
                        match change_side(self.store, self.options, one, Side::Store) {
                            Ok(done) => self.note(one, &done),
                            Err(error) if is_refusal(&error) => {
                                taken_back.extend(planned.taken_back(&error));
                                if self.reported.insert(planned.reported()) {
                                    report(error);
                                }
                            }
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.take_back(&taken_back)
    }

    /// Gives the file the store's entries of watchers whose changed copies the store has refused: another process
    /// holds their claims, and renews them there. With a date or fields of its own, the copy would never get a
    /// date of its watcher again, and older programs would prune a watcher that lives.
    fn take_back(&mut self, taken_back: &[Planned]) -> Result<()> {
        if taken_back.is_empty() {
            return Ok(());
        }
        // As in `write_ahead`: if this process dies then, the copy must not seem to be renewed.
        let mut ahead = self.copied.clone();
        ahead.extend(taken_back.iter().filter_map(|planned| {
            planned.merged.copied.map(|copied| (planned.id.clone(), copied))
        }));
        self.paths.write(self.store.path(), &ahead)?;
        let taken_back: Vec<_> = taken_back.iter().collect();
        let done = change_side(self.file, self.options, &taken_back, Side::File)?;
        self.updated = Some(Instant::now());
        self.note(&taken_back, &done);
        Ok(())
    }

    /// Keeps in mind what both sides have in common now.
    fn note(&mut self, planned: &[&Planned], done: &HashSet<EntryId>) {
        for planned in planned.iter().filter(|planned| done.contains(&planned.id)) {
            match planned.merged.copied {
                Some(copied) => _ = self.copied.insert(planned.id.clone(), copied),
                None => _ = self.copied.remove(&planned.id),
            }
        }
    }
}

fn is_dead(store: &dyn RegistryStore, id: &EntryId, entry: &MirroredEntry) -> bool {
    let id: Option<String> = serde_json::from_str(id.to_json().get()).ok();
    let record = RawEntry(entry.value.get()).record();
    id.zip(record).is_some_and(|(id, record)| store.is_alive(&id, &record) == Some(false))
}

/// Reads one side.
fn read(store: &dyn RegistryStore) -> Result<(RegistryV1, Vec<Warning>)> {
    let (registry, warnings) = store.read()?;
    match warnings.iter().find_map(Warning::as_error) {
        Some(error) => Err(error),
        None => Ok((registry, warnings)),
    }
}

fn entries_of(registry: &RegistryV1, mut before: Entries) -> Entries {
    let entry_of = |(key, value): (&str, &str)| {
        let id = EntryId::of_json(key);
        let known = before.remove(&id).filter(|known| known.value.get() == value);
        let entry = known.unwrap_or_else(|| MirroredEntry::new(value));
        (id, entry)
    };
    registry.raw_entries().map(entry_of).collect()
}
