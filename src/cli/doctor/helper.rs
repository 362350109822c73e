//! Another process of this program, which does what it is told over a pipe. The doctor tries
//! locks in no other way: a call that never comes back (a lock server that is gone) then costs a
//! helper and not the doctor.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

/// How long one answer may take. All of them together are asked for in milliseconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long a killed helper may take to be gone. One that hangs inside the system stays until that
/// lets go of it.
const LAST_BREATH: Duration = Duration::from_secs(1);

pub(super) struct Helper {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Silence {
    /// It did not answer in time.
    Hangs,
    /// It could not be started, or ended.
    Ended(String),
}

impl Helper {
    pub(super) fn start(folder: &Path) -> Result<Self, Silence> {
        let started = || -> io::Result<Self> {
            let mut child = Command::new(env::current_exe()?)
                .arg("doctor-probe")
                .arg(folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let (questions, output) = (child.stdin.take(), child.stdout.take());
            let (answer, answers) = mpsc::channel();
            let output = BufReader::new(output.expect("its standard output is a pipe"));
            thread::spawn(move || {
                for line in output.lines().map_while(Result::ok) {
                    if answer.send(line).is_err() {
                        break;
                    }
                }
            });
            let questions = questions.expect("its standard input is a pipe");
            Ok(Helper { child, questions, answers })
        };
        started().map_err(|error| Silence::Ended(format!("a helper can't be started: {error}")))
    }

    /// One question, one answer.
    pub(super) fn ask(&mut self, question: &str) -> Result<String, Silence> {
        self.tell(question)?;
        self.answers.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => Silence::Hangs,
            RecvTimeoutError::Disconnected => ended(),
        })
    }

    /// The same, doing something else over and over until the answer comes.
    pub(super) fn ask_while(
        &mut self,
        question: &str,
        mut meanwhile: impl FnMut(),
    ) -> Result<String, Silence> {
        self.tell(question)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match self.answers.try_recv() {
                Ok(answer) => return Ok(answer),
                Err(TryRecvError::Disconnected) => return Err(ended()),
                Err(TryRecvError::Empty) if Instant::now() > until => return Err(Silence::Hangs),
                Err(TryRecvError::Empty) => meanwhile(),
            }
        }
    }

    fn tell(&mut self, question: &str) -> Result<(), Silence> {
        let told = writeln!(self.questions, "{question}").and_then(|()| self.questions.flush());
        told.map_err(|_| ended())
    }

    /// Kills it, as a crash would, and comes back when it is gone with all that it held.
    pub(super) fn kill(mut self) -> Result<(), Silence> {
        match self.put_to_death(PATIENCE) {
            true => Ok(()),
            false => Err(Silence::Hangs),
        }
    }

    fn put_to_death(&mut self, patience: Duration) -> bool {
        let _ = self.child.kill();
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().is_ok(),
            }
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.put_to_death(LAST_BREATH);
    }
}

fn ended() -> Silence {
    Silence::Ended("a helper ended before it answered".to_owned())
}
