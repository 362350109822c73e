//! `run` on Windows: how it finds its command, and Ctrl-C.

use std::env;
use std::fs;
use std::os::windows::process::CommandExt;
use std::process::Command;

use crate::support::{Folder, Outcome};

/// `npm`, among others, is a script whose name ends in `.cmd`.
#[test]
fn a_command_that_is_a_script_is_found_without_its_extension() {
    let folder = Folder::new();
    let tools = folder.path("tools");
    fs::create_dir(&tools).unwrap();
    fs::copy(
        folder.put("text", "@echo off\r\necho %1\r\nexit /b 7\r\n").path("text"),
        tools.join("tool.cmd"),
    )
    .unwrap();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([tools].into_iter().chain(env::split_paths(&path))).unwrap();
    let mut command = folder.command("run r.json -- tool given");
    let outcome = Outcome::of(command.env("PATH", path).output().unwrap());
    assert_eq!(outcome.code, Some(7), "{outcome:?}");
    assert_eq!(outcome.stdout.trim(), "given");
    assert_eq!(folder.run("run r.json -- tool").code, Some(127));
}

/// Set in the process that presses Ctrl-C: the file that it creates afterwards.
const PRESSES: &str = "ARGUS_REGISTRY_TEST_PRESSES";

extern "system" {
    fn GenerateConsoleCtrlEvent(event: u32, group: u32) -> i32;
    fn SetConsoleCtrlHandler(
        handler: Option<unsafe extern "system" fn(u32) -> i32>,
        add: i32,
    ) -> i32;
}

/// The console sends Ctrl-C to this program and to its command alike. The program died of it before its
/// command, so that the lock looked like that of a crashed process while the command went on.
#[test]
fn ctrl_c_does_not_end_the_program_before_its_command() {
    const TEST: &str = "windows::ctrl_c_does_not_end_the_program_before_its_command";
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    const CTRL_C_EVENT: u32 = 0;
    if let Some(after) = env::var_os(PRESSES) {
        // SAFETY: both calls take numbers and no pointers; without a handler, this process ignores Ctrl-C.
        let pressed = unsafe {
            SetConsoleCtrlHandler(None, 1);
            GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0)
        };
        assert_ne!(pressed, 0, "{}", std::io::Error::last_os_error());
        // Long enough for the other process to end.
        #[allow(clippy::disallowed_methods, reason = "it stands for the work of the command")]
        std::thread::sleep(std::time::Duration::from_secs(1));
        let alone = env::var_os("ARGUS_REGISTRY_LOCKED").is_none();
        assert!(!alone, "run sets it");
        fs::File::create(after).unwrap();
        std::process::exit(7);
    }
    let folder = Folder::new();
    let this_program = env::current_exe().unwrap();
    let mut command: Command = folder.command("run r.json --");
    command.arg(this_program).args(["--exact", TEST, "--nocapture"]);
    command.env(PRESSES, folder.path("after"));
    // With a console of its own: Ctrl-C goes to all programs of a console.
    let status = command.creation_flags(CREATE_NO_WINDOW).status().unwrap();
    assert_eq!(status.code(), Some(7));
    assert!(folder.path("after").exists());
    assert!(!folder.path("r.json.lock").exists());
}
