//! Watching the registry: it is read at a revision, and its keys are watched from the next one on.
//!
//! A watch that breaks goes on at another server, from the revision after the last one that it has seen. If etcd
//! has compacted that, has refused the watch, or has data of another past, the registry is read anew. So the last
//! state is always delivered, or the error with which it can't be read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argus_registry::{CancelToken, Error, RegistryWatch, Warning};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::client::Client;
use crate::error::Trouble;
use crate::rpc::event::EventType;
use crate::rpc::watch_client::WatchClient;
use crate::rpc::watch_request::RequestUnion;
use crate::rpc::{KeyValue, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse};
use crate::runtime;
use crate::snapshot::Snapshot;

/// How long a server may say nothing before it is asked for a sign of life, and then has time for that.
const SILENCE: Duration = Duration::from_secs(1);

/// The pause after a watch has broken, so that servers that refuse it are not asked all the time.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// What the watching task knows, for the thread that reads it.
#[derive(Debug, Default)]
struct Live {
    keys: BTreeMap<Vec<u8>, KeyValue>,
    revision: i64,
    cluster: u64,
    /// Whether it has changed since the thread has looked.
    is_new: bool,
    failed: Option<Error>,
}

#[derive(Debug, Default)]
struct Shared {
    live: Mutex<Live>,
    token: CancelToken,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the watching task when the watch is dropped.
struct EndOnDrop(JoinHandle<()>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a stream of changes has ended.
enum Broken {
    /// The connection. The watch goes on where it was.
    Lost,
    /// The watch. The registry is to be read anew.
    Over,
}

pub(crate) fn watch(client: &Arc<Client>) -> RegistryWatch {
    let shared = Arc::new(Shared::default());
    let token = shared.token.clone();
    let mut task = None;
    let mut delivered: Option<(String, Vec<Warning>)> = None;
    let client = client.clone();
    RegistryWatch::of_states(token.clone(), move || loop {
        // Begun by the first call, like that of a file.
        task.get_or_insert_with(|| {
            let (client, shared) = (client.clone(), shared.clone());
            EndOnDrop(runtime::spawn(async move { follow(client, shared).await }))
        });
        let is_ready = || {
            let live = shared.lock();
            live.is_new || live.failed.is_some()
        };
        if !token.wait_until(None, is_ready) || token.is_cancelled() {
            return None;
        }
        let snapshot = {
            let mut live = shared.lock();
            if let Some(error) = live.failed.take() {
                return Some(Err(error));
            }
            live.is_new = false;
            snapshot_of(&client, &live)
        };
        let read = snapshot.read(&client.keys, client.path());
        match &read {
            Ok((registry, warnings)) => {
                let state = (registry.to_json(), warnings.clone());
                // What was there again before the thread looked is no change.
                if delivered.as_ref() == Some(&state) {
                    continue;
                }
                delivered = Some(state);
            }
            Err(_) => delivered = None,
        }
        return Some(read);
    })
}

fn snapshot_of(client: &Client, live: &Live) -> Snapshot {
    let (meta, version) = (client.keys.meta(), client.keys.version());
    let mut entries: Vec<_> =
        live.keys.values().filter(|kv| client.keys.id(&kv.key).is_some()).cloned().collect();
    entries.sort_by_key(|kv| (kv.create_revision, kv.key.clone()));
    Snapshot {
        revision: live.revision,
        cluster: live.cluster,
        meta: live.keys.get(&meta).cloned(),
        version: live.keys.get(&version).cloned(),
        removals: None,
        entries,
    }
}

/// Keeps `shared` in step with the registry.
async fn follow(client: Arc<Client>, shared: Arc<Shared>) {
    let mut is_first = true;
    loop {
        match client.snapshot(Instant::now() + client.options.read_within).await {
            Ok(snapshot) => {
                is_first = false;
                let mut live = shared.lock();
                (live.revision, live.cluster) = (snapshot.revision, snapshot.cluster);
                let others = [snapshot.meta, snapshot.version].into_iter().flatten();
                let kvs = snapshot.entries.into_iter().chain(others);
                live.keys = kvs.map(|kv| (kv.key.clone(), kv)).collect();
                live.is_new = true;
            }
            // A watch outlives an outage. But one that can't begin is told of it.
            Err(Error::Unavailable { .. }) if !is_first => {
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            }
            Err(error) => {
                shared.lock().failed = Some(error);
                shared.token.wake();
                return;
            }
        }
        shared.token.wake();
        loop {
            let broken = stream(&client, &shared).await;
            tokio::time::sleep(RETRY_PAUSE).await;
            if let Broken::Over = broken {
                break;
            }
        }
    }
}

/// Applies the changes that one server sends, until it sends no more.
async fn stream(client: &Client, shared: &Shared) -> Broken {
    let (service, server) = match client.cluster.connect().await {
        Ok(connected) => connected,
        // Such as of the user's password: reading tells the error.
        Err(Trouble::Refused(_) | Trouble::Untrusted(_)) => return Broken::Over,
        Err(_) => return Broken::Lost,
    };
    let range = client.keys.content();
    let create = RequestUnion::CreateRequest(WatchCreateRequest {
        key: range.start,
        range_end: range.end,
        start_revision: shared.lock().revision + 1,
        ..WatchCreateRequest::default()
    });
    let (requests, receiver) = mpsc::channel(4);
    let send = |request| requests.try_send(WatchRequest { request_union: Some(request) });
    let _ = send(create);
    let mut watching = WatchClient::new(service).max_decoding_message_size(64 << 20);
    let opened = tokio::time::timeout(SILENCE, watching.watch(ReceiverStream::new(receiver))).await;
    let mut answers = match opened {
        Ok(Ok(answers)) => answers.into_inner(),
        Ok(Err(status)) => return failed(client, server, status),
        Err(_) => {
            client.cluster.skip(server);
            return Broken::Lost;
        }
    };
    let mut has_asked = false;
    loop {
        match tokio::time::timeout(SILENCE, answers.message()).await {
            Ok(Ok(Some(answer))) if answer.canceled => {
                // Without a compaction it was refused. A token that is not valid any more is refused for ever, and
                // only reading tells why a valid one is.
                if answer.compact_revision == 0 {
                    client.cluster.forget_token();
                }
                return Broken::Over;
            }
            Ok(Ok(Some(answer))) if has_other_past(&shared.lock(), &answer) => return Broken::Over,
            Ok(Ok(Some(answer))) => {
                has_asked = false;
                apply(client, shared, answer);
            }
            Ok(Ok(None)) => return Broken::Lost,
            Ok(Err(status)) => return failed(client, server, status),
            Err(_) if has_asked => {
                client.cluster.skip(server);
                return Broken::Lost;
            }
            Err(_) => {
                has_asked = true;
                let _ = send(RequestUnion::ProgressRequest(WatchProgressRequest {}));
            }
        }
    }
}

/// After a stream that has ended with a failure.
fn failed(client: &Client, server: usize, status: Status) -> Broken {
    match Trouble::of(status) {
        Trouble::Refused(_) => {
            client.cluster.forget_token();
            Broken::Over
        }
        _ => {
            client.cluster.skip(server);
            Broken::Lost
        }
    }
}

/// Whether the servers have not made the changes that were read: they have lost their data, or have that of a backup.
/// A watch from a revision that they have not reached tells nothing until they reach it. A server that is only behind
/// the others is not told apart, and what is read anew is then what was read before. etcd's proxy tells no cluster.
fn has_other_past(live: &Live, answer: &WatchResponse) -> bool {
    let header = answer.header.as_ref();
    answer.events.is_empty()
        && header.is_some_and(|header| {
            let is_other = ![0, live.cluster].contains(&header.cluster_id) && live.cluster != 0;
            header.revision < live.revision || is_other
        })
}

fn apply(client: &Client, shared: &Shared, answer: WatchResponse) {
    if answer.events.is_empty() {
        return;
    }
    let mut live = shared.lock();
    for event in answer.events {
        let kind = event.r#type();
        let Some(kv) = event.kv else { continue };
        live.revision = live.revision.max(kv.mod_revision);
        let is_read = client.keys.id(&kv.key).is_some()
            || kv.key == client.keys.meta()
            || kv.key == client.keys.version();
        if !is_read {
            continue;
        }
        live.is_new = true;
        match kind {
            EventType::Put => live.keys.insert(kv.key.clone(), kv),
            EventType::Delete => live.keys.remove(&kv.key),
        };
    }
    drop(live);
    shared.token.wake();
}
