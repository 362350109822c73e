//! Signals: those for a command that this program runs, and the one that ends it with its reader.

use std::fs::{self, File};
use std::io;
use std::process::{self, Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::event::{poll, PollFd, PollFlags};
use rustix::process::{getpgrp, getppid, kill_process, waitid, Pid, Signal, WaitId, WaitIdOptions};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
#[cfg(not(target_os = "linux"))]
use signal_hook::iterator::exfiltrator::SignalOnly as Exfiltrator;
#[cfg(target_os = "linux")]
use signal_hook::iterator::exfiltrator::{origin::Origin, WithOrigin as Exfiltrator};
use signal_hook::iterator::SignalsInfo;

use crate::exit::{Exit, Failure};

const FORWARDED: [i32; 6] = [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2];

/// Signals, caught from now on.
pub(crate) struct Signals(SignalsInfo<Exfiltrator>);

impl Signals {
    pub(crate) fn catch() -> io::Result<Self> {
        let ignored = ignored();
        let is_ignored = |signal: &i32| ignored & (1 << (signal - 1)) != 0;
        // What is ignored here (`nohup`, a shell's background job) is ignored by the command, too,
        // unless it is caught: then the command would get the default action.
        let caught = FORWARDED.into_iter().filter(|signal| !is_ignored(signal));
        // Not for its own sake: where it is ignored, nobody can wait for a child.
        SignalsInfo::new(caught.chain([SIGCHLD])).map(Signals)
    }

    /// Passes on what comes until the child has ended.
    pub(crate) fn forward_to(mut self, mut child: Child) -> io::Result<ExitStatus> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { return child.wait() };
        let handle = self.0.handle();
        thread::scope(|scope| {
            scope.spawn(|| {
                for caught in self.0.forever() {
                    let caught = Caught::from(caught);
                    let signal = Signal::from_named_raw(caught.signal);
                    let is_meant = |signal: &Signal| is_for_the_command(*signal, &caught);
                    if let Some(signal) = signal.filter(is_meant) {
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

/// A signal, and the process that sent it: none if the kernel did, or if the system does not tell.
struct Caught {
    signal: i32,
    sender: Option<i32>,
}

#[cfg(target_os = "linux")]
impl From<Origin> for Caught {
    fn from(origin: Origin) -> Self {
        Caught { signal: origin.signal, sender: origin.process.map(|process| process.pid) }
    }
}

#[cfg(not(target_os = "linux"))]
impl From<i32> for Caught {
    fn from(signal: i32) -> Self {
        Caught { signal, sender: None }
    }
}

fn is_for_the_command(signal: Signal, caught: &Caught) -> bool {
    match signal {
        Signal::CHILD => false,
        // The terminal has sent it to the command as well, which would get it twice: from the
        // terminal it comes by the kernel, or by a launcher that got it, too, and passes it on.
        Signal::INT | Signal::QUIT if is_in_foreground() => {
            let launcher = getppid().filter(|_| LAUNCHED.load(Ordering::Relaxed));
            let launcher = launcher.map(|launcher| launcher.as_raw_nonzero().get());
            caught.sender.is_some_and(|sender| Some(sender) != launcher)
        }
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

/// Ends the program when nobody reads standard output any more: with nothing to write it would not be
/// noticed. Not for what holds a lock, or has anything else to finish.
pub(crate) fn end_with_reader() {
    thread::spawn(move || loop {
        let stdout = io::stdout();
        let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) if polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) => {
                process::exit(Exit::Fine.code());
            }
            // It is nothing that could be asked.
            _ => return,
        }
    });
}

/// How the npm package's launcher calls itself, by its pid.
const LAUNCHER: &str = "ARGUS_REGISTRY_LAUNCHER";

/// Whether the parent is one.
static LAUNCHED: AtomicBool = AtomicBool::new(false);

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
    LAUNCHED.store(true, Ordering::Relaxed);
    let parent = getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if parent.as_deref().map(AsRef::as_ref) != Some(launcher.as_os_str()) {
        let signalled = Exit::Command(128 + SIGTERM);
        return Err(Failure::new(signalled, "whoever has started this program is gone")
            .next(format!("unset {LAUNCHER}, if nobody but you has started it")));
    }
    Ok(())
}
