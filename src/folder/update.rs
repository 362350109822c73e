//! Updating the entries of a folder: each entry in one step, all of them or none.

use std::collections::HashMap;
use std::fs;
use std::io;

use crate::content::entry_text;
use crate::content::raw_object::to_raw;
use crate::content::record::{RawEntry, WatcherClaim, WatcherRecord};
use crate::content::registry_v1::RegistryV1;
use crate::error::{self, Error, Result};
use crate::files::paths;
use crate::files::shared_file::WriteLock;
use crate::folder::entries::{of_another_process, remove_entry};
use crate::folder::entry_file::{self, claim_lock, ClaimLock, EntryFile, FoundFile};
use crate::folder::guarded::under_guard;
use crate::folder::held::{self, HeldEntry};
use crate::folder::id::{EntryId, NamedId};
use crate::folder::journal::{self, Journal, JournalFile, Phase, Step};
use crate::folder::layout::{FolderPaths, ENTRIES};
use crate::folder::listing::Listing;
use crate::folder::names;
use crate::folder::publish::{
    sync_entries, NewEntry, Owner, Published, PublishedFiles, WrittenEntry, NOT_DURABLE,
};
use crate::lock::registry_lock::RegistryLock;
use crate::lock::wait::WaitPolicy;
use crate::registry::update::UpdateOptions;
use crate::sys;

/// Updates the registry in a folder, under the folder's guard. Runs `updater` again on fresh entries if a
/// watcher has claimed the id of an entry that it adds.
pub(crate) fn update<T, E: From<Error>>(
    paths: &FolderPaths,
    options: &UpdateOptions,
    policy: WaitPolicy,
    updater: &mut impl FnMut(&mut RegistryV1) -> Result<T, E>,
) -> Result<T, E> {
    let updated = under_guard(paths, &options.lock, policy, |lock, wait| loop {
        let found = FolderSnapshot::read(paths)?;
        let mut registry = found.registry.clone();
        let value = match updater(&mut registry) {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        };
        match found.commit(lock, &registry, options)? {
            Commit::Done => return Ok(Ok(value)),
            Commit::IdTaken(_) => wait.check(&paths.lock)?,
        }
    });
    updated?
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Commit {
    Done,
    /// A watcher has claimed this id, of an added entry, since the entries were read. Nothing has changed.
    IdTaken(String),
}

/// The entries of a folder as they are under its guard. Until it is released, only claims of free ids come
/// in between.
pub(crate) struct FolderSnapshot {
    paths: FolderPaths,
    pub(crate) registry: RegistryV1,
    entries: HashMap<EntryId, EntryFile>,
}

/// An entry that is to get another content, or to be added.
struct Change<'a> {
    id: EntryId,
    name: String,
    value: &'a str,
    old: Option<&'a EntryFile>,
    owner: Owner,
    /// Whether heartbeats count that come until it is changed.
    keeps_renewals: bool,
}

impl FolderSnapshot {
    /// Reads the entries. The caller holds the folder's guard.
    pub(crate) fn read(paths: &FolderPaths) -> Result<Self> {
        let listing = Listing::read(paths)?;
        let entries = listing.entries.iter().map(|entry| (entry.id.clone(), entry.clone()));
        let entries = entries.collect();
        let (registry, _) = listing.into_registry(paths);
        Ok(FolderSnapshot { paths: paths.clone(), registry, entries })
    }

    /// Goes on from a registry that was committed. Entries that watchers have claimed meanwhile are not in it,
    /// and the next commit leaves them alone.
    pub(crate) fn advance_to(&mut self, registry: RegistryV1) {
        let entries = registry.raw_entries().filter_map(|(key, value)| {
            let id = EntryId::of_json(key);
            let found = entry_file::read(&self.paths, &id.file_name());
            let FoundFile::Entry(mut entry) = found else { return None };
            // Not what the file says: a heartbeat may have dated it since.
            entry.value = to_raw(value);
            Some((id, entry))
        });
        self.entries = entries.collect();
        self.registry = registry;
    }

    /// Makes the folder's entries those of `registry`.
    pub(crate) fn commit(
        &self,
        lock: &RegistryLock,
        registry: &RegistryV1,
        options: &UpdateOptions,
    ) -> Result<Commit> {
        let (changes, removed) = self.changes(registry)?;
        lock.check()?;
        let commit = FolderCommit { snapshot: self, durable: options.durable };
        match (&changes[..], &removed[..]) {
            ([], []) => {
                // What it found may have been changed by an update that was not durable.
                if options.durable && self.paths.entries.is_dir() {
                    sync_entries(&self.paths)?;
                }
                Ok(Commit::Done)
            }
            // One file changes in one step.
            ([change], []) => commit.one_change(change),
            ([], [entry]) => {
                remove_entry(&self.paths, entry)?;
                if options.durable {
                    sync_entries(&self.paths)?;
                }
                Ok(Commit::Done)
            }
            _ => commit.several(lock, &changes, &removed),
        }
    }

    /// The entries that `registry` changes or adds, and those that it lacks.
    fn changes<'b>(
        &'b self,
        registry: &'b RegistryV1,
    ) -> Result<(Vec<Change<'b>>, Vec<&'b EntryFile>)> {
        if let Some(name) = registry.other_members().next() {
            return Err(self.paths.unsupported(format!(
                "a folder keeps nothing but entries, and '{name}' is none; keep it elsewhere, or use a \
                 registry file"
            )));
        }
        let mut changes = Vec::new();
        let mut remaining: HashMap<_, _> = self.entries.iter().collect();
        for (key, value) in registry.raw_entries() {
            let id = EntryId::of_json(key);
            let old = remaining.remove(&id);
            if old.is_some_and(|old| is_same(old.value.get(), value)) {
                continue;
            }
            let name = id.file_name();
            self.must_be_usable(&id, &name, value)?;
            let owner = match old {
                Some(old) => self.owner(&id, old, value)?,
                None => Owner::None,
            };
            let keeps_renewals = old.is_some_and(|old| keeps_renewals(&id, old, value));
            changes.push(Change { id, name, value, old, owner, keeps_renewals });
        }
        let mut removed: Vec<_> = remaining.into_values().collect();
        removed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok((changes, removed))
    }

    fn must_be_usable(&self, id: &EntryId, name: &str, value: &str) -> Result<()> {
        let shown = id.to_display();
        match EntryId::of_file_name(name) {
            NamedId::Id(_) => Ok(()),
            NamedId::Cut => {
                let own = RawEntry(value).raw_id().map(|own| EntryId::of_json(&own));
                match own.as_ref() == Some(id) {
                    true => Ok(()),
                    false => Err(self.paths.invalid(format!(
                        "the id '{shown}' is too long for the name of a file, so it has to be the \
                         entry's own `id`, too"
                    ))),
                }
            }
            NamedId::None => Err(self.paths.invalid("a watcher's id must not be empty".to_owned())),
        }
    }

    /// Which process holds the lock of an entry's new file.
    fn owner(&self, id: &EntryId, old: &EntryFile, value: &str) -> Result<Owner> {
        let id = id.to_display();
        let claim_of = |entry: RawEntry<'_>| -> Option<WatcherClaim> { entry.claim(&id) };
        let is_same_watcher = claim_of(old.raw()) == claim_of(RawEntry(value));
        if let Some(own) = held::in_folder(&self.paths).of_file(&id, old.file) {
            return Ok(match (is_same_watcher, &own.lock) {
                (false, _) => Owner::None,
                (true, Some(lock)) => Owner::Holds(lock.clone()),
                (true, None) => Owner::ThisProcess,
            });
        }
        // Another watcher's entry may take its place, as when it is announced. But with other fields its
        // own watcher would find its entry lost.
        if is_same_watcher && claim_lock(&self.paths, &old.name) == ClaimLock::Held {
            return Err(self.paths.unsupported(of_another_process(&id)));
        }
        Ok(Owner::None)
    }
}

/// Whether an update leaves a watcher its entry, and sets no earlier date: then heartbeats count that come while it runs.
fn keeps_renewals(id: &EntryId, old: &EntryFile, value: &str) -> bool {
    let (old, new, id) = (old.raw(), RawEntry(value), id.to_display());
    old.claim(&id) == new.claim(&id) && old.date() <= new.date()
}

/// Fails if this user may not replace an entry because the folder is sticky. Asked before an update of several entries
/// begins: one that can't go on in its middle has to be finished by a user who may.
fn must_be_replaceable(paths: &FolderPaths, entry: &EntryFile) -> Result<()> {
    let found = (fs::metadata(&paths.entries), fs::symlink_metadata(paths.entry(&entry.name)));
    match found {
        (Ok(folder), Ok(file)) if !sys::may_remove(&folder, &file) => {
            let path = paths.given.join(ENTRIES).join(&entry.name);
            let source = error::refused_by_sticky_folder();
            Err(Error::PermissionDenied { path, operation: "replace", source })
        }
        _ => Ok(()),
    }
}

/// Whether two values have one text in the layout of an entry's file.
fn is_same(one: &str, other: &str) -> bool {
    one == other || entry_text::print(one) == entry_text::print(other)
}

struct FolderCommit<'a> {
    snapshot: &'a FolderSnapshot,
    durable: bool,
}

impl FolderCommit<'_> {
    fn new_entry<T>(
        &self,
        change: &Change<'_>,
        durable: bool,
        publish: impl FnOnce(&NewEntry<'_>) -> T,
    ) -> T {
        let text = entry_text::print(change.value);
        let (paths, date) = (&self.snapshot.paths, RawEntry(change.value).date());
        let (owner, keeps_renewals) = (change.owner.clone(), change.keeps_renewals);
        let name = &change.name;
        publish(&NewEntry { paths, name, text: &text, date, owner, keeps_renewals, durable })
    }

    fn one_change(&self, change: &Change<'_>) -> Result<Commit> {
        let files = match change.old {
            Some(_) => self.new_entry(change, self.durable, |new| new.replace(None))?,
            None => match self.new_entry(change, self.durable, |new| new.publish(true))? {
                Published::Yes(files) => Some(files),
                Published::NameTaken | Published::NeedsGuard => return self.id_taken(change),
            },
        };
        if let Some(files) = files {
            self.hold(change, files);
        }
        if self.durable {
            sync_entries(&self.snapshot.paths)?;
        }
        Ok(Commit::Done)
    }

    fn several(
        &self,
        lock: &RegistryLock,
        changes: &[Change<'_>],
        removed: &[&EntryFile],
    ) -> Result<Commit> {
        let paths = &self.snapshot.paths;
        let replaced = changes.iter().filter_map(|change| change.old);
        replaced
            .chain(removed.iter().copied())
            .try_for_each(|entry| must_be_replaceable(paths, entry))?;
        let fail = |error| paths.error("write the new entries of", error);
        let mut written = Vec::new();
        for change in changes {
            let file = self.new_entry(change, self.durable, |new| new.write()).map_err(fail)?;
            // Only a claim of this process is locked, and this process has that lock.
            written.push(file.ok_or_else(|| fail(io::Error::other("an entry's lock is held")))?);
        }
        let step = |(change, file): (&Change<'_>, &WrittenEntry)| {
            let temp = file.path.file_name().and_then(|name| name.to_str());
            let (temp, entry) = (temp.unwrap_or_default().to_owned(), change.name.clone());
            Step { temp, entry, keeps_renewals: change.keeps_renewals }
        };
        let pairs = || changes.iter().zip(&written);
        let added: Vec<_> = pairs().filter(|(change, _)| change.old.is_none()).map(step).collect();
        let replaced = pairs().filter(|(change, _)| change.old.is_some()).map(step).collect();
        let aside = |entry: &&EntryFile| Step {
            temp: format!(".{}.tmp", paths::nonce()),
            entry: entry.name.clone(),
            keeps_renewals: false,
        };
        let removed_steps = removed.iter().map(aside).collect();
        let fail_to_begin = |error| paths.error("write the journal of an update of", error);
        let mut journal = Journal::new(added, replaced, removed_steps);
        let file = JournalFile { paths, nonce: WriteLock::nonce(lock), durable: self.durable };
        // From here on the journal decides what becomes of the files: to undo an update takes the temp files, by which the
        // added entries are known.
        let files: Vec<_> = written.into_iter().map(WrittenEntry::into_files).collect();
        let sync = || match self.durable {
            true => sys::sync_folder(&paths.entries),
            false => Ok(()),
        };
        if !journal.added.is_empty() {
            if let Err(error) = sync().and_then(|()| journal.enter(Phase::Prepare, &file)) {
                journal.undo(paths)?;
                return Err(fail_to_begin(error));
            }
            match self.link_added(&mut journal) {
                Ok(None) => {}
                Ok(Some(taken)) => {
                    journal.undo(paths)?;
                    let change = changes.iter().find(|change| change.name == taken);
                    return change
                        .map_or(Ok(Commit::IdTaken(taken)), |change| self.id_taken(change));
                }
                Err(error) => {
                    journal.undo(paths)?;
                    return Err(error);
                }
            }
        }
        if let Err(error) = sync() {
            journal.undo(paths)?;
            return Err(fail_to_begin(error));
        }
        let mut not_durable = Ok(());
        if let Err(error) = journal.enter(Phase::Commit, &file) {
            // Where another process may read that the update is to be finished, it can't be undone.
            if !journal.is_entered(paths)? {
                journal.undo(paths)?;
                return Err(fail_to_begin(error));
            }
            not_durable = Err(paths.error(NOT_DURABLE, error));
        }
        // From here on the update is done: by this process, or by the next holder of the lock.
        let applied = journal.apply(paths);
        // Also of a file that has not replaced its entry yet, which the next holder has it do: without the lock on it
        // this process would count as dead.
        for (change, files) in changes.iter().zip(files) {
            self.hold(change, files);
        }
        applied?;
        sync().map_err(|error| paths.error(NOT_DURABLE, error))?;
        let fail_to_finish = |error| paths.error(journal::FINISH, error);
        journal.enter(Phase::Clean, &file).map_err(fail_to_finish)?;
        journal.clean(paths)?;
        for entry in removed {
            // Drops the claim, if it is this process's.
            let held = held::in_folder(paths);
            if let Some(own) = held.of_file(&entry.id.to_display(), entry.file) {
                held.forget(&own);
            }
            if !sys::LOCKED_FILE_IS_READABLE {
                let lock = paths.claim_lock(&entry.name);
                sys::remove_name(&lock, &paths.new_temp()).map_err(fail_to_finish)?;
            }
        }
        not_durable.map(|()| Commit::Done)
    }

    /// Gives the added entries their names; returns the first name that is taken. Where the file system has
    /// no second names, they get them like files that replace others: there, a claim needs the guard.
    fn link_added(&self, journal: &mut Journal) -> Result<Option<String>> {
        let paths = &self.snapshot.paths;
        let fail = |error| paths.error("add an entry to", error);
        for step in &journal.added {
            let entry = paths.entry(&step.entry);
            match names::link(&paths.entries.join(&step.temp), &entry) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Ok(Some(step.entry.clone()))
                }
                Err(error) if sys::links_unsupported(&error) => {
                    for step in &journal.added {
                        if sys::id_at(&paths.entry(&step.entry)).map_err(fail)?.is_some() {
                            return Ok(Some(step.entry.clone()));
                        }
                    }
                    journal.replaced.append(&mut journal.added);
                    return Ok(None);
                }
                Err(error) => return Err(fail(error)),
            }
        }
        Ok(None)
    }

    /// The outcome of adding an entry whose name another file has.
    fn id_taken(&self, change: &Change<'_>) -> Result<Commit> {
        match entry_file::read(&self.snapshot.paths, &change.name) {
            FoundFile::Damaged(reason) => Err(self.snapshot.paths.invalid(format!(
                "the entry '{}' is damaged ({reason}), and a damaged entry is never replaced; repair {} or \
                 move it away",
                change.id.to_display(),
                self.snapshot.paths.entry(&change.name).display()
            ))),
            FoundFile::Unreadable(error) => {
                Err(self.snapshot.paths.error("read an entry of", error))
            }
            FoundFile::Entry(_) | FoundFile::Missing => {
                Ok(Commit::IdTaken(change.id.to_display().to_string()))
            }
        }
    }

    /// Keeps the new file of an entry open if this process holds the claim, in place of the old one.
    fn hold(&self, change: &Change<'_>, files: PublishedFiles) {
        let paths = &self.snapshot.paths;
        let held = held::in_folder(paths);
        let id = change.id.to_display();
        let own = change.old.and_then(|old| held.get(&id).filter(|_| old.id == change.id));
        let Some(own) = own else { return };
        held.forget(&own);
        let record: Option<WatcherRecord> = RawEntry(change.value).record();
        let claim = RawEntry(change.value).claim(&id);
        if let (PublishedFiles { file: Some(file), lock, .. }, Some(claim)) = (files, claim) {
            let json = record.map_or_else(|| change.value.to_owned(), |r| r.to_json());
            let path = paths.entry(&change.name);
            held.hold(paths, HeldEntry { claim, json, path, file, lock });
        }
    }
}
