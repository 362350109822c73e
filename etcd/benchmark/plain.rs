//! Plain calls to a server: what any client of it has to send.

use argus_registry::store_parts::text_of;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};

use crate::generated::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::generated::kv_client::KvClient;
use crate::generated::lease_client::LeaseClient;
use crate::generated::request_op::Request;
use crate::generated::{
    Compare, LeaseGrantRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use crate::{record, Result};

pub(crate) struct Plain {
    runtime: Runtime,
    client: KvClient<Channel>,
    channel: Channel,
    prefix: String,
    /// When this client's key was last written.
    revision: i64,
}

pub(crate) fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

pub(crate) async fn connect(endpoint: &str) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{endpoint}"))?.tcp_nodelay(true).connect().await?)
}

pub(crate) fn put(key: Vec<u8>, value: Vec<u8>) -> RequestOp {
    RequestOp {
        request: Some(Request::RequestPut(PutRequest { key, value, ..PutRequest::default() })),
    }
}

/// A transaction that puts a key, if it was last written at this revision.
fn put_if_unchanged(key: &str, value: Vec<u8>, revision: i64) -> TxnRequest {
    let key = key.as_bytes().to_vec();
    let put = put(key.clone(), value);
    TxnRequest {
        compare: vec![Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Mod.into(),
            key: key.clone(),
            target_union: Some(TargetUnion::ModRevision(revision)),
            range_end: Vec::new(),
        }],
        success: vec![put],
        failure: Vec::new(),
    }
}

impl Plain {
    pub(crate) fn connect(endpoint: &str, prefix: &str) -> Result<Self> {
        let runtime = runtime()?;
        let channel = runtime.block_on(connect(endpoint))?;
        let client = KvClient::new(channel.clone());
        Ok(Plain { runtime, client, channel, prefix: prefix.to_owned(), revision: 0 })
    }

    /// Puts this client's key, as a heartbeat puts its entry.
    pub(crate) fn transaction(&mut self) -> Result<()> {
        let value = text_of(&record("app")).into_bytes();
        let txn = put_if_unchanged(&format!("{}/key", self.prefix), value, self.revision);
        let answer = self.runtime.block_on(self.client.txn(txn))?.into_inner();
        assert!(answer.succeeded, "no other client writes this key");
        self.revision = answer.header.map_or(0, |header| header.revision);
        Ok(())
    }

    /// Grants a lease, and puts this client's key, as a claim puts its entry.
    pub(crate) fn lease_and_transaction(&mut self) -> Result<()> {
        let request = LeaseGrantRequest { ttl: 60, id: 0 };
        self.runtime.block_on(LeaseClient::new(self.channel.clone()).lease_grant(request))?;
        self.transaction()
    }

    /// Reads all entries, and puts one of them again if it is as it was read.
    pub(crate) fn read_and_put(&mut self, expected: usize) -> Result<()> {
        let start = format!("{}/watchers/", self.prefix).into_bytes();
        let range_end = format!("{}/watchers0", self.prefix).into_bytes();
        let range = RangeRequest { key: start, range_end, ..RangeRequest::default() };
        self.runtime.block_on(async {
            let read = self.client.range(range).await?.into_inner();
            assert_eq!(read.kvs.len(), expected);
            let one = read.kvs.into_iter().next().ok_or("there are entries")?;
            let key = String::from_utf8(one.key)?;
            let txn = put_if_unchanged(&key, one.value, one.mod_revision);
            assert!(self.client.txn(txn).await?.into_inner().succeeded);
            Ok(())
        })
    }
}
