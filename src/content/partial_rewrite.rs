//! A large registry, rewritten in a few entries: the rest of its text is neither parsed nor printed.
//!
//! The last text that an entry operation wrote is kept, with an index of where its values stand.
//! It is known to be valid, and in the layout that printing gives. Where a content that is read
//! later differs from it in nothing but values, only these have to be looked at to know the same
//! of that content. It does not matter which file the kept text is of, or what became of that.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use serde_json::value::RawValue;

use crate::content::pretty_print::pretty_into;
use crate::content::registry_v1::{PrintedMember, RegistryV1};

/// Below, parsing costs less than a disk notices.
const SMALLEST: usize = 16 * 1024;

/// What a process keeps is no larger: it stays in memory until the process ends.
const LARGEST: usize = 16 * 1024 * 1024;

/// Entries are at this depth of a registry.
const DEPTH: usize = 2;

/// One text for all registries of a process: few have more than one that is large, and those take
/// turns with it.
static KEPT: Mutex<Option<IndexedText>> = Mutex::new(None);

/// The one entry that an operation looks at.
pub(crate) struct OnlyEntry<'a> {
    pub(crate) id: &'a str,
    /// Whether the operation would add it.
    pub(crate) must_exist: bool,
}

/// Whether the text of a registry of this size is kept.
pub(crate) fn is_large(bytes: usize) -> bool {
    (SMALLEST..=LARGEST).contains(&bytes)
}

/// Keeps a text for the next operation.
pub(crate) fn keep(text: IndexedText) {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
}

/// A registry's text, in the layout that printing gives it.
pub(crate) struct IndexedText {
    bytes: Vec<u8>,
    /// Where the entries stand, and the registry's date, in the order of the text.
    values: Vec<Range<usize>>,
    /// Which of the values is the date.
    updated_at: usize,
    /// Which of the values is an entry of that id.
    entries: HashMap<Box<str>, usize>,
}

/// A value of a text, and another length or spelling for it.
type Change<T> = (usize, T);

impl IndexedText {
    pub(crate) fn print(registry: &RegistryV1) -> Self {
        let mut values = Vec::with_capacity(registry.len() + 1);
        let mut entries = HashMap::with_capacity(registry.len());
        let mut updated_at = 0;
        let text = registry.print(|place, range| {
            match place {
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

    /// Which values another content has in other lengths or spellings; `None` if it differs in
    /// anything else, or if one of them is not what printing would make of it.
    fn compare(&self, other: &[u8]) -> Option<Vec<Change<usize>>> {
        let mut changes = Vec::new();
        let (mut at, mut other_at) = (0, 0);
        while let Some(same) = first_difference(&self.bytes[at..], &other[other_at..]) {
            // A longer value can begin with the shorter one, and differ only behind it.
            let index = self.values.partition_point(|value| value.end < at + same);
            let value = self.values.get(index)?;
            if !(at..=at + same).contains(&value.start) {
                return None;
            }
            let start = other_at + value.start - at;
            let length = printed_length(&other[start..])?;
            changes.push((index, length));
            (at, other_at) = (value.end, start + length);
        }
        Some(changes)
    }

    /// Has the values stand where they do once some of them have other lengths.
    fn relocate(&mut self, changes: &[Change<usize>]) {
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

    /// Replaces values, which come in the order of the text.
    fn splice(&mut self, changes: &[Change<String>]) {
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

/// A few entries of a registry, and the text that they are of.
pub(crate) struct PartialRegistry {
    /// As if there were no others: all that is the same for an operation that looks at no others.
    pub(crate) registry: RegistryV1,
    text: IndexedText,
    /// Which values the entries are, in the order of the text.
    entries: Vec<(usize, String)>,
}

impl PartialRegistry {
    /// The entries of a content that operations look at, if that can be said without parsing all of
    /// it. It takes the content with it then.
    pub(crate) fn take(content: &mut Vec<u8>, only: &[OnlyEntry<'_>]) -> Option<Self> {
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).take();
        PartialRegistry::of(kept?, content, only)
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
        let registry = RegistryV1::of_some(value(text.updated_at)?, pairs?.into_iter())?;
        text.bytes = std::mem::take(content);
        Some(PartialRegistry { registry, text, entries })
    }

    /// The whole text, with these entries and the date as they are by now.
    pub(crate) fn into_text(self) -> IndexedText {
        let PartialRegistry { registry, mut text, entries } = self;
        let mut changes: Vec<_> = entries
            .into_iter()
            .filter_map(|(index, id)| Some((index, printed(registry.entry(&id)?.0.get()))))
            .collect();
        let at = changes.partition_point(|(index, _)| *index < text.updated_at);
        changes.insert(at, (text.updated_at, registry.spelled_updated_at().to_owned()));
        text.splice(&changes);
        text
    }
}

/// Where two texts begin to differ; `None` if they don't.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    /// Compared at once, as memory, which is far faster than byte by byte.
    const CHUNK: usize = 4096;
    let shorter = one.len().min(other.len());
    let chunks = one.chunks(CHUNK).zip(other.chunks(CHUNK));
    let same = chunks.take_while(|(one, other)| one == other).count() * CHUNK;
    let same = same.min(shorter);
    let differs = one[same..].iter().zip(&other[same..]).position(|(one, other)| one != other);
    match differs {
        Some(at) => Some(same + at),
        None => (one.len() != other.len()).then_some(shorter),
    }
}

/// The length of the JSON value that a text begins with; `None` if there is none, or if printing
/// would lay it out differently.
fn printed_length(text: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?.get();
    let length = values.byte_offset();
    // With what may stand before the value.
    (printed(value).as_bytes() == &text[..length]).then_some(length)
}

fn printed(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 64);
    pretty_into(&mut text, value, DEPTH);
    text
}

#[cfg(test)]
mod tests;
