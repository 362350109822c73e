//! Printing an object in the layout of `JSON.stringify(value, null, 2)`.

use std::ops::Range;
use std::sync::Arc;

use super::members::{Json, Member};
use super::RawObject;
use crate::content::pretty_print::{indented_line, pretty_into};

impl RawObject {
    /// Prints the object. Every string and number keeps its spelling. `inner` is printed as the value of the member
    /// `name`. Returns both objects as parts of the text; the outer one has `null` as that member's value.
    pub(crate) fn printed(&self, name: &str, inner: &RawObject) -> (RawObject, RawObject) {
        // About the right length for members that are in this layout already: a large text that grew
        // beyond its capacity would be copied.
        let lengths = inner.raw_members().map(|(key, value)| key.len() + value.len() + 8);
        let mut out = String::with_capacity(1024 + lengths.sum::<usize>());
        let mut inner_members = Vec::new();
        let members = self.print_members(&mut out, 0, |out, member| {
            let is_inner = self.name(member) == Some(name);
            if is_inner {
                inner_members = inner.print_members(out, 1, |_, _| false);
            }
            is_inner
        });
        let source = Arc::new(out);
        let object = |members| RawObject { source: source.clone(), members };
        (object(members), object(inner_members))
    }

    /// The text that this object is part of, if all its members are.
    pub(crate) fn source(&self) -> &Arc<String> {
        &self.source
    }

    /// Prints the members at `depth`. `print_other` prints the value of a member that has another one, and returns
    /// whether it did. Returns the members as parts of the text, those whose values it printed with `null` instead.
    ///
    /// Members that were neighbours in a printed text are copied as one piece: that is nearly all of a registry in
    /// which one entry was changed.
    fn print_members(
        &self,
        out: &mut String,
        depth: usize,
        mut print_other: impl FnMut(&mut String, &Member) -> bool,
    ) -> Vec<Member> {
        let mut printed = Vec::with_capacity(self.members.len());
        let separator = ",".len() + indented_line(depth + 1).len();
        let mut piece = Piece::default();
        out.push('{');
        for (index, member) in self.members.iter().enumerate() {
            let parts = member.source_parts();
            if let Some((key, value)) =
                parts.filter(|(key, _)| piece.is_followed_by(key, separator))
            {
                piece.end = value.end;
                printed.push(member.printed_at(piece.moved(key), piece.moved(value)));
                continue;
            }
            piece.copy_to(out, &self.source);
            if index > 0 {
                out.push(',');
            }
            out.push_str(indented_line(depth + 1));
            if let Some((key, value)) = member.source_parts() {
                piece = Piece { start: key.start, end: value.end, at: out.len() };
                printed.push(member.printed_at(piece.moved(key), piece.moved(value)));
                continue;
            }
            let key_start = out.len();
            out.push_str(self.key(member));
            let key = Json::Source { start: key_start, end: out.len() };
            out.push_str(": ");
            let value_start = out.len();
            if print_other(out, member) {
                printed.push(member.printed_at(key, Json::own("null")));
                continue;
            }
            match member.is_printed {
                true => out.push_str(self.value(member)),
                false => pretty_into(out, self.value(member), depth + 1),
            }
            let value = Json::Source { start: value_start, end: out.len() };
            printed.push(member.printed_at(key, value));
        }
        piece.copy_to(out, &self.source);
        if !self.members.is_empty() {
            out.push_str(indented_line(depth));
        }
        out.push('}');
        printed
    }
}

/// Neighbours in a printed text that are still to be copied, and where they come to.
#[derive(Default)]
struct Piece {
    start: usize,
    end: usize,
    at: usize,
}

impl Piece {
    /// Whether a key comes next in the printed text, after the separator of that length.
    fn is_followed_by(&self, key: &Range<usize>, separator: usize) -> bool {
        self.end > 0 && key.start == self.end + separator
    }

    fn moved(&self, part: Range<usize>) -> Json {
        Json::Source {
            start: part.start - self.start + self.at,
            end: part.end - self.start + self.at,
        }
    }

    fn copy_to(&mut self, out: &mut String, source: &str) {
        out.push_str(&source[self.start..self.end]);
        *self = Piece::default();
    }
}
