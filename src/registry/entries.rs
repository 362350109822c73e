//! The entry operations: each one atomic update of a registry, decided under its lock.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::content::entry_operation::{Operation, Outcome, PrunedWatcher, WatcherRef};
use crate::content::record::{Life, WatcherRecord};
use crate::content::registry_v1::RegistryV1;
use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::files::shared_file;
use crate::lock::wait::ThreadPolicy;
use crate::registry::liveness::Coroner;
use crate::registry::update::{self, Attempt, UpdateOptions};
use crate::sys;

/// How old an entry gets before it is pruned, in milliseconds. Source: argus.
pub const DEFAULT_TTL_MS: u64 = 60_000;

/// What to prune. Source: argus; `liveness` is ours.
#[derive(Debug, Clone)]
pub struct PruneOptions {
    /// An entry whose last heartbeat is longer ago is removed. Default [`DEFAULT_TTL_MS`].
    pub ttl: Duration,
    /// What time it is. Default: now.
    pub now: Option<SystemTime>,
    /// Whether to remove younger entries, too, if their process is gone or their pid is another
    /// process's by now. Only entries that listen on an address of this host alone (loopback,
    /// unspecified, or this host's name) are judged, and a process that may not be signalled
    /// counts as alive. Not for registries that containers or hosts share. Default false.
    pub liveness: bool,
}

impl Default for PruneOptions {
    fn default() -> Self {
        PruneOptions { ttl: Duration::from_millis(DEFAULT_TTL_MS), now: None, liveness: false }
    }
}

/// How to claim an id. Source: ours.
#[derive(Debug, Clone)]
pub struct ClaimOptions {
    /// Whether an id that is taken gets a suffix. If not, the claim fails with
    /// [`Error::IdTaken`]. Default true.
    pub suffix: bool,
    /// Whether the entry of a dead process is replaced, judged as in [`PruneOptions::liveness`]: not
    /// for a registry that containers or hosts share, where another's live watcher would look dead.
    /// Default true.
    pub liveness: bool,
}

impl Default for ClaimOptions {
    fn default() -> Self {
        ClaimOptions { suffix: true, liveness: true }
    }
}

/// Adds a watcher's entry, or replaces the one of the same id, whosever it is. Source: argus.
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
    check_id(path, &watcher.id)?;
    apply(path, Operation::Announce(Box::new(watcher)), options)?;
    Ok(())
}

/// Enters a watcher under an id of its own: the one it asks for or, if that is taken, the first of
/// `-2`, `-3`, ... that is free. The entry of a dead process is replaced. Returns the record as it is
/// entered, whose [`claim`](WatcherRecord::claim) the other operations take. Source: ours; the
/// suffixes are argus's.
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
/// Those of [`announce_watcher`]; [`Error::IdTaken`] without a suffix.
pub fn claim_watcher(
    path: impl AsRef<Path>,
    watcher: WatcherRecord,
    claim: &ClaimOptions,
    options: &UpdateOptions,
) -> Result<WatcherRecord> {
    let path = path.as_ref();
    check_id(path, &watcher.id)?;
    let id = watcher.id.clone();
    let ClaimOptions { suffix, liveness } = *claim;
    let operation = Operation::Claim { record: Box::new(watcher), suffix, liveness };
    match apply(path, operation, options)? {
        Outcome::Claimed(watcher) => Ok(*watcher),
        Outcome::Taken { pid } => Err(Error::IdTaken { path: path.to_path_buf(), id, pid }),
        other => unreachable!("a claim came out as {other:?}"),
    }
}

/// Dates a watcher's entry now; with a whole record, the entry becomes that record. Says whether
/// the entry that is meant was there: one that was removed is never brought back, and one that is
/// another watcher's by now is left alone. Source: argus; the claim is ours.
///
/// # Errors
///
/// Those of [`update_registry`](crate::update_registry).
pub fn heartbeat_watcher(
    path: impl AsRef<Path>,
    who: impl Into<WatcherRef>,
    options: &UpdateOptions,
) -> Result<bool> {
    Ok(apply(path.as_ref(), Operation::Heartbeat(who.into()), options)?.has_changed())
}

/// Removes a watcher's entry. Says whether the entry that is meant was there: by claim or record,
/// one that is another watcher's by now is left alone. Source: argus; the claim is ours.
///
/// # Errors
///
/// Those of [`update_registry`](crate::update_registry).
pub fn remove_watcher(
    path: impl AsRef<Path>,
    who: impl Into<WatcherRef>,
    options: &UpdateOptions,
) -> Result<bool> {
    Ok(apply(path.as_ref(), Operation::Remove(who.into()), options)?.has_changed())
}

/// Removes entries that are older than their time to live and, if asked to, those of dead
/// processes; returns them. With nothing to remove it takes no lock, writes nothing, and needs no
/// write access. Source: argus; liveness is ours.
///
/// # Errors
///
/// Those of [`update_registry`](crate::update_registry).
pub fn prune_stale_watchers(
    path: impl AsRef<Path>,
    prune: &PruneOptions,
    options: &UpdateOptions,
) -> Result<Vec<PrunedWatcher>> {
    match apply_job(path.as_ref(), &pruning(prune), options)? {
        Outcome::Pruned(pruned) => Ok(pruned),
        other => unreachable!("a prune came out as {other:?}"),
    }
}

/// What [`prune_stale_watchers`] would remove from a registry that is like this one, which stays
/// as it is. Source: ours.
#[must_use]
pub fn stale_watchers(registry: &RegistryV1, prune: &PruneOptions) -> Vec<PrunedWatcher> {
    match pruning(prune).run(&mut registry.clone(), &Coroner::default()) {
        Outcome::Pruned(pruned) => pruned,
        other => unreachable!("a prune came out as {other:?}"),
    }
}

fn pruning(prune: &PruneOptions) -> Job {
    let operation = Operation::Prune { ttl: prune.ttl, liveness: prune.liveness };
    let now = prune.now.map(|now| now.duration_since(UNIX_EPOCH).unwrap_or_default());
    let now = now.map(|now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    Job { operation, now }
}

pub(crate) fn check_id(path: &Path, id: &str) -> Result<()> {
    if id.is_empty() {
        let reason = "a watcher's id must not be empty".to_owned();
        return Err(Error::InvalidValue { path: path.to_path_buf(), reason });
    }
    Ok(())
}

/// An operation, and the time to do it at: now, if none is given.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) operation: Operation,
    pub(crate) now: Option<u64>,
}

impl Job {
    fn run(&self, registry: &mut RegistryV1, coroner: &Coroner) -> Outcome {
        let is_dead = |life: &Life| coroner.is_dead(life);
        self.operation.apply(registry, self.now.unwrap_or_else(sys::now_ms), &is_dead)
    }
}

fn apply(path: &Path, operation: Operation, options: &UpdateOptions) -> Result<Outcome> {
    apply_job(path, &Job { operation, now: None }, options)
}

fn apply_job(path: &Path, job: &Job, options: &UpdateOptions) -> Result<Outcome> {
    let paths = FilePaths::resolve(path)?;
    let once = |options: &UpdateOptions| {
        apply_once(&paths, &[job], options, ThreadPolicy::default(), |_| true)
    };
    let outcome = update::while_lost(options, once)?.into_iter().next().flatten();
    Ok(outcome.expect("there is one for each job that may begin"))
}

/// Does all that may begin, under one lock and with one commit, once: the outcome of one that may
/// not is `None`.
pub(crate) fn apply_once(
    paths: &FilePaths,
    jobs: &[&Job],
    options: &UpdateOptions,
    policy: ThreadPolicy,
    may_begin: impl Fn(usize) -> bool,
) -> Result<Vec<Option<Outcome>>, Attempt<Error>> {
    let begin = |(index, outcome)| may_begin(index).then_some(outcome);
    if let Some(outcomes) = settle_without_lock(&paths.target, jobs)? {
        return Ok(outcomes.into_iter().enumerate().map(begin).collect());
    }
    let only: Option<Vec<_>> = jobs.iter().map(|job| job.operation.only_entry()).collect();
    update::update_entries(paths, options, policy, only.as_deref(), |registry| {
        let coroner = Coroner::default();
        let outcomes: Vec<_> = jobs
            .iter()
            .enumerate()
            .map(|(index, job)| may_begin(index).then(|| job.run(registry, &coroner)))
            .collect();
        let has_changed = outcomes.iter().flatten().any(Outcome::has_changed);
        (outcomes, has_changed)
    })
}

/// What comes of operations that have nothing to do, as a look at the file shows: nothing is locked,
/// made or written for them, so that whoever may only read can do them.
fn settle_without_lock(path: &Path, jobs: &[&Job]) -> Result<Option<Vec<Outcome>>> {
    let on_nothing: Option<Vec<_>> = jobs.iter().map(|job| job.operation.on_nothing()).collect();
    let Some(on_nothing) = on_nothing else { return Ok(None) };
    if path.try_exists().is_ok_and(|exists| !exists) {
        return Ok(Some(on_nothing));
    }
    let [job @ Job { operation: Operation::Prune { .. }, .. }] = jobs else { return Ok(None) };
    let content = shared_file::read(path)?;
    let bytes = content.as_ref().map_or(&[][..], |content| &content.bytes);
    let mut registry = match RegistryV1::parse(path, bytes) {
        Err(Error::Corrupt { .. }) => return Ok(Some(on_nothing)),
        parsed => parsed?,
    };
    let outcome = job.run(&mut registry, &Coroner::default());
    Ok((!outcome.has_changed()).then(|| vec![outcome]))
}
