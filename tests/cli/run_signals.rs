//! Signals to `run` and to its command, and the ends of both.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Child;

use rustix::process::{kill_process, Pid, Signal};

use crate::fixtures::{busy, busy_document, Held};
use crate::running::Running;
#[cfg(target_os = "linux")]
use crate::support::PROGRAM;
use crate::support::{Folder, Outcome};

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// A shell script that prints the signal that it gets, and ends.
const PRINT_CAUGHT_SIGNAL: &str = "for s in TERM HUP INT QUIT USR1 USR2; do \
    trap \"kill -KILL \\$!; echo caught $s; exit 5\" $s; done; sleep 1000 & echo ready; wait";

#[test]
fn signals_reach_the_command_and_its_exit_code_comes_back() {
    let folder = Folder::new();
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ] {
        let mut command = folder.command("run r.json -- sh -c");
        // Out of the foreground, in which signals of the terminal are not forwarded.
        command.arg(PRINT_CAUGHT_SIGNAL).process_group(0);
        let mut running = Running::start(command);
        assert_eq!(running.line(), "ready");
        send(&running.child, signal);
        assert_eq!(running.line(), format!("caught {name}"));
        assert_eq!(running.child.wait().unwrap().code(), Some(5));
        assert_eq!(folder.run("run r.json -- true").code, Some(0), "the lock is free");
    }
}

#[test]
fn the_exit_code_for_a_command_that_a_signal_ends_is_128_and_that_signal() {
    let folder = Folder::new();
    for (name, code) in [("KILL", 137), ("TERM", 143), ("INT", 130)] {
        let mut command = folder.command("run r.json -- sh -c");
        assert_eq!(command.arg(format!("kill -{name} $$")).status().unwrap().code(), Some(code));
    }
}

/// `nohup argus-registry run ...`: if the program caught SIGHUP, the command would have the default
/// action for it, and end.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let folder = Folder::new();
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" run r.json -- sh -c 'kill -HUP $$; echo alive'"])
        .arg(PROGRAM)
        .env_remove("ARGUS_REGISTRY_LOCKED")
        .current_dir(&folder.path)
        .output()
        .unwrap();
    assert_eq!(Outcome::of(output).stdout, "alive\n");
}

/// A terminal sends its signals to all processes in the foreground, this program and its command
/// among them: forwarded, they would reach the command twice. A signal that another process sends
/// reaches only this program.
#[cfg(target_os = "linux")]
#[test]
fn signals_of_the_terminal_are_not_forwarded_and_all_others_are() {
    use std::io::Write;
    use std::process::Stdio;

    let folder = Folder::new();
    folder.put(
        "command",
        "trap 'echo interrupted' INT\n\
         trap 'kill -KILL $!; echo terminated; exit 4' TERM\n\
         sleep 1000 & echo $PPID; while :; do wait; done\n",
    );
    let mut command = std::process::Command::new("script");
    // `exec`: a shell between them would die of Ctrl-C, and `script` would report how that ended.
    let run = format!("exec {PROGRAM} run r.json -- sh command");
    command.args(["-qec", &run, "/dev/null"]).current_dir(&folder.path);
    command.env_remove("ARGUS_REGISTRY_LOCKED").stderr(Stdio::null());
    if std::process::Command::new("script").arg("--version").output().is_err() {
        return eprintln!("SKIPPED: there is no `script`, which makes a terminal");
    }
    let mut running = Running::start(command);
    let pid = running.line().trim().parse().ok().and_then(Pid::from_raw).unwrap();
    let mut keyboard = running.child.stdin.take().unwrap();
    let mut expect = |expected: &str| {
        let line = running.line();
        assert!(line.trim().ends_with(expected), "{line:?}, not {expected}");
    };
    kill_process(pid, Signal::INT).unwrap();
    expect("interrupted");
    // Ctrl-C: once only.
    keyboard.write_all(b"\x03").unwrap();
    expect("interrupted");
    kill_process(pid, Signal::TERM).unwrap();
    expect("terminated");
    assert_eq!(running.child.wait().unwrap().code(), Some(4));
}

#[test]
fn a_killed_run_frees_the_lock_at_once_and_its_command_goes_on() {
    let folder = Folder::new();
    for arguments in ["run r.json", "run e.toml"] {
        let script = "echo ready; read x; echo went on";
        let mut running = Running::shell(&folder, arguments, script);
        assert_eq!(running.line(), "ready");
        // `wait` would close it, and end the command.
        let stdin = running.child.stdin.take();
        running.child.kill().unwrap();
        assert_eq!(running.child.wait().unwrap().signal(), Some(9));
        let next = folder.run(&format!("{arguments} -- true"));
        assert_eq!(next.code, Some(0), "{next:?}");
        drop(stdin);
        assert_eq!(running.line(), "went on");
    }
}

#[test]
fn a_process_that_the_command_leaves_running_does_not_keep_the_lock() {
    let folder = Folder::new();
    for arguments in ["run r.json", "run e.toml"] {
        let script = "sleep 1000 >/dev/null 2>&1 & echo $!";
        let mut running = Running::shell(&folder, arguments, script);
        let left = running.line().parse().ok().and_then(Pid::from_raw).unwrap();
        assert!(running.child.wait().unwrap().success());
        assert_eq!(folder.run(&format!("{arguments} -- true")).code, Some(0));
        kill_process(left, Signal::KILL).unwrap();
    }
}

#[test]
fn a_signal_ends_a_waiting_run_and_no_lock_stays() {
    let folder = Folder::new();
    for (arguments, set_up) in
        [("run r.json", busy as fn(&Folder) -> Held), ("run e.toml", busy_document)]
    {
        let held = set_up(&folder);
        let mut waiting =
            folder.command(&format!("{arguments} --wait 600 -- true")).spawn().unwrap();
        send(&waiting, Signal::TERM);
        assert_eq!(waiting.wait().unwrap().signal(), Some(15));
        drop(held);
        assert_eq!(folder.run(&format!("{arguments} -- true")).code, Some(0));
    }
}

/// A launcher is killed before the program has asked the system to end with it.
#[test]
fn the_program_does_nothing_if_its_launcher_is_gone() {
    let folder = Folder::new();
    let mut command = folder.command("run r.json -- echo done");
    let outcome = Outcome::of(command.env("ARGUS_REGISTRY_LAUNCHER", "1").output().unwrap());
    let (code, stdout) = (outcome.code, outcome.stdout.as_str());
    assert_eq!((code, stdout), (Some(143), ""), "{}", outcome.stderr);
    let launcher = std::process::id().to_string();
    let mut command = folder.command("run r.json -- sh -c");
    command.arg("echo done $ARGUS_REGISTRY_LAUNCHER").env("ARGUS_REGISTRY_LAUNCHER", launcher);
    let outcome = Outcome::of(command.output().unwrap());
    let (code, stdout) = (outcome.code, outcome.stdout.as_str());
    assert_eq!((code, stdout), (Some(0), "done\n"), "{}", outcome.stderr);
}
