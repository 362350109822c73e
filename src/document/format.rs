//! The formats of documents: JSON, TOML, or a caller's own format.
//!
//! This module knows bytes and values, and no file.

use std::fmt;
#[cfg(feature = "toml")]
use std::str;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::document::names::Names;
use crate::document::{json_rewrite, ordered_json};
#[cfg(feature = "toml")]
use crate::document::{toml_rewrite, toml_values};
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

    /// Changes a text of this format: `old`, of which `before` is the printed value, becomes a text of the
    /// printed value `after`. An implementation can keep what the value does not say, such as comments and
    /// unknown members. [`Document::update`](crate::Document::update) calls it, and writes `after` instead
    /// if neither this result nor that of [`rewrite_renamed`](Self::rewrite_renamed) parses as that value,
    /// with the warning [`UnknownLost`](crate::Warning::UnknownLost). The default implementation returns `after`.
    ///
    /// # Errors
    ///
    /// The reason why the text can't be changed; `after` is written then.
    fn rewrite(&self, old: &[u8], before: &[u8], after: &[u8]) -> Result<Vec<u8>, FormatError> {
        let _ = (old, before);
        Ok(after.to_vec())
    }

    /// Like [`rewrite`](Self::rewrite), for a text that has members by other names than the printed ones, as
    /// serde's `alias` allows. [`Document::update`](crate::Document::update) calls it if the result of
    /// `rewrite` does not parse as the value, and checks its result, too. The default implementation fails.
    ///
    /// # Errors
    ///
    /// The reason why the text can't be changed; `after` is written then.
    fn rewrite_renamed(
        &self,
        old: &[u8],
        before: &[u8],
        after: &[u8],
    ) -> Result<Vec<u8>, FormatError> {
        let _ = (old, before, after);
        Err("this format does not rewrite texts with other names".into())
    }

    /// Whether two printed texts are of equal values. [`Document::update`](crate::Document::update) asks it
    /// of the value of a rewritten text and the new value: a type with a `HashMap` or a `HashSet` prints
    /// equal values in different orders. Both were printed by this format. The default implementation
    /// compares the bytes.
    fn equals(&self, one: &[u8], other: &[u8]) -> bool {
        one == other
    }

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
///
/// An update keeps the members that the document's type does not know, the order of members, the spelling
/// of what it does not change, and a byte order mark. Which element of a changed list is which, it tells by
/// the members `id`, `key` or `name`: a new element gets no unknown members of a removed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Json;

impl Format for Json {
    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, FormatError> {
        Ok(serde_json::from_slice(split_mark(bytes).1)?)
    }

    fn print<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, FormatError> {
        Ok(serde_json::to_vec_pretty(value)?)
    }

    fn rewrite(&self, old: &[u8], before: &[u8], after: &[u8]) -> Result<Vec<u8>, FormatError> {
        rewrite_json(old, before, after, Names::Printed)
    }

    fn rewrite_renamed(
        &self,
        old: &[u8],
        before: &[u8],
        after: &[u8],
    ) -> Result<Vec<u8>, FormatError> {
        rewrite_json(old, before, after, Names::Others)
    }

    fn equals(&self, one: &[u8], other: &[u8]) -> bool {
        ordered_json::texts_equal(one, other).unwrap_or(false)
    }
}

fn rewrite_json(
    old: &[u8],
    before: &[u8],
    after: &[u8],
    names: Names,
) -> Result<Vec<u8>, FormatError> {
    let (mark, old) = split_mark(old);
    Ok([mark, &json_rewrite::rewrite(old, before, after, names)?].concat())
}

/// Splits a text into its byte order mark, if it has one, and the rest.
fn split_mark(text: &[u8]) -> (&[u8], &[u8]) {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    text.split_at(if text.starts_with(MARK) { MARK.len() } else { 0 })
}

/// TOML, printed as veil prints it (`toml::to_string_pretty`). Needs the feature `toml`.
///
/// An update keeps comments, the order and spelling of what it does not change, entries that the document's
/// type does not know, CRLF at the ends of all lines, and a byte order mark. The elements of lists are told
/// apart as in [`Json`].
#[cfg(feature = "toml")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Toml;

#[cfg(feature = "toml")]
impl Format for Toml {
    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, FormatError> {
        Ok(toml::from_slice(split_mark(bytes).1)?)
    }

    fn print<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, FormatError> {
        Ok(toml::to_string_pretty(value)?.into_bytes())
    }

    fn rewrite(&self, old: &[u8], before: &[u8], after: &[u8]) -> Result<Vec<u8>, FormatError> {
        rewrite_toml(old, before, after, Names::Printed)
    }

    fn rewrite_renamed(
        &self,
        old: &[u8],
        before: &[u8],
        after: &[u8],
    ) -> Result<Vec<u8>, FormatError> {
        rewrite_toml(old, before, after, Names::Others)
    }

    fn equals(&self, one: &[u8], other: &[u8]) -> bool {
        match (str::from_utf8(one), str::from_utf8(other)) {
            (Ok(one), Ok(other)) => toml_values::texts_equal(one, other).unwrap_or(false),
            _ => false,
        }
    }
}

#[cfg(feature = "toml")]
fn rewrite_toml(
    old: &[u8],
    before: &[u8],
    after: &[u8],
    names: Names,
) -> Result<Vec<u8>, FormatError> {
    let (mark, old) = split_mark(old);
    let text = |bytes| str::from_utf8(bytes);
    let rewritten = toml_rewrite::rewrite(text(old)?, text(before)?, text(after)?, names)?;
    Ok([mark, rewritten.as_bytes()].concat())
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
