//! [`EtcdOptions`]: which servers, which prefix, and how this program shows who it is.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use argus_registry::{Error, Result};

/// What a path of a registry in etcd begins with.
const SCHEME: &str = "etcd://";

/// The shortest lease that etcd grants with its default timings: one and a half election timeouts, in whole
/// seconds.
pub const MIN_LEASE: Duration = Duration::from_secs(2);

/// How a registry in etcd is reached.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// The servers, each as `host:port`. They are asked one at a time: the first one until it fails to answer.
    pub endpoints: Vec<String>,
    /// What the registry's keys begin with, without the `/` that follows it.
    pub prefix: String,
    /// How long an entry stays without a heartbeat of its watcher: the time to live of its lease, in whole
    /// seconds. Default 60 s, at least 2 s.
    pub lease: Duration,
    /// How long one server has time to answer before the next one is asked. Default 400 ms.
    pub answer_within: Duration,
    /// How long a call that takes no timeout may take in all, such as reading; and how long a commit has at least,
    /// however long its updater took. Default 2 s.
    pub read_within: Duration,
    /// Talk to the servers by TLS.
    pub tls: Option<TlsOptions>,
    /// The user, if the servers ask for one.
    pub user: Option<User>,
}

/// TLS to the servers. All files are PEM.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// The certificates that have signed the servers'.
    pub ca_file: PathBuf,
    /// This program's certificate and key, if the servers ask for them.
    pub client: Option<ClientCertificate>,
    /// The name in the servers' certificates, if it is not the endpoint's host.
    pub server_name: Option<String>,
}

/// The files of a client certificate.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
}

/// A user of etcd.
#[derive(Debug, Clone)]
pub struct User {
    /// The user's name.
    pub name: String,
    /// The user's password.
    pub password: Password,
}

/// Where a password is.
#[derive(Clone)]
pub enum Password {
    /// The password itself.
    Text(String),
    /// A file that holds the password. A line end after it is no part of it.
    File(PathBuf),
}

impl fmt::Debug for Password {
    /// Without the password, which would be in logs otherwise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::Text(_) => f.write_str("Text(..)"),
            Password::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl EtcdOptions {
    /// The registry with this prefix on these servers, each `host:port`; else the defaults.
    #[must_use]
    pub fn new(
        endpoints: impl IntoIterator<Item = impl Into<String>>,
        prefix: impl Into<String>,
    ) -> Self {
        EtcdOptions {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            prefix: prefix.into(),
            lease: Duration::from_secs(60),
            answer_within: Duration::from_millis(400),
            read_within: Duration::from_secs(2),
            tls: None,
            user: None,
        }
    }

    /// The registry at `etcd://host:port[,host:port]/prefix`; else the defaults. The prefix of the keys is
    /// `/prefix`, without further `/` before or after it.
    ///
    /// ```
    /// use argus_registry_etcd::EtcdOptions;
    ///
    /// let options = EtcdOptions::of_path("etcd://10.0.0.1:2379,10.0.0.2:2379/argus")?;
    /// assert_eq!(options.endpoints, ["10.0.0.1:2379", "10.0.0.2:2379"]);
    /// assert_eq!(options.prefix, "/argus");
    /// # Ok::<_, argus_registry::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for any other path. A user or a password in it is refused: a path is shown in
    /// messages and in lists of processes.
    pub fn of_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let invalid = |reason: &str| {
            // Not the path itself: there may be a password in it.
            let path = if reason.contains("password") { Path::new(SCHEME) } else { path };
            Err(Error::InvalidValue { path: path.to_path_buf(), reason: reason.to_owned() })
        };
        let Some(rest) = path.to_str().and_then(|path| path.strip_prefix(SCHEME)) else {
            return invalid("a registry in etcd has a path such as etcd://host:2379/prefix");
        };
        let (hosts, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if hosts.contains('@') {
            return invalid("user and password are not taken from the path; give them as options");
        }
        let prefix = prefix.trim_matches('/');
        if prefix.is_empty() {
            return invalid("it has no prefix; give one, such as etcd://host:2379/prefix");
        }
        if rest.contains(['?', '#']) {
            return invalid("options are not taken from the path");
        }
        let endpoints: Vec<_> = hosts.split(',').map(str::to_owned).collect();
        let is_good = |endpoint: &String| {
            let port = endpoint.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            port.is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        };
        if !endpoints.iter().all(is_good) {
            return invalid("each of its servers needs a host and a port, such as host:2379");
        }
        Ok(EtcdOptions::new(endpoints, format!("/{prefix}")))
    }

    /// The path of the registry, as errors name it.
    pub(crate) fn path(&self) -> PathBuf {
        let prefix = self.prefix.trim_matches('/');
        format!("{SCHEME}{}/{prefix}", self.endpoints.join(",")).into()
    }

    pub(crate) fn lease_seconds(&self) -> i64 {
        let lease = self.lease.max(MIN_LEASE);
        i64::try_from(lease.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)
    }
}

impl Password {
    pub(crate) fn read(&self) -> Result<String> {
        match self {
            Password::Text(text) => Ok(text.clone()),
            Password::File(path) => {
                let text = read_file(path, "read the password in")?;
                let text = String::from_utf8_lossy(&text).into_owned();
                Ok(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        }
    }
}

/// Reads a file of the options.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::PermissionDenied`] or [`Error::Io`].
pub fn read_file(path: &Path, operation: &'static str) -> Result<Vec<u8>> {
    let path = path.to_path_buf();
    fs::read(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound { path, operation, source },
        std::io::ErrorKind::PermissionDenied => Error::PermissionDenied { path, operation, source },
        _ => Error::Io { path, operation, source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_servers_and_prefix_and_nothing_else() {
        for (path, reason) in [
            ("etcd://h:1", "no prefix"),
            ("etcd://h:1/", "no prefix"),
            ("etcd://h/p", "a host and a port"),
            ("etcd://h:1,/p", "a host and a port"),
            ("etcd://:1/p", "a host and a port"),
            ("etcd://h:1/p?user=a", "options"),
            ("http://h:1/p", "a path such as"),
        ] {
            let error = EtcdOptions::of_path(path).unwrap_err();
            assert_eq!(error.code(), "INVALID_VALUE");
            assert!(error.to_string().contains(reason), "{path}: {error}");
        }
        let options = EtcdOptions::of_path("etcd://h:1,[::1]:2/a/b").unwrap();
        assert_eq!((options.endpoints.len(), &*options.prefix), (2, "/a/b"));
        assert_eq!(options.path(), Path::new("etcd://h:1,[::1]:2/a/b"));
        // Its keys were others than those of the spelling with which errors and JavaScript name it.
        for path in ["etcd://h:1//p", "etcd://h:1/p/", "etcd://h:1///p//"] {
            let options = EtcdOptions::of_path(path).unwrap();
            assert_eq!((&*options.prefix, options.path()), ("/p", "etcd://h:1/p".into()));
        }
    }

    #[test]
    fn a_password_in_a_path_is_refused_and_not_repeated() {
        let error = EtcdOptions::of_path("etcd://root:secret@h:1/p").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(!format!("{:?}", Password::Text("secret".to_owned())).contains("secret"));
    }
}
