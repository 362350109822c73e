//! Printing: JSON, text and tables on standard output, notices on standard error, and the spelling
//! of instants.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::SystemTime;

use jiff::{Timestamp, Unit};
use serde::Serialize;
use tabwriter::TabWriter;

/// Prints a value as one line of JSON on standard output.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    out.flush()
}

/// Prints text on standard output. Unlike `print!` it does not panic when standard output is
/// closed.
pub(crate) fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(printable_lines(text).as_bytes())?;
    out.flush()
}

/// Prints a failure or a warning on standard error.
///
/// A standard error that can't be written is no reason to fail: the exit code tells the outcome.
pub(crate) fn notice(message: impl Display) {
    let message = printable_lines(&message.to_string());
    let _ = writeln!(io::stderr(), "argus-registry: {message}");
}

/// Prints the next step below a notice.
pub(crate) fn next_step(next: &str) {
    let _ = writeln!(io::stderr(), "  next: {}", printable_lines(next));
}

/// Like [`printable`], but the ends of lines stay.
///
/// All text about files passes through this: names and content of files are in it, and their
/// control characters would reach the terminal.
fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Joins the lines of a parser's error into one.
pub(crate) fn one_line(text: &str) -> String {
    // The `toml` crate quotes the faulty line of the file, in lines with a bar.
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains('|'));
    lines.collect::<Vec<_>>().join(": ")
}

/// Prints rows of cells on standard output, in columns as wide as their widest cell.
///
/// Cells are neither cut nor wrapped, however narrow the terminal is: a script gets every value
/// whole.
pub(crate) fn table<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> io::Result<()> {
    text(&columns(rows)?)
}

fn columns<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> io::Result<String> {
    let mut columns = TabWriter::new(Vec::new()).minwidth(0).padding(2);
    for row in rows {
        // Escaped first: a tab in a cell would begin another cell.
        writeln!(columns, "{}", row.map(|cell| printable(&cell)).join("\t"))?;
    }
    let columns = columns.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    String::from_utf8(columns).map_err(io::Error::other)
}

/// An instant in UTC, rounded to the second; `None` if the calendar does not reach that far.
pub(crate) fn instant(time: SystemTime) -> Option<String> {
    let instant = Timestamp::try_from(time).ok()?;
    Some(instant.round(Unit::Second).unwrap_or(instant).to_string())
}

/// Text out of a file as one line, in which characters that control a terminal are escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        // Control characters, and those that change the direction of the text after them.
        let is_control = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match is_control {
            true => printable.extend(c.escape_default()),
            false => printable.push(c),
        }
    }
    printable
}

/// A number with its noun, in the singular or the plural.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_is_on_a_screen() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [
            row(["ID", "AGE", "ADDRESS"]),
            row(["käse", "1 s", "a:1"]),
            row(["ｗ字", "10 s", "b:2"]),
            row(["a\u{301}\t", "", "c:3"]),
        ];
        let expected = "\
            ID    AGE   ADDRESS\n\
            käse  1 s   a:1\n\
            ｗ字  10 s  b:2\n\
            a\u{301}\\t         c:3\n";
        assert_eq!(columns(rows).unwrap(), expected);
        assert_eq!(columns::<3>([]).unwrap(), "");
    }

    #[test]
    fn characters_that_control_a_terminal_are_escaped() {
        assert_eq!(printable("a\x1b[2Jb\nc"), r"a\u{1b}[2Jb\nc");
        assert_eq!(printable("käse 1\u{202e}"), r"käse 1\u{202e}");
        assert_eq!(printable_lines("a\x1b[2J\nb\n"), "a\\u{1b}[2J\nb\n");
        let quoted =
            "can't be parsed: TOML parse error at line 1\n  |\n1 | \x1b\n  | ^\nbad\n; repair";
        assert_eq!(one_line(quoted), "can't be parsed: TOML parse error at line 1: bad: ; repair");
    }

    #[test]
    fn an_instant_is_in_utc() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_400);
        assert_eq!(instant(time).as_deref(), Some("2023-11-14T22:13:20Z"));
    }
}
