//! The faults: what can become of a call, and which calls are counted.

use std::path::Path;

use nix::errno::Errno;

use super::tracer::{Action, Call};

/// What becomes of the Nth call that it can happen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is killed just before the call.
    Kill,
    /// The call fails with this error, once.
    Once(Errno),
    /// That call and all later ones that can return this error fail with it.
    FromThenOn(Errno),
    /// The call takes effect and fails with this error, as with a network file system that loses an
    /// answer.
    AfterEffect(Errno),
    /// The call reads or writes half of the bytes.
    Short,
    /// The call writes half of the bytes, and the process is killed.
    ShortAndKill,
}

/// The errors that are tried. Each call gets those that it can return.
pub(crate) const ERRORS: [Errno; 10] = [
    Errno::EIO,
    Errno::ENOSPC,
    Errno::EDQUOT,
    Errno::EACCES,
    Errno::EMFILE,
    Errno::ENOLCK,
    Errno::EINTR,
    Errno::ESTALE,
    Errno::EROFS,
    Errno::EAGAIN,
];

/// Calls that are not counted: they touch neither files nor locks. All others are, known or not.
pub(crate) const NOT_COUNTED: [(&str, &[&str]); 6] = [
    (
        "memory: a process that gets none ends, in Rust and in Node",
        &["brk", "madvise", "mmap", "mprotect", "mremap", "munmap", "pkey_alloc"],
    ),
    (
        "waiting, and the threads of a process among themselves",
        &[
            "clock_nanosleep",
            "epoll_create1",
            "epoll_ctl",
            "epoll_pwait",
            "epoll_wait",
            "eventfd2",
            "futex",
            "membarrier",
            "nanosleep",
            "poll",
            "ppoll",
            "restart_syscall",
            "sched_yield",
            "wait4",
            "waitid",
        ],
    ),
    (
        "what a new thread sets up for itself",
        &[
            "arch_prctl",
            "prctl",
            "rseq",
            "sched_getaffinity",
            "sched_getparam",
            "sched_getscheduler",
            "sched_setaffinity",
            "sched_setscheduler",
            "set_robust_list",
            "set_tid_address",
            "sigaltstack",
        ],
    ),
    (
        "questions about the process, the machine and the time, which can't fail",
        &[
            "clock_getres",
            "clock_gettime",
            "getegid",
            "geteuid",
            "getgid",
            "getpid",
            "getppid",
            "getpriority",
            "getrusage",
            "gettid",
            "gettimeofday",
            "getuid",
            "prlimit64",
            "sysinfo",
            "umask",
            "uname",
        ],
    ),
    (
        "signals and ends",
        &[
            "exit",
            "exit_group",
            "kill",
            "rt_sigaction",
            "rt_sigprocmask",
            "rt_sigreturn",
            "rt_sigtimedwait",
            "tgkill",
        ],
    ),
    ("random numbers: a system without them starts no process", &["getrandom"]),
];

/// Whether a call is one of those that are killed and failed.
pub(crate) fn is_counted(call: &Call) -> bool {
    if NOT_COUNTED.iter().any(|(_, names)| names.contains(&call.name)) {
        return false;
    }
    match call.name {
        "read" | "write" | "close" | "fcntl" | "dup" | "readv" | "writev" | "ioctl" => {
            is_of_a_file(&call.descriptor(call.arguments[0])) && call.arguments[0] > 2
        }
        _ => true,
    }
}

/// Pipes and event counters are between the threads of a process, or to the tracer. Notifications of
/// files are of interest.
fn is_of_a_file(target: &Path) -> bool {
    let target = target.to_string_lossy();
    target.starts_with('/') || target == "anon_inode:inotify"
}

/// The errors that a call can return on a local or network file system, of those that are tried.
pub(crate) fn errors_of(call: &Call) -> &'static [Errno] {
    use Errno::{EACCES, EAGAIN, EDQUOT, EINTR, EIO, EMFILE, ENOLCK, ENOSPC, EROFS, ESTALE};
    const O_CREAT: u64 = 0o100;
    match call.name {
        "open" | "openat" | "openat2" if creates(call, O_CREAT) => {
            &[EIO, ENOSPC, EDQUOT, EACCES, EMFILE, EINTR, ESTALE, EROFS]
        }
        "open" | "openat" | "openat2" => &[EIO, EACCES, EMFILE, EINTR, ESTALE],
        // Notifications are in memory, and reading them fails for no reason but these.
        "read" if call.descriptor(call.arguments[0]) == Path::new("anon_inode:inotify") => &[EINTR],
        "read" | "pread64" | "readv" | "preadv" => &[EIO, EINTR, ESTALE],
        "write" | "pwrite64" | "writev" | "pwritev" | "copy_file_range" | "fallocate" => {
            &[EIO, ENOSPC, EDQUOT, EINTR, ESTALE]
        }
        "fsync" | "fdatasync" => &[EIO, ENOSPC, EDQUOT, EINTR, ESTALE],
        "close" => &[EIO, ENOSPC, EDQUOT, EINTR],
        "flock" => &[EIO, ENOLCK, EINTR, ESTALE],
        "rename" | "renameat" | "renameat2" | "link" | "linkat" | "symlink" | "symlinkat"
        | "mkdir" | "mkdirat" => &[EIO, ENOSPC, EDQUOT, EACCES, ESTALE, EROFS],
        "unlink" | "unlinkat" | "rmdir" => &[EIO, EACCES, ESTALE, EROFS],
        "stat" | "lstat" | "fstat" | "newfstatat" | "statx" | "readlink" | "readlinkat"
        | "access" | "faccessat" | "faccessat2" | "getdents64" | "getcwd" | "statfs"
        | "fstatfs" => &[EIO, EACCES, ESTALE],
        "getxattr" | "fgetxattr" | "lgetxattr" | "listxattr" | "flistxattr" => {
            &[EIO, EACCES, ESTALE]
        }
        "fchmod" | "chmod" | "fchmodat" | "utimensat" => &[EIO, EACCES, ESTALE, EROFS],
        "fchown" | "chown" | "fchownat" | "setxattr" | "fsetxattr" | "ftruncate" | "truncate" => {
            &[EIO, ENOSPC, EDQUOT, EACCES, EINTR, ESTALE, EROFS]
        }
        "inotify_init1" => &[EMFILE],
        "inotify_add_watch" => &[ENOSPC, EACCES, EIO, ESTALE],
        "dup" | "dup2" | "dup3" | "pipe2" | "socket" | "socketpair" => &[EMFILE],
        // A process that may have no more threads or children.
        "clone" | "clone3" | "vfork" => &[EAGAIN],
        // `fcntl` on a descriptor's own flags, and moving in a file, fail for no reason outside of it.
        _ => &[],
    }
}

/// `openat2` has its flags in a structure.
fn creates(call: &Call, flag: u64) -> bool {
    let flags = match call.name {
        "open" => call.arguments[1],
        "openat2" => {
            let bytes = call.memory(call.arguments[2], 8);
            bytes.try_into().map(u64::from_ne_bytes).unwrap_or(0)
        }
        _ => call.arguments[2],
    };
    flags & flag != 0
}

impl Fault {
    /// All of them, in the order in which they are tried.
    pub(crate) fn all() -> Vec<Fault> {
        let mut all = vec![Fault::Kill, Fault::Short, Fault::ShortAndKill];
        all.extend(ERRORS.map(Fault::Once));
        // A call that was interrupted is repeated, for ever if that never ends. No system does that.
        all.extend(ERRORS.into_iter().filter(|e| *e != Errno::EINTR).map(Fault::FromThenOn));
        all.extend([Fault::AfterEffect(Errno::EIO), Fault::AfterEffect(Errno::ESTALE)]);
        all
    }

    /// The short choice: every call is killed, cut short, and fails once with the commonest error of a disk.
    pub(crate) fn short() -> Vec<Fault> {
        vec![
            Fault::Kill,
            Fault::Short,
            Fault::ShortAndKill,
            Fault::Once(Errno::EIO),
            Fault::Once(Errno::EMFILE),
            Fault::Once(Errno::ENOLCK),
            Fault::FromThenOn(Errno::ENOSPC),
        ]
    }

    pub(crate) fn kills(self) -> bool {
        matches!(self, Fault::Kill | Fault::ShortAndKill)
    }

    /// Whether the fault can happen to a call.
    pub(crate) fn applies_to(self, call: &Call) -> bool {
        match self {
            Fault::Kill => true,
            Fault::Once(error) | Fault::FromThenOn(error) => errors_of(call).contains(&error),
            Fault::AfterEffect(error) => {
                let changes =
                    ["rename", "renameat", "renameat2", "link", "linkat", "unlink", "mkdir"];
                changes.contains(&call.name) && errors_of(call).contains(&error)
            }
            Fault::Short => is_transfer(call, &["read", "pread64", "write", "pwrite64"]),
            Fault::ShortAndKill => is_transfer(call, &["write", "pwrite64"]),
        }
    }

    pub(crate) fn action(self, call: &Call) -> Action {
        let half = call.arguments[2] / 2;
        match self {
            Fault::Kill => Action::Kill,
            // Linux closes the descriptor whatever it answers.
            Fault::Once(error) | Fault::FromThenOn(error) if call.name == "close" => {
                Action::FailAfter(error)
            }
            Fault::Once(error) | Fault::FromThenOn(error) => Action::Fail(error),
            Fault::AfterEffect(error) => Action::FailAfter(error),
            Fault::Short => Action::Shorten(half),
            Fault::ShortAndKill => Action::ShortenAndKill(half),
        }
    }
}

/// Whether a call moves more than one byte. Notifications come whole.
fn is_transfer(call: &Call, names: &[&str]) -> bool {
    names.contains(&call.name)
        && call.arguments[2] > 1
        && call.descriptor(call.arguments[0]).starts_with("/")
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Kill => f.write_str("kill"),
            Fault::Once(error) => write!(f, "once-{error:?}"),
            Fault::FromThenOn(error) => write!(f, "from-then-on-{error:?}"),
            Fault::AfterEffect(error) => write!(f, "after-effect-{error:?}"),
            Fault::Short => f.write_str("short"),
            Fault::ShortAndKill => f.write_str("short-and-kill"),
        }
    }
}
