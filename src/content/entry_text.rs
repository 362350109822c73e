//! The text of one entry that has a file of its own: `JSON.stringify(record, null, 2)`.

use serde_json::value::RawValue;

use crate::content::date_in_text::{date_in, DateInText};
use crate::content::pretty_print::pretty_into;
use crate::content::record::RawEntry;

/// The text of an entry's file.
pub(crate) fn print(entry: &str) -> String {
    let mut text = String::with_capacity(entry.len() * 3 / 2);
    pretty_into(&mut text, entry, 0);
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
            let date = RawEntry(text).liveness_fields().and_then(|fields| fields.updated_at);
            let is_older = date.is_some_and(|ms| ms < renewed_ms as f64);
            let dated = is_older.then(|| RawEntry(text).dated(renewed_ms, None)).flatten();
            dated.map(|dated| RawValue::from_string(dated).expect("an object of valid JSON"))
        }
    };
    Ok(dated.unwrap_or_else(|| entry.to_owned()))
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
