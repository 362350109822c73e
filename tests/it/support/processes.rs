//! Other processes that take part in a test.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Set in a process that runs this test program again: which part of the test that process takes.
/// The library in `altered_calls.c` reads it, too.
pub(crate) const PART: &str = "ARGUS_REGISTRY_TEST_PART";

/// The name by which the test harness knows the test that calls this. A written name could become
/// that of no test, and the process that was to run it would succeed without having done anything.
macro_rules! this_test {
    () => {{
        fn here() {}
        let name = std::any::type_name_of_val(&here);
        let (_crate, name) = name.split_once("::").unwrap();
        name.strip_suffix("::here").unwrap()
    }};
}
pub(crate) use this_test;

/// This test program once more, in one test, as another process of that test.
pub(crate) fn again(program: &Path, test: &str, part: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture"]).env(PART, part).stdin(Stdio::piped());
    command
}

/// A program from `examples/` or `tests/fixtures/`, which cargo builds into one folder.
pub(crate) fn example(name: &str) -> Command {
    let program = env::current_exe().unwrap();
    let program = program.ancestors().nth(2).unwrap().join("examples").join(name);
    let program = program.with_extension(env::consts::EXE_EXTENSION);
    let command = "cargo build --examples --features toml";
    assert!(program.exists(), "{} is missing: run `{command}` first", program.display());
    Command::new(program)
}

/// The id of a process that has ended.
pub(crate) fn dead_pid() -> u32 {
    let mut child = Command::new(env::current_exe().unwrap())
        .arg("--list")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    child.wait().unwrap();
    pid
}

/// A child process that prints a line, and ends when its standard input does.
pub(crate) struct Holder {
    pub(crate) child: Child,
    /// The line that it printed.
    pub(crate) said: String,
}

impl Holder {
    /// Starts the process, and waits until it prints a line that contains `begins`.
    pub(crate) fn start(mut command: Command, begins: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let said = lines.map(|line| line.unwrap()).find(|line| line.contains(begins));
        let said = said.unwrap_or_else(|| panic!("the process ended without {begins}"));
        Holder { child, said }
    }

    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// A process that claims `app` in a folder, and lives until its standard input ends.
pub(crate) fn claimant(path: &Path) -> Holder {
    claimant_by(claim_of_app(path))
}

/// The command of such a process.
pub(crate) fn claim_of_app(path: &Path) -> Command {
    let mut command = example("claim");
    command.arg(path).arg("app");
    command
}

/// A process that claims, started by a command of [`claim_of_app`] or one around it.
pub(crate) fn claimant_by(command: Command) -> Holder {
    let mut holder = Holder::start(command, "ready");
    holder.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    let mut said = [0; 4];
    holder.child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"app\n");
    holder
}

/// Sleeps where a test can't wait for an event: what it waits for is done by another program, or by the clock.
#[allow(clippy::disallowed_methods, reason = "nothing cancels a test")]
pub(crate) fn pause(ms: u64) {
    std::thread::sleep(std::time::Duration::from_millis(ms));
}

/// Prints why a test, or a part of one, is not run. The test harness keeps to itself what `eprintln`
/// prints.
#[cfg(target_os = "linux")]
pub(crate) fn print_skipped(test: &str, reason: &str) {
    let mut output = std::io::stderr();
    Write::write_fmt(&mut output, format_args!("{test} SKIPPED: {reason}\n")).unwrap();
}
