//! The layout of `JSON.stringify(value, null, 2)`, for valid JSON. Strings and numbers keep their
//! spelling.

use memchr::memchr2;

/// A value that is nested deeper keeps its present layout: indenting each of its lines by the depth
/// would turn a small file into gigabytes.
const MAX_INDENT_DEPTH: usize = 512;

/// A new line with the indentation of a value at `depth`.
pub(super) fn indented_line(depth: usize) -> &'static str {
    const INDENTED_LINE: [u8; 1 + 2 * (MAX_INDENT_DEPTH + 8)] = {
        let mut line = [b' '; 1 + 2 * (MAX_INDENT_DEPTH + 8)];
        line[0] = b'\n';
        line
    };
    const TEXT: &str = match std::str::from_utf8(&INDENTED_LINE) {
        Ok(text) => text,
        Err(_) => panic!("a new line and spaces are UTF-8"),
    };
    &TEXT[..1 + 2 * depth]
}

/// Appends valid JSON in that layout, indented for a value at `depth`.
///
/// Most text that a registry has is in that layout already, so what needs no change is compared, not
/// printed, and copied in as few pieces as possible: printing is the largest part of the time that an
/// update takes on a fast disk.
pub(crate) fn pretty_into(out: &mut String, json: &str, mut depth: usize) {
    let start = out.len();
    let bytes = json.as_bytes();
    // What is before this position has been copied.
    let mut copied = 0;
    let mut at = 0;
    let mut previous = 0;
    loop {
        let token_end = at;
        let expected = match previous {
            b'{' | b'[' | b',' => indented_line(depth),
            b':' => " ",
            _ => "",
        };
        // Byte by byte: it is a few bytes, for which a call takes longer than the comparison.
        let is_expected = bytes.len() - at >= expected.len()
            && bytes[at..].iter().zip(expected.as_bytes()).all(|(found, byte)| found == byte);
        if is_expected {
            at += expected.len();
        }
        // Nearly always the gap is what printing would put there, and is passed as one piece.
        let is_printed = is_expected
            && !matches!(bytes.get(at), None | Some(b' ' | b'\t' | b'\n' | b'\r' | b'}' | b']'));
        while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            at += 1;
        }
        let Some(&first) = bytes.get(at) else {
            out.push_str(&json[copied..token_end]);
            return;
        };
        if !is_printed {
            let closes = matches!(first, b'}' | b']');
            if closes {
                depth -= 1;
            }
            let gap = match previous {
                // An empty object or array stays on one line.
                b'{' | b'[' if closes => "",
                _ if closes => indented_line(depth),
                _ => expected,
            };
            if bytes[token_end..at] != *gap.as_bytes() {
                out.push_str(&json[copied..token_end]);
                out.push_str(gap);
                copied = at;
            }
        }
        match first {
            b'{' | b'[' if depth >= MAX_INDENT_DEPTH => {
                out.truncate(start);
                return out.push_str(json);
            }
            b'{' | b'[' => depth += 1,
            _ => {}
        }
        at += match first {
            b'"' => string_length(&json[at..]),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            _ => scalar_length(&bytes[at..]),
        };
        previous = first;
    }
}

/// Whether two texts of valid JSON differ at most in their layout. Values that are nested too deep to be laid
/// out are equal only if they are spelled alike.
pub(crate) fn equal_but_for_layout(one: &str, other: &str) -> bool {
    let printed = |text: &str| {
        let mut out = String::with_capacity(text.len() * 3 / 2);
        pretty_into(&mut out, text, 0);
        out
    };
    one == other || printed(one) == printed(other)
}

/// The length of the number, `true`, `false` or `null` that the text starts with.
fn scalar_length(text: &[u8]) -> usize {
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
    text.iter().position(ends).unwrap_or(text.len())
}

/// The length of the string that the text starts with, quotes included.
pub(super) fn string_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(found) = memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found + 1;
        if bytes[at - 1] == b'"' {
            return at;
        }
        // The escaped byte is no end.
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pretty(text: &str) -> String {
        let mut out = String::new();
        pretty_into(&mut out, text, 0);
        out
    }

    #[test]
    fn punctuation_in_a_string_does_not_change_the_layout() {
        let text = r#"{
  "a \" {,": "\\",
  "b": "]\", [ :"
}"#;
        assert_eq!(pretty(text), text);
    }

    #[test]
    fn a_value_that_is_nested_too_deep_keeps_its_layout() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(pretty(&nested(MAX_INDENT_DEPTH + 1)), nested(MAX_INDENT_DEPTH + 1));
        assert!(pretty(&nested(MAX_INDENT_DEPTH)).contains('\n'));
    }
}
