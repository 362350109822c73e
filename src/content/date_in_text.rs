//! Where an entry's text has its date.

use std::ops::Range;

use crate::content::pretty_print::string_length;

/// Where the value of an object's `updatedAt` is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DateInText {
    /// The value is no object.
    Missing,
    At(Range<usize>),
    /// There is none, or its key is written with escapes.
    NotFound,
}

/// Finds `updatedAt` in valid JSON. Of a repeated key the last value counts, as in JavaScript.
pub(super) fn date_in(text: &str) -> DateInText {
    if !text.starts_with('{') {
        return DateInText::Missing;
    }
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut is_key) = (0, 0_usize, false);
    let mut found = DateInText::NotFound;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let length = string_length(&text[at..]);
                let key = &text[at + 1..at + length - 1];
                at += length;
                if depth == 1 && std::mem::take(&mut is_key) {
                    if key.contains('\\') {
                        return DateInText::NotFound;
                    }
                    if key == "updatedAt" {
                        let is_space =
                            |byte: &u8| matches!(byte, b':' | b' ' | b'\t' | b'\n' | b'\r');
                        let start =
                            at + bytes[at..].iter().take_while(|byte| is_space(byte)).count();
                        let is_end = |byte: &u8| matches!(byte, b',' | b'}') || is_space(byte);
                        let rest = bytes[start..].iter();
                        let length = rest.take_while(|byte| !is_end(byte)).count();
                        found = DateInText::At(start..start + length);
                    }
                }
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                is_key = depth == 1;
            }
            b'}' | b']' => depth -= 1,
            b',' => is_key = depth == 1,
            _ => {}
        }
        at += 1;
    }
    found
}
