//! One system call of a traced process: its name, and what its arguments are about.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::libc::{self, c_long};
use nix::unistd::Pid;

const STANDARD_OUTPUT: u64 = 1;
const LONGEST_PATH: usize = 4096;

/// A call that begins.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pid: Pid,
    pub(crate) thread: Pid,
    pub(crate) name: &'static str,
    pub(crate) arguments: [u64; 6],
}

macro_rules! names {
    ($($name:ident $number:ident),* $(,)?) => {
        /// The name of a call; `unknown` for one that the table lacks, which the tests report.
        fn name_of(number: c_long) -> &'static str {
            match number {
                $(libc::$number => stringify!($name),)*
                _ => "unknown",
            }
        }
    };
}

names! {
    access SYS_access, arch_prctl SYS_arch_prctl, bind SYS_bind, brk SYS_brk, capget SYS_capget, chdir SYS_chdir,
    chmod SYS_chmod, chown SYS_chown, clock_getres SYS_clock_getres,
    clock_gettime SYS_clock_gettime, clock_nanosleep SYS_clock_nanosleep, clone SYS_clone,
    clone3 SYS_clone3, close SYS_close, close_range SYS_close_range, connect SYS_connect,
    copy_file_range SYS_copy_file_range, dup SYS_dup, dup2 SYS_dup2, dup3 SYS_dup3,
    epoll_create1 SYS_epoll_create1, epoll_ctl SYS_epoll_ctl, epoll_pwait SYS_epoll_pwait,
    epoll_wait SYS_epoll_wait, eventfd2 SYS_eventfd2, execve SYS_execve, exit SYS_exit,
    exit_group SYS_exit_group, faccessat SYS_faccessat, faccessat2 SYS_faccessat2,
    fallocate SYS_fallocate, fchmod SYS_fchmod, fchmodat SYS_fchmodat, fchown SYS_fchown,
    fchownat SYS_fchownat, fcntl SYS_fcntl, fdatasync SYS_fdatasync, fgetxattr SYS_fgetxattr,
    flistxattr SYS_flistxattr, flock SYS_flock, fsetxattr SYS_fsetxattr, fstat SYS_fstat,
    fstatfs SYS_fstatfs, fsync SYS_fsync, ftruncate SYS_ftruncate, futex SYS_futex,
    getcwd SYS_getcwd, getdents64 SYS_getdents64, getegid SYS_getegid, geteuid SYS_geteuid,
    getgid SYS_getgid, getpid SYS_getpid, getppid SYS_getppid, getpriority SYS_getpriority,
    getrandom SYS_getrandom, getrusage SYS_getrusage, gettid SYS_gettid,
    gettimeofday SYS_gettimeofday, getuid SYS_getuid, getxattr SYS_getxattr,
    inotify_add_watch SYS_inotify_add_watch, inotify_init1 SYS_inotify_init1,
    inotify_rm_watch SYS_inotify_rm_watch, io_uring_enter SYS_io_uring_enter,
    io_uring_setup SYS_io_uring_setup, ioctl SYS_ioctl, kill SYS_kill, lgetxattr SYS_lgetxattr,
    link SYS_link, linkat SYS_linkat, listxattr SYS_listxattr, lseek SYS_lseek, lstat SYS_lstat,
    madvise SYS_madvise, membarrier SYS_membarrier, mkdir SYS_mkdir, mkdirat SYS_mkdirat,
    mmap SYS_mmap, mprotect SYS_mprotect, mremap SYS_mremap, munmap SYS_munmap,
    nanosleep SYS_nanosleep, newfstatat SYS_newfstatat, open SYS_open, openat SYS_openat,
    openat2 SYS_openat2, pipe2 SYS_pipe2, pkey_alloc SYS_pkey_alloc, poll SYS_poll,
    ppoll SYS_ppoll, prctl SYS_prctl, pread64 SYS_pread64, preadv SYS_preadv,
    prlimit64 SYS_prlimit64, pwrite64 SYS_pwrite64, pwritev SYS_pwritev, read SYS_read,
    readlink SYS_readlink, readlinkat SYS_readlinkat, readv SYS_readv, recvfrom SYS_recvfrom,
    recvmsg SYS_recvmsg, rename SYS_rename, renameat SYS_renameat, renameat2 SYS_renameat2,
    restart_syscall SYS_restart_syscall, rmdir SYS_rmdir, rseq SYS_rseq,
    rt_sigaction SYS_rt_sigaction, rt_sigprocmask SYS_rt_sigprocmask,
    rt_sigreturn SYS_rt_sigreturn, rt_sigtimedwait SYS_rt_sigtimedwait, sendmsg SYS_sendmsg, sendto SYS_sendto,
    sched_getaffinity SYS_sched_getaffinity, sched_getparam SYS_sched_getparam,
    sched_getscheduler SYS_sched_getscheduler, sched_setaffinity SYS_sched_setaffinity,
    sched_setscheduler SYS_sched_setscheduler, sched_yield SYS_sched_yield, setsid SYS_setsid, setpgid SYS_setpgid,
    set_robust_list SYS_set_robust_list, set_tid_address SYS_set_tid_address,
    setxattr SYS_setxattr, sigaltstack SYS_sigaltstack, socket SYS_socket,
    socketpair SYS_socketpair, stat SYS_stat, statfs SYS_statfs, statx SYS_statx,
    symlink SYS_symlink, symlinkat SYS_symlinkat, sync_file_range SYS_sync_file_range,
    sysinfo SYS_sysinfo, tgkill SYS_tgkill, timerfd_create SYS_timerfd_create,
    truncate SYS_truncate, umask SYS_umask, uname SYS_uname, unlink SYS_unlink,
    unlinkat SYS_unlinkat, utimensat SYS_utimensat, vfork SYS_vfork, wait4 SYS_wait4, waitid SYS_waitid,
    write SYS_write, writev SYS_writev,
}

impl Call {
    pub(super) fn new(pid: Pid, thread: Pid, registers: &libc::user_regs_struct) -> Self {
        let r = registers;
        let arguments = [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9];
        Call { pid, thread, name: name_of(r.orig_rax as c_long), arguments }
    }

    /// Whether the call tells the tracer what became of the operation.
    pub(super) fn is_outcome(&self) -> bool {
        self.name == "write" && self.arguments[0] == STANDARD_OUTPUT
    }

    /// Whether the process makes it that was traced first, and not one that it has started.
    pub(crate) fn is_of_main_process(&self) -> bool {
        Path::new(&format!("/proc/{}/task/{}", self.pid, self.thread)).exists()
    }

    /// The text that an argument points to.
    pub(crate) fn path(&self, argument: usize) -> PathBuf {
        let bytes = self.memory(self.arguments[argument], LONGEST_PATH);
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        PathBuf::from(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    /// Up to this many bytes of the process's memory; fewer where the memory ends.
    pub(crate) fn memory(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let memory = File::open(format!("/proc/{}/mem", self.thread));
        let read = memory.and_then(|memory| memory.read_at(&mut bytes, address)).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }

    /// What an open descriptor stands for: a path, or a name such as `anon_inode:[eventfd]`.
    pub(crate) fn descriptor(&self, number: u64) -> PathBuf {
        fs::read_link(format!("/proc/{}/fd/{number}", self.thread)).unwrap_or_default()
    }

    /// The file that the call is about, to be printed.
    pub(crate) fn target(&self) -> PathBuf {
        match self.name {
            "open" | "stat" | "lstat" | "readlink" | "unlink" | "rmdir" | "mkdir" | "chmod"
            | "access" | "chown" | "getxattr" | "lgetxattr" | "listxattr" | "setxattr"
            | "truncate" | "statfs" | "symlink" | "execve" => self.path(0),
            "rename" | "link" | "openat" | "openat2" | "newfstatat" | "statx" | "readlinkat"
            | "unlinkat" | "mkdirat" | "faccessat" | "faccessat2" | "fchmodat" | "fchownat"
            | "utimensat" | "inotify_add_watch" => self.named(1),
            "linkat" | "renameat" | "renameat2" => self.path(3),
            _ => self.descriptor(self.arguments[0]),
        }
    }

    /// A path argument; of one that is empty, the descriptor in the first argument.
    fn named(&self, argument: usize) -> PathBuf {
        let path = self.path(argument);
        if path == Path::new("") {
            self.descriptor(self.arguments[0])
        } else {
            path
        }
    }
}
