//! Other processes that take part in a test.

use std::env;
use std::process::{Command, Stdio};

/// A program from `tests/fixtures/`, which cargo builds with the tests.
pub(crate) fn example(name: &str) -> Command {
    let program = env::current_exe().unwrap();
    let folder = program.ancestors().nth(2).unwrap().join("examples");
    let program = folder.join(format!("etcd_{name}")).with_extension(env::consts::EXE_EXTENSION);
    assert!(program.exists(), "{} is missing", program.display());
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
