//! The programs in `examples/`, as their first lines say.

use std::path::Path;

use crate::support::files::registry_path;
#[cfg(feature = "toml")]
use crate::support::files::{document_path, text};
use crate::support::processes::{example, Holder};
use crate::support::registries::ids;

fn output_of(program: &str, path: &Path, arguments: &[&str]) -> String {
    let output = example(program).arg(path).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_example_of_an_update_changes_one_entry() {
    let (_dir, path) = registry_path();
    assert_eq!(output_of("update", &path, &["one", "1"]), "one: 127.0.0.1:1\n");
    output_of("update", &path, &["two", "2"]);
    let listed = output_of("update", &path, &["one", "3"]);
    assert_eq!(listed, "one: 127.0.0.1:3\ntwo: 127.0.0.1:2\n");
}

#[test]
fn the_example_of_a_heartbeat_has_an_entry_while_it_runs() {
    let (_dir, path) = registry_path();
    let start = || {
        let mut command = example("heartbeat");
        command.arg(&path).arg("app");
        Holder::start(command, "entered as ")
    };
    let (first, second) = (start(), start());
    assert!(second.said.starts_with("entered as app-2:"), "{}", second.said);
    assert_eq!(ids(&path), ["app", "app-2"]);
    first.end();
    assert_eq!(ids(&path), ["app-2"]);
    second.end();
    assert!(ids(&path).is_empty());
}

#[cfg(feature = "toml")]
#[test]
fn the_example_registry_of_exceptions_adds_checks_lists_and_removes() {
    use argus_registry::lock_exclusive;

    use crate::support::counter::patient;

    let (_dir, path) = document_path();
    let path = path.with_file_name("exceptions.toml");
    let run = |arguments: &[&str]| {
        let output = example("exceptions").arg(&path).args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap() + &error)
    };
    let says = |arguments: &[&str]| run(arguments).1;
    assert_eq!(says(&["check", "a"]), "not excepted\n");
    let missing = std::fs::metadata(&path).unwrap_err().to_string();
    assert!(says(&["list"]).contains(&missing));
    says(&["add", "b", "no reason", "2026-01-01T00:00:00Z"]);
    says(&["add", "a", "for ever"]);
    assert_eq!(says(&["check", "a"]), "active\n");
    assert_eq!(says(&["check", "c"]), "not excepted\n");
    for (now, status) in [
        ("2025-12-31T23:59:59.999Z", "active\n"),
        // The boundary itself.
        ("2026-01-01T00:00:00Z", "expired at 2026-01-01T00:00:00Z\n"),
        ("2026-01-01T01:00:00+02:00", "active\n"),
        ("2027-01-01T00:00:00Z", "expired at 2026-01-01T00:00:00Z\n"),
    ] {
        assert_eq!(says(&["check", "b", now]), status, "{now}");
    }
    let content = text(&path);
    assert!(content.starts_with("version = 1\n\n[[exceptions]]\nid = \"a\"\n"), "{content}");
    assert_eq!(says(&["remove", "a"]), "removed\n");
    assert_eq!(says(&["remove", "a"]), "not excepted\n");
    let _held = lock_exclusive(path.with_extension("lock"), &patient()).unwrap();
    let (succeeded, said) = run(&["check", "b"]);
    assert!(!succeeded && said.contains("another process"), "{said}");
}
