//! What is printed: tables, JSON, ages and instants.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use jiff::{Timestamp, Unit};
use serde::Serialize;

/// One line of JSON on standard output.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    out.flush()
}

/// Text on standard output. Unlike `print!` it does not panic when nobody reads it.
pub(crate) fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(harmless(text).as_bytes())?;
    out.flush()
}

/// Text for a terminal, with nothing in it that a terminal would obey but the ends of its lines:
/// names of files are in it, and what they hold.
pub(crate) fn harmless(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Several lines as one.
pub(crate) fn one_line(text: &str) -> String {
    // Parsers quote the line that they don't like, in lines with a bar.
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains('|'));
    lines.collect::<Vec<_>>().join(": ")
}

/// Rows of cells as columns, each as wide as its widest cell.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let length = |cell: &String| cell.chars().count();
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(length).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// How long something is ago, for people.
pub(crate) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// An instant, to the second, in UTC; `None` if it is beyond the calendar.
pub(crate) fn instant(time: SystemTime) -> Option<String> {
    let instant = Timestamp::try_from(time).ok()?;
    Some(instant.round(Unit::Second).unwrap_or(instant).to_string())
}

/// What a file says, for a terminal: one line, and nothing that a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        // Control characters, and those that change the direction of what follows.
        let is_obeyed = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match is_obeyed {
            true => printable.extend(c.escape_default()),
            false => printable.push(c),
        }
    }
    printable
}

/// A number of things.
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
    fn ages_are_in_the_unit_that_one_would_use() {
        for (seconds, expected) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let rows = [row(&["ID", "AGE"]), row(&["käse", "1 s"]), row(&["x"])];
        assert_eq!(table(&rows), "ID    AGE\nkäse  1 s\nx\n");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn a_terminal_obeys_nothing_that_a_file_says() {
        assert_eq!(printable("a\x1b[2Jb\nc"), r"a\u{1b}[2Jb\nc");
        assert_eq!(printable("käse 1\u{202e}"), r"käse 1\u{202e}");
        assert_eq!(harmless("a\x1b[2J\nb\n"), "a\\u{1b}[2J\nb\n");
        let quoted =
            "can't be parsed: TOML parse error at line 1\n  |\n1 | \x1b\n  | ^\nbad\n; repair";
        assert_eq!(one_line(quoted), "can't be parsed: TOML parse error at line 1: bad: ; repair");
    }

    #[test]
    fn an_instant_is_in_utc() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_400);
        assert_eq!(instant(time).as_deref(), Some("2023-11-14T22:13:20Z"));
    }
}
