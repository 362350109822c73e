//! Files on Unix: Linux and macOS.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::types::{FileId, FileStamp, FileTime};

mod access;
#[cfg(any(target_os = "linux", target_os = "macos"))]
#[cfg_attr(target_os = "macos", path = "unix/macos_access_list.rs")]
mod access_list;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod attributes;
#[cfg_attr(
    not(any(target_os = "linux", target_os = "macos")),
    path = "unix/no_copied_attributes.rs"
)]
mod copied_attributes;
#[cfg(any(test, not(target_os = "linux")))]
mod full_sync;
mod granted_access;
#[cfg(any(test, target_os = "macos"))]
mod macos_acl;
mod processes;
mod unsupported;
#[cfg_attr(not(target_os = "linux"), path = "unix/no_write_blocks.rs")]
mod write_blocks;
pub(crate) use access::*;
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) use access_list::acl_of;
pub(crate) use copied_attributes::*;
pub(crate) use granted_access::*;
pub(crate) use processes::*;
use unsupported::is_unsupported;
pub(crate) use write_blocks::*;

/// Whether a program can read a file that another one has locked. Kernel locks are advisory here,
/// so the guard itself can be the lockfile, under a second name.
pub(crate) const LOCKED_FILE_IS_READABLE: bool = true;

/// Whether a file can be replaced while a program has it open. That program keeps the old file.
pub(crate) const OPEN_FILES_CAN_BE_REPLACED: bool = true;

/// Refuses a symbolic link, which another user may have put in the place of a lock file, and does
/// not block when it opens a FIFO.
const NO_FOLLOW_NO_BLOCK: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);

fn flags(flags: OFlags) -> i32 {
    flags.bits() as i32
}

/// Opens an existing file for reading and writing, not following a symbolic link.
pub(crate) fn open_existing(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(flags(NO_FOLLOW_NO_BLOCK)).open(path)
}

/// Opens an existing file for reading, not following a symbolic link.
pub(crate) fn open_read_only(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags(NO_FOLLOW_NO_BLOCK)).open(path)
}

/// The metadata of the file at a path without symbolic links: such a path, if it is also
/// normalized, is the file's one real path.
///
/// The kernel walks the path once; to resolve it by `canonicalize` takes one walk for each of its
/// parts. `None` means that this call can't tell: there is a link, or the file can't be looked at.
#[cfg(target_os = "linux")]
pub(crate) fn metadata_without_links(path: &Path) -> Option<Metadata> {
    use rustix::fs::{openat2, Mode, ResolveFlags, CWD};
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).ok()?;
    File::from(found).metadata().ok()
}

/// Always `None`: only Linux has such a call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn metadata_without_links(_path: &Path) -> Option<Metadata> {
    None
}

/// Whether a folder has an access control list for the files that are created in it.
#[cfg(target_os = "linux")]
pub(crate) fn has_default_acl(folder: &Path) -> bool {
    // A list is larger than this buffer, and is not read.
    let size = rustix::fs::getxattr(folder, c"system.posix_acl_default", &mut [0; 4]);
    matches!(size, Ok(1..) | Err(Errno::RANGE))
}

/// Always false: elsewhere such a list is inherited without regard to the mode.
#[cfg(not(target_os = "linux"))]
pub(crate) fn has_default_acl(_folder: &Path) -> bool {
    false
}

/// Opens an existing file for reading, following symbolic links.
pub(crate) fn open_following_links(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK)).open(path)
}

/// Creates a file; fails if one of that name exists. The umask applies to `mode`.
pub(crate) fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(path)
}

/// The home folder of the effective user, as the system's list of users has it; `None` if the user is not in
/// that list.
///
/// The standard library asks for it too, but of the real user, and only if this process has no `HOME`.
pub(crate) fn user_home() -> Option<PathBuf> {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()?.map(|user| user.dir)
}

/// Makes the content of a file durable, not following a symbolic link.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    sync_opened(&open_read_only(path)?)
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

/// Whether [`stamp_of`] tells of a file's last change.
pub(crate) const FILES_HAVE_STAMPS: bool = true;

/// The stamp of a regular file; `None` of anything else.
pub(crate) fn stamp_of(metadata: &Metadata) -> Option<FileStamp> {
    let time =
        |seconds, nanos| FileTime { seconds, subsec_nanos: u32::try_from(nanos).unwrap_or(0) };
    metadata.is_file().then(|| FileStamp {
        id: FileId { device: metadata.dev(), inode: metadata.ino() },
        size: metadata.len(),
        modified: time(metadata.mtime(), metadata.mtime_nsec()),
        changed: time(metadata.ctime(), metadata.ctime_nsec()),
    })
}

/// Whether opening any file may have to wait for another program.
pub(crate) const OPENING_MAY_WAIT: bool = false;

/// Whether a file is on a file system of this machine, whose calls depend on no network and on no
/// other program. False for file system types that this function does not know.
#[cfg(target_os = "linux")]
pub(crate) fn is_local(file: &File) -> bool {
    // As in Linux's magic.h: ext2 to ext4, XFS, Btrfs, F2FS, bcachefs, ZFS, tmpfs, ramfs,
    // overlayfs.
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

/// Whether a file is on a file system of this machine; macOS and the BSDs tell by a flag.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_local(file: &File) -> bool {
    const MNT_LOCAL: u64 = 0x1000;
    rustix::fs::fstatfs(file).is_ok_and(|system| u64::from(system.f_flags) & MNT_LOCAL != 0)
}

/// The identity of the file that a path names now, not following a symbolic link; `None` if there
/// is no file.
pub(crate) fn id_at(path: &Path) -> io::Result<Option<FileId>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(FileId { device: metadata.dev(), inode: metadata.ino() })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The time of a file's last status change (`ctime`): when a name was last added to the file, or
/// its mode or owner changed.
pub(crate) fn link_time(path: &Path) -> Option<SystemTime> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let since_1970 = Duration::new(
        u64::try_from(metadata.ctime()).ok()?,
        u32::try_from(metadata.ctime_nsec()).ok()?,
    );
    SystemTime::UNIX_EPOCH.checked_add(since_1970)
}

/// Whether an open file has lost the name under which it was opened: it was deleted, or another file
/// replaced it. A further name that another program gave it counts as that name.
pub(crate) fn has_lost_name(file: &File, _path: &Path) -> io::Result<bool> {
    Ok(rustix::fs::fstat(file)?.st_nlink == 0)
}

/// Sets when the content of an open file was modified, and no other time.
pub(crate) fn set_modified(file: &File, time: SystemTime) -> io::Result<()> {
    use rustix::fs::{Timespec, Timestamps, UTIME_OMIT};
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: since.subsec_nanos().into() },
    };
    Ok(rustix::fs::futimens(file, &times)?)
}

/// The permission bits for executing of a file that was marked by [`mark`]. No umask, and no mount option
/// that gives all files one mode, makes this pattern of the three.
const MARK: u32 = 0o010;
const EXECUTE_BITS: u32 = 0o111;

/// Marks an open file, by a pattern of permission bits that means nothing for a file which is not
/// executed.
pub(crate) fn mark(file: &File) -> io::Result<()> {
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    file.set_permissions(fs::Permissions::from_mode(mode & !EXECUTE_BITS | MARK))
}

/// Whether a file was marked by [`mark`].
pub(crate) fn is_marked(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & EXECUTE_BITS == MARK
}

/// Writes the content of a file, or the names in a folder, to the disk.
#[cfg(target_os = "linux")]
pub(crate) fn sync_opened(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Writes the content of a file, or the names in a folder, to the disk: also out of the disk's own cache,
/// where the mount has that call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sync_opened(file: &File) -> io::Result<()> {
    static FULL_SYNC: full_sync::FullSync = full_sync::FullSync::new();
    let mount = || file.metadata().map(|metadata| metadata.dev());
    // `sync_all` is F_FULLFSYNC on macOS.
    FULL_SYNC.sync(mount, || file.sync_all(), || Ok(rustix::fs::fsync(file)?))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    open_folder(folder)?.map_or(Ok(()), |folder| sync_open_folder(&folder))
}

/// Opens a folder for [`sync_open_folder`]; `None` if this user may write the folder but not list
/// it, because such a folder can't be opened.
pub(crate) fn open_folder(folder: &Path) -> io::Result<Option<File>> {
    match File::open(folder) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::ACCESS) => Ok(None),
        opened => opened.map(Some),
    }
}

/// Makes the names in an open folder durable. Succeeds on file systems that have no such call: they
/// keep a rename in order with other changes, and guarantee no more.
pub(crate) fn sync_open_folder(folder: &File) -> io::Result<()> {
    match sync_opened(folder) {
        Err(error)
            if is_unsupported(&error)
                || matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::BADF)) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

/// Whether the error means that this file system has no kernel locks.
pub(crate) fn locks_unsupported(error: &io::Error) -> bool {
    is_unsupported(error) || Errno::from_io_error(error) == Some(Errno::NOLCK)
}

/// Whether the error means that this file can't have a second name.
pub(crate) fn links_unsupported(error: &io::Error) -> bool {
    is_unsupported(error)
        || matches!(Errno::from_io_error(error), Some(Errno::PERM | Errno::MLINK | Errno::XDEV))
}

/// Whether the error means that the file system is mounted read-only.
pub(crate) fn is_read_only(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::ROFS)
}

/// Whether the error means that a mount uses the file.
pub(crate) fn is_busy(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::BUSY)
}

/// Whether the error is that of an operation which no mode permits, unlike a wrong mode's.
pub(crate) fn is_not_permitted(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::PERM)
}

/// Renames `from` to `to`, in one try.
#[allow(clippy::disallowed_methods, reason = "only sys may call it")]
pub(crate) fn rename_once(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// The absolute path of a file or folder that exists, without symbolic links.
pub fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Always false: here a name may contain every character but `/`.
pub(crate) fn names_a_stream(_path: &Path) -> bool {
    false
}
