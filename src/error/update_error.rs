//! The error of an update whose updater has an error type of its own.

use std::error;
use std::fmt;

use crate::error::Error;

/// The error of an update whose updater fails with a type that has no `From<Error>`.
///
/// The functions that take an updater return the updater's error type, into which they convert their own
/// errors. `anyhow::Error` and `Box<dyn std::error::Error>` can be used directly. A type without such a
/// conversion is wrapped:
///
/// ```
/// use argus_registry::{Document, LockOptions, UpdateError};
///
/// #[derive(Debug, PartialEq)]
/// struct TooMany;
///
/// fn add(names: &mut Vec<String>) -> Result<(), TooMany> {
///     match names.len() {
///         0..3 => Ok(names.push("ada".to_owned())),
///         _ => Err(TooMany),
///     }
/// }
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("names.json");
/// let names = Document::<Vec<String>>::json(&path).empty(Vec::new);
/// let update = || names.update(&LockOptions::default(), |names| {
///     add(names).map_err(UpdateError::Updater)
/// });
/// while update().is_ok() {}
/// match update() {
///     Err(UpdateError::Updater(error)) => assert_eq!(error, TooMany),
///     Err(UpdateError::Failed(error)) => panic!("{error}"),
///     Ok(()) => unreachable!(),
/// }
/// assert_eq!(names.load()?.value.len(), 3);
/// # Ok::<_, argus_registry::Error>(())
/// ```
#[derive(Debug)]
pub enum UpdateError<E> {
    /// The update failed, by a fault of its own.
    Failed(Error),
    /// The updater failed.
    Updater(E),
}

impl<E> UpdateError<E> {
    /// The error as the caller's type. `prepare` changes this crate's own error before.
    pub(crate) fn into_callers(self, prepare: impl FnOnce(Error) -> Error) -> E
    where
        E: From<Error>,
    {
        match self {
            UpdateError::Failed(error) => prepare(error).into(),
            UpdateError::Updater(error) => error,
        }
    }
}

impl<E> From<Error> for UpdateError<E> {
    fn from(error: Error) -> Self {
        UpdateError::Failed(error)
    }
}

impl<E: fmt::Display> fmt::Display for UpdateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateError::Failed(error) => error.fmt(f),
            UpdateError::Updater(error) => error.fmt(f),
        }
    }
}

impl<E: error::Error> error::Error for UpdateError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            UpdateError::Failed(error) => error.source(),
            UpdateError::Updater(error) => error.source(),
        }
    }
}
