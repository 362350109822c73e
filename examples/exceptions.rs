//! An exception registry in TOML, as veil has it: findings that are excepted for a reason, some of
//! them until an instant.
//!
//! ```text
//! exceptions FILE add ID REASON [UNTIL]    UNTIL is an instant such as 2026-12-31T23:59:59Z
//! exceptions FILE remove ID
//! exceptions FILE check ID [NOW]           active, expired or not excepted
//! exceptions FILE list
//! ```
//!
//! Its lock file is `FILE` with the extension `lock`. For a command that reads, a busy lock is an error
//! at once. A command that adds or removes waits for a moment, and loses nothing that other processes
//! add meanwhile.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;
use std::str::FromStr;

use argus_registry::{Document, LockOptions, Toml};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Exceptions {
    #[serde(default = "current_version")]
    version: u32,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Exception {
    id: String,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// What an exception is worth at some instant.
enum Status {
    Active,
    /// Since that instant, which counts as expired itself: "until midnight" means that at midnight
    /// the exception has ended.
    Expired(Timestamp),
    NotExcepted,
}

impl Exceptions {
    fn check(&self, id: &str, now: Timestamp) -> Status {
        let Some(exception) = self.exceptions.iter().find(|exception| exception.id == id) else {
            return Status::NotExcepted;
        };
        match exception.expires_at {
            Some(expires_at) if expires_at <= now => Status::Expired(expires_at),
            _ => Status::Active,
        }
    }
}

impl Default for Exceptions {
    fn default() -> Self {
        Exceptions { version: VERSION, exceptions: Vec::new() }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Active => f.write_str("active"),
            Status::Expired(at) => write!(f, "expired at {at}"),
            Status::NotExcepted => f.write_str("not excepted"),
        }
    }
}

fn current_version() -> u32 {
    VERSION
}

fn registry(path: &str) -> Document<Exceptions, Toml> {
    Document::toml(path).version(VERSION).empty(Exceptions::default).canonical(
        |exceptions: &mut Exceptions| {
            exceptions.exceptions.sort_by(|one, other| one.id.cmp(&other.id));
        },
    )
}

fn add(path: &str, exception: &Exception) -> argus_registry::Result<()> {
    registry(path).update(&LockOptions::default(), |registry| {
        registry.exceptions.retain(|other| other.id != exception.id);
        registry.exceptions.push(exception.clone());
        Ok(())
    })
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [path, "add", id, reason, until @ ..] if until.len() < 2 => {
            let exception = Exception {
                id: (*id).to_owned(),
                reason: (*reason).to_owned(),
                created_at: Some(Timestamp::now()),
                created_by: std::env::var("USER").ok(),
                expires_at: until.first().map(|until| Timestamp::from_str(until)).transpose()?,
            };
            add(path, &exception)?;
        }
        [path, "remove", id] => {
            let removed = registry(path).update(&LockOptions::default(), |registry| {
                let before = registry.exceptions.len();
                registry.exceptions.retain(|exception| exception.id != *id);
                Ok::<_, argus_registry::Error>(registry.exceptions.len() < before)
            })?;
            println!("{}", if removed { "removed" } else { "not excepted" });
        }
        [path, "check", id, now @ ..] if now.len() < 2 => {
            let now = now.first().map(|now| Timestamp::from_str(now)).transpose()?;
            let exceptions = match registry(path).load() {
                // No exception has been made yet.
                Err(argus_registry::Error::NotFound { .. }) => Exceptions::default(),
                loaded => loaded?.value,
            };
            println!("{}", exceptions.check(id, now.unwrap_or_else(Timestamp::now)));
        }
        [path, "list"] => {
            let (exceptions, now) = (registry(path).load()?.value, Timestamp::now());
            for Exception { id, reason, .. } in &exceptions.exceptions {
                println!("{id}: {}: {reason}", exceptions.check(id, now));
            }
        }
        _ => {
            return Err(
                "usage: exceptions FILE add ID REASON [UNTIL] | remove ID | check ID [NOW] | list"
                    .into(),
            )
        }
    }
    Ok(())
}
