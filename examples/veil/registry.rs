//! `crates/veil-core/src/registry.rs`: the exceptions, in a file that scans share.

use std::fmt;
use std::path::{Path, PathBuf};

use argus_registry::{Document, Error, LockOptions, Toml};
use serde::{Deserialize, Serialize};

/// The schema version that this program reads and writes.
const VERSION: u32 = 1;

/// Names a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingId(pub String);

/// A finding that is accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exception {
    pub id: FindingId,
    pub reason: String,
    /// All other fields, so that this program keeps those that a newer one has added.
    #[serde(flatten)]
    pub other: toml::Table,
}

/// The exceptions of a workspace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registry {
    #[serde(default = "current_version")]
    pub version: u32,
    #[serde(default)]
    pub exceptions: Vec<Exception>,
}

fn current_version() -> u32 {
    VERSION
}

impl Default for Registry {
    fn default() -> Self {
        Registry { version: VERSION, exceptions: Vec::new() }
    }
}

/// Why the registry could not be used.
#[derive(Debug)]
pub enum RegistryError {
    /// Another process holds the lock of this lock file.
    LockBusy(PathBuf),
    /// This file or folder may not be used by this user.
    PermissionDenied(PathBuf),
    /// Any other reason.
    Other(Error),
}

impl From<Error> for RegistryError {
    fn from(error: Error) -> Self {
        match error {
            Error::LockBusy { path, .. } | Error::LockTimeout { path, .. } => {
                RegistryError::LockBusy(path)
            }
            Error::PermissionDenied { path, .. } => RegistryError::PermissionDenied(path),
            other => RegistryError::Other(other),
        }
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegistryError::LockBusy(path) => {
                write!(
                    f,
                    "the exception registry is locked by another process ({})",
                    path.display()
                )
            }
            RegistryError::PermissionDenied(path) => {
                write!(f, "no permission to use {}", path.display())
            }
            RegistryError::Other(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RegistryError {}

impl Registry {
    /// Where the registry is and how it is spelled. Its lock file is `path` with the extension `lock`.
    fn document(path: &Path) -> Document<Registry, Toml> {
        Document::toml(path).version(VERSION).empty(Registry::default).canonical(
            |registry: &mut Registry| {
                registry.exceptions.sort_by(|one, other| one.id.cmp(&other.id));
            },
        )
    }

    /// Reads the registry under a shared lock, in one try. A missing file is an empty registry.
    pub fn load(path: &Path) -> Result<Self, RegistryError> {
        match Self::document(path).load() {
            Err(Error::NotFound { .. }) => Ok(Registry::default()),
            loaded => Ok(loaded?.value),
        }
    }

    /// Replaces the registry under an exclusive lock, in one try. To change it, call `update`: what
    /// other processes save between a `load` and a `save` is lost.
    pub fn save(&self, path: &Path) -> Result<(), RegistryError> {
        Ok(Self::document(path).save(&mut self.clone())?)
    }

    /// Changes the registry under one exclusive lock, from the reading to the writing. Waits up to 2 s
    /// for the lock.
    pub fn update<R>(
        path: &Path,
        mut change: impl FnMut(&mut Registry) -> R,
    ) -> Result<R, RegistryError> {
        Self::document(path).update(&LockOptions::default(), |registry| Ok(change(registry)))
    }

    /// Accepts a finding.
    pub fn accept(path: &Path, id: &FindingId, reason: &str) -> Result<(), RegistryError> {
        Self::update(path, |registry| {
            registry.exceptions.retain(|exception| exception.id != *id);
            let (id, reason) = (id.clone(), reason.to_owned());
            registry.exceptions.push(Exception { id, reason, other: toml::Table::new() });
        })
    }

    /// Why a finding is accepted, if it is.
    pub fn reason(&self, id: &FindingId) -> Option<&str> {
        let found = self.exceptions.iter().find(|exception| exception.id == *id);
        found.map(|exception| exception.reason.as_str())
    }
}
