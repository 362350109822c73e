//! The layout of `JSON.stringify(value, null, 2)`, for valid JSON. Strings and numbers keep their
//! spelling.

/// A value that is nested deeper keeps its present layout: indenting each of its lines by the depth
/// would turn a small file into gigabytes.
const MAX_INDENT_DEPTH: usize = 512;

/// Appends valid JSON in that layout, indented for a value at `depth`.
pub(crate) fn pretty_into(out: &mut String, json: &str, mut depth: usize) {
    let start = out.len();
    let mut rest = json;
    let mut just_opened = false;
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b'"' => string_length(rest),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            b' ' | b'\t' | b'\n' | b'\r' => {
                rest = &rest[1..];
                continue;
            }
            _ => rest
                .bytes()
                .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        let closes = matches!(first, b'}' | b']');
        if closes {
            depth -= 1;
        }
        // An empty object or array stays on one line.
        if just_opened != closes {
            new_line(out, depth);
        }
        out.push_str(token);
        just_opened = matches!(first, b'{' | b'[');
        match first {
            b'{' | b'[' if depth == MAX_INDENT_DEPTH => {
                out.truncate(start);
                return out.push_str(json);
            }
            b'{' | b'[' => depth += 1,
            b',' => new_line(out, depth),
            b':' => out.push(' '),
            _ => {}
        }
    }
}

pub(crate) fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// The length of the string that the text starts with, quotes included.
pub(super) fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
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
