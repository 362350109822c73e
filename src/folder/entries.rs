//! The entry operations on a folder.
//!
//! A claim of a free id and a heartbeat need no lock of the folder. All else that adds, replaces or removes
//! an entry decides under the folder's guard, so that what it has judged is still so.

use std::fs;
use std::io;
use std::time::SystemTime;

use crate::content::entry_operation::{
    candidate_ids, EntryOutcome, Operation, PrunedWatcher, WatcherRef,
};
use crate::content::entry_text;
use crate::content::record::WatcherRecord;
use crate::content::stale_entry::{
    may_be_replaced, prune_reason, CallingProcess, PruneReason, WatcherState,
};
use crate::error::Result;
use crate::folder::entry_file::{self, claim_lock, is_for_now, ClaimLock, EntryFile, FoundFile};
use crate::folder::guarded::under_guard;
use crate::folder::held::{self, is_same_but_for_date, HeldEntry};
use crate::folder::id::EntryId;
use crate::folder::journal;
use crate::folder::layout::FolderPaths;
use crate::folder::listing::{self, Listing};
use crate::folder::publish::{sync_entries, NewEntry, Owner, Published, PublishedFiles};
use crate::folder::temps;
use crate::lock::wait::WaitPolicy;
use crate::registry::entries::EntryRequest;
use crate::registry::liveness::LivenessCheck;
use crate::registry::own_scope::own_scope;
use crate::registry::update::UpdateOptions;
use crate::sys;

/// How often a heartbeat by name looks again at an entry that is being replaced.
const MAX_REPLACED: u32 = 100;

/// An entry operation on a folder.
pub(crate) struct FolderCall<'a> {
    paths: &'a FolderPaths,
    options: &'a UpdateOptions,
    policy: WaitPolicy,
    now: u64,
    /// The time that a heartbeat dates its entry with.
    renewed_at: SystemTime,
}

/// Performs an operation on the entries of a folder.
pub(crate) fn apply(
    paths: &FolderPaths,
    request: &EntryRequest,
    options: &UpdateOptions,
    policy: WaitPolicy,
) -> Result<EntryOutcome> {
    let now = request.now.unwrap_or_else(sys::now_ms);
    let renewed_at = request.renewed_at();
    let call = FolderCall { paths, options, policy, now, renewed_at };
    match &request.operation {
        Operation::Announce(record) => {
            call.announce(WatcherRecord::clone(record)).map(|()| EntryOutcome::Announced)
        }
        Operation::Claim { record, suffix, replace_after } => {
            let may_replace = |entry: &EntryFile| {
                let liveness = LivenessCheck::default();
                replace_after.is_some_and(|ttl| {
                    judging(paths, entry, &liveness, |caller| {
                        may_be_replaced(&entry.raw(), ttl, now, caller)
                    })
                })
            };
            call.claim(record, *suffix, replace_after.is_some(), &may_replace)
        }
        Operation::Heartbeat(watcher) => call.heartbeat(watcher).map(EntryOutcome::Found),
        Operation::Remove(watcher) => call.remove(watcher).map(EntryOutcome::Found),
        Operation::Prune { ttl, liveness } => {
            let reason = |entry: &EntryFile, check: &LivenessCheck| {
                judging(paths, entry, check, |caller| {
                    prune_reason(&entry.raw(), *ttl, now, liveness.then_some(caller))
                })
            };
            call.prune(&reason).map(EntryOutcome::Pruned)
        }
    }
}

/// The entries that pruning would remove now.
pub(crate) fn stale(paths: &FolderPaths, request: &EntryRequest) -> Result<Vec<PrunedWatcher>> {
    let Operation::Prune { ttl, liveness } = request.operation else {
        unreachable!("only pruning is asked for")
    };
    let now = request.now.unwrap_or_else(sys::now_ms);
    let check = LivenessCheck::default();
    let stale = Listing::read(paths)?.entries.into_iter().filter_map(|entry| {
        let reason = judging(paths, &entry, &check, |caller| {
            prune_reason(&entry.raw(), ttl, now, liveness.then_some(caller))
        });
        Some(PrunedWatcher::new(entry.id.to_json(), entry.value, reason?))
    });
    Ok(stale.collect())
}

/// Whether the process of the watcher lives whose entry has this id, as far as this process can tell.
pub(crate) fn is_alive(paths: &FolderPaths, id: &str, watcher: &WatcherRecord) -> Option<bool> {
    let found = entry_file::read(paths, &EntryId::from(id).file_name());
    let FoundFile::Entry(entry) = found else { return watcher.is_alive() };
    match entry.state(paths, &LivenessCheck::default()) {
        WatcherState::Alive => Some(true),
        WatcherState::Dead => Some(false),
        WatcherState::Unknown | WatcherState::NotOfThisHost => None,
    }
}

fn judging<T>(
    paths: &FolderPaths,
    entry: &EntryFile,
    liveness: &LivenessCheck,
    judge: impl FnOnce(&CallingProcess<'_>) -> T,
) -> T {
    let state_of = |_: &_| entry.state(paths, liveness);
    judge(&CallingProcess { scope: &own_scope(), state_of: &state_of })
}

impl FolderCall<'_> {
    fn guarded<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        under_guard(self.paths, &self.options.lock, self.policy, |_, _| body())
    }

    fn announce(&self, mut record: WatcherRecord) -> Result<()> {
        record.set_scope_if_own(&own_scope());
        if self.publish(&record, false)? {
            return Ok(());
        }
        self.guarded(|| {
            if self.publish(&record, true)? {
                return Ok(());
            }
            let name = EntryId::from(record.id.as_str()).file_name();
            self.must_not_be_damaged(&record.id, entry_file::read(self.paths, &name))?;
            self.replace(&record)
        })
    }

    fn claim(
        &self,
        record: &WatcherRecord,
        suffix: bool,
        may_replace_any: bool,
        may_replace: &dyn Fn(&EntryFile) -> bool,
    ) -> Result<EntryOutcome> {
        let mut record = record.clone();
        record.set_scope_if_own(&own_scope());
        let requested = record.id.clone();
        let mut needs_guard = false;
        for id in candidate_ids(&requested, suffix) {
            record.id = id;
            let name = EntryId::from(record.id.as_str()).file_name();
            // Asked first: it costs less than to write an entry that can't be published.
            let is_there = fs::symlink_metadata(self.paths.entry(&name)).is_ok();
            if !is_there {
                match self.try_publish(&record, &name, false)? {
                    Published::Yes(files) => return self.claimed(record, files),
                    Published::NeedsGuard => {
                        needs_guard = true;
                        break;
                    }
                    Published::NameTaken => {}
                }
            }
            let found = || entry_file::read(self.paths, &name);
            if may_replace_any && matches!(found(), FoundFile::Entry(entry) if may_replace(&entry))
            {
                needs_guard = true;
                break;
            }
        }
        if !needs_guard {
            return Ok(self.taken(&requested));
        }
        self.guarded(|| {
            for id in candidate_ids(&requested, suffix) {
                record.id = id;
                let name = EntryId::from(record.id.as_str()).file_name();
                if let Published::Yes(files) = self.try_publish(&record, &name, true)? {
                    return self.claimed(record, files);
                }
                let found = entry_file::read(self.paths, &name);
                let FoundFile::Entry(entry) = found else { continue };
                if may_replace(&entry) {
                    if let Some(files) = self.replaced(&record, Some(&entry))? {
                        return self.claimed(record, files);
                    }
                }
            }
            Ok(self.taken(&requested))
        })
    }

    fn claimed(&self, record: WatcherRecord, files: PublishedFiles) -> Result<EntryOutcome> {
        // First: a claim that fails holds nothing, so that the caller may try again and get this id.
        self.make_durable()?;
        self.hold(&record, files);
        Ok(EntryOutcome::Claimed(Box::new(record)))
    }

    /// Makes what has changed durable, if the caller asks for it.
    fn make_durable(&self) -> Result<()> {
        match self.options.durable {
            true => sync_entries(self.paths),
            false => Ok(()),
        }
    }

    fn taken(&self, id: &str) -> EntryOutcome {
        let found = entry_file::read(self.paths, &EntryId::from(id).file_name());
        let FoundFile::Entry(entry) = found else { return EntryOutcome::Taken { pid: None } };
        let fields = entry.raw().liveness_fields();
        EntryOutcome::Taken { pid: fields.and_then(|fields| Some(fields.pid? as u32)) }
    }

    /// Publishes a record under its id if that is free; returns whether it was.
    fn publish(&self, record: &WatcherRecord, under_guard: bool) -> Result<bool> {
        let name = EntryId::from(record.id.as_str()).file_name();
        match self.try_publish(record, &name, under_guard)? {
            Published::Yes(files) => {
                self.hold(record, files);
                self.make_durable().map(|()| true)
            }
            Published::NameTaken | Published::NeedsGuard => Ok(false),
        }
    }

    fn try_publish(
        &self,
        record: &WatcherRecord,
        name: &str,
        under_guard: bool,
    ) -> Result<Published> {
        self.new_entry(record, name, self.owner_of(record), |new| {
            let published = new.publish(under_guard)?;
            if let (false, Published::Yes(files)) = (under_guard, &published) {
                if let Err(error) = journal::end_removed(self.paths, name) {
                    new.take_back(files.id)?;
                    return Err(error);
                }
            }
            Ok(published)
        })
    }

    /// Replaces the entry of a record's id, and holds it. The caller holds the guard.
    fn replace(&self, record: &WatcherRecord) -> Result<()> {
        if let Some(files) = self.replaced(record, None)? {
            self.hold(record, files);
        }
        self.make_durable()
    }

    /// Replaces the entry of a record's id; returns the files of the new one, or `None` if the replaced one was judged, and
    /// was renewed since. The caller holds the guard.
    fn replaced(
        &self,
        record: &WatcherRecord,
        judged: Option<&EntryFile>,
    ) -> Result<Option<PublishedFiles>> {
        let name = EntryId::from(record.id.as_str()).file_name();
        let held = held::in_folder(self.paths).get(&record.id);
        let owner = match (self.owner_of(record), held.and_then(|held| held.lock.clone())) {
            (Owner::ThisProcess, Some(lock)) => Owner::Holds(lock),
            (owner, _) => owner,
        };
        self.new_entry(record, &name, owner, |new| new.replace(judged))
    }

    fn new_entry<T>(
        &self,
        record: &WatcherRecord,
        name: &str,
        owner: Owner,
        publish: impl FnOnce(&NewEntry<'_>) -> Result<T>,
    ) -> Result<T> {
        let text = entry_text::print(&record.clone().into_json());
        let (paths, date, durable) = (self.paths, Some(record.updated_at), self.options.durable);
        let keeps_renewals = false;
        publish(&NewEntry { paths, name, text: &text, date, owner, keeps_renewals, durable })
    }

    /// A process holds the lock for its own watchers alone: another process may outlive it.
    fn owner_of(&self, record: &WatcherRecord) -> Owner {
        match record.pid == std::process::id() {
            true => Owner::ThisProcess,
            false => Owner::None,
        }
    }

    /// Keeps a published entry's files open as long as this process holds the claim.
    fn hold(&self, record: &WatcherRecord, files: PublishedFiles) {
        let held = held::in_folder(self.paths);
        if let Some(replaced) = held.get(&record.id) {
            held.forget(&replaced);
        }
        if let PublishedFiles { file: Some(file), lock, .. } = files {
            let path = self.paths.entry(&EntryId::from(record.id.as_str()).file_name());
            let (claim, json) = (record.claim(), record.to_json());
            held.hold(self.paths, HeldEntry { claim, json, path, file, lock });
        }
    }

    fn must_not_be_damaged(&self, id: &str, found: FoundFile) -> Result<()> {
        match found {
            FoundFile::Damaged(reason) => {
                let file = self.paths.entry(&EntryId::from(id).file_name());
                let reason = format!(
                    "the entry '{id}' is damaged ({reason}), and a damaged entry is never replaced or \
                     deleted; repair {} or move it away",
                    file.display()
                );
                Err(self.paths.invalid(reason))
            }
            FoundFile::Unreadable(error) => Err(self.paths.error("read an entry of", error)),
            FoundFile::Entry(_) | FoundFile::Missing => Ok(()),
        }
    }

    fn heartbeat(&self, watcher: &WatcherRef) -> Result<bool> {
        let fail = |error| self.paths.error("renew an entry of", error);
        if let Some(renewed) = held::renew(&self.paths.root, watcher, self.renewed_at) {
            return renewed.map(|()| true).map_err(fail);
        }
        let name = EntryId::from(watcher.id()).file_name();
        for _ in 0..MAX_REPLACED {
            let entry = match entry_file::read(self.paths, &name) {
                FoundFile::Entry(entry) => entry,
                FoundFile::Unreadable(error) => return Err(fail(error)),
                FoundFile::Damaged(_) | FoundFile::Missing => return Ok(false),
            };
            if !watcher.matches_entry(&entry.raw()) {
                return Ok(false);
            }
            if let WatcherRef::Record(record) = watcher {
                let mut record = WatcherRecord::clone(record);
                record.set_scope_if_own(&own_scope());
                if !is_same_but_for_date(&record.to_json(), entry.value.get()) {
                    return self.change(watcher, record);
                }
            }
            let path = self.paths.entry(&name);
            let file = match sys::open_existing(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                opened => opened.map_err(fail)?,
            };
            let metadata = file.metadata().map_err(fail)?;
            if sys::id_of(&file, &metadata).map_err(fail)? != entry.file {
                continue;
            }
            sys::set_modified(&file, self.renewed_at).map_err(fail)?;
            if !sys::has_lost_name(&file, &path).map_err(fail)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Replaces the fields of a watcher's entry by those of its record.
    fn change(&self, watcher: &WatcherRef, mut record: WatcherRecord) -> Result<bool> {
        record.updated_at = self.now;
        self.guarded(|| {
            let name = EntryId::from(record.id.as_str()).file_name();
            let found = entry_file::read(self.paths, &name);
            let entry = match found {
                FoundFile::Entry(entry) => entry,
                FoundFile::Unreadable(error) => {
                    return Err(self.paths.error("renew an entry of", error))
                }
                FoundFile::Damaged(_) | FoundFile::Missing => return Ok(false),
            };
            if !watcher.matches_entry(&entry.raw()) {
                return Ok(false);
            }
            let own = held::in_folder(self.paths).of_file(&record.id, entry.file);
            if own.is_none() && claim_lock(self.paths, &name) == ClaimLock::Held {
                return Err(self.paths.unsupported(of_another_process(&record.id)));
            }
            self.replace(&record)?;
            Ok(true)
        })
    }

    fn remove(&self, watcher: &WatcherRef) -> Result<bool> {
        let name = EntryId::from(watcher.id()).file_name();
        let found = sys::id_at(&self.paths.entry(&name));
        if found.map_err(|error| self.paths.error("look for an entry of", error))?.is_none() {
            return Ok(false);
        }
        self.guarded(|| {
            let found = entry_file::read(self.paths, &name);
            let FoundFile::Entry(entry) = found else {
                return self.must_not_be_damaged(watcher.id(), found).map(|()| false);
            };
            if !watcher.matches_entry(&entry.raw()) {
                return Ok(false);
            }
            remove_entry(self.paths, &entry)?;
            self.make_durable().map(|()| true)
        })
    }

    fn prune(
        &self,
        reason: &dyn Fn(&EntryFile, &LivenessCheck) -> Option<PruneReason>,
    ) -> Result<Vec<PrunedWatcher>> {
        let check = LivenessCheck::default();
        let listing = Listing::read(self.paths)?;
        if !listing.entries.iter().any(|entry| reason(entry, &check).is_some()) {
            return Ok(Vec::new());
        }
        self.guarded(|| {
            let Some((names, _)) = listing::names(self.paths)? else { return Ok(Vec::new()) };
            temps::sweep(self.paths, &names.temps, self.options.lock.stale_after);
            let check = LivenessCheck::default();
            let mut pruned = Vec::new();
            for name in names.entries.keys() {
                let fail = |error| {
                    let operation = match pruned.is_empty() {
                        true => "prune",
                        false => "prune the rest of (though it has changed)",
                    };
                    self.paths.error(operation, error)
                };
                let entry = match entry_file::read(self.paths, name) {
                    FoundFile::Entry(entry) => entry,
                    FoundFile::Unreadable(error) if is_for_now(&error) => return Err(fail(error)),
                    _ => continue,
                };
                let Some(reason) = reason(&entry, &check) else { continue };
                if !entry.is_renewed(self.paths).map_err(fail)? {
                    unlink_entry(self.paths, &entry).map_err(fail)?;
                    pruned.push(PrunedWatcher::new(entry.id.to_json(), entry.value, reason));
                }
            }
            self.make_durable().map(|()| pruned)
        })
    }
}

/// Why a call must not change the fields of an entry.
pub(crate) fn of_another_process(id: &str) -> String {
    format!(
        "the entry '{id}' belongs to another process, which lives, and in a folder only a watcher's own \
         process changes its record; let that process renew its entry with the new record, or remove the \
         entry"
    )
}

/// Removes an entry that was judged under the guard, which the caller holds.
pub(crate) fn remove_entry(paths: &FolderPaths, entry: &EntryFile) -> Result<()> {
    unlink_entry(paths, entry).map_err(|error| paths.error("remove an entry of", error))
}

fn unlink_entry(paths: &FolderPaths, entry: &EntryFile) -> io::Result<()> {
    sys::remove_name(&paths.entry(&entry.name), &paths.new_temp())?;
    if !sys::LOCKED_FILE_IS_READABLE {
        sys::remove_name(&paths.claim_lock(&entry.name), &paths.new_temp())?;
    }
    let held = held::in_folder(paths);
    if let Some(own) = held.of_file(&entry.id.to_display(), entry.file) {
        held.forget(&own);
    }
    Ok(())
}
