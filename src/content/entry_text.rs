//! The text of one entry that has a file of its own: `JSON.stringify(record, null, 2)`.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::content::pretty_print::{pretty_into, string_length};
use crate::content::record::RawEntry;

/// The text of an entry's file.
pub(crate) fn print(entry: &RawValue) -> String {
    let mut text = String::with_capacity(entry.get().len() * 3 / 2);
    pretty_into(&mut text, entry.get(), 0);
    text
}

/// The entry in a file's text, which was renewed at `renewed_ms`, in milliseconds since 1970: its
/// `updatedAt` is the later of the text's own and that time. All else keeps its bytes. An entry that has
/// no `updatedAt` gets none.
///
/// # Errors
///
/// Why the bytes are not JSON.
pub(crate) fn parse(bytes: &[u8], renewed_ms: u64) -> Result<Box<RawValue>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let entry: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let text = entry.get();
    let is_older = |date: &str| date.parse::<f64>().is_ok_and(|ms| ms < renewed_ms as f64);
    let dated = match date_in(text) {
        DateInText::Missing => None,
        DateInText::At(range) if is_older(&text[range.clone()]) => {
            let dated =
                [&text[..range.start], &renewed_ms.to_string(), &text[range.end..]].concat();
            Some(RawValue::from_string(dated).expect("a number in the place of a number"))
        }
        DateInText::At(_) => None,
        // Parsed and printed, which takes longer.
        DateInText::NotFound => {
            let date = RawEntry(entry).liveness_fields().and_then(|fields| fields.updated_at);
            let is_older = date.is_some_and(|ms| ms < renewed_ms as f64);
            is_older.then(|| RawEntry(entry).dated(renewed_ms, None)).flatten()
        }
    };
    Ok(dated.unwrap_or_else(|| entry.to_owned()))
}

/// Where the value of an object's `updatedAt` is.
#[derive(Debug, PartialEq, Eq)]
enum DateInText {
    /// The value is no object.
    Missing,
    At(Range<usize>),
    /// There is none, or its key is written with escapes.
    NotFound,
}

/// Finds `updatedAt` in valid JSON. Of a repeated key the last value counts, as in JavaScript.
fn date_in(text: &str) -> DateInText {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn dated(text: &str, ms: u64) -> String {
        parse(text.as_bytes(), ms).unwrap().get().to_owned()
    }

    #[test]
    fn an_entry_is_dated_by_the_later_of_its_text_and_its_file() {
        let text =
            "{\n  \"id\": \"a\",\n  \"updatedAt\": 5,\n  \"x\": {\n    \"updatedAt\": 1\n  }\n}";
        assert_eq!(dated(text, 5), text);
        assert_eq!(dated(text, 4), text);
        assert_eq!(dated(text, 77), text.replace(": 5,", ": 77,"));
        assert_eq!(dated(r#"{"updatedAt":5}"#, 6), r#"{"updatedAt":6}"#);
    }

    #[test]
    fn every_spelling_of_the_date_is_found_and_no_other_member_is_taken_for_it() {
        for (text, expected) in [
            (r#"{"updatedAt" :5e0 }"#, r#"{"updatedAt" :9 }"#),
            (r#"{"updated\u0041t":5}"#, r#"{"updated\u0041t":9}"#),
            (r#"{"updatedAt":1,"updatedAt":2}"#, r#"{"updatedAt":1,"updatedAt":9}"#),
            (
                r#"{"a":"updatedAt","b":["updatedAt",5]}"#,
                r#"{"a":"updatedAt","b":["updatedAt",5]}"#,
            ),
            (r#"{"updatedAt":"5"}"#, r#"{"updatedAt":"5"}"#),
            (r#"{"updatedAt":[1]}"#, r#"{"updatedAt":[1]}"#),
            ("{}", "{}"),
            ("null", "null"),
            (r#""\ud800""#, r#""\ud800""#),
            (r#"[{"updatedAt":5}]"#, r#"[{"updatedAt":5}]"#),
        ] {
            assert_eq!(dated(text, 9), expected, "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_json_are_an_error() {
        for bytes in [b"".as_slice(), b"{", b"{} {}", b"\xff"] {
            assert!(parse(bytes, 1).is_err());
        }
    }
}
