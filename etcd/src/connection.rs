//! The connections to the servers: one is asked at a time, until it fails to answer.
//!
//! tonic's own balancer goes on sending requests to a server that was stopped, or that accepts connections and
//! never answers. Here a server has a short time to answer; then its connection is closed, and the next server
//! is asked. What could be done twice is not sent twice by this module: see [`crate::outcome`].

use std::fmt;
use std::future::{poll_fn, Future};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use argus_registry::{Error, Result, MAX_CONTENT_BYTES};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status};

use crate::error::{self, Trouble};
use crate::options::{read_file, EtcdOptions, TlsOptions, User};
use crate::rpc::auth_client::AuthClient;
use crate::rpc::kv_client::KvClient;
use crate::rpc::AuthenticateRequest;

/// The pause after all servers were asked and none has answered.
const ROUND_PAUSE: Duration = Duration::from_millis(20);

/// The largest answer that is read: a registry of the largest size that any store has.
const MAX_ANSWER: usize = MAX_CONTENT_BYTES as usize;

/// A connection whose requests carry the user's token.
pub(crate) type Service = InterceptedService<Channel, Token>;

/// Adds the user's token to each request, and asks that a server without a leader refuses it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Token(Option<AsciiMetadataValue>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("token", token.clone());
        }
        let name = AsciiMetadataKey::from_static("hasleader");
        request.metadata_mut().insert(name, AsciiMetadataValue::from_static("true"));
        Ok(request)
    }
}

pub(crate) fn kv(service: Service) -> KvClient<Service> {
    KvClient::new(service)
        .max_decoding_message_size(MAX_ANSWER)
        .max_encoding_message_size(MAX_ANSWER)
}

#[derive(Debug)]
struct Server {
    address: String,
    endpoint: Endpoint,
    /// The open connection, if there is one.
    channel: Mutex<Option<Channel>>,
}

/// The servers of one cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The registry, for errors.
    pub(crate) path: PathBuf,
    servers: Vec<Server>,
    /// The number of failures so far; its remainder is the server that is asked.
    current: AtomicUsize,
    answer_within: Duration,
    user: Option<(String, String)>,
    token: Mutex<Token>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// Opens no connection yet.
    ///
    /// `tls` is in place of that of the options, which has files.
    pub(crate) fn new(options: &EtcdOptions, tls: Option<TlsTexts>) -> Result<Self> {
        let path = options.path();
        let invalid = |reason: String| Error::InvalidValue { path: path.clone(), reason };
        if options.endpoints.is_empty() {
            return Err(invalid("it has no server".to_owned()));
        }
        let tls = match tls {
            Some(texts) => Some(texts),
            None => options.tls.as_ref().map(TlsTexts::read).transpose()?,
        };
        let tls = tls.map(TlsTexts::into_config);
        let server = |address: &String| -> Result<Server> {
            let scheme = if tls.is_some() { "https" } else { "http" };
            let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
                .map_err(|error| invalid(format!("{address} is no address: {error}")))?;
            let endpoint = endpoint.tcp_nodelay(true);
            let endpoint = match &tls {
                Some(tls) => endpoint.tls_config(tls.clone()).map_err(|error| {
                    let reason = std::error::Error::source(&error)
                        .map_or_else(|| error.to_string(), ToString::to_string);
                    invalid(format!("the files of its TLS can't be used: {reason}"))
                })?,
                None => endpoint,
            };
            Ok(Server { address: address.clone(), endpoint, channel: Mutex::new(None) })
        };
        let user = match &options.user {
            Some(User { name, password }) => Some((name.clone(), password.read()?)),
            None => None,
        };
        Ok(Cluster {
            servers: options.endpoints.iter().map(server).collect::<Result<_>>()?,
            path,
            current: AtomicUsize::new(0),
            answer_within: options.answer_within,
            user,
            token: Mutex::default(),
        })
    }

    /// Asks one server after the other until one answers. What is asked may be done more than once.
    ///
    /// While the servers have no leader, or don't know yet that theirs is dead, what they are asked is lost, and
    /// what they are asked after the election is answered at once. So after the first failure, another server is
    /// asked every quarter of the time that one has to answer, without giving up those that were asked before.
    pub(crate) async fn ask<T, F>(
        &self,
        until: Instant,
        request: impl Fn(Service) -> F + Sync,
    ) -> Result<T, AskError>
    where
        T: Send,
        F: Future<Output = Result<Response<T>, Status>> + Send,
    {
        let mut failed = Failures::default();
        let mut tries: Vec<Try<'_, T>> = Vec::new();
        let mut next = self.current.load(Ordering::Relaxed);
        let request = &request;
        loop {
            let number = next;
            next = next.wrapping_add(1);
            tries.push(Box::pin(
                async move { (number, self.ask_server(number, until, request).await) },
            ));
            let may_hedge = failed.count > 0 && self.servers.len() > 1;
            let pause = may_hedge.then_some(self.answer_within / 4);
            match first_of(&mut tries, pause).await {
                None => continue,
                Some((number, Ok(answer))) => {
                    self.current.store(number, Ordering::Relaxed);
                    return Ok(answer);
                }
                Some((_, Err(Trouble::Refused(status)))) => return Err(AskError::Refused(status)),
                Some((_, Err(trouble))) => failed.add(trouble),
            }
            // That no server is trusted does not go away by waiting.
            if Instant::now() >= until || failed.untrusted_in_turn >= self.servers.len() {
                return Err(AskError::Failed(failed.into_error(&self.path, &self.addresses())));
            }
            if failed.count % self.servers.len() == 0 {
                tokio::time::sleep(ROUND_PAUSE).await;
            }
        }
    }

    /// Asks the current server once. After a failure, the next server is the current one.
    pub(crate) async fn ask_once<T, F>(
        &self,
        until: Instant,
        request: impl Fn(Service) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.ask_server(self.current.load(Ordering::Relaxed), until, &request).await
    }

    async fn ask_server<T, F>(
        &self,
        current: usize,
        until: Instant,
        request: &impl Fn(Service) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let server = &self.servers[current % self.servers.len()];
        let left = until.saturating_duration_since(Instant::now()).min(self.answer_within);
        let end = tokio::time::Instant::now() + left;
        let asked = async {
            let channel = server.channel(end).await?;
            let token = self.token(&channel, end).await?;
            let answer = request(InterceptedService::new(channel, token));
            let late = || Trouble::NoAnswer(format!("no answer within {} ms", left.as_millis()));
            let answer = tokio::time::timeout_at(end, answer).await.map_err(|_| late())?;
            answer.map(Response::into_inner).map_err(Trouble::of)
        };
        let answer = asked.await;
        match &answer {
            Ok(_) => {}
            Err(Trouble::Refused(status)) if error::is_token_old(status) && self.user.is_some() => {
                self.forget_token();
                // It was refused, so it is not done: the next try has a new token.
                return Err(Trouble::NotSent("the user's token has expired".to_owned()));
            }
            Err(Trouble::Refused(_)) => {}
            Err(_) => {
                // Its requests may still arrive: the outcome of each is found out by its own means.
                *lock(&server.channel) = None;
                let next = current.wrapping_add(1);
                let order = Ordering::Relaxed;
                let _ = self.current.compare_exchange(current, next, order, order);
            }
        }
        answer
    }

    /// The current server's connection, for a stream. [`Self::skip`] makes the next server the current one.
    pub(crate) async fn connect(&self) -> Result<(Service, usize), Trouble> {
        let current = self.current.load(Ordering::Relaxed);
        let server = &self.servers[current % self.servers.len()];
        let end = tokio::time::Instant::now() + self.answer_within;
        let connected = async {
            let channel = server.channel(end).await?;
            let token = self.token(&channel, end).await?;
            Ok((InterceptedService::new(channel, token), current))
        };
        let connected = connected.await;
        if connected.is_err() {
            self.skip(current);
        }
        connected
    }

    /// Asks other servers than this one from now on.
    pub(crate) fn skip(&self, current: usize) {
        *lock(&self.servers[current % self.servers.len()].channel) = None;
        let order = Ordering::Relaxed;
        let _ = self.current.compare_exchange(current, current.wrapping_add(1), order, order);
    }

    /// Asks for the user's token anew when one is needed.
    pub(crate) fn forget_token(&self) {
        *lock(&self.token) = Token::default();
    }

    async fn token(&self, channel: &Channel, end: tokio::time::Instant) -> Result<Token, Trouble> {
        let Some((name, password)) = &self.user else { return Ok(Token::default()) };
        let known = lock(&self.token).clone();
        if known.0.is_some() {
            return Ok(known);
        }
        let request = AuthenticateRequest { name: name.clone(), password: password.clone() };
        let mut client = AuthClient::new(channel.clone());
        let answer = tokio::time::timeout_at(end, client.authenticate(request)).await;
        let late = |_| Trouble::NotSent("no answer to the user's password".to_owned());
        let token = match answer.map_err(late)? {
            Ok(answer) => Token(answer.into_inner().token.parse().ok()),
            Err(status) if error::is_auth_off(&status) => return Ok(Token::default()),
            Err(status) => {
                return Err(match Trouble::of(status) {
                    Trouble::NoAnswer(reason) => Trouble::NotSent(reason),
                    other => other,
                })
            }
        };
        *lock(&self.token) = token.clone();
        Ok(token)
    }

    fn addresses(&self) -> String {
        let addresses: Vec<_> = self.servers.iter().map(|server| &*server.address).collect();
        addresses.join(", ")
    }
}

/// One server being asked: its number, and what it answers.
type Try<'a, T> = Pin<Box<dyn Future<Output = (usize, Result<T, Trouble>)> + Send + 'a>>;

/// What the first try that ends has come to, and takes it away; `None` if none ends in this time.
async fn first_of<T>(
    tries: &mut Vec<Try<'_, T>>,
    within: Option<Duration>,
) -> Option<(usize, Result<T, Trouble>)> {
    let first = poll_fn(|context| {
        for index in 0..tries.len() {
            if let Poll::Ready(ended) = tries[index].as_mut().poll(context) {
                drop(tries.swap_remove(index));
                return Poll::Ready(ended);
            }
        }
        Poll::Pending
    });
    match within {
        Some(within) => tokio::time::timeout(within, first).await.ok(),
        None => Some(first.await),
    }
}

impl Server {
    async fn channel(&self, end: tokio::time::Instant) -> Result<Channel, Trouble> {
        if let Some(channel) = &*lock(&self.channel) {
            return Ok(channel.clone());
        }
        let connected = tokio::time::timeout_at(end, self.endpoint.connect()).await;
        let connected =
            connected.map_err(|_| Trouble::NotSent("no connection in time".to_owned()))?;
        let channel = connected.map_err(|error| Trouble::of_connecting(&error))?;
        *lock(&self.channel) = Some(channel.clone());
        Ok(channel)
    }
}

/// Why no server has answered.
#[derive(Debug)]
pub(crate) enum AskError {
    Refused(Status),
    Failed(Error),
}

impl AskError {
    pub(crate) fn into_error(self, cluster: &Cluster) -> Error {
        match self {
            AskError::Refused(status) => error::refused(&cluster.path, &status),
            AskError::Failed(error) => error,
        }
    }
}

/// The failures of one call so far.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    pub(crate) count: usize,
    last: Option<Trouble>,
    untrusted_in_turn: usize,
    /// Whether any server could not be trusted: that does not go away by waiting, and is what to tell.
    untrusted: Option<String>,
}

impl Failures {
    pub(crate) fn add(&mut self, trouble: Trouble) {
        self.count += 1;
        match &trouble {
            Trouble::Untrusted(reason) => {
                self.untrusted = Some(reason.clone());
                self.untrusted_in_turn += 1;
            }
            _ => self.untrusted_in_turn = 0,
        }
        self.last = Some(trouble);
    }

    /// What none of the servers at these addresses has done.
    pub(crate) fn into_error(self, path: &std::path::Path, addresses: &str) -> Error {
        if let Some(reason) = self.untrusted {
            return error::untrusted(path, reason);
        }
        let reason = self.last.map_or_else(|| "no time was left".to_owned(), |last| last.reason());
        let reason = format!("no server answers ({addresses}: {reason})");
        Error::Unavailable { path: path.to_path_buf(), reason }
    }
}

/// What TLS needs, as PEM.
pub struct TlsTexts {
    /// The certificates that have signed the servers'.
    pub ca: Vec<u8>,
    /// This program's certificate and its key, if the servers ask for them.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
    /// The name in the servers' certificates, if it is not the endpoint's host.
    pub server_name: Option<String>,
}

impl fmt::Debug for TlsTexts {
    /// Without the key, which would be in logs otherwise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTexts").finish_non_exhaustive()
    }
}

impl TlsTexts {
    fn read(tls: &TlsOptions) -> Result<Self> {
        let client = match &tls.client {
            Some(client) => Some((
                read_file(&client.cert_file, "read the client's certificate in")?,
                read_file(&client.key_file, "read the client's key in")?,
            )),
            None => None,
        };
        let ca = read_file(&tls.ca_file, "read the certificates in")?;
        Ok(TlsTexts { ca, client, server_name: tls.server_name.clone() })
    }

    fn into_config(self) -> ClientTlsConfig {
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.ca));
        if let Some((cert, key)) = self.client {
            config = config.identity(Identity::from_pem(cert, key));
        }
        if let Some(name) = self.server_name {
            config = config.domain_name(name);
        }
        config
    }
}

impl Cluster {
    /// The error of a call that has no answer, after these failures.
    pub(crate) fn unavailable(&self, failed: Failures) -> Error {
        failed.into_error(&self.path, &self.addresses())
    }
}
