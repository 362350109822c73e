//! Changing the registry: each change is one transaction, which is made once or not at all.
//!
//! # A lost answer
//!
//! When a connection breaks after a transaction was sent, it may have been made, may never be made, or may be
//! made later: it may lie in the socket of a server that is stopped. To send it again would make it twice.
//!
//! So each transaction writes a *marker*: a key of this client, with a value that no other transaction has. It
//! compares the marker's revision with the one that the client knows from before. If the answer is lost, the client
//! asks for the marker by a second transaction, the *fence*, which compares the same revision: if the marker is
//! still unchanged, the fence writes it. etcd makes one transaction after the other, and whichever of the two comes
//! first changes the revision, so the other one is refused:
//!
//! - the fence was made: the change was not, and never will be. It can be tried again, or run again on new content;
//! - the fence was refused: the marker's value tells that the change was made, or an earlier try of this fence.
//!
//! The fence may be sent any number of times, to any server. Only if no server answers it within the call's time,
//! the call fails with [`Error::OutcomeUnknown`], and its marker is never used again.
//!
//! A marker has a lease of its client, and could vanish with it. Then its revision would read as if it was never
//! written, and a fence could be made although the change was made. But a fence is put with that lease, too, so it is
//! refused once the lease is over. That is an unknown outcome.
//!
//! A change may have alternatives, of which the server makes the first one that can be made: they are transactions
//! nested in one that writes the marker. Each writes a second key, which tells which one was made. The marker is not
//! in a nested one: etcd does not count what those write against its quota, and would fill its disk.
//!
//! # What each transaction compares besides
//!
//! - the registry's version is the one that this crate knows;
//! - no process has the registry's lock, or waits for it; or, under the lock, the lock is still the caller's.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argus_registry::{Error, Result, REGISTRY_VERSION};

use crate::call::Call;
use crate::client::Client;
use crate::connection::{kv, Failures, Service};
use crate::error::{self, Trouble};
use crate::keys::VERSION;
use crate::lease::random;
use crate::rpc::{self, Compare, RangeResponse, RequestOp, TxnRequest, TxnResponse};

/// The lease of a client's markers, in seconds. It is renewed when a third of it is over.
const MARKER_LEASE: i64 = 60;

/// A change of the registry.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// The first one whose comparisons hold is made, by the server.
    pub(crate) alternatives: Vec<Alternative>,
    /// What is read if the change is refused.
    pub(crate) reads: Vec<RequestOp>,
    pub(crate) lock: LockRule,
}

/// What is written if all comparisons hold.
#[derive(Debug, Default)]
pub(crate) struct Alternative {
    pub(crate) compares: Vec<Compare>,
    pub(crate) writes: Vec<RequestOp>,
}

impl Change {
    /// A change with one alternative.
    pub(crate) fn new(compares: Vec<Compare>, writes: Vec<RequestOp>) -> Self {
        Change { alternatives: vec![Alternative { compares, writes }], ..Change::default() }
    }
}

/// What a change requires of the registry's lock.
#[derive(Debug, Clone, Default)]
pub(crate) enum LockRule {
    /// No process holds it, or waits for it.
    #[default]
    Free,
    /// This key, which was created at this revision, still holds it.
    Held { key: Vec<u8>, created: i64 },
}

/// What became of a change.
#[derive(Debug)]
pub(crate) enum Committed {
    /// It was made at this revision, by the alternative of this number.
    Done(i64, usize),
    /// Something that it compares has changed. These are its reads, made at that time.
    Conflict(Vec<RangeResponse>),
    /// A lease that it puts a key with is over.
    LeaseOver,
    /// Another process has the registry's lock, or waits for it.
    Locked,
    /// The caller's lock is gone.
    LockGone,
}

/// A key that tells the last change made with it.
#[derive(Debug)]
struct Marker {
    key: Vec<u8>,
    /// When it was last written; 0 for never.
    revision: i64,
    lease: i64,
}

impl Marker {
    /// The key that tells the alternative of the last change that had several.
    fn choice_key(&self) -> Vec<u8> {
        [&self.key[..], b"/choice"].concat()
    }
}

/// The markers that no change uses now, and their lease.
#[derive(Debug, Default)]
pub(crate) struct Markers(Mutex<FreeMarkers>);

#[derive(Debug, Default)]
struct FreeMarkers {
    lease: Option<(i64, Instant)>,
    free: Vec<Marker>,
}

impl Markers {
    fn lock(&self) -> MutexGuard<'_, FreeMarkers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_back(&self, marker: Marker) {
        let mut markers = self.lock();
        if markers.lease.is_some_and(|(lease, _)| lease == marker.lease) {
            markers.free.push(marker);
        }
    }

    /// Uses none of them any more.
    fn discard(&self) {
        *self.lock() = FreeMarkers::default();
    }
}

/// What tells which alternative of a change was made.
fn choice_value(nonce: u64, alternative: usize) -> Vec<u8> {
    let alternative = u8::try_from(alternative).expect("a change has few alternatives");
    [&nonce.to_be_bytes()[..], &[alternative]].concat()
}

/// The number of the alternative that was made; what was read if none was.
fn made(mut answer: TxnResponse, alternatives: usize) -> Result<usize, Vec<RangeResponse>> {
    if alternatives == 1 {
        return Ok(0);
    }
    for number in 0..alternatives {
        answer = rpc::nested_answer(answer);
        if answer.succeeded {
            return Ok(number);
        }
    }
    Err(rpc::found(answer))
}

/// The outcome of a change whose answer was lost.
enum Outcome {
    /// With the alternative, if there were several and one was made.
    Made(i64, Option<usize>),
    NeverMade,
}

impl Client {
    /// Makes a change, at most once.
    pub(crate) async fn commit(&self, change: &Change, call: &Call) -> Result<Committed> {
        let mut failed = Failures::default();
        loop {
            let mut marker = call.unless_cancelled(self.path(), self.marker(call.until)).await?;
            call.check_cancelled(self.path())?;
            let nonce = random();
            let txn = self.transaction(change, &marker, nonce);
            match self.send(&txn, call.until).await {
                Ok(answer) if answer.succeeded => {
                    let revision = rpc::revision(answer.header.as_ref());
                    let made = made(answer, change.alternatives.len());
                    marker.revision = revision;
                    self.markers.put_back(marker);
                    return Ok(match made {
                        Ok(alternative) => Committed::Done(revision, alternative),
                        Err(reads) => Committed::Conflict(reads),
                    });
                }
                Ok(answer) => {
                    let Some(refused) = self.refused(change, answer, marker, call).await? else {
                        continue;
                    };
                    return Ok(refused);
                }
                Err(Trouble::Refused(status)) if error::is_lease_missing(&status) => {
                    self.markers.discard();
                    return Ok(Committed::LeaseOver);
                }
                Err(Trouble::Refused(status)) => {
                    self.markers.put_back(marker);
                    return Err(error::refused(self.path(), &status));
                }
                Err(trouble @ (Trouble::NotSent(_) | Trouble::Untrusted(_))) => {
                    self.markers.put_back(marker);
                    failed.add(trouble);
                    if Instant::now() >= call.until {
                        return Err(self.cluster.unavailable(failed));
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(Trouble::NoAnswer(reason)) => {
                    let outcome = self.fence(&mut marker, nonce, call.until, reason).await?;
                    self.markers.put_back(marker);
                    match outcome {
                        Outcome::Made(revision, None) if change.alternatives.len() == 1 => {
                            return Ok(Committed::Done(revision, 0));
                        }
                        Outcome::Made(revision, Some(alternative)) => {
                            return Ok(Committed::Done(revision, alternative));
                        }
                        // None of the alternatives could be made.
                        Outcome::Made(_, None) | Outcome::NeverMade => {}
                    }
                }
            }
        }
    }

    pub(crate) async fn send(
        &self,
        txn: &TxnRequest,
        until: Instant,
    ) -> Result<TxnResponse, Trouble> {
        let asked = self.cluster.ask_once(until, |service: Service| {
            let (mut client, txn) = (kv(service), txn.clone());
            async move { client.txn(txn).await }
        });
        asked.await
    }

    fn transaction(&self, change: &Change, marker: &Marker, nonce: u64) -> TxnRequest {
        let mut txn = TxnRequest {
            compare: vec![
                rpc::is_unchanged(&marker.key, marker.revision),
                rpc::has_value(&self.keys.version(), VERSION),
            ],
            success: vec![rpc::put(marker.key.clone(), nonce.to_be_bytes(), marker.lease)],
            failure: vec![
                rpc::get(&marker.key),
                rpc::get(&self.keys.version()),
                rpc::get_range(self.keys.locks(), 1),
            ],
        };
        match &change.lock {
            LockRule::Free => txn.compare.push(rpc::is_empty(self.keys.locks())),
            LockRule::Held { key, created } => {
                txn.compare.push(rpc::is_created_at(key, *created));
                txn.failure[2] = rpc::get(key);
            }
        }
        if let [only] = &change.alternatives[..] {
            txn.compare.extend(only.compares.iter().cloned());
            txn.success.extend(only.writes.iter().cloned());
            txn.failure.extend(change.reads.iter().cloned());
            return txn;
        }
        // The last alternative first: each one stands in the place of what is done if the one before fails.
        let alternatives = change.alternatives.iter().enumerate().rev();
        let choice = alternatives.fold(change.reads.clone(), |otherwise, (number, alternative)| {
            let value = choice_value(nonce, number);
            let mut success = vec![rpc::put(marker.choice_key(), value, marker.lease)];
            success.extend(alternative.writes.iter().cloned());
            vec![rpc::nested(TxnRequest {
                compare: alternative.compares.clone(),
                success,
                failure: otherwise,
            })]
        });
        txn.success.extend(choice);
        txn
    }

    /// Why a change was refused; `None` if it can be tried again at once.
    async fn refused(
        &self,
        change: &Change,
        answer: TxnResponse,
        marker: Marker,
        call: &Call,
    ) -> Result<Option<Committed>> {
        let mut found = rpc::found(answer);
        let reads = found.split_off(found.len().min(3));
        let first = |index: usize| found.get(index).and_then(|range| range.kvs.first());
        // Otherwise a program has removed the marker: it is not used again.
        if first(0).map_or(0, |kv| kv.mod_revision) != marker.revision {
            return Ok(None);
        }
        self.markers.put_back(marker);
        match first(1) {
            None => {
                self.set_version(call.until).await?;
                return Ok(None);
            }
            Some(kv) if kv.value != VERSION => {
                let found = String::from_utf8_lossy(&kv.value).into_owned();
                let path = self.path().to_path_buf();
                return Err(Error::UnsupportedVersion { path, found, expected: REGISTRY_VERSION });
            }
            Some(_) => {}
        }
        let lock = first(2);
        Ok(Some(match &change.lock {
            LockRule::Free if lock.is_some() => Committed::Locked,
            LockRule::Held { created, .. }
                if lock.map_or(0, |kv| kv.create_revision) != *created =>
            {
                Committed::LockGone
            }
            _ => Committed::Conflict(reads),
        }))
    }

    /// Sets the version of a registry that has none. To do so twice makes no difference.
    async fn set_version(&self, until: Instant) -> Result<()> {
        let key = self.keys.version();
        let txn = TxnRequest {
            compare: vec![rpc::is_absent(&key)],
            success: vec![rpc::put(key, VERSION, 0)],
            failure: Vec::new(),
        };
        self.look(txn, until).await.map(|_| ())
    }

    /// Finds out whether a change was made, and if not, makes sure that it never will be.
    async fn fence(
        &self,
        marker: &mut Marker,
        nonce: u64,
        until: Instant,
        lost: String,
    ) -> Result<Outcome> {
        let void = random().to_be_bytes();
        let txn = TxnRequest {
            compare: vec![rpc::is_unchanged(&marker.key, marker.revision)],
            success: vec![rpc::put(marker.key.clone(), void, marker.lease)],
            failure: vec![rpc::get(&marker.key), rpc::get(&marker.choice_key())],
        };
        let unknown = |why: String| Error::OutcomeUnknown {
            path: self.path().to_path_buf(),
            reason: format!("{lost}, and then {why}"),
        };
        let answer = self.look(txn, until).await;
        let answer = answer.map_err(|error| unknown(error::reason_of(error)))?;
        if answer.succeeded {
            marker.revision = rpc::revision(answer.header.as_ref());
            return Ok(Outcome::NeverMade);
        }
        let found = rpc::found(answer);
        let value = |index: usize| found.get(index).and_then(|range| range.kvs.first());
        let Some(found) = value(0) else {
            return Err(unknown("its marker was removed".to_owned()));
        };
        marker.revision = found.mod_revision;
        if found.value == void {
            return Ok(Outcome::NeverMade);
        }
        if found.value != nonce.to_be_bytes() {
            return Err(unknown("its marker was overwritten".to_owned()));
        }
        let choice = value(1).and_then(|kv| kv.value.strip_prefix(&nonce.to_be_bytes()));
        let choice = choice.and_then(|choice| choice.first()).map(|choice| usize::from(*choice));
        Ok(Outcome::Made(found.mod_revision, choice))
    }

    /// A marker that no other change uses.
    async fn marker(&self, until: Instant) -> Result<Marker> {
        let known = self.markers.lock().lease;
        let renewed_within = Duration::from_secs(MARKER_LEASE as u64 / 3);
        let lease = match known {
            Some((lease, renewed)) if renewed.elapsed() < renewed_within => lease,
            Some((lease, _)) if self.cluster.keep_alive(lease, until).await? => {
                let mut markers = self.markers.lock();
                // Another thread may have got another lease meanwhile.
                if markers.lease.is_some_and(|(now, _)| now == lease) {
                    markers.lease = Some((lease, Instant::now()));
                }
                lease
            }
            _ => {
                let lease = self.cluster.grant_lease(MARKER_LEASE, until).await?;
                *self.markers.lock() =
                    FreeMarkers { lease: Some((lease, Instant::now())), free: Vec::new() };
                lease
            }
        };
        let free = self.markers.lock().free.pop().filter(|marker| marker.lease == lease);
        Ok(free.unwrap_or_else(|| Marker { key: self.keys.outcome(random()), revision: 0, lease }))
    }
}
