//! Follows every system call of a real process, with all its threads, and changes what calls do.
//!
//! `strace --inject` counts the calls of each thread on its own. To kill a process at its Nth call, or
//! to fail that call, the calls of the whole process need one order: so this is a tracer of its own, on
//! `ptrace`. A traced process starts at full speed and says that it is ready; from then on every call of
//! it is seen, at its start and at its end.

pub(crate) mod call;

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{kill, killpg, Signal};
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::Pid;

pub(crate) use call::Call;

/// The values of `ptrace_syscall_info.op`.
const AT_ENTRY: u8 = 1;
const AT_EXIT: u8 = 2;

/// What becomes of a call that begins.
pub(crate) enum Action {
    Run,
    /// The process is killed before the call.
    Kill,
    /// The call is not made, and fails with this error.
    Fail(Errno),
    /// The call is made, and then reports this error although it took effect.
    FailAfter(Errno),
    /// The call gets this number of bytes to read or write.
    Shorten(u64),
    /// The call gets this number of bytes, and the process is killed after it.
    ShortenAndKill(u64),
}

/// What is done to the calls of a process.
pub(crate) trait Observer {
    /// A call begins.
    fn entry(&mut self, call: &Call) -> Action;
    /// A call that was run has ended; `result` is negative if it failed.
    fn exit(&mut self, _call: &Call, _result: i64) {}
    /// The process has said its outcome. Its threads are stopped while this runs. What is returned is
    /// written to the process's standard input.
    fn outcome(&mut self) -> &'static str {
        ""
    }
}

/// How a traced process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The lines that it printed after `ready`.
    pub(crate) lines: Vec<String>,
    pub(crate) errors: String,
    /// The signal that ended it, or its exit code.
    pub(crate) how: Result<i32, Signal>,
    pub(crate) hung: bool,
}

/// A process that has said `ready` and waits for a line before it does what is traced.
pub(crate) struct Traced {
    child: Child,
    pid: Pid,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    stderr: ChildStderr,
    /// The calls that were begun by each thread, with what was done to them.
    begun: HashMap<Pid, (Call, Change)>,
    is_free: bool,
    /// Whether the first line that it prints from now on is what came of the operation.
    says_outcome: bool,
}

enum Change {
    None,
    /// Of a call that must answer with this error.
    Answer(Errno),
    Kill,
}

impl Traced {
    pub(crate) fn start(command: &mut Command, says_outcome: bool) -> io::Result<Self> {
        let mut child = command
            .process_group(0)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = Pid::from_raw(child.id() as i32);
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        if line != "ready\n" {
            let mut errors = String::new();
            stderr.read_to_string(&mut errors)?;
            child.wait()?;
            return Err(io::Error::other(format!("it is not ready: {line}{errors}")));
        }
        let begun = HashMap::new();
        Ok(Traced { child, pid, stdin, stdout, stderr, begun, is_free: false, says_outcome })
    }

    /// Lets the process go on, and follows it to its end.
    pub(crate) fn run(mut self, observer: &mut dyn Observer, limit: Duration) -> io::Result<Ended> {
        let watchdog = Watchdog::start(self.pid, limit);
        self.seize()?;
        self.say("go\n");
        let how = self.follow(observer)?;
        // The process is waited for: the standard library must not wait for it again.
        drop(self.stdin);
        let mut lines = String::new();
        self.stdout.read_to_string(&mut lines)?;
        let mut errors = String::new();
        self.stderr.read_to_string(&mut errors)?;
        drop(self.child);
        let lines = lines.lines().map(str::to_owned).collect();
        Ok(Ended { lines, errors, how, hung: watchdog.stop() })
    }

    /// The pipe breaks if the process ends first, which is no failure.
    fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("open until the outcome");
        stdin.write_all(line.as_bytes()).ok();
    }

    /// Attaches to all threads and stops each of them once, so that none makes a call unseen.
    fn seize(&self) -> io::Result<()> {
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        for entry in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let name = entry?.file_name();
            let thread = Pid::from_raw(name.to_str().unwrap().parse().unwrap());
            ptrace::seize(thread, options)?;
            ptrace::interrupt(thread)?;
            let status = waitpid(thread, Some(WaitPidFlag::__WALL))?;
            if !matches!(status, WaitStatus::PtraceEvent(..)) {
                return Err(io::Error::other(format!("{status:?} of a thread that was idle")));
            }
            ptrace::syscall(thread, None)?;
        }
        Ok(())
    }

    /// Follows the process, and the processes that it starts, until all have ended.
    fn follow(&mut self, observer: &mut dyn Observer) -> io::Result<Result<i32, Signal>> {
        let mut how = None;
        loop {
            // Of this thread's children only: other threads trace processes of their own.
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.pid => how = Some(Ok(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.pid => {
                    how = Some(Err(signal));
                }
                Err(Errno::ECHILD) => {
                    return how.ok_or_else(|| io::Error::other("it was not seen to end"))
                }
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => {}
                Ok(WaitStatus::PtraceSyscall(thread)) => {
                    let stopped = self.syscall_stop(thread, observer);
                    unless_gone(stopped.and_then(|()| self.go_on(thread, None)))?;
                }
                Ok(WaitStatus::PtraceEvent(thread, ..)) => unless_gone(self.go_on(thread, None))?,
                Ok(WaitStatus::Stopped(thread, signal)) => {
                    unless_gone(self.go_on(thread, Some(signal)))?;
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn go_on(&self, thread: Pid, signal: Option<Signal>) -> nix::Result<()> {
        match self.is_free {
            true => ptrace::cont(thread, signal),
            false => ptrace::syscall(thread, signal),
        }
    }

    fn syscall_stop(&mut self, thread: Pid, observer: &mut dyn Observer) -> nix::Result<()> {
        match ptrace::syscall_info(thread)?.op {
            AT_ENTRY => self.at_entry(thread, observer),
            AT_EXIT => self.at_exit(thread, observer),
            _ => Ok(()),
        }
    }

    fn at_entry(&mut self, thread: Pid, observer: &mut dyn Observer) -> nix::Result<()> {
        let mut registers = ptrace::getregs(thread)?;
        let call = Call::new(self.pid, thread, &registers);
        let change = match observer.entry(&call) {
            Action::Run => Change::None,
            Action::Kill => {
                kill(self.pid, Signal::SIGKILL)?;
                Change::None
            }
            Action::Fail(error) => {
                // A call without a number does nothing.
                registers.orig_rax = u64::MAX;
                ptrace::setregs(thread, registers)?;
                Change::Answer(error)
            }
            Action::FailAfter(error) => Change::Answer(error),
            Action::Shorten(bytes) => {
                registers.rdx = bytes;
                ptrace::setregs(thread, registers)?;
                Change::None
            }
            Action::ShortenAndKill(bytes) => {
                registers.rdx = bytes;
                ptrace::setregs(thread, registers)?;
                Change::Kill
            }
        };
        self.begun.insert(thread, (call, change));
        Ok(())
    }

    fn at_exit(&mut self, thread: Pid, observer: &mut dyn Observer) -> nix::Result<()> {
        // Of a call that began before this process was attached to, only the end is seen.
        let Some((call, change)) = self.begun.remove(&thread) else { return Ok(()) };
        let mut registers = ptrace::getregs(thread)?;
        match change {
            Change::None => observer.exit(&call, registers.rax as i64),
            Change::Answer(error) => {
                registers.rax = (-i64::from(error as i32)) as u64;
                ptrace::setregs(thread, registers)?;
            }
            Change::Kill => kill(self.pid, Signal::SIGKILL)?,
        }
        if self.says_outcome && call.is_outcome() && registers.rax as i64 > 0 {
            let answer = observer.outcome();
            self.say(answer);
            // Its end of file, too, is an answer.
            self.stdin = None;
            self.is_free = true;
        }
        Ok(())
    }
}

/// A thread can be gone at any stop, because its process was killed.
fn unless_gone(result: nix::Result<()>) -> nix::Result<()> {
    match result {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}

/// Kills a process that hangs, and the processes that it has started, so that the thread that follows it can report that.
struct Watchdog {
    over: Arc<(Mutex<bool>, Condvar)>,
    thread: JoinHandle<bool>,
}

impl Watchdog {
    fn start(pid: Pid, limit: Duration) -> Self {
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let seen = over.clone();
        let thread = std::thread::spawn(move || {
            let (lock, wake) = &*seen;
            let guard = lock.lock().unwrap();
            let (_guard, waited) =
                wake.wait_timeout_while(guard, limit, |is_over| !*is_over).unwrap();
            if waited.timed_out() {
                killpg(pid, Signal::SIGKILL).ok();
            }
            waited.timed_out()
        });
        Watchdog { over, thread }
    }

    /// Whether the process had to be killed.
    fn stop(self) -> bool {
        *self.over.0.lock().unwrap() = true;
        self.over.1.notify_all();
        self.thread.join().unwrap()
    }
}
