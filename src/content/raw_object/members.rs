//! The members of an object: parts of the text that it was read from, or texts of their own.

use std::ops::Range;

/// A text that is valid JSON.
#[derive(Debug, Clone)]
pub(super) enum Json {
    /// A part of the object's source.
    Source {
        start: usize,
        end: usize,
    },
    Own(Box<str>),
}

impl Json {
    pub(super) fn own(text: impl Into<Box<str>>) -> Self {
        Json::Own(text.into())
    }

    pub(super) fn text<'a>(&'a self, source: &'a str) -> &'a str {
        match self {
            Json::Source { start, end } => &source[*start..*end],
            Json::Own(text) => text,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Member {
    /// The key as written, with its quotes.
    pub(super) key: Json,
    name: MemberName,
    pub(super) value: Json,
    /// Whether the value is in the layout that printing gives it. A part of the source is only where the whole source
    /// is.
    pub(super) is_printed: bool,
}

/// The string that a key stands for.
#[derive(Debug, Clone)]
pub(super) enum MemberName {
    /// The key without its quotes. Nearly all keys are of this kind, and need no copy.
    AsWritten,
    /// The key had escapes.
    Unescaped(Box<str>),
    /// The key has a lone surrogate, which a Rust string can't hold.
    NotUnicode,
}

impl MemberName {
    pub(super) fn of(key: &str) -> Self {
        if !key.contains('\\') {
            return MemberName::AsWritten;
        }
        serde_json::from_str(key).map_or(MemberName::NotUnicode, MemberName::Unescaped)
    }

    /// The name of this key; `None` if a Rust string can't hold it.
    pub(super) fn text<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        match self {
            MemberName::AsWritten => Some(&key[1..key.len() - 1]),
            MemberName::Unescaped(name) => Some(name),
            MemberName::NotUnicode => None,
        }
    }
}

impl Member {
    /// A member with texts of its own.
    pub(super) fn new(key: Box<str>, value: Box<str>) -> Self {
        let name = MemberName::of(&key);
        Member { key: Json::Own(key), name, value: Json::Own(value), is_printed: false }
    }

    pub(super) fn named(key: Json, name: MemberName, value: Json) -> Self {
        Member { key, name, value, is_printed: false }
    }

    /// This member as a part of a text that was printed.
    pub(super) fn printed_at(&self, key: Json, value: Json) -> Self {
        Member { key, name: self.name.clone(), value, is_printed: true }
    }

    /// The positions of the key and the value in a printed source.
    pub(super) fn source_parts(&self) -> Option<(Range<usize>, Range<usize>)> {
        match (&self.key, &self.value) {
            (Json::Source { start: key, end: key_end }, Json::Source { start, end })
                if self.is_printed =>
            {
                Some((*key..*key_end, *start..*end))
            }
            _ => None,
        }
    }

    pub(super) fn set_value(&mut self, value: Json, is_printed: bool) {
        self.value = value;
        self.is_printed = is_printed;
    }

    pub(super) fn name<'a>(&'a self, source: &'a str) -> Option<&'a str> {
        self.name.text(self.key.text(source))
    }

    /// Equal for two members with equal keys. A key that a Rust string can't hold is compared by its
    /// spelling, and never equals a key that stands for that spelling.
    pub(super) fn identity<'a>(&'a self, source: &'a str) -> Result<&'a str, &'a str> {
        self.name(source).ok_or(self.key.text(source))
    }
}

/// The key as an array index, by JavaScript's definition; `None` if it is not one.
pub(super) fn array_index(name: &str) -> Option<u32> {
    let index: u32 = name.parse().ok()?;
    (index < u32::MAX && index.to_string() == name).then_some(index)
}
