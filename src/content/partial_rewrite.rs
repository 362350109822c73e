//! Rewriting a few entries of a registry without parsing or printing the rest of its text.
//!
//! The process caches the last text that an entry operation wrote, with an index of the positions of
//! its values. That text is known to be valid, and in the layout that printing gives. If a content that
//! is read later differs from the cached text in values only, checking those values proves that the
//! whole content is valid and in that layout, too. It does not matter which file the cached text came
//! from, or whether that file has changed since.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use serde_json::value::RawValue;

use crate::content::pretty_print::pretty_into;
use crate::content::registry_v1::{PrintedMember, RegistryV1};

/// A larger registry is not cached: the text stays in memory until the process ends.
const MAX_CACHED_BYTES: usize = 16 * 1024 * 1024;

/// The depth of an entry in a registry's text.
const ENTRY_DEPTH: usize = 2;

/// One text for all registries of a process. Few processes use more than one registry; in those
/// that do, the registries replace one another's text here.
static CACHED_TEXT: Mutex<Option<IndexedText>> = Mutex::new(None);

/// The one entry that an operation reads.
pub(crate) struct OnlyEntry<'a> {
    pub(crate) id: &'a str,
    /// Whether the operation would add the entry if it is missing, which a partial registry can't do.
    pub(crate) must_exist: bool,
}

/// Caches a text for the next operation.
pub(crate) fn cache(text: IndexedText) {
    if text.bytes.len() > MAX_CACHED_BYTES {
        return;
    }
    *CACHED_TEXT.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
}

/// A registry's text, in the layout that printing gives it, and the positions of its values.
pub(crate) struct IndexedText {
    bytes: Vec<u8>,
    /// The positions of the entries and of the registry's date, in the order of the text.
    values: Vec<Range<usize>>,
    /// The index of the date in `values`.
    updated_at: usize,
    /// The index in `values` of each entry, by id.
    entries: HashMap<Box<str>, usize>,
}

/// An index in [`IndexedText::values`], and the value's new length or text.
type ValueChange<T> = (usize, T);

impl IndexedText {
    pub(crate) fn print(registry: &RegistryV1) -> Self {
        let mut values = Vec::with_capacity(registry.len() + 1);
        let mut entries = HashMap::with_capacity(registry.len());
        let mut updated_at = 0;
        let text = registry.print(|member, range| {
            match member {
                PrintedMember::UpdatedAt => updated_at = values.len(),
                PrintedMember::Entry(Some(id)) => _ = entries.insert(id.into(), values.len()),
                PrintedMember::Entry(None) => {}
            }
            values.push(range);
        });
        IndexedText { bytes: text.into_bytes(), values, updated_at, entries }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The values that differ in another content, with their lengths there. `None` if that content
    /// differs in anything else, or if one of its values is not laid out as printing would do it.
    fn compare(&self, other: &[u8]) -> Option<Vec<ValueChange<usize>>> {
        let mut changes = Vec::new();
        let (mut at, mut other_at) = (0, 0);
        while let Some(equal) = first_difference(&self.bytes[at..], &other[other_at..]) {
            // A longer value can begin with the shorter one. Then the texts differ only after the end
            // of the shorter value.
            let index = self.values.partition_point(|value| value.end < at + equal);
            let value = self.values.get(index)?;
            if !(at..=at + equal).contains(&value.start) {
                return None;
            }
            let start = other_at + value.start - at;
            let length = printed_length(&other[start..])?;
            changes.push((index, length));
            (at, other_at) = (value.end, start + length);
        }
        Some(changes)
    }

    /// Moves the positions of the values to where they are after some values got other lengths.
    fn relocate(&mut self, changes: &[ValueChange<usize>]) {
        let mut changes = changes.iter().peekable();
        let (mut old_end, mut end) = (0, 0);
        for (index, value) in self.values.iter_mut().enumerate() {
            let start = end + value.start - old_end;
            let change = changes.next_if(|(changed, _)| *changed == index);
            let length = change.map_or(value.len(), |(_, length)| *length);
            old_end = value.end;
            end = start + length;
            *value = start..end;
        }
    }

    /// Replaces values. `changes` are in the order of the text.
    fn splice(&mut self, changes: &[ValueChange<String>]) {
        let ranges = changes.iter().map(|(index, value)| (self.values[*index].clone(), value));
        if ranges.clone().all(|(range, value)| range.len() == value.len()) {
            for (range, value) in ranges {
                self.bytes[range].copy_from_slice(value.as_bytes());
            }
            return;
        }
        let added: usize = changes.iter().map(|(_, value)| value.len()).sum();
        let mut bytes = Vec::with_capacity(self.bytes.len() + added);
        let mut at = 0;
        for (range, value) in ranges {
            bytes.extend_from_slice(&self.bytes[at..range.start]);
            bytes.extend_from_slice(value.as_bytes());
            at = range.end;
        }
        bytes.extend_from_slice(&self.bytes[at..]);
        self.bytes = bytes;
        let lengths: Vec<_> = changes.iter().map(|(index, value)| (*index, value.len())).collect();
        self.relocate(&lengths);
    }
}

/// A few entries of a registry, and the whole text that they are part of.
pub(crate) struct PartialRegistry {
    /// A registry of these entries alone. An operation that reads no other entries has the outcome on
    /// it that it would have on the whole registry.
    pub(crate) registry: RegistryV1,
    text: IndexedText,
    /// The entries' indices in the text's values, in the order of the text, and their ids.
    entries: Vec<(usize, String)>,
}

impl PartialRegistry {
    /// The entries of `only` in a content, if the cached text shows that the content is valid. Takes
    /// the cached text in any case, and moves the bytes out of `content` if it returns a registry.
    pub(crate) fn take(content: &mut Vec<u8>, only: &[OnlyEntry<'_>]) -> Option<Self> {
        let cached = CACHED_TEXT.lock().unwrap_or_else(PoisonError::into_inner).take();
        PartialRegistry::of(cached?, content, only)
    }

    fn of(mut text: IndexedText, content: &mut Vec<u8>, only: &[OnlyEntry<'_>]) -> Option<Self> {
        let mut entries = Vec::with_capacity(only.len());
        for OnlyEntry { id, must_exist } in only {
            match text.entries.get(*id) {
                Some(index) => entries.push((*index, (*id).to_owned())),
                None if *must_exist => return None,
                None => {}
            }
        }
        entries.sort_unstable();
        entries.dedup();
        let changes = text.compare(content)?;
        text.relocate(&changes);
        let value = |index: usize| std::str::from_utf8(&content[text.values[index].clone()]).ok();
        let pairs: Option<Vec<_>> =
            entries.iter().map(|(index, id)| Some((&**id, value(*index)?))).collect();
        let registry = RegistryV1::from_entries(value(text.updated_at)?, pairs?.into_iter())?;
        text.bytes = std::mem::take(content);
        Some(PartialRegistry { registry, text, entries })
    }

    /// The whole text, with the present values of these entries and of the date.
    pub(crate) fn into_text(self) -> IndexedText {
        let PartialRegistry { registry, mut text, entries } = self;
        let mut changes: Vec<_> = entries
            .into_iter()
            .filter_map(|(index, id)| Some((index, printed(registry.entry(&id)?.0.get()))))
            .collect();
        let at = changes.partition_point(|(index, _)| *index < text.updated_at);
        changes.insert(at, (text.updated_at, registry.raw_updated_at().to_owned()));
        text.splice(&changes);
        text
    }
}

/// The first position at which two texts differ; `None` if they are equal.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    /// Chunks are compared as whole blocks of memory, which is far faster than byte by byte.
    const CHUNK_BYTES: usize = 4096;
    let shorter = one.len().min(other.len());
    let chunks = one.chunks(CHUNK_BYTES).zip(other.chunks(CHUNK_BYTES));
    let equal = chunks.take_while(|(one, other)| one == other).count() * CHUNK_BYTES;
    let equal = equal.min(shorter);
    let differs = one[equal..].iter().zip(&other[equal..]).position(|(one, other)| one != other);
    match differs {
        Some(at) => Some(equal + at),
        None => (one.len() != other.len()).then_some(shorter),
    }
}

/// The length of the JSON value at the beginning of a text; `None` if there is no value, or if
/// printing would lay it out differently.
fn printed_length(text: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?.get();
    let length = values.byte_offset();
    // The length includes any space before the value, which printing would not put there.
    (printed(value).as_bytes() == &text[..length]).then_some(length)
}

fn printed(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 64);
    pretty_into(&mut text, value, ENTRY_DEPTH);
    text
}

#[cfg(test)]
mod tests;
