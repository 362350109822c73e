//! The checks of a folder: healthy, missing, or without permission.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};
#[cfg(unix)]
use std::os::unix::process::CommandExt;
#[cfg(unix)]
use std::path::Path;
#[cfg(unix)]
use std::process::Command;
use std::process::Stdio;

use argus_registry::try_lock_exclusive;

use super::{doctor, examine, folder_with_registry, registry, temp_file, DoctorOutcome};
#[cfg(unix)]
use crate::support::PROGRAM;

#[test]
fn every_check_of_a_healthy_folder_is_ok() {
    let folder = folder_with_registry();
    let document = folder.path("doc.toml");
    folder.put("doc.toml", "version = 1\n");
    drop(try_lock_exclusive(folder.path("doc.lock")).unwrap());
    let before = folder.names();
    let paths = vec![registry(&folder), document, folder.path.clone()];
    #[cfg(unix)]
    let paths = {
        symlink(registry(&folder), folder.path("link")).unwrap();
        [paths, vec![folder.path("link")]].concat()
    };
    for path in &paths {
        let outcome = DoctorOutcome::of(doctor().arg(path));
        assert_eq!(outcome.code, Some(0), "{}", outcome.text);
        for check in ["folder", "locks", "rename", "fsync", "links", "litter"] {
            outcome.assert_check("ok", check, "");
        }
        assert!(outcome.text.lines().all(|line| line.starts_with("ok ")), "{}", outcome.text);
    }
    #[cfg(unix)]
    fs::remove_file(folder.path("link")).unwrap();
    // A guard or a lock file stands for its folder: the hints of errors name such files.
    let temp = temp_file(&folder, "registry.json", "0");
    for lock in ["registry.json.guard", "doc.lock"] {
        let outcome = DoctorOutcome::of(doctor().arg(folder.path(lock)));
        outcome.assert_litter(&temp, "warn", "safe to delete");
    }
    fs::remove_file(temp).unwrap();
    assert_eq!(folder.names(), before, "the doctor left nothing");
}

/// The doctor looked at regular files only, and called a file healthy that no program could update.
#[cfg(unix)]
#[test]
fn a_lock_file_that_is_no_regular_file_fails() {
    let folder = folder_with_registry();
    folder.put("doc.toml", "version = 1\n");
    let document = folder.path("doc.toml");
    let places = [
        (document.clone(), folder.path("doc.lock")),
        (document, folder.path("doc.toml.guard")),
        (registry(&folder), folder.path("registry.json.lock")),
        (folder.path("other.json"), folder.path("other.json.guard")),
    ];
    for (place, (file, lock)) in places.into_iter().enumerate() {
        let kinds = ["a symbolic link", "a folder", "not a regular file"];
        for kind in kinds.into_iter().take(if place == 0 { 3 } else { 1 }) {
            match kind {
                "a symbolic link" => symlink("nowhere", &lock).unwrap(),
                "a folder" => fs::create_dir(&lock).unwrap(),
                _ => assert!(Command::new("mkfifo").arg(&lock).status().unwrap().success()),
            }
            let outcome = DoctorOutcome::of(doctor().arg(&file));
            outcome.assert_check("FAIL", "access", kind);
            assert!(outcome.text.contains(lock.to_str().unwrap()), "{}", outcome.text);
            assert_ne!(outcome.code, Some(0), "{}", outcome.text);
            match kind {
                "a folder" => fs::remove_dir(&lock).unwrap(),
                _ => fs::remove_file(&lock).unwrap(),
            }
        }
    }
}

#[test]
fn the_json_has_the_checks_and_the_litter() {
    let folder = folder_with_registry();
    let temp = temp_file(&folder, "registry.json", "0");
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&examine(&folder, arguments).text).unwrap()
    };
    let report = json(&["--json"]);
    assert_eq!(report["fine"], true);
    assert_eq!(report["file"], registry(&folder).to_str().unwrap());
    assert_eq!(report["folder"], folder.path.to_str().unwrap());
    assert!(report["checks"].as_array().unwrap().iter().any(|check| check["check"] == "locks"));
    let litter = |report: &serde_json::Value| {
        let litter = &report["litter"][0];
        (litter["safeToDelete"].clone(), litter["deleted"].clone(), litter["kind"].clone())
    };
    assert_eq!(litter(&report), (true.into(), false.into(), "TEMP_FILE".into()));
    assert_eq!(report["litter"][0]["path"], temp.to_str().unwrap());
    assert_eq!(litter(&json(&["--json", "--fix"])), (true.into(), true.into(), "TEMP_FILE".into()));
    assert_eq!(json(&["--json"])["litter"], serde_json::json!([]));
}

#[test]
fn without_a_path_it_examines_the_registry() {
    let folder = folder_with_registry();
    let outcome = DoctorOutcome::of(doctor().env("ARGUS_REGISTRY_PATH", registry(&folder)));
    outcome.assert_check("ok", "read", registry(&folder).to_str().unwrap());
    let outcome = DoctorOutcome::of(doctor().arg("--registry").arg(folder.path("other.json")));
    outcome.assert_check("ok", "read", "other.json does not exist yet");
    assert_eq!(outcome.code, Some(0));
}

#[cfg(unix)]
#[test]
fn a_path_that_is_missing_or_is_no_file_fails() {
    let folder = folder_with_registry();
    let outcome = DoctorOutcome::of(doctor().arg(folder.path("no").join("registry.json")));
    outcome.assert_check("FAIL", "folder", "No such file");
    assert_eq!(outcome.code, Some(2));
    outcome.assert_next_steps();
    for (path, check, text) in [
        (Path::new("/dev/null"), "path", "neither a file nor a folder"),
        (&registry(&folder).join("inside"), "path", "Not a directory"),
    ] {
        let outcome = DoctorOutcome::of(doctor().arg(path));
        assert_eq!(outcome.code, Some(2), "{}", outcome.text);
        outcome.assert_check("FAIL", check, text);
        outcome.assert_next_steps();
    }
    symlink("loop", folder.path("loop")).unwrap();
    assert_eq!(DoctorOutcome::of(doctor().arg(folder.path("loop"))).code, Some(2));
    // A link to a file that does not exist yet, which the first update creates.
    symlink("later.json", folder.path("link")).unwrap();
    let outcome = DoctorOutcome::of(doctor().arg(folder.path("link")));
    outcome.assert_check("ok", "read", "later.json does not exist yet");
    let usage = doctor().arg("--no-such-thing").output().unwrap();
    assert_eq!(usage.status.code(), Some(1));
    assert!(!usage.stderr.is_empty());
}

#[test]
fn a_reader_that_closes_the_output_ends_the_doctor_and_no_probe_folder_stays() {
    let folder = folder_with_registry();
    let before = folder.names();
    let mut child = doctor().arg(registry(&folder)).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(folder.names(), before);
}

#[cfg(unix)]
#[test]
fn a_user_without_permission_gets_next_steps() {
    const OTHER_USER: u32 = 65_534;
    let folder = folder_with_registry();
    let is_root = fs::metadata(&folder.path).unwrap().uid() == 0;
    let temp = temp_file(&folder, "registry.json", "0");
    // The program's own folder may be closed to the other user.
    let program = folder.path("program");
    // Copied by another process: while a process that this one starts still has the descriptor that
    // wrote the copy, the system refuses to execute it.
    assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    let mode = |mode| fs::set_permissions(&folder.path, fs::Permissions::from_mode(mode)).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.arg("doctor").args(arguments).arg(registry(&folder));
        if is_root {
            command.uid(OTHER_USER).gid(OTHER_USER);
        }
        DoctorOutcome::of(&mut command)
    };
    mode(0o555);
    let before = folder.names();
    for arguments in [&[][..], &["--fix"]] {
        let outcome = run(arguments);
        assert_eq!(outcome.code, Some(2), "{}", outcome.text);
        outcome.assert_check("FAIL", "folder", "readers work");
        outcome.assert_check("FAIL", "folder", "updates fail with PERMISSION_DENIED");
        outcome.assert_check("ok", "read", "can be read");
        outcome.assert_check("warn", "locks", "has kernel locks");
        outcome.assert_check("warn", "rename", "not tried");
        outcome.assert_next_steps();
        if arguments.is_empty() {
            outcome.assert_litter(&temp, "warn", "safe to delete");
        } else {
            // The lock is free, but this user may not delete anything.
            let text = &outcome.text;
            assert!(text.contains("FAIL  litter: could not be deleted"), "{text}");
        }
        assert_eq!(folder.names(), before);
    }
    if is_root {
        // A folder that every user can write, with files that only their owner can read.
        mode(0o777);
        let guard = folder.path("registry.json.guard");
        for file in [&registry(&folder), &guard] {
            fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let outcome = run(&[]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.text);
        outcome.assert_check("ok", "locks", "");
        outcome.assert_check("FAIL", "read", "can't be read");
        outcome.assert_check("FAIL", "access", "registry.json.guard");
        outcome.assert_litter(&temp, "warn", "can't open");
        outcome.assert_next_steps();
    } else {
        eprintln!("SKIPPED: only root can make files of another user");
    }
    mode(0o755);
}

/// The guard keeps the mode that the registry had when the guard was made.
#[cfg(unix)]
#[test]
fn a_guard_that_is_less_open_than_its_registry_is_shown_with_the_step_that_opens_it() {
    let folder = folder_with_registry();
    let set_mode = |name: &str, mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(folder.path(name), mode).unwrap();
    };
    set_mode("registry.json.guard", 0o644);
    assert!(examine(&folder, &[]).lines("access: ").is_empty());
    set_mode("registry.json", 0o664);
    let outcome = examine(&folder, &[]);
    outcome.assert_check("warn", "access", "fewer users");
    let (_, rest) = outcome.text.split_once("run `chmod ").unwrap();
    let advised = format!("chmod {}", rest.split_once('`').unwrap().0);
    assert!(Command::new("sh").args(["-c", &advised]).status().unwrap().success());
    assert!(examine(&folder, &[]).lines("access: ").is_empty(), "{advised}");
}

/// What the doctor says of a registry in a mount namespace that a line of shell script has changed; `None`, with a
/// printed reason, where none can be made. `$1` is the registry.
#[cfg(target_os = "linux")]
fn examine_with_mount(registry: &Path, mount: &str) -> Option<DoctorOutcome> {
    let script = format!("{mount} || exit 99; exec \"$2\" doctor \"$1\"");
    let mut unshare = Command::new("unshare");
    unshare.args(["-m", "sh", "-c", &script, "sh"]).arg(registry).arg(PROGRAM);
    let output = match unshare.output() {
        Ok(output) if matches!(output.status.code(), Some(0 | 2)) => output,
        other => {
            eprintln!("SKIPPED: no mount namespace can be made here: {other:?}");
            return None;
        }
    };
    let text = String::from_utf8(output.stdout).unwrap();
    Some(DoctorOutcome { code: output.status.code(), text })
}

/// A single-file bind mount, as of a container, can be read and written in place, but not replaced.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_a_mount_point_fails() {
    let folder = folder_with_registry();
    let outcome = examine_with_mount(&registry(&folder), "mount --bind \"$1\" \"$1\"");
    let Some(outcome) = outcome else { return };
    outcome.assert_check("FAIL", "mount", "mount point of its own");
    outcome.assert_next_steps();
    assert!(outcome.text.contains("mount its folder instead"), "{}", outcome.text);
}

/// It starts itself again for its probes, by a path that `/proc` tells.
#[cfg(target_os = "linux")]
#[test]
fn without_proc_the_doctor_says_that_it_needs_it() {
    let folder = folder_with_registry();
    let outcome = examine_with_mount(&registry(&folder), "mount -t tmpfs none /proc");
    let Some(outcome) = outcome else { return };
    outcome.assert_check("ok", "read", "");
    outcome.assert_check("FAIL", "locks", "can't start itself");
    outcome.assert_next_steps();
    assert!(outcome.text.contains("mount /proc"), "{}", outcome.text);
}
