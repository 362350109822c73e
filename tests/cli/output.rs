//! Standard output and standard error: closed, full, and for other programs.

#[cfg(unix)]
use std::os::fd::OwnedFd;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(unix)]
use std::process::{Output, Stdio};

use crate::support::{program, Folder, Outcome};

/// A standard output or standard error whose reader has closed it.
#[cfg(unix)]
fn closed() -> Stdio {
    let (writer, _) = UnixStream::pair().unwrap();
    OwnedFd::from(writer).into()
}

#[cfg(unix)]
#[test]
fn a_reader_that_closes_the_output_ends_the_program_quietly() {
    let folder = Folder::new();
    folder.registry(&["app", "expired"]);
    for (arguments, code) in [
        ("list --registry r.json", 0),
        ("list --registry r.json --json", 0),
        ("watch --registry r.json", 0),
        ("watch --registry r.json --json", 0),
        ("prune --registry r.json --dry-run", 0),
        ("remove --registry r.json absent", 0),
        ("status r.json", 0),
        ("status r.json --json", 0),
        ("completions bash", 0),
        ("man", 0),
        ("--help", 0),
        ("--version", 0),
        // The exit code still tells what was found.
        ("check r.json --strict", 3),
        ("check r.json --strict --ttl 1e6", 0),
    ] {
        let output = folder.command(arguments).stdout(closed()).output().unwrap();
        let Output { status, stderr, .. } = output;
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(code), "{arguments}: {stderr}");
        assert!(code != 0 || stderr.is_empty(), "{arguments}: {stderr}");
        let status = folder.command(arguments).stdout(closed()).stderr(closed()).status();
        assert_eq!(status.unwrap().code(), Some(code), "{arguments}: standard error is closed");
    }
    let failed = folder.command("list --registry /").stderr(closed()).status().unwrap();
    assert_eq!(failed.code(), Some(2));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure() {
    let folder = Folder::new();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in ["list --registry r.json", "status r.json --json", "man"] {
        let outcome = Outcome::of(folder.command(arguments).stdout(full()).output().unwrap());
        assert_eq!(outcome.code, Some(2), "{arguments}: {outcome:?}");
        assert!(outcome.stderr.contains("next: "), "{outcome:?}");
    }
}

/// An entry is listed by the id with which it can be removed, and control characters are escaped:
/// else a file could move the cursor or change the title of the terminal.
#[test]
fn text_out_of_files_is_printed_with_its_control_characters_escaped() {
    let folder = Folder::new();
    let entry = r#"{"id":"other","host":"127.0.0.1","port":1,"pid":1,"startedAt":1,"updatedAt":1}"#;
    let registry = r#"{"version":1,"updatedAt":1,"watchers":{"key\u001b[31m":ENTRY}}"#;
    folder.put("r.json", &registry.replace("ENTRY", entry));
    let listed = folder.run("list --registry r.json").stdout;
    assert!(listed.contains(r"key\u{1b}[31m") && !listed.contains("other"), "{listed}");
    folder.put("e.toml", "version = 1\n\u{1b}]0;title\u{7} = ");
    let checked = folder.run("check e.toml");
    assert_eq!(checked.code, Some(2));
    for text in [&checked.stdout, &checked.stderr] {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
    let lines: Vec<_> = checked.stdout.lines().collect();
    assert!(matches!(lines[..], [finding, _] if finding.starts_with("error: ")), "{lines:?}");
    // Windows has no such names.
    if cfg!(windows) {
        return;
    }
    let odd = folder.path("\u{1b}[31m.json");
    folder.put("\u{1b}[31m.json", "{");
    let corrupt = Outcome::of(program().args(["list", "--registry"]).arg(&odd).output().unwrap());
    assert!(corrupt.code == Some(2) && !corrupt.stderr.contains('\u{1b}'), "{corrupt:?}");
    let status = Outcome::of(program().arg("status").arg(&odd).output().unwrap());
    assert!(status.code == Some(0) && !status.stdout.contains('\u{1b}'), "{status:?}");
    let doctor = Outcome::of(program().arg("doctor").arg(odd).output().unwrap());
    assert!(doctor.code == Some(0) && !doctor.stdout.contains('\u{1b}'), "{doctor:?}");
}

#[test]
fn completions_and_man_pages_are_printed() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let outcome = folder.run(&format!("completions {shell}"));
        assert_eq!(outcome.code, Some(0));
        let script = outcome.stdout;
        assert!(script.contains("argus-registry") && script.contains("prune"), "{shell}");
        assert!(!script.contains("doctor-probe"), "{shell}");
    }
    for page in ["", "run", "check"] {
        let outcome = folder.run(&format!("man {page}"));
        assert_eq!(outcome.code, Some(0));
        assert!(outcome.stdout.contains(".SH NAME"), "{page}");
    }
    assert!(folder.run("man").stdout.contains("registry error"), "the page has the exit codes");
}
