//! Files that no user can replace, whatever their owner and mode are.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::altered_calls::touch;
use crate::support::files::{names_in, put, registry_path};
use crate::support::processes::{print_skipped, this_test, PART};

const EMPTY: &str = r#"{"version":1,"updatedAt":0,"watchers":{}}"#;

/// Runs a shell script, `$1` being the registry, and then an update of that registry, in a mount
/// namespace of their own. Returns the update's error; `None`, with a printed reason, where the script
/// can't be run.
fn error_after(test: &str, script: &str, path: &Path) -> Option<String> {
    let run = |script: &str| {
        Command::new("unshare")
            .args(["-m", "sh", "-c", script, "sh"])
            .arg(path)
            .arg(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"].map(OsStr::new))
            .env(PART, path)
            .stdin(Stdio::null())
            .output()
    };
    let script = format!("set -e; registry=$1; shift; {{ {script}; }} || exit 99; exec \"$@\"");
    let output = run(&script);
    let output = match output {
        Ok(output) if output.status.code() != Some(99) => output,
        other => {
            print_skipped(test, &format!("{other:?}"));
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() && !said.contains("running 1 test") {
        print_skipped(test, &format!("{output:?}"));
        return None;
    }
    assert!(output.status.success(), "{output:?}");
    Some(said)
}

/// Prints the error of an update, if this process is the one that makes it.
fn take_part() -> bool {
    let Ok(path) = env::var(PART) else { return false };
    let error = touch(Path::new(&path)).unwrap_err();
    println!("\n{}: {error}", error.code());
    true
}

#[test]
fn a_file_that_is_a_mount_point_is_reported_as_that() {
    if take_part() {
        return;
    }
    let (dir, path) = registry_path();
    put(&path, EMPTY);
    let script = "mount --bind \"$registry\" \"$registry\"";
    let Some(said) = error_after(this_test!(), script, &path) else { return };
    assert!(said.contains("IO: ") && said.contains("mount its folder instead"), "{said}");
    assert_eq!(names_in(dir.path()), ["registry.json", "registry.json.guard"]);
}

#[test]
fn a_file_system_that_is_mounted_read_only_is_told_from_a_wrong_mode() {
    if take_part() {
        return;
    }
    let (dir, path) = registry_path();
    put(&path, EMPTY);
    let script = "folder=$(dirname \"$registry\"); mount --bind \"$folder\" \"$folder\" && \
                  mount -o remount,bind,ro \"$folder\"";
    let Some(said) = error_after(this_test!(), script, &path) else { return };
    assert!(
        said.contains("PERMISSION_DENIED: ") && said.contains("mount it for writing"),
        "{said}"
    );
    assert!(!said.contains("owner and mode"), "{said}");
    assert_eq!(names_in(dir.path()), ["registry.json"]);
}

#[test]
fn an_immutable_file_or_folder_is_told_from_a_wrong_mode() {
    if take_part() {
        return;
    }
    for (flag, of, word) in
        [("i", "", "immutable"), ("a", "", "append-only"), ("i", "folder", "immutable")]
    {
        let (dir, path) = registry_path();
        put(&path, EMPTY);
        let changed = if of == "folder" { path.parent().unwrap() } else { &path };
        let chattr = |sign: &str| {
            let flag = format!("{sign}{flag}");
            Command::new("chattr").arg(flag).arg(changed).stderr(Stdio::null()).status()
        };
        if !chattr("+").is_ok_and(|status| status.success()) {
            print_skipped(this_test!(), "chattr does not work here");
            return;
        }
        let error = touch(&path);
        assert!(chattr("-").unwrap().success());
        let error = error.unwrap_err();
        let text = error.to_string();
        let next = format!("is {word}; `chattr -{flag} {}`", changed.display());
        assert!(error.code() == "PERMISSION_DENIED" && text.contains(&next), "{text}");
        assert!(!text.contains("owner and mode"), "{text}");
        assert!(names_in(dir.path()).iter().all(|name| !name.ends_with(".lock")));
        assert_eq!(fs::read_to_string(&path).unwrap(), EMPTY);
    }
}
