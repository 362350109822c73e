//! Signals: those for a command that this program runs, and the one that ends it with its reader.

use std::fs::{self, File};
use std::io;
use std::process::{Child, ExitStatus};
use std::thread;

use argus_registry::CancelToken;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::process::{getpgrp, kill_process, waitid, Pid, Signal, WaitId, WaitIdOptions};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator;

use crate::exit::{Exit, Failure};

const FORWARDED: [i32; 6] = [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2];

/// Signals, caught from now on.
pub(crate) struct Signals(iterator::Signals);

impl Signals {
    pub(crate) fn catch() -> io::Result<Self> {
        let ignored = ignored();
        let is_ignored = |signal: &i32| ignored & (1 << (signal - 1)) != 0;
        // What is ignored here (`nohup`, a shell's background job) is ignored by the command, too,
        // unless it is caught: then the command would get the default action.
        let caught = FORWARDED.into_iter().filter(|signal| !is_ignored(signal));
        // Not for its own sake: where it is ignored, nobody can wait for a child.
        iterator::Signals::new(caught.chain([SIGCHLD])).map(Signals)
    }

    /// Passes on what comes until the child has ended.
    pub(crate) fn forward_to(mut self, mut child: Child) -> io::Result<ExitStatus> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { return child.wait() };
        let handle = self.0.handle();
        thread::scope(|scope| {
            scope.spawn(|| {
                for signal in self.0.forever() {
                    let signal = Signal::from_named_raw(signal);
                    if let Some(signal) = signal.filter(|signal| is_for_the_command(*signal)) {
                        // It may have ended: that is told soon enough.
                        let _ = kill_process(pid, signal);
                    }
                }
            });
            // Not reaped before nobody signals it any more: its pid could be another's by then.
            let ended = await_end(pid);
            handle.close();
            ended
        })?;
        child.wait()
    }
}

fn await_end(pid: Pid) -> io::Result<()> {
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}

fn is_for_the_command(signal: Signal) -> bool {
    match signal {
        Signal::CHILD => false,
        // The terminal has sent it to the command as well, which would get it twice.
        Signal::INT | Signal::QUIT => !is_in_foreground(),
        _ => true,
    }
}

/// Whether this process is one of those that its terminal sends signals to.
fn is_in_foreground() -> bool {
    let terminal = File::open("/dev/tty");
    let group = terminal.and_then(|terminal| Ok(rustix::termios::tcgetpgrp(terminal)?));
    group.is_ok_and(|group| group == getpgrp())
}

/// The signals that this process was started to ignore, as bits. Only Linux tells.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

/// Cancels something when nobody reads standard output any more: with nothing to write it would not
/// be noticed.
pub(crate) fn cancel_with_reader(token: CancelToken) {
    thread::spawn(move || loop {
        let stdout = io::stdout();
        let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) if polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) => {
                return token.cancel();
            }
            // It is nothing that could be asked.
            _ => return,
        }
    });
}

/// How the npm package's launcher calls itself, by its pid.
const LAUNCHER: &str = "ARGUS_REGISTRY_LAUNCHER";

/// If a launcher has started this program, it is ended with it: the launcher passes signals on,
/// but can't pass on that it was killed. Only Linux has that.
pub(crate) fn end_with_launcher() -> Result<(), Failure> {
    let Some(launcher) = std::env::var_os(LAUNCHER) else { return Ok(()) };
    // It is nobody else's: not for what this program starts.
    std::env::remove_var(LAUNCHER);
    // Where that is refused it is as on other systems.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    // It may have been killed before it was asked for.
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if parent.as_deref().map(AsRef::as_ref) != Some(launcher.as_os_str()) {
        let signalled = Exit::Command(128 + SIGTERM);
        return Err(Failure::new(signalled, "whoever has started this program is gone")
            .next(format!("unset {LAUNCHER}, if nobody but you has started it")));
    }
    Ok(())
}
