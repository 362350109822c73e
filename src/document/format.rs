//! How a document is spelled: JSON, TOML, or a caller's own format.
//!
//! A leaf: it knows bytes and values, and no file.

use std::fmt;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::error::FormatError;

/// How a [`Document`](crate::Document) is spelled. Source: ours.
///
/// ```
/// use argus_registry::{Document, Format, FormatError};
/// use serde::{de::DeserializeOwned, Serialize};
///
/// /// JSON in one line.
/// #[derive(Clone)]
/// struct Compact;
///
/// impl Format for Compact {
///     fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, FormatError> {
///         Ok(serde_json::from_slice(bytes)?)
///     }
///
///     fn print<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, FormatError> {
///         Ok(serde_json::to_vec(value)?)
///     }
/// }
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("numbers.json");
/// let numbers = Document::<Vec<u32>, Compact>::new(&path, Compact);
/// numbers.save(&mut vec![1, 2])?;
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), "[1,2]");
/// # Ok::<_, argus_registry::Error>(())
/// ```
pub trait Format {
    /// Reads a value.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the bytes.
    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, FormatError>;

    /// Spells a value.
    ///
    /// # Errors
    ///
    /// Whatever this format has no spelling for.
    fn print<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, FormatError>;

    /// The schema version that the bytes carry, as it is to be shown; `None` if they carry none.
    /// The default is what stands under `version` at the top, which takes a format that describes
    /// itself, as JSON and TOML do.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the bytes.
    fn version(&self, bytes: &[u8]) -> Result<Option<String>, FormatError> {
        let Versioned { version, .. } = self.parse(bytes)?;
        Ok(version.map(|version| version.to_string()))
    }
}

/// JSON, printed as argus prints it: indented by two spaces, with no newline at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Json;

impl Format for Json {
    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, FormatError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    fn print<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, FormatError> {
        Ok(serde_json::to_vec_pretty(value)?)
    }
}

/// TOML, printed as veil prints it (`toml::to_string_pretty`). Needs the feature `toml`.
#[cfg(feature = "toml")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Toml;

#[cfg(feature = "toml")]
impl Format for Toml {
    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, FormatError> {
        Ok(toml::from_slice(bytes)?)
    }

    fn print<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, FormatError> {
        Ok(toml::to_string_pretty(value)?.into_bytes())
    }
}

/// As much of a document as tells its version, so that one of another schema is called that, and
/// not unreadable.
#[derive(Deserialize)]
struct Versioned {
    version: Option<Version>,
    /// Makes it a map: a list, too, could be read as a struct, by position.
    #[serde(flatten)]
    _rest: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Version {
    Whole(i64),
    Number(f64),
    Text(String),
    Other(IgnoredAny),
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Whole(number) => number.fmt(f),
            Version::Number(number) => number.fmt(f),
            // In quotes: "1" is not 1.
            Version::Text(text) => write!(f, "{text:?}"),
            Version::Other(_) => f.write_str("of another type"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_stands_under_version() {
        let json = |text: &str| Json.version(text.as_bytes()).unwrap();
        for (text, version) in [
            (r#"{"version": 2, "rest": [{"version": 3}]}"#, Some("2")),
            (r#"{"version": 1.0}"#, Some("1")),
            (r#"{"version": 1.5}"#, Some("1.5")),
            (r#"{"version": "1"}"#, Some("\"1\"")),
            (r#"{"version": [1]}"#, Some("of another type")),
            (r#"{"version": null}"#, None),
            ("{}", None),
        ] {
            assert_eq!(json(text).as_deref(), version, "{text}");
        }
        assert!(Json.version(b"[1]").is_err());
    }

    #[cfg(feature = "toml")]
    #[test]
    fn a_toml_document_tells_its_version_whatever_else_is_in_it() {
        let text = b"version = 7\nat = 2026-01-01T00:00:00Z\n[[rest]]\nversion = 1\n";
        assert_eq!(Toml.version(text).unwrap().as_deref(), Some("7"));
        assert_eq!(Toml.version(b"a = 1").unwrap(), None);
        assert!(Toml.version(b"\xff").is_err());
    }
}
