//! Processes in pid namespaces of their own, as containers have them.

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use super::processes::print_skipped;

/// Makes pid namespaces, with the rights that the test has.
pub(crate) struct PidNamespaces {
    unshare: &'static [&'static str],
}

impl PidNamespaces {
    /// `None`, with a printed reason, where no pid namespace can be made, or where the test is in one:
    /// then it is not the process outside of all containers that its tests need.
    pub(crate) fn of_test(test: &str) -> Option<Self> {
        const INITIAL: u64 = 0xEFFF_FFFC;
        let own = std::fs::metadata("/proc/self/ns/pid").map(|found| found.ino());
        if own.ok() != Some(INITIAL) {
            print_skipped(test, "this process is in a pid namespace of its own");
            return None;
        }
        let ways: [&[&str]; 2] = [&["--pid"], &["--user", "--map-root-user", "--pid"]];
        let works = |unshare: &&[&str]| {
            let mut command = Command::new("unshare");
            command.args(*unshare).args(["--fork", "--mount-proc", "true"]);
            let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            done.is_ok_and(|status| status.success())
        };
        let unshare = ways.into_iter().find(works);
        if unshare.is_none() {
            print_skipped(test, "`unshare --pid` fails here, as root and with `--user`");
        }
        Some(PidNamespaces { unshare: unshare? })
    }

    /// A command as the first process of a new namespace, with pid 1.
    pub(crate) fn first(&self, command: &Command) -> Command {
        self.with(&["--mount-proc"], command)
    }

    /// A command in a new namespace, with this pid.
    pub(crate) fn with_pid(&self, pid: u32, command: &Command) -> Command {
        self.first(&numbered(pid, command))
    }

    /// Like [`with_pid`](Self::with_pid); `/proc` remains that of the namespace around the new one.
    pub(crate) fn with_outer_proc(&self, pid: u32, command: &Command) -> Command {
        self.with(&[], &numbered(pid, command))
    }

    fn with(&self, options: &[&str], command: &Command) -> Command {
        let mut unshare = Command::new("unshare");
        unshare.args(self.unshare).args(["--fork", "--kill-child"]).args(options);
        wrapped(unshare, command)
    }
}

/// A command as the next process of the namespace that runs it, with this pid.
pub(crate) fn numbered(pid: u32, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    // With another command after it, the shell does not become the program but starts it.
    let script = "echo $(($0 - 1)) > /proc/sys/kernel/ns_last_pid && \"$@\"; exit $?";
    shell.args(["-c", script, &pid.to_string()]);
    wrapped(shell, command)
}

/// A command that sees the processes of its own user alone. Only root can start it.
pub(crate) fn with_hidden_processes(command: &Command) -> Command {
    let mut unshare = Command::new("unshare");
    let script = "mount -t proc -o hidepid=invisible proc /proc && exec \"$@\"";
    unshare.args(["--mount", "sh", "-c", script, "sh"]);
    wrapped(unshare, command)
}

fn wrapped(mut wrapper: Command, command: &Command) -> Command {
    wrapper.arg(command.get_program()).args(command.get_args());
    wrapper.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapper
}
