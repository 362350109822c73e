//! A real process that stops before each step of the model.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// After this time a process that does not say where it is hangs.
const STEP_TIME: Duration = Duration::from_secs(10);

/// What the process says when all its updates are made.
pub const ENDED: &str = "ended";

/// The program that is started.
pub struct Program {
    pub path: PathBuf,
    /// A library that takes system calls away from it.
    pub shim: Option<PathBuf>,
}

pub struct Running {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    /// Where it has stopped: a step's name, or [`ENDED`].
    pub at: String,
    /// How many of its updates were acknowledged.
    pub acknowledged: u32,
    /// How often it was warned of a lost lock in its present update.
    pub warnings: u32,
}

impl Running {
    /// Starts `times` updates, and waits until the process stops at its first step.
    pub fn start(
        program: &Program,
        registry: &Path,
        name: &str,
        times: u8,
    ) -> Result<Self, String> {
        let mut command = Command::new(&program.path);
        if let Some(shim) = &program.shim {
            command.env("LD_PRELOAD", shim);
        }
        let mut child = command
            .arg(registry)
            .args([name, &times.to_string()])
            .env("ARGUS_STOPPING_POINTS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.path.display()))?;
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let at = String::new();
        let mut running = Running { child, input, lines, at, acknowledged: 0, warnings: 0 };
        running.wait()?;
        Ok(running)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets the process make the step before which it has stopped.
    pub fn go_on(&mut self) -> Result<(), String> {
        self.warnings = 0;
        self.input.write_all(b"\n").map_err(|error| format!("it has ended: {error}"))
    }

    /// Waits until the process has stopped again.
    pub fn wait(&mut self) -> Result<(), String> {
        loop {
            let line = self
                .lines
                .recv_timeout(STEP_TIME)
                .map_err(|_| format!("it does not stop again after {}", self.at))?;
            match line.split_once(' ') {
                Some(("at", step)) => {
                    step.clone_into(&mut self.at);
                    return Ok(());
                }
                Some(("told", "ok")) => self.acknowledged += 1,
                Some(("warned", "LOCK_LOST")) => self.warnings += 1,
                None if line == ENDED => {
                    self.at = line;
                    return Ok(());
                }
                _ => return Err(format!("it says: {line}")),
            }
        }
    }

    /// Kills the process (SIGKILL). Its kernel locks are free when this returns.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
