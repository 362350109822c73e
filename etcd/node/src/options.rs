//! The options of a registry, as JavaScript names them.

use std::path::Path;
use std::time::Duration;

use argus_registry::{Error, Result};
use argus_registry_etcd::addon_parts::{self as parts, TlsTexts, MIN_LEASE};
use argus_registry_etcd::{EtcdOptions, EtcdStore, Password, User};
use serde::Deserialize;

use crate::convert::millis;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoreOptions {
    lease_ms: Option<f64>,
    answer_within_ms: Option<f64>,
    read_within_ms: Option<f64>,
    tls: Option<Tls>,
    user: Option<String>,
    password: Option<String>,
    password_file: Option<String>,
}

/// Each PEM, or the name of a file that holds it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tls {
    ca: String,
    certificate: Option<String>,
    key: Option<String>,
    server_name: Option<String>,
}

/// Opens a registry with options in JSON.
pub(crate) fn open(path: &str, options: &str) -> Result<EtcdStore> {
    let invalid =
        |reason: &str| Error::InvalidValue { path: path.into(), reason: reason.to_owned() };
    // The package has checked the types, so the reason tells nothing that a caller needs, and might tell a password.
    let given: StoreOptions =
        serde_json::from_str(options).map_err(|_| invalid("its options can't be used"))?;
    let time = |ms: f64| millis(ms).filter(|time| !time.is_zero());
    let mut store = EtcdOptions::of_path(path)?;
    if let Some(ms) = given.lease_ms {
        let lease = time(ms).filter(|lease| *lease >= MIN_LEASE && *lease <= MAX_LEASE);
        store.lease = lease.ok_or_else(|| {
            invalid("leaseMs is a number of milliseconds, from 2000 to 9000000000")
        })?;
    }
    for (ms, name, of_store) in [
        (given.answer_within_ms, "answerWithinMs", &mut store.answer_within),
        (given.read_within_ms, "readWithinMs", &mut store.read_within),
    ] {
        let Some(ms) = ms else { continue };
        let reason = || invalid(&format!("{name} is a number of milliseconds above 0"));
        *of_store = time(ms).filter(|time| *time <= MAX_LEASE).ok_or_else(reason)?;
    }
    store.user = match (given.user, given.password, given.password_file) {
        (None, None, None) => None,
        (Some(name), Some(text), None) => Some(User { name, password: Password::Text(text) }),
        (Some(name), None, Some(file)) => {
            Some(User { name, password: Password::File(file.into()) })
        }
        _ => return Err(invalid("a user has a password or a passwordFile; name one of the two")),
    };
    let tls = given.tls.map(|tls| texts(path, tls)).transpose()?;
    parts::open(store, tls)
}

/// Well within what etcd grants.
const MAX_LEASE: Duration = Duration::from_secs(9_000_000);

fn texts(path: &str, tls: Tls) -> Result<TlsTexts> {
    let client = match (tls.certificate, tls.key) {
        (Some(certificate), Some(key)) => Some((
            pem(certificate, "read the client's certificate in")?,
            pem(key, "read the client's key in")?,
        )),
        (None, None) => None,
        _ => {
            let reason = "a client certificate has a key; name both of tls.certificate and tls.key";
            return Err(Error::InvalidValue { path: path.into(), reason: reason.to_owned() });
        }
    };
    let ca = pem(tls.ca, "read the certificates in")?;
    Ok(TlsTexts { ca, client, server_name: tls.server_name })
}

fn pem(text_or_file: String, operation: &'static str) -> Result<Vec<u8>> {
    match text_or_file.contains("-----BEGIN") {
        true => Ok(text_or_file.into_bytes()),
        false => parts::read_file(Path::new(&text_or_file), operation),
    }
}
