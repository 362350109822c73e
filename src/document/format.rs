//! The formats of documents: JSON, TOML, or a caller's own format.
//!
//! This module knows bytes and values, and no file.

use std::fmt;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::error::FormatError;

/// The format of a [`Document`](crate::Document)'s text.
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
    /// Parses a value.
    ///
    /// # Errors
    ///
    /// The reason why the bytes can't be parsed.
    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, FormatError>;

    /// Prints a value.
    ///
    /// # Errors
    ///
    /// The part of the value that this format can't express.
    fn print<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, FormatError>;

    /// The schema version in the bytes, as text; `None` if the bytes contain none. The default
    /// implementation reads the top-level member `version`, which is possible in self-describing
    /// formats such as JSON and TOML.
    ///
    /// # Errors
    ///
    /// The reason why the bytes can't be parsed.
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

/// A document of which only the version is read, so that another schema's document is reported as that
/// and not as one that can't be parsed.
#[derive(Deserialize)]
struct Versioned {
    version: Option<Version>,
    /// Restricts this struct to maps: serde could otherwise read a list as a struct, by position.
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
            // In quotes, since the text "1" is not the number 1.
            Version::Text(text) => write!(f, "{text:?}"),
            Version::Other(_) => f.write_str("of another type"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_top_level_member_version() {
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
    fn the_version_of_a_toml_document_is_read_beside_any_other_content() {
        let text = b"version = 7\nat = 2026-01-01T00:00:00Z\n[[rest]]\nversion = 1\n";
        assert_eq!(Toml.version(text).unwrap().as_deref(), Some("7"));
        assert_eq!(Toml.version(b"a = 1").unwrap(), None);
        assert!(Toml.version(b"\xff").is_err());
    }
}
