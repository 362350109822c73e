//! A `run` or a `watch` under way, with its standard streams at hand.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::support::{shell_words, Folder};

pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, lines }
    }

    /// Starts `run` with a command that prints an environment variable, and ends with the next line of its
    /// standard input.
    pub(crate) fn print_variable(folder: &Folder, arguments: &str, variable: &str) -> Self {
        let (unix, windows) =
            (format!("echo ${variable}; read x"), format!("echo %{variable}%& set /p x="));
        let mut command = folder.command(arguments);
        command.arg("--").args(shell_words(&unix, &windows));
        Running::start(command)
    }

    /// Starts `run` with a shell script as its command.
    #[cfg(unix)]
    pub(crate) fn shell(folder: &Folder, arguments: &str, script: &str) -> Self {
        let mut command = folder.command(arguments);
        command.args(["--", "sh", "-c", script]);
        Running::start(command)
    }

    /// Waits for the next line of its output.
    pub(crate) fn line(&mut self) -> String {
        self.lines.next().expect("it ended before it printed a line").unwrap()
    }

    /// Writes a line to its standard input.
    pub(crate) fn send_line(&mut self, line: &str) {
        // In one piece: a program that got the line without its end could end before that is written.
        let line = format!("{line}\n");
        self.child.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }
}

/// Waits until a process is in the kernel's queue for a lock.
#[cfg(target_os = "linux")]
pub(crate) fn wait_until_queued(child: &mut Child) {
    let pid = child.id().to_string();
    let is_queued =
        |line: &str| line.contains("->") && line.split_whitespace().any(|word| word == pid);
    while !std::fs::read_to_string("/proc/locks").unwrap().lines().any(is_queued) {
        assert!(child.try_wait().unwrap().is_none(), "it ended, so it does not wait");
        std::thread::yield_now();
    }
}
