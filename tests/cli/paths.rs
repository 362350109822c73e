//! What the PATH of a command line stands for, as `docs/reference/command-line.md` has it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::fixtures::plain_fs2;
use crate::support::{Folder, Outcome, PROGRAM};

/// The rules in their order: for each the files that are there, and what `status PATH` takes PATH
/// for.
#[test]
fn the_first_rule_that_fits_decides_what_a_path_stands_for() {
    for (files, path, kind, named, lock_file) in [
        // 1. A guard beside it.
        (&["d.json.guard", "d.lock"][..], "d.json", "registry", "d.json", "d.json.guard"),
        (&["t.toml.guard"], "t.toml", "registry", "t.toml", "t.toml.guard"),
        // 2. The lockfile or the guard of a registry.
        (&["r.json.guard", "r.json.lock"], "r.json.lock", "registry", "r.json", "r.json.guard"),
        (&["r.json.guard"], "r.json.guard", "registry", "r.json", "r.json.guard"),
        // 4. A lock file, whether it exists or not; also that of a document in TOML.
        (&[], "x.lock", "lock-file", "x.lock", "x.lock"),
        (&["x.lock", "x.json"], "x.lock", "lock-file", "x.lock", "x.lock"),
        (&["t.toml"], "t.toml.lock", "lock-file", "t.toml.lock", "t.toml.lock"),
        (&["r.json", "r.json.lock"], "r.json.lock", "lock-file", "r.json.lock", "r.json.lock"),
        // 5. A document.
        (&[], "t.toml", "lock-file", "t.toml", "t.lock"),
        (&[], "T.TOML", "lock-file", "T.TOML", "T.lock"),
        (&["d.lock"], "d.json", "lock-file", "d.json", "d.lock"),
        // 6. Every other path.
        (&[], "r.json", "registry", "r.json", "r.json.guard"),
        (&["r"], "r", "registry", "r", "r.guard"),
        (&["d.json.lock"], "d.json", "registry", "d.json", "d.json.guard"),
    ] {
        let folder = Folder::new();
        for file in files {
            folder.put(file, "");
        }
        let outcome = folder.run(&format!("status --json {path}"));
        assert_eq!(outcome.code, Some(0), "{files:?} {path}: {outcome:?}");
        let status = outcome.json();
        assert_eq!(status["kind"], kind, "{files:?} {path}: {status}");
        let is = |value: &serde_json::Value, name: &str| {
            Path::new(value.as_str().unwrap()).file_name() == Path::new(name).file_name()
        };
        assert!(is(&status["path"], named), "{files:?} {path}: {status}");
        assert!(is(&status["lockFiles"][0], lock_file), "{files:?} {path}: {status}");
    }
    // 3. A lock file of this name would be taken for the registry's lockfile.
    for command in ["status r.json.lock", "run r.json.lock -- true", "check r.json.lock"] {
        let folder = Folder::new();
        let outcome = folder.put("r.json", "{}").run(command);
        assert_eq!(outcome.code, Some(1), "{command}: {outcome:?}");
        assert!(outcome.stderr.contains("--lock-file"), "{command}: {outcome:?}");
        assert_eq!(folder.names(), ["r.json"]);
    }
}

/// A document in JSON was taken for a registry, which got a guard, and with that was no document
/// any more.
#[test]
fn a_document_in_json_has_its_own_lock() {
    let folder = Folder::new();
    folder.put("d.json", r#"{"count":1}"#);
    let held = plain_fs2(&folder.path("d.lock"), true).unwrap();
    let outcome = folder.run("run d.json -- true");
    assert!(outcome.code == Some(2) && outcome.stderr.contains("d.lock"), "{outcome:?}");
    assert_eq!(folder.run("status d.json --json").json()["state"], "exclusive");
    drop(held);
    assert_eq!(folder.run("run d.json -- true").code, Some(0));
    assert_eq!(folder.names(), ["d.json", "d.lock"]);
    // This may be the name of a document's lock file or of a registry's lockfile: the program asks,
    // instead of creating a file for which the registry's processes would wait.
    let outcome = folder.run("run d.json.lock -- true");
    assert!(outcome.code == Some(1) && outcome.stderr.contains("--lock-file"), "{outcome:?}");
    assert_eq!(folder.names(), ["d.json", "d.lock"]);
}

#[test]
fn without_a_path_the_environment_names_the_registry() {
    let folder = Folder::new();
    folder.registry(&["app"]);
    for (name, value) in
        [("ARGUS_REGISTRY_PATH", folder.path("r.json")), ("ARGUS_HOME", folder.path.clone())]
    {
        fs::copy(folder.path("r.json"), folder.path("registry.json")).unwrap();
        for arguments in ["list --json", "status --json", "check --json", "run -- true"] {
            let mut command = folder.command(arguments);
            let outcome = Outcome::of(command.env(name, &value).output().unwrap());
            assert_eq!(outcome.code, Some(0), "{outcome:?}");
            let is_here = |path: &str| Path::new(path).parent() == Some(&folder.path);
            let names_it = || outcome.json()["path"].as_str().is_some_and(is_here);
            assert!(arguments.starts_with("run") || names_it(), "{outcome:?}");
        }
    }
    // The system has a home folder for the user.
    let homeless = || {
        let mut command = folder.command("list --json");
        command.env_remove("HOME").env_remove("USERPROFILE");
        command
    };
    let of_system = Outcome::of(homeless().output().unwrap()).json();
    let of_system = Path::new(of_system["path"].as_str().unwrap());
    assert!(of_system.is_absolute() && of_system.ends_with(".argus/registry.json"));
    let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    let relative = Outcome::of(homeless().env(variable, "x").output().unwrap());
    assert_eq!(relative.code, Some(2), "{relative:?}");
    assert!(relative.stderr.contains("ARGUS_HOME"), "{relative:?}");
    let system = folder.run("status --system-registry --json").json();
    let path = argus_registry::system_registry_path();
    assert_eq!(system["path"].as_str(), path.to_str());
}

/// The rules look at the names beside PATH itself; the lock is that of the file behind a link.
#[cfg(unix)]
#[test]
fn a_symbolic_link_stands_for_the_file_behind_it() {
    let folder = Folder::new();
    folder.put("r.json", "").put("t.toml", "");
    for (link, target, lock_file) in
        [("link.json", "r.json", "r.json.guard"), ("link.toml", "t.toml", "t.lock")]
    {
        std::os::unix::fs::symlink(target, folder.path(link)).unwrap();
        let status = folder.run(&format!("status --json {link}")).json();
        assert_eq!(status["lockFiles"][0].as_str(), folder.path(lock_file).to_str(), "{status}");
    }
}

/// Beside this program, and in `PATH`, there is no program with a client of etcd.
#[test]
fn without_its_program_a_path_of_etcd_names_what_to_install() {
    // On the program's own file system, for a second name. A copy could not be run while a child that another
    // thread is starting has the descriptor by which it was written.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let own = folder.path().join("argus-registry").with_extension(std::env::consts::EXE_EXTENSION);
    #[allow(clippy::disallowed_methods, reason = "no process updates the program")]
    fs::hard_link(PROGRAM, &own).unwrap();
    for arguments in [
        &["status", "etcd://127.0.0.1:1/argus"][..],
        &["list", "--registry", "etcd://127.0.0.1:1/argus"],
        &["migrate", "r.json", "etcd://127.0.0.1:1/argus"],
        &["run", "etcd://127.0.0.1:1/argus/", "--", "true"],
    ] {
        let output =
            Command::new(&own).args(arguments).env("PATH", folder.path()).output().unwrap();
        let outcome = Outcome::of(output);
        assert_eq!((outcome.code, &*outcome.stdout), (Some(2), ""), "{outcome:?}");
        assert!(outcome.stderr.contains("cargo install argus-registry-etcd"), "{outcome:?}");
    }
}
