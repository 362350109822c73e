//! Commands that a message advises, written so that they can be pasted into a shell.

use std::path::Path;

/// A command of the program `argus-registry` with a path, quoted so that it can be pasted into a shell.
#[doc(hidden)]
#[must_use]
pub fn shell_command(words: &[&str], path: &Path) -> String {
    format!("`argus-registry {} {}`", words.join(" "), shell_quoted(path))
}

/// A path, quoted where a shell needs that.
#[doc(hidden)]
#[must_use]
pub fn shell_quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%\\".contains(c);
    match path.chars().all(is_plain) && !path.is_empty() {
        true => path,
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let command = |path: &str| shell_command(&["status"], Path::new(path));
        assert_eq!(command("/a/b.json"), "`argus-registry status /a/b.json`");
        assert_eq!(command("/it's"), r"`argus-registry status '/it'\''s'`");
    }
}
