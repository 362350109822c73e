//! The text that a document's file gets for a value.

use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::document::definition::Document;
use crate::document::format::Format;
use crate::error::{Error, FormatError, Result};

impl<T: DeserializeOwned, F: Format> Document<T, F> {
    /// The version in the bytes and the expected version, if these differ.
    pub(super) fn other_version(&self, bytes: &[u8]) -> Result<Option<(String, u32)>, FormatError> {
        let Some(expected) = self.version else { return Ok(None) };
        let found = self.format.version(bytes)?.filter(|found| *found != expected.to_string());
        Ok(found.map(|found| (found, expected)))
    }
}

impl<T: Serialize + DeserializeOwned, F: Format> Document<T, F> {
    /// The value in its canonical order, printed.
    pub(super) fn print(&self, value: &mut T) -> Result<Vec<u8>> {
        if let Some(order) = &self.canonical {
            order(value);
        }
        let path = || self.path.clone();
        let fail = |source| Error::Serialize { path: path(), source };
        let bytes = self.format.print(value).map_err(fail)?;
        // A value of another version must not be written: no caller could read it again.
        if let Some((found, _)) = self.other_version(&bytes).map_err(fail)? {
            let reason = format!("the new value has schema version {found}, not its document's");
            return Err(Error::InvalidValue { path: path(), reason });
        }
        Ok(bytes)
    }

    /// Like [`print`](Self::print), for a text that replaces the file.
    pub(super) fn print_to_save(&self, value: &mut T) -> Result<Vec<u8>> {
        let bytes = self.print(value)?;
        self.readable(bytes)
    }

    /// The printed text, if it parses as a value. JSON has no NaN, for example: it is printed as `null`,
    /// and if that were written, no later call could read the file.
    pub(super) fn readable(&self, printed: Vec<u8>) -> Result<Vec<u8>> {
        let parsed = self.format.parse::<T>(&printed);
        let fail = |error| {
            let source = format!("the printed value could not be read again: {error}");
            Error::Serialize { path: self.path.clone(), source: source.into() }
        };
        parsed.map(|_| printed).map_err(fail)
    }

    /// The old text with a new value, or the new value's own text if the old one can't be changed to it. The
    /// second value is whether what the type does not know may be lost.
    pub(super) fn rewrite(
        &self,
        old: &[u8],
        before: &[u8],
        after: Vec<u8>,
    ) -> Result<(Vec<u8>, bool)> {
        // An update that is acknowledged is in the file, whatever has become of the rest.
        let checked = |text: Result<Vec<u8>, FormatError>| {
            text.ok().filter(|text| self.has_value(text, &after))
        };
        let rewritten = checked(self.format.rewrite(old, before, &after))
            .or_else(|| checked(self.format.rewrite_renamed(old, before, &after)));
        match rewritten {
            Some(rewritten) => Ok((rewritten, false)),
            None => Ok((self.readable(after)?, old != before)),
        }
    }

    /// Whether a text has the value that is printed as `printed`.
    fn has_value(&self, text: &[u8], printed: &[u8]) -> bool {
        let Some(value) = self.reprint(text) else { return false };
        let is_equal = |printed: &[u8]| value == printed || self.format.equals(&value, printed);
        // A type may read less than it prints. Then the printed text is no text of that value, either.
        is_equal(printed) || self.reprint(printed).is_some_and(|printed| is_equal(&printed))
    }

    fn reprint(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.print(&mut self.format.parse(text).ok()?).ok()
    }
}
