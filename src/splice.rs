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

use crate::layout::pretty_into;
use crate::registry_v1::{Place, RegistryV1};

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

/// Whether a content of this size is kept.
pub(crate) fn is_large(bytes: usize) -> bool {
    (SMALLEST..=LARGEST).contains(&bytes)
}

/// Keeps a text for the next operation.
pub(crate) fn keep(text: IndexedText) {
    if is_large(text.bytes.len()) {
        *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
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
                Place::UpdatedAt => updated_at = values.len(),
                Place::Entry(Some(id)) => _ = entries.insert(id.into(), values.len()),
                Place::Entry(None) => {}
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
pub(crate) struct Part {
    /// As if there were no others: all that is the same for an operation that looks at no others.
    pub(crate) registry: RegistryV1,
    text: IndexedText,
    /// Which values the entries are, in the order of the text.
    entries: Vec<(usize, String)>,
}

impl Part {
    /// The entries of a content that operations look at, if that can be said without parsing all of
    /// it. It takes the content with it then.
    pub(crate) fn take(content: &mut Vec<u8>, only: &[OnlyEntry<'_>]) -> Option<Self> {
        if !is_large(content.len()) {
            return None;
        }
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).take();
        Part::of(kept?, content, only)
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
        Some(Part { registry, text, entries })
    }

    /// The whole text, with these entries and the date as they are by now.
    pub(crate) fn into_text(self) -> IndexedText {
        let Part { registry, mut text, entries } = self;
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
mod tests {
    use std::path::Path;

    use super::*;
    use crate::entries::{Operation, Outcome, WatcherRef};
    use crate::record::{WatcherClaim, WatcherRecord};

    /// The same numbers in every run: a failure can be looked at again.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % bound as u64) as usize
        }

        fn pick(&mut self, list: &[&'static str]) -> &'static str {
            list[self.below(list.len())]
        }
    }

    const KEYS: [&str; 9] =
        ["app", "app-2", "7", "__proto__", "a\\\"b", "\\u0061bc", "\\ud800", "é", ""];
    const IDS: [&str; 8] = ["app", "app-2", "7", "__proto__", "a\"b", "abc", "é", "nobody"];
    const NUMBERS: [&str; 8] = ["0", "7", "10", "-0", "1e3", "1.50", "1e21", "1769000000000"];
    const ODD: [&str; 9] = [
        "null",
        "3",
        "\"\\udc00 \\/ é\"",
        "[]",
        "{}",
        "[{},[1]]",
        r#"{"updatedAt":"no"}"#,
        r#"{"pid":1,"pid":2,"updatedAt":5}"#,
        r#"{"in":{"a":[1,{"b":[]}]},"updatedAt":{"x":1}}"#,
    ];

    fn entry(dice: &mut Dice) -> String {
        match dice.below(500) {
            0 => format!("{}{}", "[".repeat(600), "]".repeat(600)),
            1..=125 => dice.pick(&ODD).to_owned(),
            _ => format!(
                r#"{{"id":"app","host":"h","port":1,"pid":{},"startedAt":{},"updatedAt":{},"beats":{}}}"#,
                1 + dice.below(2),
                5 + dice.below(2),
                dice.pick(&NUMBERS),
                dice.pick(&NUMBERS),
            ),
        }
    }

    fn parse(text: &[u8]) -> Option<RegistryV1> {
        RegistryV1::parse(Path::new(""), text).ok()
    }

    /// What a registry is made of.
    struct Made {
        order: usize,
        date: &'static str,
        entries: Vec<(&'static str, String)>,
    }

    impl Made {
        fn new(dice: &mut Dice) -> Self {
            let keys: Vec<_> = KEYS.into_iter().filter(|_| dice.below(3) > 0).collect();
            let entries = keys.into_iter().map(|key| (key, entry(dice))).collect();
            Made { order: dice.below(3), date: dice.pick(&NUMBERS), entries }
        }

        /// As another process may change it.
        fn change(&mut self, dice: &mut Dice) {
            self.date = dice.pick(&NUMBERS);
            for (_, value) in &mut self.entries {
                if dice.below(3) == 0 {
                    *value = entry(dice);
                }
            }
            if dice.below(8) == 0 {
                self.entries.pop();
            }
        }

        fn text(&self) -> Vec<u8> {
            let entries = self.entries.iter().map(|(key, value)| format!("\"{key}\":{value}"));
            let entries = entries.collect::<Vec<_>>().join(",");
            let date = self.date;
            let text = match self.order {
                0 => format!(
                    r#"{{"watchers":{{{entries}}},"updatedAt":{date},"note":["x"],"version":1}}"#
                ),
                _ => format!(r#"{{"version":1,"updatedAt":{date},"watchers":{{{entries}}}}}"#),
            };
            parse(text.as_bytes()).unwrap().to_json().into_bytes()
        }
    }

    /// What may befall a file.
    fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) {
        for _ in 0..1 + dice.below(2) {
            let at = dice.below(bytes.len());
            let byte = dice.pick(&["0", "9", "\"", "\\", "{", "}", ",", " ", "e"]).as_bytes()[0];
            match dice.below(4) {
                0 => _ = bytes.remove(at),
                1 => bytes.insert(at, byte),
                2 => bytes[at] = 0xff,
                _ => bytes[at] = byte,
            }
        }
    }

    fn operation(dice: &mut Dice) -> Operation {
        let id = dice.pick(&IDS);
        let (pid, started_at) = (1 + dice.below(2) as u32, 5 + dice.below(2) as u64);
        let claim = WatcherClaim { id: id.to_owned(), pid, started_at };
        let mut record = WatcherRecord::new(id, "host", 80);
        (record.pid, record.started_at) = (pid, started_at);
        match dice.below(5) {
            0 | 1 => Operation::Heartbeat(id.into()),
            2 => Operation::Heartbeat(WatcherRef::Claim(claim)),
            3 => Operation::Heartbeat(WatcherRef::Record(Box::new(record))),
            _ => Operation::Announce(Box::new(record)),
        }
    }

    /// What comes of operations, and whether they change anything.
    fn operate(registry: &mut RegistryV1, operations: &[Operation], now: u64) -> (String, bool) {
        let outcomes: Vec<_> =
            operations.iter().map(|one| one.apply(registry, now, &|_| false)).collect();
        (format!("{outcomes:?}"), outcomes.iter().any(Outcome::has_changed))
    }

    /// Compares a splice with parsing and printing all; says whether there was one.
    fn agrees(kept: IndexedText, content: &[u8], dice: &mut Dice) -> Option<IndexedText> {
        let operations: Vec<_> = (0..1 + dice.below(3)).map(|_| operation(dice)).collect();
        let now = [7, 1_000, 1_769_000_000_000][dice.below(3)];
        let only: Vec<_> = operations.iter().map(|one| one.only_entry().unwrap()).collect();
        let mut taken = content.to_vec();
        let Some(mut part) = Part::of(kept, &mut taken, &only) else {
            assert_eq!(taken, content, "what was not taken is still there");
            return None;
        };
        let shown = String::from_utf8_lossy(content);
        let mut whole = parse(content).unwrap_or_else(|| panic!("taken for a registry: {shown}"));
        let expected = operate(&mut whole, &operations, now);
        assert_eq!(operate(&mut part.registry, &operations, now), expected, "{shown}");
        let text = part.into_text();
        let printed = if expected.1 { whole.to_json().into_bytes() } else { content.to_vec() };
        assert!(text.bytes == printed, "{operations:?} on {shown}");
        let anew = IndexedText::print(&parse(&printed).unwrap());
        assert_eq!(text.bytes, anew.bytes);
        assert_eq!(text.values, anew.values);
        assert_eq!((text.updated_at, &text.entries), (anew.updated_at, &anew.entries));
        Some(text)
    }

    #[test]
    fn a_splice_is_what_parsing_and_printing_all_would_give() {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let (mut spliced, mut damaged, mut left) = (0, 0, 0);
        for _ in 0..4_000 {
            let mut made = Made::new(&mut dice);
            let mut kept = IndexedText::print(&parse(&made.text()).unwrap());
            made.change(&mut dice);
            let mut content = made.text();
            // One after the other on what the last one wrote.
            for _ in 0..3 {
                let is_damaged = dice.below(3) == 0;
                if is_damaged {
                    damage(&mut dice, &mut content);
                }
                match agrees(kept, &content, &mut dice) {
                    Some(text) => kept = text,
                    None => {
                        left += 1;
                        break;
                    }
                }
                spliced += 1;
                damaged += usize::from(is_damaged);
                content = kept.bytes.clone();
            }
        }
        // Or nothing was tried.
        assert!(spliced > 2_000 && damaged > 100 && left > 1_000, "{spliced} {damaged} {left}");
    }

    #[test]
    fn only_values_may_differ() {
        let text = r#"{"version":1,"updatedAt":5,"watchers":{"a":1,"b":{"updatedAt":1}}}"#;
        let registry = parse(text.as_bytes()).unwrap();
        let text = registry.to_json();
        let is_taken = |content: &str| {
            let kept = IndexedText::print(&registry);
            Part::of(kept, &mut content.as_bytes().to_vec(), &[]).is_some()
        };
        assert!(is_taken(&text));
        for (was, is, taken) in [
            ("\"a\": 1", "\"a\": 12", true),
            ("\"a\": 1", "\"a\": {}", true),
            (": 5", ": 60", true),
            (": 5", ": true", false),
            (": 5", ": 1e999", false),
            ("\"version\": 1", "\"version\": 2", false),
            ("\"a\"", "\"b\"", false),
            ("\"a\": 1", "\"a\":  1", false),
            ("\"a\": 1", "\"a\": 1 ", false),
            ("\"a\": 1", "\"a\": 01", false),
            ("\"a\": 1", "\"a\": ", false),
            ("\"a\": 1", "\"a\": [ ]", false),
            ("\"a\": 1", "\"a\": 1,\n    \"c\": 1", false),
            ("\n  }\n}", "\n  }\n}\n", false),
            ("\n  }\n}", "\n  }\n", false),
        ] {
            assert!(text.contains(was));
            assert_eq!(is_taken(&text.replacen(was, is, 1)), taken, "{was} {is}");
        }
    }
}
