//! Reading a text by its differences from one that was printed.

use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::members::{Json, Member};
use super::RawObject;
use crate::content::pretty_print::pretty_into;

impl RawObject {
    /// Reads a content that differs from the printed text of this object and its inner one in the values of the inner
    /// members and of the number `other` alone. Checking those values proves that the whole content is valid and in the
    /// layout that printing gives. `None` if it differs in anything else, if one of the values is not laid out as
    /// printing would do it, or if `other` is no number any more; otherwise the bytes are moved out of `content`.
    ///
    /// Both objects are parts of one text: see [`printed`](Self::printed).
    pub(crate) fn reread(
        mut self,
        mut inner: RawObject,
        other: &str,
        content: &mut Vec<u8>,
    ) -> Option<(RawObject, RawObject)> {
        let values = self.values_in_text(&inner, other)?;
        let moves = Moves::compare(self.source.as_bytes(), &values, content)?;
        let (_, number) = self.members[self.position(other)?].source_parts()?;
        let number = &content[moves.moved(number.start)..moves.moved(number.end)];
        serde_json::from_slice::<f64>(number).ok()?;
        // The rest is that of a valid text, and what differs was read as JSON.
        let text = String::from_utf8(std::mem::take(content)).expect("it was checked");
        let source = Arc::new(text);
        for object in [&mut self, &mut inner] {
            object.source = source.clone();
            object.members.iter_mut().for_each(|member| moves.apply(member));
        }
        Some((self, inner))
    }

    /// The positions of the values that may differ, in the order of the text.
    fn values_in_text(&self, inner: &RawObject, other: &str) -> Option<Vec<Range<usize>>> {
        let parts = |member: &Member| Some(member.source_parts()?.1);
        let other = parts(&self.members[self.position(other)?])?;
        let mut values = Vec::with_capacity(inner.len() + 1);
        for member in &inner.members {
            values.push(parts(member)?);
        }
        // It is before all of them, or behind them.
        let at = values.partition_point(|value| value.start < other.start);
        values.insert(at, other);
        Some(values)
    }
}

/// How far each position of a text has moved in another one.
#[derive(Default)]
struct Moves {
    /// The ends of the values that have other lengths, and how far what follows has moved.
    behind: Vec<(usize, isize)>,
}

impl Moves {
    /// `None` if the other text differs in anything but the values at these positions, or if printing would lay out
    /// one of its values differently.
    fn compare(text: &[u8], values: &[Range<usize>], other: &[u8]) -> Option<Self> {
        let mut moves = Moves::default();
        let (mut at, mut other_at) = (0, 0);
        while let Some(equal) = first_difference(&text[at..], &other[other_at..]) {
            // A longer value can begin with the shorter one. Then the texts differ only after the end
            // of the shorter value.
            let index = values.partition_point(|value| value.end < at + equal);
            let value = values.get(index)?;
            if !(at..=at + equal).contains(&value.start) {
                return None;
            }
            let start = other_at + value.start - at;
            let length = printed_length(&other[start..])?;
            (at, other_at) = (value.end, start + length);
            let moved = other_at as isize - at as isize;
            if moved != moves.behind.last().map_or(0, |(_, moved)| *moved) {
                moves.behind.push((at, moved));
            }
        }
        Some(moves)
    }

    fn apply(&self, member: &mut Member) {
        if self.behind.is_empty() {
            return;
        }
        for part in [&mut member.key, &mut member.value] {
            if let Json::Source { start, end } = part {
                (*start, *end) = (self.moved(*start), self.moved(*end));
            }
        }
    }

    fn moved(&self, at: usize) -> usize {
        let before = self.behind.partition_point(|(end, _)| *end <= at);
        let moved = before.checked_sub(1).map_or(0, |last| self.behind[last].1);
        at.checked_add_signed(moved).expect("a position in the other text")
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

/// The depth of the values of inner members.
const INNER_DEPTH: usize = 2;

/// The length of the JSON value at the beginning of a text; `None` if there is no value, or if
/// printing would lay it out differently.
fn printed_length(text: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?.get();
    let length = values.byte_offset();
    let mut printed = String::with_capacity(value.len() + 64);
    pretty_into(&mut printed, value, INNER_DEPTH);
    // The length includes any space before the value, which printing would not put there.
    (printed.as_bytes() == &text[..length]).then_some(length)
}
