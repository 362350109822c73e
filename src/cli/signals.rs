//! Signals: those that `run` forwards to its command, and the ends of this program with the reader
//! of its output and with its launcher.

#[cfg(target_os = "linux")]
use std::fs;
use std::fs::File;
use std::io;
use std::process::{self, Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use argus_registry::CancelToken;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::process::{getpgrp, getppid, kill_process, waitid, Pid, Signal, WaitId, WaitIdOptions};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::exfiltrator::SignalOnly;
#[cfg(not(target_os = "linux"))]
use signal_hook::iterator::exfiltrator::SignalOnly as Exfiltrator;
#[cfg(target_os = "linux")]
use signal_hook::iterator::exfiltrator::{origin::Origin, WithOrigin as Exfiltrator};
use signal_hook::iterator::SignalsInfo;

use crate::cli::exit::{CommandError, Exit};

const FORWARDED_SIGNALS: [i32; 6] = [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2];

/// The signals that are forwarded. The command inherits which signals this process ignores (`nohup`, a shell's
/// background job). A signal that is caught here would have its default action there, and end it.
pub(super) fn forwarded() -> impl Iterator<Item = i32> {
    let ignored = ignored();
    FORWARDED_SIGNALS.into_iter().filter(move |signal| ignored & (1 << (signal - 1)) == 0)
}

/// Catches signals from its creation on, to forward them to a command.
pub(crate) struct SignalForwarder(SignalsInfo<Exfiltrator>);

impl SignalForwarder {
    pub(crate) fn new() -> io::Result<Self> {
        // SIGCHLD is caught because a process that ignores it can't wait for a child.
        SignalsInfo::new(forwarded().chain([SIGCHLD])).map(SignalForwarder)
    }

    /// Forwards signals until the child has ended, and returns how it ended.
    pub(crate) fn forward_to(mut self, mut child: Child) -> io::Result<ExitStatus> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { return child.wait() };
        let handle = self.0.handle();
        thread::scope(|scope| {
            scope.spawn(|| {
                for caught in self.0.forever() {
                    let caught = CaughtSignal::from(caught);
                    let signal = Signal::from_named_raw(caught.signal);
                    let is_forwarded = |signal: &Signal| is_for_the_command(*signal, &caught);
                    if let Some(signal) = signal.filter(is_forwarded) {
                        // It fails if the child has ended, which `await_end` is about to report.
                        let _ = kill_process(pid, signal);
                    }
                }
            });
            // The child is reaped only after the last signal to it: once it is reaped, its pid can
            // be that of another process.
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

struct CaughtSignal {
    signal: i32,
    /// The pid of the process that sent it; `None` if the kernel did, or if the system does not
    /// tell.
    sender: Option<i32>,
}

#[cfg(target_os = "linux")]
impl From<Origin> for CaughtSignal {
    fn from(origin: Origin) -> Self {
        CaughtSignal { signal: origin.signal, sender: origin.process.map(|process| process.pid) }
    }
}

#[cfg(not(target_os = "linux"))]
impl From<i32> for CaughtSignal {
    fn from(signal: i32) -> Self {
        CaughtSignal { signal, sender: None }
    }
}

fn is_for_the_command(signal: Signal, caught: &CaughtSignal) -> bool {
    match signal {
        Signal::CHILD => false,
        // The terminal sends it to every process in the foreground, the command included, which
        // would get it twice. Such a signal has no sender (the kernel), or it comes from the
        // launcher, which got it from the terminal and passes it on.
        Signal::INT | Signal::QUIT if is_in_foreground() => {
            let launcher = getppid().filter(|_| HAS_LAUNCHER.load(Ordering::Relaxed));
            let launcher = launcher.map(|launcher| launcher.as_raw_nonzero().get());
            caught.sender.is_some_and(|sender| Some(sender) != launcher)
        }
        _ => true,
    }
}

/// Whether this process is in the foreground of its terminal, so that the terminal sends it
/// signals.
fn is_in_foreground() -> bool {
    let terminal = File::open("/dev/tty");
    let group = terminal.and_then(|terminal| Ok(rustix::termios::tcgetpgrp(terminal)?));
    group.is_ok_and(|group| group == getpgrp())
}

/// The signals that this process ignores since its start, as bits; none if the system does not tell.
#[cfg(target_os = "linux")]
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn ignored() -> u64 {
    ignored_by_ps(process::id()).unwrap_or(0)
}

/// The signals that a process ignores, as bits, as the program `ps` tells. Elsewhere than on Linux only a call that is
/// unsafe tells without it.
#[cfg(any(test, not(target_os = "linux")))]
fn ignored_by_ps(pid: u32) -> Option<u64> {
    let mut ps = process::Command::new("ps");
    let said = ps.args(["-o", "sigignore=", "-p", &pid.to_string()]).output().ok()?;
    u64::from_str_radix(String::from_utf8(said.stdout).ok()?.trim(), 16).ok()
}

/// Cancels a token at the first signal that asks the program to end, so that what is under way is finished. The
/// second one ends it at once.
pub(crate) fn cancel_at_end(token: CancelToken) -> io::Result<()> {
    let ignored = ignored();
    let caught = [SIGTERM, SIGINT, SIGHUP].into_iter();
    let caught = caught.filter(|signal| ignored & (1 << (signal - 1)) == 0);
    let mut signals = SignalsInfo::<SignalOnly>::new(caught)?;
    thread::Builder::new().name("argus-signals".into()).spawn(move || {
        for signal in signals.forever() {
            if token.is_cancelled() {
                process::exit(Exit::Command(128 + signal).code());
            }
            token.cancel();
        }
    })?;
    Ok(())
}

/// Ends the program when the reader closes standard output: while there is nothing to write, the
/// program would not notice. Not for a command that holds a lock, or has something else to finish.
pub(crate) fn end_with_reader() {
    thread::spawn(move || loop {
        let stdout = io::stdout();
        let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) if polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) => {
                process::exit(Exit::Success.code());
            }
            // This standard output can't be polled.
            _ => return,
        }
    });
}

/// The environment variable in which the npm package's launcher names itself, by its pid.
const LAUNCHER_VARIABLE: &str = "ARGUS_REGISTRY_LAUNCHER";

/// Whether the parent process is a launcher.
static HAS_LAUNCHER: AtomicBool = AtomicBool::new(false);

/// What tells the program that this process becomes of its launcher, if it has one.
pub(crate) fn launcher() -> Option<(&'static str, String)> {
    let launcher = getppid().filter(|_| HAS_LAUNCHER.load(Ordering::Relaxed))?;
    Some((LAUNCHER_VARIABLE, launcher.as_raw_nonzero().to_string()))
}

/// Ends this program with the launcher that started it, if there is one. The launcher passes
/// signals on, but it can't pass on SIGKILL; for that there is a call on Linux only.
pub(crate) fn end_with_launcher() -> Result<(), CommandError> {
    let Some(launcher) = std::env::var_os(LAUNCHER_VARIABLE) else { return Ok(()) };
    // It is meant for this process alone, and not for the processes that it starts.
    std::env::remove_var(LAUNCHER_VARIABLE);
    // If the call is refused, this program goes on after its launcher, as on other systems.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    HAS_LAUNCHER.store(true, Ordering::Relaxed);
    // The launcher may have been killed before that call, which then has no effect.
    let parent = getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if parent.as_deref().map(AsRef::as_ref) != Some(launcher.as_os_str()) {
        let terminated = Exit::Command(128 + SIGTERM);
        let message = "the launcher that started this program is gone";
        return Err(CommandError::new(terminated, message)
            .next(format!("unset {LAUNCHER_VARIABLE} if you started this program yourself")));
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// `nohup` ignores SIGHUP, and so does the command that it becomes.
    #[test]
    fn ps_tells_which_signals_a_process_ignores() {
        let mut nohup = process::Command::new("nohup");
        nohup.args(["sleep", "60"]).stdin(process::Stdio::null()).stdout(process::Stdio::null());
        let mut child = nohup.spawn().unwrap();
        let hangup = 1 << (SIGHUP - 1);
        let told = || ignored_by_ps(child.id()).map(|ignored| ignored & hangup != 0);
        let mut told_in_time = (0..1_000).map(|_| told());
        let found = told_in_time.find(|told| *told != Some(false)).flatten();
        child.kill().unwrap();
        child.wait().unwrap();
        // Where there is no `ps`, none counts as ignored.
        assert_ne!(found, Some(false));
        assert!(ignored_by_ps(process::id()).is_none_or(|said| said == ignored()));
    }
}
