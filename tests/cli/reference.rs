//! `docs/reference/command-line.md` names every command, option and environment variable.

use std::fs;

use crate::support::Folder;

/// The words of a help text that begin with a prefix.
fn words<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let words = text.split(move |c: char| !is_part(c));
    words.filter(move |word| word.starts_with(prefix) && word.len() > prefix.len())
}

#[test]
fn the_reference_page_names_every_command_option_and_variable() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/command-line.md");
    let page = fs::read_to_string(page).unwrap();
    let folder = Folder::new();
    let help = folder.run("--help").stdout;
    let commands: Vec<_> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .map_while(|line| line.strip_prefix("  "))
        // A line that is indented further continues the description above it.
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(commands.contains(&"list") && commands.contains(&"man"), "{commands:?}");
    for command in commands {
        assert!(page.contains(&format!("`{command}")), "{command} is not on the page");
        let help = folder.run(&format!("help {command}")).stdout;
        for name in words(&help, "--").chain(words(&help, "ARGUS_")) {
            assert!(page.contains(name), "{name} of {command} is not on the page");
        }
    }
}
