//! Reading a registry without a lock.

use std::path::Path;

use crate::content::registry_v1::RegistryV1;
use crate::error::{Error, Result};
use crate::files::shared_file::{self, FileContent};
use crate::warning::Warning;

/// Reads a registry without a lock and without write access.
///
/// A file that is missing, that holds no registry, or that has a newer schema version reads as an empty
/// registry. A warning then says which of these it is.
///
/// # Errors
///
/// [`Error::PermissionDenied`], [`Error::TooLarge`] or [`Error::Io`] if the file exists and can't be read.
pub fn read_registry(path: impl AsRef<Path>) -> Result<(RegistryV1, Vec<Warning>)> {
    let path = path.as_ref();
    interpret(path, shared_file::read(path)?.as_ref())
}

/// The registry and the warnings that [`read_registry`] returns for a content.
pub(crate) fn interpret(
    path: &Path,
    content: Option<&FileContent>,
) -> Result<(RegistryV1, Vec<Warning>)> {
    let (registry, warning) = match parse(path, content) {
        Ok(Some(registry)) => (registry, None),
        Ok(None) => (RegistryV1::new(), Some(Warning::Missing { path: path.to_path_buf() })),
        Err(error) => (RegistryV1::new(), Some(as_warning(error)?)),
    };
    Ok((registry, warning.into_iter().collect()))
}

/// The registry in a content; `None` if there is no content.
pub(super) fn parse(path: &Path, content: Option<&FileContent>) -> Result<Option<RegistryV1>> {
    content.map(|content| RegistryV1::parse(path, &content.bytes)).transpose()
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
