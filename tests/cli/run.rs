//! `run`: how long its lock is held, and which other processes it keeps out.

use crate::fixtures::plain_fs2;
use crate::running::Running;
use crate::support::{shell_words, Folder, Outcome, PROGRAM};

#[cfg(target_os = "linux")]
#[test]
fn run_waits_for_the_lock_as_long_as_its_option_says() {
    use crate::fixtures::{busy, busy_document, Held};
    use crate::running::wait_until_queued;

    for (arguments, set_up) in
        [("run r.json", busy as fn(&Folder) -> Held), ("run e.toml", busy_document)]
    {
        let folder = Folder::new();
        let held = set_up(&folder);
        let mut command = folder.command(&format!("{arguments} --wait 60 -- echo done"));
        let mut waiting = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        wait_until_queued(&mut waiting);
        drop(held);
        let outcome = Outcome::of(waiting.wait_with_output().unwrap());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), "done\n"));
    }
}

#[test]
fn the_lock_is_held_until_the_command_ends_and_the_environment_names_it() {
    let folder = Folder::new();
    for (arguments, name) in [("run r.json", "r.json"), ("run e.toml", "e.lock")] {
        let mut running = Running::print_variable(&folder, arguments, "ARGUS_REGISTRY_LOCKED");
        assert_eq!(running.line(), folder.path(name).to_str().unwrap());
        let other = folder.run(&format!("{arguments} -- true"));
        assert_eq!(other.code, Some(2), "{other:?}");
        running.send_line("end");
        assert!(running.child.wait().unwrap().success());
        assert_eq!(folder.run(&format!("{arguments} -- true")).code, Some(0));
    }
}

#[test]
fn shared_runs_share_the_lock_and_exclude_a_writer() {
    let folder = Folder::new();
    let mut reader =
        Running::print_variable(&folder, "run e.toml --shared", "ARGUS_REGISTRY_SHARED");
    assert_eq!(reader.line(), folder.path("e.lock").to_str().unwrap());
    assert_eq!(folder.run("run e.toml --shared -- true").code, Some(0));
    assert_eq!(folder.run("run e.toml -- true").code, Some(2));
    assert!(plain_fs2(&folder.path("e.lock"), false).is_ok());
    assert!(plain_fs2(&folder.path("e.lock"), true).is_err());
    reader.send_line("end");
    reader.child.wait().unwrap();
    assert!(plain_fs2(&folder.path("e.lock"), true).is_ok());
}

#[test]
fn a_nested_run_may_share_a_lock_that_the_outer_one_shares() {
    let folder = Folder::new();
    for (outer, inner, code) in [
        ("--shared", "--shared", 0),
        ("--shared", "--exclusive", 2),
        ("--exclusive", "--shared", 2),
        ("--exclusive", "--exclusive", 2),
    ] {
        let inner = format!("{PROGRAM} run --lock-file s.lock {inner} --wait 60 -- true");
        let outcome = folder.run(&format!("run --lock-file s.lock {outer} -- {inner}"));
        assert_eq!(outcome.code, Some(code), "{outer} {inner}: {outcome:?}");
        assert!(code == 0 || outcome.stderr.contains("wait for itself"), "{outcome:?}");
    }
}

#[test]
fn a_nested_run_of_one_file_fails_at_once() {
    let folder = Folder::new();
    for (outer, nested, other) in [("r.json", "./r.json", "e.toml"), ("e.toml", "e.lock", "r.json")]
    {
        let nested = format!("{PROGRAM} run --wait 60 {nested} -- true");
        let outcome = folder.run(&format!("run {outer} -- {nested}"));
        let (code, stderr) = (outcome.code, &outcome.stderr);
        assert_eq!(code, Some(2), "{outcome:?}");
        assert!(stderr.contains("wait for itself") && stderr.contains("next: "), "{outcome:?}");
        // Inside a `run` of another file, too.
        let between = format!("{PROGRAM} run {other} --");
        assert_eq!(folder.run(&format!("run {outer} -- {between} {nested}")).code, Some(2));
        assert_eq!(folder.run(&format!("run {outer} -- {between} true")).code, Some(0));
    }
}

#[test]
fn a_nested_run_knows_the_outer_one_beside_a_path_with_a_separator() {
    let folder = Folder::new();
    // What the list separates paths by, and the path that is written as that one is in the list.
    let [odd, other] =
        if cfg!(windows) { ["a;b.json", "a%3bb.json"] } else { ["a:b.json", "a%3ab.json"] };
    let run = |path: &str| format!("{PROGRAM} run --wait 60 {path} --");
    for path in ["r.json", odd] {
        let between = [odd, "r.json"].into_iter().find(|between| *between != path).unwrap();
        let outcome = folder.run(&format!("run {path} -- {} {} true", run(between), run(path)));
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains("wait for itself"), "{outcome:?}");
    }
    let outcome = folder.run(&format!("run {odd} -- {} true", run(other)));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn a_lock_file_that_the_command_deletes_is_reported() {
    let folder = Folder::new();
    for (arguments, lock) in [("run r.json", "r.json.lock"), ("run e.toml", "e.lock")] {
        let outcome = folder.run(&format!("{arguments} -- rm {lock}"));
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        let stderr = &outcome.stderr;
        assert!(stderr.contains("taken away") && stderr.contains("next: "), "{outcome:?}");
        // The command's own exit code has precedence.
        let mut command = folder.command(arguments);
        let (unix, windows) =
            (format!("rm {lock}; exit 9"), format!("ren {lock} {lock}.gone& exit 9"));
        command.arg("--").args(shell_words(&unix, &windows));
        let outcome = Outcome::of(command.output().unwrap());
        assert_eq!(outcome.code, Some(9), "{outcome:?}");
        assert!(outcome.stderr.contains("taken away"), "{outcome:?}");
    }
}
