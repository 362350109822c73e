//! Unix: Linux and macOS.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::types::{FileId, ProcessState};

/// A kernel lock here never keeps anybody from reading the file, so the guard itself can be the
/// lockfile, under a second name.
pub(crate) const LOCKED_FILE_IS_READABLE: bool = true;

/// A file that somebody has open can be replaced: he keeps the old one.
pub(crate) const OPEN_FILES_CAN_BE_REPLACED: bool = true;

/// How often the system's table of locks is read before a lock in it counts as not told.
#[cfg(target_os = "linux")]
const LOCK_TABLE_LOOKS: u32 = 3;

/// Never follows a symbolic link that somebody laid in our way, and never hangs on a FIFO.
const CAREFUL: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);

fn flags(flags: OFlags) -> i32 {
    flags.bits() as i32
}

/// Opens an existing file for reading and writing.
pub(crate) fn open_existing(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(flags(CAREFUL)).open(path)
}

/// Opens an existing file for reading, not following a symbolic link.
pub(crate) fn open_for_look(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags(CAREFUL)).open(path)
}

/// What a path leads to, if no symbolic link is on the way: then it is the file's own name, as
/// far as it is spelled like one. One walk along the path, where following it takes one for each
/// of its parts. `None` is no answer.
#[cfg(target_os = "linux")]
pub(crate) fn look_without_links(path: &Path) -> Option<Metadata> {
    use rustix::fs::{openat2, Mode, ResolveFlags, CWD};
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).ok()?;
    File::from(found).metadata().ok()
}

/// The same: there is no such call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn look_without_links(_path: &Path) -> Option<Metadata> {
    None
}

/// Opens the registry for reading, wherever it links to.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK)).open(path)
}

/// Creates a file that must not be there yet; the umask applies to `mode`.
pub(crate) fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(path)
}

pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

pub(crate) fn write_start(file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, 0)
}

pub(crate) fn id_of(_file: &File, metadata: &Metadata) -> io::Result<FileId> {
    Ok(FileId { device: metadata.dev(), inode: metadata.ino() })
}

/// Whether a file is on a file system of this machine, which answers without a network or another
/// program in between. Of those that are not known it is not assumed.
#[cfg(target_os = "linux")]
pub(crate) fn is_local(file: &File) -> bool {
    // As in Linux's magic.h: ext2 to ext4, XFS, Btrfs, F2FS, bcachefs, ZFS, tmpfs, ramfs, overlayfs.
    const LOCAL: [u32; 9] = [
        0xEF53,
        0x5846_5342,
        0x9123_683E,
        0xF2F5_2010,
        0xCA45_1A4E,
        0x2FC1_2FC1,
        0x0102_1994,
        0x8584_58F6,
        0x794C_7630,
    ];
    rustix::fs::fstatfs(file).is_ok_and(|system| LOCAL.contains(&(system.f_type as u32)))
}

/// The same: macOS and the BSDs tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_local(file: &File) -> bool {
    const MNT_LOCAL: u64 = 0x1000;
    rustix::fs::fstatfs(file).is_ok_and(|system| u64::from(system.f_flags) & MNT_LOCAL != 0)
}

/// What a name stands for right now, not following a symbolic link; `None` if nothing.
pub(crate) fn id_at(path: &Path) -> io::Result<Option<FileId>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(FileId { device: metadata.dev(), inode: metadata.ino() })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// When a name was last added to a file, or its mode or owner changed.
pub(crate) fn link_time(path: &Path) -> Option<SystemTime> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let since_1970 = Duration::new(
        u64::try_from(metadata.ctime()).ok()?,
        u32::try_from(metadata.ctime_nsec()).ok()?,
    );
    SystemTime::UNIX_EPOCH.checked_add(since_1970)
}

/// The permission bits of a file that is neither a program nor set-id.
pub(crate) fn permission_bits(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o666
}

/// Lets those write a file who may write `like`, and nobody else. Its owner may always write it,
/// even where `like` is read-only.
pub(crate) fn copy_access(file: &File, like: &Metadata) -> io::Result<()> {
    copy_mode_and_owner(file, like)?;
    let mode = permission_bits(&file.metadata()?) | 0o600;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// The same for a file that may be closed to some of them by now.
pub(crate) fn widen_access(file: &File, current: &Metadata, like: &Metadata) -> io::Result<()> {
    if permission_bits(like) & !permission_bits(current) == 0 {
        return Ok(());
    }
    copy_access(file, like)
}

/// The same for a lock file that its user has named, and which may be anything: only an empty one
/// of the same owner is touched, with no other name, and it is not closed to anybody.
pub(crate) fn open_to_users_of(file: &File, like: &Metadata) -> io::Result<()> {
    let current = file.metadata()?;
    let is_lock_file = current.len() == 0 && current.nlink() == 1 && current.uid() == like.uid();
    let (has, mut wants) = (permission_bits(&current), permission_bits(like));
    if !is_lock_file || wants & !has == 0 {
        return Ok(());
    }
    let same_group = current.gid() == like.gid()
        || std::os::unix::fs::fchown(file, None, Some(like.gid())).is_ok();
    if !same_group {
        wants &= !0o070;
    }
    file.set_permissions(fs::Permissions::from_mode(has | wants))
}

/// Whether a file that this process makes can become the owner's of another one.
pub(crate) fn may_give_to_owner_of(other: &Metadata) -> bool {
    let me = rustix::process::geteuid();
    me.is_root() || me.as_raw() == other.uid()
}

/// Makes a file's mode and owner those of `like`.
///
/// Who may not give the owner away keeps at least the group; who may not do that either must not
/// open the file to a group that was never meant, so the group then gets what others have.
pub(crate) fn copy_mode_and_owner(file: &File, like: &Metadata) -> io::Result<()> {
    let ours = file.metadata()?;
    let mut mode = like.mode() & 0o7777;
    let chown = |uid: Option<u32>, gid: Option<u32>| std::os::unix::fs::fchown(file, uid, gid);
    if (ours.uid(), ours.gid()) != (like.uid(), like.gid())
        && chown(Some(like.uid()), Some(like.gid())).is_err()
    {
        // Set-id bits were granted to the old owner, not to us.
        mode &= 0o777;
        if ours.gid() != like.gid() && chown(None, Some(like.gid())).is_err() {
            mode = (mode & !0o070) | ((mode & 0o007) << 3);
        }
    }
    if ours.mode() & 0o7777 != mode {
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Makes the names in a folder durable. File systems that have no such call keep the rename
/// itself in order, which is all that can be had there.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    match synced {
        Err(error)
            if matches!(
                Errno::from_io_error(&error),
                // ACCESS: a folder that one may write but not list can't be opened.
                Some(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::BADF | Errno::ACCESS)
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Whether the error says that this file system has no kernel locks at all.
pub(crate) fn locks_unsupported(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS))
}

/// Whether the error says that this file can't have a second name.
pub(crate) fn links_unsupported(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::XDEV)
    )
}

/// Whether the error says that the file system is mounted read-only.
pub(crate) fn is_read_only(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::ROFS)
}

/// Whether a call failed for a reason that passes by itself, as on Windows.
pub(crate) fn may_be_retried(_error: &io::Error) -> bool {
    false
}

pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(crate) fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

pub(crate) fn pid_namespace() -> Option<u64> {
    fs::metadata("/proc/self/ns/pid").ok().map(|metadata| metadata.ino())
}

pub(crate) fn process_state(pid: u32) -> ProcessState {
    use rustix::process::{test_kill_process, Pid};
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return ProcessState::Gone;
    };
    if test_kill_process(raw) == Err(Errno::SRCH) {
        return ProcessState::Gone;
    }
    running(pid)
}

/// Whether the system would let this process signal that one.
pub(crate) fn may_signal(pid: u32) -> bool {
    use rustix::process::{test_kill_process, Pid};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::PERM))
}

/// When a process began, by the clock as it is set now.
#[cfg(target_os = "linux")]
pub(crate) fn process_began(pid: u32) -> Option<SystemTime> {
    let ProcessState::Running { started: Some(ticks) } = running(pid) else { return None };
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    let since_boot = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    let boot = Duration::from_secs(boot.trim().parse().ok()?);
    SystemTime::UNIX_EPOCH.checked_add(boot + Duration::from_secs_f64(since_boot))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn process_began(pid: u32) -> Option<SystemTime> {
    super::process_began_from_library(pid)
}

/// The processes that hold a kernel lock of a file, as far as the system tells.
#[cfg(target_os = "linux")]
pub(crate) fn lock_holders(file: FileId) -> Vec<u32> {
    // The table is read in pieces: what stands behind a lock that goes meanwhile can be skipped.
    let look = |_| {
        let table = fs::read_to_string("/proc/locks").unwrap_or_default();
        Some(flock_holders(&table, file)).filter(|holders| !holders.is_empty())
    };
    (0..LOCK_TABLE_LOOKS).find_map(look).unwrap_or_default()
}

/// Only Linux has a table of all locks.
#[cfg(not(target_os = "linux"))]
pub(crate) fn lock_holders(_file: FileId) -> Vec<u32> {
    Vec::new()
}

/// Lines such as `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`; one that waits has `->` first.
/// btrfs and overlayfs name another device here than their files have: then none is found.
#[cfg(target_os = "linux")]
fn flock_holders(table: &str, file: FileId) -> Vec<u32> {
    let (major, minor) = (rustix::fs::major(file.device), rustix::fs::minor(file.device));
    let id = format!("{major:02x}:{minor:02x}:{}", file.inode);
    let held = table.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (kind, pid) = (fields.next()?, fields.nth(2)?);
        (kind == "FLOCK" && fields.next()? == id).then(|| pid.parse().ok())?
    });
    held.collect()
}

#[cfg(target_os = "linux")]
fn running(pid: u32) -> ProcessState {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return ProcessState::Running { started: None };
    };
    // The command name is in brackets and may hold anything, brackets too: count from its end.
    let after_name = stat.rfind(')').map_or("", |end| &stat[end + 1..]);
    let mut fields = after_name.split_ascii_whitespace();
    match fields.next() {
        // A zombie has closed its files: it holds nothing any more.
        Some("Z" | "X") => ProcessState::Gone,
        // The start time is field 22 of the line; the state, just taken, is field 3.
        _ => ProcessState::Running { started: fields.nth(18).and_then(|field| field.parse().ok()) },
    }
}

#[cfg(not(target_os = "linux"))]
fn running(pid: u32) -> ProcessState {
    match super::process_state_from_library(pid) {
        // The signal found it, so it is there, even if the library may not see it.
        ProcessState::Gone => ProcessState::Running { started: None },
        running => running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn this_process_runs_and_a_reaped_one_is_gone() {
        assert!(matches!(process_state(std::process::id()), ProcessState::Running { .. }));
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(process_state(pid), ProcessState::Gone);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn whoever_holds_a_lock_is_in_the_system_s_table_and_whoever_waits_is_not() {
        let table = "\
1: POSIX  ADVISORY  WRITE 1 08:01:5678 0 EOF
2: FLOCK  ADVISORY  READ  2 08:01:5678 0 EOF
3: FLOCK  ADVISORY  READ 3 08:01:5678 0 EOF
3: -> FLOCK  ADVISORY  WRITE 4 08:01:5678 0 EOF
4: FLOCK  ADVISORY  WRITE 5 08:01:567 0 EOF
5: FLOCK  ADVISORY  WRITE 6 08:11:5678 0 EOF
6: FLOCK  ADVISORY  WRITE -1 08:01:5678 0 EOF
7: LEASE
";
        let file = FileId { device: rustix::fs::makedev(8, 1), inode: 5678 };
        assert_eq!(flock_holders(table, file), [2, 3]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_zombie_holds_nothing() {
        let mut child = Command::new("true").spawn().unwrap();
        // Not reaped until the end of the test; its state settles when it has exited.
        let stat = format!("/proc/{}/stat", child.id());
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::yield_now();
        }
        assert_eq!(process_state(child.id()), ProcessState::Gone);
        child.wait().unwrap();
    }
}
