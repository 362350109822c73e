//! Reading a registry without a lock.

use std::path::Path;

use crate::content::registry_v1::{RegistryV1, REGISTRY_VERSION};
use crate::error::{Error, Result};
use crate::files::shared_file;
use crate::warning::Warning;

/// Reads the registry in a file.
pub(crate) fn read_file(path: &Path) -> Result<(RegistryV1, Vec<Warning>)> {
    let content = shared_file::read(path)?;
    interpret(path, content.as_ref().map(|content| &*content.bytes))
}

/// The registry and the warnings that [`read_registry`](crate::read_registry) returns for a content.
pub(crate) fn interpret(path: &Path, content: Option<&[u8]>) -> Result<(RegistryV1, Vec<Warning>)> {
    let (registry, warning) = match parse(path, content) {
        Ok(Some(registry)) => (registry, None),
        Ok(None) => (RegistryV1::new(), Some(Warning::Missing { path: path.to_path_buf() })),
        Err(error) => (RegistryV1::new(), Some(as_warning(error)?)),
    };
    Ok((registry, warning.into_iter().collect()))
}

/// The registry in a content; `None` if there is no content.
pub(super) fn parse(path: &Path, content: Option<&[u8]>) -> Result<Option<RegistryV1>> {
    content.map(|bytes| RegistryV1::parse(path, bytes)).transpose()
}

fn as_warning(error: Error) -> Result<Warning> {
    match error {
        Error::Corrupt { path, reason } => Ok(Warning::Corrupt { path, reason, kept: None }),
        Error::UnsupportedVersion { path, found, .. } => {
            Ok(Warning::UnsupportedVersion { path, found })
        }
        other => Err(other),
    }
}

impl Warning {
    /// The error for a caller that needs what the file holds: of content that was read as empty although it is
    /// not. `None` for conditions that hide no whole registry.
    #[must_use]
    pub fn as_error(&self) -> Option<Error> {
        match self {
            Warning::Corrupt { path, reason, .. } => {
                Some(Error::Corrupt { path: path.clone(), reason: reason.clone() })
            }
            Warning::UnsupportedVersion { path, found } => Some(Error::UnsupportedVersion {
                path: path.clone(),
                found: found.clone(),
                expected: REGISTRY_VERSION,
            }),
            _ => None,
        }
    }
}
