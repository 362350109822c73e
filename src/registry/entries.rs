//! The entry operations. Each is one atomic update of a registry, decided under the registry's lock.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::content::entry_operation::{EntryOutcome, Operation, PrunedWatcher};
use crate::content::registry_v1::RegistryV1;
use crate::content::stale_entry::CallingProcess;
use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::files::shared_file;
use crate::lock::wait::WaitPolicy;
use crate::registry::liveness::LivenessCheck;
use crate::registry::own_scope::own_scope;
use crate::registry::update::{self, UpdateFailure, UpdateOptions};
use crate::sys;
use crate::warning::OnCorrupt;

/// The default time to live of an entry, in milliseconds: an older entry is pruned.
pub const DEFAULT_TTL_MS: u64 = 60_000;

/// Options for pruning.
#[derive(Debug, Clone)]
pub struct PruneOptions {
    /// An entry whose last heartbeat is longer ago is removed. Default [`DEFAULT_TTL_MS`].
    pub ttl: Duration,
    /// The time at which entries are judged. Default: now.
    pub now: Option<SystemTime>,
    /// Whether to also remove younger entries of dead watchers: those whose process is gone, or whose
    /// pid now belongs to another process. Only watchers that listen on an address of this host alone
    /// (loopback, unspecified, or this host's name) are judged, and of these only processes whose pid
    /// surely means something to the caller: not those of another container. A process that the caller
    /// may not signal counts as alive. Default false.
    pub liveness: bool,
}

impl Default for PruneOptions {
    fn default() -> Self {
        PruneOptions { ttl: Duration::from_millis(DEFAULT_TTL_MS), now: None, liveness: false }
    }
}

/// Options for claiming an id.
#[derive(Debug, Clone)]
pub struct ClaimOptions {
    /// Whether an id that is taken gets a suffix. Without it, the claim fails with
    /// [`Error::IdTaken`]. Default true.
    pub suffix: bool,
    /// Whether the entry of a dead process is replaced, judged as in [`PruneOptions::liveness`].
    /// Default true.
    pub liveness: bool,
    /// With `liveness`: the age at which the entry of a process of this host that can't be judged,
    /// because it may be another container's, is replaced. Default [`DEFAULT_TTL_MS`];
    /// [`Duration::MAX`] for never.
    pub ttl: Duration,
}

impl Default for ClaimOptions {
    fn default() -> Self {
        let ttl = Duration::from_millis(DEFAULT_TTL_MS);
        ClaimOptions { suffix: true, liveness: true, ttl }
    }
}

/// The entries that [`prune_stale_watchers`](crate::prune_stale_watchers) would remove from a registry with this content. Does not
/// change `registry`.
#[must_use]
pub fn stale_watchers(registry: &RegistryV1, prune: &PruneOptions) -> Vec<PrunedWatcher> {
    match prune_request(prune).apply(&mut registry.clone(), &LivenessCheck::default()) {
        EntryOutcome::Pruned(pruned) => pruned,
        other => unreachable!("the outcome of pruning is {other:?}"),
    }
}

pub(crate) fn prune_request(prune: &PruneOptions) -> EntryRequest {
    let operation = Operation::Prune { ttl: prune.ttl, liveness: prune.liveness };
    let now = prune.now.map(|now| now.duration_since(UNIX_EPOCH).unwrap_or_default());
    let now = now.map(|now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    EntryRequest { operation, now }
}

pub(crate) fn check_id(path: &Path, id: &str) -> Result<()> {
    if id.is_empty() {
        let reason = "a watcher's id must not be empty".to_owned();
        return Err(Error::InvalidValue { path: path.to_path_buf(), reason });
    }
    Ok(())
}

/// An operation, and the time at which it is performed: `None` for the present time.
#[derive(Debug)]
pub(crate) struct EntryRequest {
    pub(crate) operation: Operation,
    pub(crate) now: Option<u64>,
}

impl EntryRequest {
    /// The time that a heartbeat renews its entry at.
    pub(crate) fn renewed_at(&self) -> SystemTime {
        let given = self.now.map(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
        given.flatten().unwrap_or_else(SystemTime::now)
    }

    fn apply(&self, registry: &mut RegistryV1, liveness: &LivenessCheck) -> EntryOutcome {
        let now = self.now.unwrap_or_else(sys::now_ms);
        let state_of = |fields: &_| liveness.state_of(fields);
        let caller = CallingProcess { scope: &own_scope(), state_of: &state_of };
        self.operation.apply(registry, now, &caller)
    }
}

/// Performs a request on the registry in a file.
pub(crate) fn apply_request(
    path: &Path,
    request: &EntryRequest,
    options: &UpdateOptions,
) -> Result<EntryOutcome> {
    let paths = FilePaths::resolve(path)?;
    let once = |options: &UpdateOptions| {
        apply_once(&paths, &[request], options, WaitPolicy::default(), |_| true)
    };
    let outcomes = update::retry_while_lost(options, once);
    let outcomes = outcomes.map_err(|error| paths.error_as_given(error))?;
    let outcome = outcomes.into_iter().next().flatten();
    Ok(outcome.expect("each request that may begin has an outcome"))
}

/// Performs the requests that may begin, under one lock and with one commit, and does not retry. The
/// outcome of a request that may not begin is `None`.
pub(crate) fn apply_once(
    paths: &FilePaths,
    requests: &[&EntryRequest],
    options: &UpdateOptions,
    policy: WaitPolicy,
    may_begin: impl Fn(usize) -> bool,
) -> Result<Vec<Option<EntryOutcome>>, UpdateFailure<Error>> {
    let begin = |(index, outcome)| may_begin(index).then_some(outcome);
    if let Some(outcomes) = outcomes_without_lock(&paths.target, requests, options.on_corrupt)? {
        return Ok(outcomes.into_iter().enumerate().map(begin).collect());
    }
    update::update_entries(paths, options, policy, |registry| {
        let liveness = LivenessCheck::default();
        let outcomes: Vec<_> = requests
            .iter()
            .enumerate()
            .map(|(index, request)| may_begin(index).then(|| request.apply(registry, &liveness)))
            .collect();
        let has_changed = outcomes.iter().flatten().any(EntryOutcome::has_changed);
        (outcomes, has_changed)
    })
}

/// The outcomes of requests that would change nothing, found by reading the file; `None` if a request
/// may change the file. Locks, creates and writes nothing, so that a caller with read access alone can
/// make such requests.
fn outcomes_without_lock(
    path: &Path,
    requests: &[&EntryRequest],
    on_corrupt: OnCorrupt,
) -> Result<Option<Vec<EntryOutcome>>> {
    let without_registry: Option<Vec<_>> =
        requests.iter().map(|request| request.operation.outcome_without_registry()).collect();
    let Some(without_registry) = without_registry else { return Ok(None) };
    if path.try_exists().is_ok_and(|exists| !exists) {
        return Ok(Some(without_registry));
    }
    let [request @ EntryRequest { operation: Operation::Prune { .. }, .. }] = requests else {
        return Ok(None);
    };
    let content = shared_file::read(path)?;
    let bytes = content.as_ref().map_or(&[][..], |content| &content.bytes);
    let mut registry = match RegistryV1::parse(path, bytes) {
        Err(Error::Corrupt { .. }) if on_corrupt == OnCorrupt::Keep => {
            return Ok(Some(without_registry))
        }
        parsed => parsed?,
    };
    let outcome = request.apply(&mut registry, &LivenessCheck::default());
    Ok((!outcome.has_changed()).then(|| vec![outcome]))
}
