//! How long a change takes to reach a watcher: by a plain watch, and by this crate's.

use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use argus_registry::store_parts::text_of;
use argus_registry::RegistryStore;
use argus_registry_etcd::EtcdStore;
use tokio_stream::wrappers::ReceiverStream;

use crate::generated::kv_client::KvClient;
use crate::generated::watch_client::WatchClient;
use crate::generated::watch_request::RequestUnion;
use crate::generated::{TxnRequest, WatchCreateRequest, WatchRequest};
use crate::plain::{self, connect, runtime};
use crate::{print_times, record, Result};

/// The time at which each change was seen.
type Seen = mpsc::Receiver<Instant>;

fn plain_watch(endpoint: &str, key: String) -> Result<Seen> {
    let (seen, receiver) = mpsc::channel();
    let (ready, is_ready) = mpsc::channel();
    let endpoint = endpoint.to_owned();
    thread::spawn(move || -> Result<()> {
        runtime()?.block_on(async {
            let (requests, receiver) = tokio::sync::mpsc::channel(1);
            let create =
                WatchCreateRequest { key: key.into_bytes(), ..WatchCreateRequest::default() };
            let request_union = Some(RequestUnion::CreateRequest(create));
            requests.send(WatchRequest { request_union }).await?;
            let mut client = WatchClient::new(connect(&endpoint).await?);
            let mut answers = client.watch(ReceiverStream::new(receiver)).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                if answer.created {
                    ready.send(())?;
                }
                for _ in answer.events {
                    seen.send(Instant::now())?;
                }
            }
            Ok(())
        })
    });
    is_ready.recv()?;
    Ok(receiver)
}

fn own_watch(store: &EtcdStore) -> Result<Seen> {
    let (seen, receiver) = mpsc::channel();
    let watch = store.watch()?;
    thread::spawn(move || {
        for state in watch {
            if state.is_err() || seen.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    // The state in which the watch began.
    receiver.recv()?;
    Ok(receiver)
}

pub(crate) fn measure(
    store: &EtcdStore,
    endpoint: &str,
    prefix: &str,
    changes: usize,
) -> Result<()> {
    let key = format!("{prefix}/watchers/app");
    let runtime = runtime()?;
    let mut client = KvClient::new(runtime.block_on(connect(endpoint))?);
    let mut put = |number: usize| -> Result<Instant> {
        let mut watcher = record("app");
        watcher.updated_at += number as u64;
        let value = text_of(&watcher).into_bytes();
        let success = vec![plain::put(key.clone().into_bytes(), value)];
        let request = TxnRequest { success, ..TxnRequest::default() };
        let start = Instant::now();
        runtime.block_on(client.txn(request))?;
        Ok(start)
    };
    put(0)?;
    let (plain, own) = (plain_watch(endpoint, key.clone())?, own_watch(store)?);
    let mut times = [Vec::new(), Vec::new()];
    for number in 1..=changes {
        let start = put(number)?;
        for (seen, times) in [&plain, &own].into_iter().zip(&mut times) {
            times.push((seen.recv()? - start).as_secs_f64() * 1e6);
        }
    }
    let [plain, own] = times;
    print_times("plainWatch", plain);
    print_times("watch", own);
    Ok(())
}
