//! How many watchers one server carries.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use argus_registry::{ClaimOptions, RegistryStore, UpdateOptions, WatcherClaim};
use argus_registry_etcd::EtcdStore;
use serde_json::json;
use tokio_stream::wrappers::ReceiverStream;

use crate::generated::lease_client::LeaseClient;
use crate::generated::{LeaseGrantRequest, LeaseKeepAliveRequest};
use crate::plain::{connect, runtime};
use crate::{at, print, record, Result};

/// How often a watcher renews its entry.
const PERIOD: Duration = Duration::from_secs(15);
/// So many heartbeats can be under way at once.
const THREADS: usize = 256;
/// The numbers of watchers that are tried, one after the other.
const NUMBERS: [usize; 10] =
    [2_500, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 45_000, 60_000, 90_000];
/// A server that answers later than this, or less often than it is asked, does not keep up.
const MAX_P99: Duration = Duration::from_secs(1);

const LEASES: usize = 10_000;
const STREAMS: usize = 8;
const IN_FLIGHT: usize = 32;

/// The processor time that a process has used so far, in seconds.
fn cpu_of(pid: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    // The kernel tells processor times to user space in hundredths of a second.
    Some(ticks / 100.0)
}

/// The share of a processor that the server and this program have used, from its creation on.
struct Usage {
    start: Instant,
    server: String,
    before: [Option<f64>; 2],
}

impl Usage {
    fn begin(server: &str) -> Self {
        let before = [cpu_of(server), cpu_of("self")];
        Usage { start: Instant::now(), server: server.to_owned(), before }
    }

    /// Of the server, and of this program.
    fn end(&self) -> [Option<f64>; 2] {
        let seconds = self.start.elapsed().as_secs_f64();
        let used = |pid: &str, before: Option<f64>| Some((cpu_of(pid)? - before?) / seconds);
        [used(&self.server, self.before[0]), used("self", self.before[1])]
    }
}

/// Heartbeats that are due at fixed times, whether or not earlier ones have ended: as many as so many watchers make.
/// Returns whether the server keeps up.
fn carry(
    store: &EtcdStore,
    claims: &[WatcherClaim],
    watchers: usize,
    server: &str,
    step: Duration,
) -> Result<bool> {
    let rate = watchers as f64 / PERIOD.as_secs_f64();
    let due = (rate * step.as_secs_f64()) as usize;
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let times = Mutex::new(Vec::with_capacity(due));
    let usage = Usage::begin(server);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let due_at = start + Duration::from_secs_f64(number as f64 / rate);
                // After twice the time, the rest would only show that the server is slow.
                if number >= due || start.elapsed() > step * 2 {
                    return;
                }
                thread::sleep(due_at.saturating_duration_since(Instant::now()));
                let claim = claims[number % claims.len()].clone();
                let beat = store.heartbeat(claim.into(), &UpdateOptions::default());
                if !matches!(beat, Ok(true)) {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                times.lock().unwrap().push(due_at.elapsed().as_secs_f64() * 1e6);
            });
        }
    });
    let per_second = times.lock().unwrap().len() as f64 / start.elapsed().as_secs_f64();
    let [server_cpu, own_cpu] = usage.end();
    let mut times = times.into_inner().unwrap();
    let (p50, p99) = (at(&mut times, 0.5), at(&mut times, 0.99));
    let failed = failed.into_inner();
    let keeps_up = failed == 0 && per_second >= 0.95 * rate && p99 <= MAX_P99.as_micros() as f64;
    print(
        "watchers",
        json!({
            "watchers": watchers, "keepsUp": keeps_up, "perSecond": per_second, "p50Us": p50, "p99Us": p99,
            "failed": failed, "serverCpu": server_cpu, "clientCpu": own_cpu,
        }),
    );
    Ok(keeps_up)
}

/// Rising numbers of watchers, until the server does not keep up.
pub(crate) fn watchers(store: &EtcdStore, server: &str, step: Duration) -> Result<()> {
    let options = UpdateOptions::default();
    let claim = |number: usize| {
        let watcher = record(&format!("watcher{number}"));
        Ok(store.claim(watcher, &ClaimOptions::default(), &options)?.claim())
    };
    let claims = (0..THREADS * 2).map(claim).collect::<Result<Vec<_>>>()?;
    for number in NUMBERS {
        if !carry(store, &claims, number, server, step)? {
            break;
        }
    }
    Ok(())
}

/// Renewals of leases without a change of the entry's date: as many as the server answers.
pub(crate) fn leases(endpoint: &str, server: &str, step: Duration) -> Result<()> {
    let runtime = runtime()?;
    let channel = runtime.block_on(connect(endpoint))?;
    let grant = |id: usize| {
        let mut client = LeaseClient::new(channel.clone());
        // Numbers that no other lease of the server has.
        let request = LeaseGrantRequest { ttl: 120, id: 0x5ea5_e000_0000 + id as i64 };
        async move { client.lease_grant(request).await }
    };
    runtime.block_on(async {
        for first in (0..LEASES).step_by(IN_FLIGHT) {
            let granting =
                (first..(first + IN_FLIGHT).min(LEASES)).map(|id| tokio::spawn(grant(id)));
            for granted in granting.collect::<Vec<_>>() {
                granted.await??;
            }
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    })?;
    let usage = Usage::begin(server);
    let start = Instant::now();
    let beats = |stream: usize| {
        let mut client = LeaseClient::new(channel.clone());
        async move {
            let (requests, receiver) = tokio::sync::mpsc::channel(IN_FLIGHT);
            let mut next = stream;
            let mut request = move || {
                next = (next + STREAMS) % LEASES;
                LeaseKeepAliveRequest { id: 0x5ea5_e000_0000 + next as i64 }
            };
            for _ in 0..IN_FLIGHT {
                let _ = requests.try_send(request());
            }
            let answers = client.lease_keep_alive(ReceiverStream::new(receiver)).await;
            let mut answers = answers.map_err(|status| status.to_string())?.into_inner();
            let mut answered = 0_usize;
            while start.elapsed() < step {
                let answer = answers.message().await.map_err(|status| status.to_string())?;
                if answer.is_none_or(|answer| answer.ttl <= 0) {
                    return Err("a lease was lost".to_owned());
                }
                answered += 1;
                let _ = requests.try_send(request());
            }
            Ok(answered)
        }
    };
    let answered = runtime.block_on(async {
        let streams: Vec<_> = (0..STREAMS).map(|stream| tokio::spawn(beats(stream))).collect();
        let mut answered = 0;
        for stream in streams {
            answered += stream.await.map_err(|error| error.to_string())??;
        }
        Ok::<usize, String>(answered)
    })?;
    let per_second = answered as f64 / start.elapsed().as_secs_f64();
    let [server_cpu, client_cpu] = usage.end();
    print(
        "leases",
        json!({
            "perSecond": per_second, "watchers": per_second * PERIOD.as_secs_f64(),
            "serverCpu": server_cpu, "clientCpu": client_cpu,
        }),
    );
    Ok(())
}
