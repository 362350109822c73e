//! What is no error, but should be known: [`Warning`], and who is told.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// What to do with a [`Warning`].
#[derive(Clone)]
pub struct OnWarning(Arc<dyn Fn(&Warning) + Send + Sync>);

impl OnWarning {
    /// Calls a function, which may be called from any thread that updates.
    pub fn new(call: impl Fn(&Warning) + Send + Sync + 'static) -> Self {
        OnWarning(Arc::new(call))
    }

    pub(crate) fn call(&self, warning: &Warning) {
        (self.0)(warning);
    }
}

impl Default for OnWarning {
    /// To standard error: a warning is about data that somebody may miss.
    fn default() -> Self {
        OnWarning::new(|warning| to_standard_error(format_args!("{warning}")))
    }
}

/// Not by eprintln, which panics where nobody reads standard error, as of a daemon.
pub(crate) fn to_standard_error(message: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "argus-registry: {message}");
}

impl fmt::Debug for OnWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnWarning")
    }
}

/// Something about a registry or a document that is no error, but that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// There is no registry yet; it reads as empty.
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no registry and reads as empty, or is a document that was replaced though it
    /// could not be parsed.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Why it can't be read.
        reason: String,
        /// Where the bytes were kept when an update replaced the file.
        kept: Option<PathBuf>,
    },
    /// The file was written by a newer schema; it reads as empty and is never overwritten.
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// The version that it carries.
        found: String,
    },
}

impl Warning {
    /// The stable name of the variant, the same in Rust and in JavaScript.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Warning::Missing { .. } => "NOT_FOUND",
            Warning::Corrupt { .. } => "CORRUPT",
            Warning::UnsupportedVersion { .. } => "UNSUPPORTED_VERSION",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Missing { path } => {
                write!(f, "{} does not exist yet; reading it as empty", path.display())
            }
            Warning::Corrupt { path, reason, kept: None } => {
                write!(f, "{} is not a registry ({reason}); reading it as empty", path.display())
            }
            Warning::Corrupt { path, reason, kept: Some(kept) } => write!(
                f,
                "{} could not be read ({reason}); it was replaced, and its bytes are kept in {}",
                path.display(),
                kept.display()
            ),
            Warning::UnsupportedVersion { path, found } => write!(
                f,
                "{} has schema version {found}, which this program does not know; reading it as \
                 empty",
                path.display()
            ),
        }
    }
}
