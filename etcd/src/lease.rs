//! Leases: as long as one is renewed, the keys that are put with it stay.

use std::time::Instant;

use argus_registry::Result;
use tonic::{Code, Response, Status};

use crate::connection::{AskError, Cluster, Service};
use crate::rpc::lease_client::LeaseClient;
use crate::rpc::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest};

impl Cluster {
    /// Grants a lease of so many seconds. Its number is chosen here, so that a second request for it, after an
    /// answer that was lost, grants no second one.
    pub(crate) async fn grant_lease(&self, seconds: i64, until: Instant) -> Result<i64> {
        loop {
            let id = (random() >> 1) as i64;
            let request = LeaseGrantRequest { ttl: seconds, id: id.max(1) };
            let granted = self
                .ask(until, |service: Service| {
                    let mut client = LeaseClient::new(service);
                    async move { client.lease_grant(request).await }
                })
                .await;
            match granted {
                Ok(_) => return Ok(request.id),
                Err(AskError::Refused(status)) if is_known(&status) => {
                    // Of this call's first request, or, hardly ever, of another process: only a renewal tells
                    // that it lives.
                    if self.keep_alive(request.id, until).await? {
                        return Ok(request.id);
                    }
                }
                Err(error) => return Err(error.into_error(self)),
            }
        }
    }

    /// Renews a lease; returns whether it was still there.
    pub(crate) async fn keep_alive(&self, lease: i64, until: Instant) -> Result<bool> {
        let answer = self.ask(until, |service: Service| {
            let mut client = LeaseClient::new(service);
            let requests = tokio_stream::once(LeaseKeepAliveRequest { id: lease });
            async move {
                let mut answers = client.lease_keep_alive(requests).await?.into_inner();
                let answer = answers.message().await?;
                answer.map(Response::new).ok_or_else(|| Status::unavailable("the stream has ended"))
            }
        });
        let answer = answer.await.map_err(|error| error.into_error(self))?;
        Ok(answer.ttl > 0)
    }

    /// Ends a lease, with the keys that are put with it. One that is left ends by itself.
    pub(crate) async fn revoke_lease(&self, lease: i64, until: Instant) {
        let request = LeaseRevokeRequest { id: lease };
        let _ = self
            .ask_once(until, |service: Service| {
                let mut client = LeaseClient::new(service);
                async move { client.lease_revoke(request).await }
            })
            .await;
    }
}

fn is_known(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && status.message().contains("lease already exists")
}

/// A random number that no other process has.
pub(crate) fn random() -> u64 {
    getrandom::u64().expect("the system has random numbers")
}
