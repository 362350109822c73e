//! A probe process: a second process of this program, which tries locks and files on request over a
//! pipe. The doctor tests locks in no other way: a call that never returns (a network file system
//! whose lock server is gone) then blocks a probe process, and the doctor reports that.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the doctor waits for one answer. All answers together take milliseconds where nothing
/// hangs.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the doctor waits for the end of a process that it has killed. One that hangs inside a
/// system call ends only when that call returns.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct ProbeProcess {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The process did not answer in time.
    TimedOut,
    /// The process could not be started.
    NotStarted(io::Error),
    /// The process has ended.
    Ended(String),
}

impl ProbeProcess {
    pub(super) fn start(folder: &Path) -> Result<Self, NoAnswer> {
        let started = || -> io::Result<Self> {
            let mut child = Command::new(env::current_exe()?)
                .arg("doctor-probe")
                .arg(folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let (requests, output) = (child.stdin.take(), child.stdout.take());
            let (answer, answers) = mpsc::channel();
            let output = BufReader::new(output.expect("its standard output is a pipe"));
            thread::spawn(move || {
                for line in output.lines().map_while(Result::ok) {
                    if answer.send(line).is_err() {
                        break;
                    }
                }
            });
            let requests = requests.expect("its standard input is a pipe");
            Ok(ProbeProcess { child, requests, answers })
        };
        started().map_err(NoAnswer::NotStarted)
    }

    /// Sends one request, and waits for its answer.
    pub(super) fn ask(&mut self, request: &str) -> Result<String, NoAnswer> {
        self.send(request)?;
        self.answers.recv_timeout(ANSWER_TIMEOUT).map_err(|error| match error {
            RecvTimeoutError::Timeout => NoAnswer::TimedOut,
            RecvTimeoutError::Disconnected => ended_early(),
        })
    }

    /// Like [`ask`](Self::ask), and calls `meanwhile` over and over until the answer comes.
    pub(super) fn ask_while(
        &mut self,
        request: &str,
        mut meanwhile: impl FnMut(),
    ) -> Result<String, NoAnswer> {
        self.send(request)?;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        loop {
            match self.answers.try_recv() {
                Ok(answer) => return Ok(answer),
                Err(TryRecvError::Disconnected) => return Err(ended_early()),
                Err(TryRecvError::Empty) if Instant::now() > deadline => {
                    return Err(NoAnswer::TimedOut)
                }
                Err(TryRecvError::Empty) => meanwhile(),
            }
        }
    }

    fn send(&mut self, request: &str) -> Result<(), NoAnswer> {
        let sent = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        sent.map_err(|_| ended_early())
    }

    /// Kills the process, as a crash would, and returns when it is gone and has lost its locks.
    pub(super) fn kill(mut self) -> Result<(), NoAnswer> {
        match self.kill_within(ANSWER_TIMEOUT) {
            true => Ok(()),
            false => Err(NoAnswer::TimedOut),
        }
    }

    fn kill_within(&mut self, timeout: Duration) -> bool {
        let _ = self.child.kill();
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().is_ok(),
            }
        }
    }
}

impl Drop for ProbeProcess {
    fn drop(&mut self) {
        self.kill_within(EXIT_TIMEOUT);
    }
}

fn ended_early() -> NoAnswer {
    NoAnswer::Ended("a probe process ended before it answered".to_owned())
}
