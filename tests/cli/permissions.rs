//! Users without permission, and a file system without kernel locks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use argus_registry::{LockOptions, RegistryLock};

use crate::fixtures::valid_document;
use crate::support::{program, Folder, Outcome};

/// The user and the group `nobody` on most systems: one that owns none of a test's files.
const OTHER_USER: u32 = 65_534;

fn set_mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_user_without_permission_gets_an_error_that_names_the_path() {
    let folder = Folder::new();
    folder.registry(&["app"]);
    valid_document(&folder);
    let is_root = rustix::process::geteuid().is_root();
    // 0o555: files can be read, but none be created; 0o000: not even read.
    for (mode, arguments, code) in [
        (0o555, "list --registry r.json", 0),
        (0o555, "status r.json", 0),
        (0o555, "status e.toml", 0),
        (0o555, "check r.json --strict", 0),
        // veil reads such a document without its lock, which strict readers should know.
        (0o555, "check e.toml", 0),
        (0o555, "check e.toml --strict", 2),
        (0o555, "remove --registry r.json app", 2),
        (0o555, "prune --registry r.json --ttl 0", 2),
        (0o555, "run r.json -- true", 2),
        (0o555, "run e.toml -- true", 2),
        (0o000, "list --registry r.json", 2),
        (0o000, "watch --registry r.json", 2),
        (0o000, "status r.json", 2),
        (0o000, "status --lock-file e.lock", 2),
        (0o000, "check r.json", 2),
        (0o000, "check e.toml", 2),
    ] {
        let mut command = program();
        command.args(arguments.split_whitespace().map(|word| match word {
            "r.json" | "e.toml" | "e.lock" => folder.path(word).into_os_string(),
            word => word.into(),
        }));
        if is_root {
            command.uid(OTHER_USER).gid(OTHER_USER);
        }
        set_mode(&folder.path, mode);
        let output = command.output();
        set_mode(&folder.path, 0o755);
        let Ok(output) = output else {
            return eprintln!("SKIPPED: only its owner may run {:?}", command.get_program());
        };
        let outcome = Outcome::of(output);
        assert_eq!(outcome.code, Some(code), "{arguments}: {outcome:?}");
        let mentions = ["permission", folder.path.to_str().unwrap(), "next: "];
        for text in mentions.iter().filter(|_| code != 0) {
            assert!(outcome.stderr.contains(text), "{arguments}: no {text:?} in {outcome:?}");
        }
    }
    assert!(!folder.path("e.lock").exists(), "nothing was created");
}

/// `status` took a lockfile that it could not read for one of an older argus version, which has no
/// record of its holder.
#[test]
fn the_holder_in_a_lockfile_that_this_user_may_not_read_is_unknown() {
    let folder = Folder::new();
    if !rustix::process::geteuid().is_root() {
        return eprintln!("SKIPPED: only root can run the program as another user");
    }
    set_mode(&folder.path, 0o755);
    folder.registry(&["app"]);
    set_mode(&folder.path("r.json.guard"), 0o600);
    let _held = RegistryLock::acquire(folder.path("r.json"), &LockOptions::one_try()).unwrap();
    let mut command = program();
    command.arg("status").arg(folder.path("r.json")).uid(OTHER_USER);
    let Ok(output) = command.output() else {
        return eprintln!("SKIPPED: only its owner may run {:?}", command.get_program());
    };
    let outcome = Outcome::of(output);
    let stdout = &outcome.stdout;
    assert!(stdout.contains("may not read") && !stdout.contains("an older"), "{outcome:?}");
}

/// No file system without kernel locks can be counted on here, so a library that is loaded before
/// libc takes the call away.
#[cfg(target_os = "linux")]
#[test]
fn a_file_system_without_kernel_locks_is_reported() {
    const NO_LOCKS: &str =
        "#include <errno.h>\nint flock(int fd, int how) { errno = ENOLCK; return -1; }\n";
    let folder = Folder::new();
    folder.registry(&["app"]);
    folder.put("e.toml", "version = 1\n");
    let library = crate::shim::compile(NO_LOCKS, &[], &folder.path);
    for (arguments, code, expected) in [
        ("status r.json --json", 0, "\"guarantee\":\"lockfile-only\""),
        ("status e.toml --json", 0, "\"guarantee\":\"none\""),
        ("run r.json -- echo done", 0, "done"),
        ("run e.toml -- true", 2, "no kernel locks"),
        ("check e.toml", 0, "read without its lock"),
        ("check e.toml --strict", 2, "no kernel locks"),
        ("check r.json", 0, "no kernel locks"),
        ("check r.json --strict", 2, "no kernel locks"),
    ] {
        let mut command = folder.command(arguments);
        let outcome = Outcome::of(command.env("LD_PRELOAD", &library).output().unwrap());
        assert_eq!(outcome.code, Some(code), "{arguments}: {outcome:?}");
        let printed = if code == 0 { &outcome.stdout } else { &outcome.stderr };
        assert!(printed.contains(expected), "{arguments}: {outcome:?}");
        assert!(code == 0 || outcome.stderr.contains("next: "), "{arguments}: {outcome:?}");
    }
}
