//! Files and processes on Windows.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::sysinfo_processes;
use super::types::{FileId, ProcessState, WriteBlock};

/// Whether a program can read a file that another one has locked. Kernel locks are mandatory here,
/// so the lockfile, which must be readable, is a separate file.
pub(crate) const LOCKED_FILE_IS_READABLE: bool = false;

/// Whether a file can be replaced while a program has it open. Here this depends on the file
/// system.
pub(crate) const OPEN_FILES_CAN_BE_REPLACED: bool = false;

/// Opens a symbolic link (a reparse point) itself, where `O_NOFOLLOW` on Unix refuses to open one.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

const ERROR_ACCESS_DENIED: i32 = 5;
const ERROR_WRITE_PROTECT: i32 = 19;
const ERROR_SHARING_VIOLATION: i32 = 32;
const ERROR_NOT_SUPPORTED: i32 = 50;
const ERROR_INVALID_FUNCTION: i32 = 1;
const ERROR_DELETE_PENDING: i32 = 303;

/// Opens an existing file for reading and writing, not following a symbolic link.
pub(crate) fn open_existing(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)
}

/// Opens an existing file for reading, not following a symbolic link.
pub(crate) fn open_read_only(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)
}

/// Opens an existing file for reading, following symbolic links.
pub(crate) fn open_following_links(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Creates a file; fails if one of that name exists. Its permissions come from the folder.
pub(crate) fn create_new(path: &Path, _mode: u32) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

/// The user's profile folder, as the system has it for a process without `USERPROFILE`.
#[allow(deprecated, reason = "since Rust 1.85 it is not, and does what is needed here")]
pub(crate) fn user_home() -> Option<PathBuf> {
    std::env::home_dir()
}

/// Makes the content of a file durable, not following a symbolic link. Windows asks for the right to write.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    open_existing(path)?.sync_all()
}

pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

pub(crate) fn write_start(file: &File, bytes: &[u8]) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        written += file.seek_write(&bytes[written..], written as u64)?;
    }
    Ok(())
}

pub(crate) fn id_of(file: &File, _metadata: &Metadata) -> io::Result<FileId> {
    let information = winapi_util::file::information(file)?;
    Ok(FileId { device: information.volume_serial_number(), inode: information.file_index() })
}

/// Always `None`: only Linux has such a call.
pub(crate) fn metadata_without_links(_path: &Path) -> Option<Metadata> {
    None
}

/// Always false: on Windows other programs, such as virus scanners, may examine every file that is
/// opened, so no call is known to return without delay.
pub(crate) fn is_local(_file: &File) -> bool {
    false
}

/// The identity of the file that a path names now, not following a symbolic link; `None` if there
/// is no file.
pub(crate) fn id_at(path: &Path) -> io::Result<Option<FileId>> {
    match open_read_only(path) {
        Ok(file) => {
            let metadata = file.metadata()?;
            id_of(&file, &metadata).map(Some)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Always `None`: Windows does not record when a name was added to a file.
pub(crate) fn link_time(_path: &Path) -> Option<SystemTime> {
    None
}

/// On Windows a file's permissions come from its folder.
pub(crate) fn permission_bits(_metadata: &Metadata) -> u32 {
    0o666
}

/// On Windows a file's permissions come from its folder.
pub(crate) fn copy_access(_file: &File, _like: &Metadata, _acl: Option<&[u8]>) -> io::Result<()> {
    Ok(())
}

/// On Windows a file's permissions come from its folder.
pub(crate) fn widen_access(
    _file: &File,
    _current: &Metadata,
    _like: &Metadata,
    _acl: impl FnOnce() -> Option<Vec<u8>>,
) -> io::Result<()> {
    Ok(())
}

/// On Windows a file's permissions come from its folder.
pub(crate) fn open_to_users_of(_file: &File, _like: &Metadata) -> io::Result<()> {
    Ok(())
}

/// On Windows a file's permissions come from its folder.
pub(crate) fn acts_as_owner(_metadata: &Metadata) -> bool {
    true
}

/// On Windows a file's permissions come from its folder.
pub(crate) fn may_remove(_folder: &Metadata, _file: &Metadata) -> bool {
    true
}

/// On Windows a file's permissions come from its folder.
pub(crate) fn is_shared_by_group(_folder: &Metadata) -> bool {
    false
}

/// On Windows a file's permissions come from its folder.
pub(crate) fn must_give_to_owner_of(_folder: &Metadata) -> bool {
    false
}

/// On Windows a file's permissions come from its folder.
pub(crate) fn give_to_owner_of(_folder: &Metadata, _file: &File) {}

/// On Windows a file's permissions come from its folder.
pub(crate) fn open_to_writers_of(
    _folder: &Metadata,
    _protected: Option<&Metadata>,
    _file: &File,
) -> io::Result<()> {
    Ok(())
}

/// On Windows a file's permissions come from its folder.
pub(crate) fn open_to_group(_file: &File) -> io::Result<()> {
    Ok(())
}

/// On Windows a folder's permissions come from its parent.
pub(crate) fn adopt_folder(_parent: &Metadata, _folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Always false: on Windows a file's permissions come from its folder whatever a program asks for.
pub(crate) fn has_default_acl(_folder: &Path) -> bool {
    false
}

/// On Windows a file's permissions come from its folder, also those of a file that replaces
/// another.
pub(crate) fn copy_mode_and_owner(_file: &File, _like: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Always `None`: on Windows a file's permissions come from its folder.
pub(crate) fn acl_of(_file: &File) -> Option<Vec<u8>> {
    None
}

/// Does nothing: no list is ever read.
pub(crate) fn set_acl(_file: &File, _acl: &[u8], _like: &Metadata) -> io::Result<()> {
    Ok(())
}

/// On Windows a file's permissions come from its folder, also those of a file that replaces
/// another.
pub(crate) fn copy_attributes(_old: &File, _like: &Metadata, _new: &File) -> io::Result<()> {
    Ok(())
}

/// Does nothing: NTFS journals names itself, and has no call that waits for it.
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Always `None`: [`sync_folder`] does nothing.
pub(crate) fn open_folder(_folder: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

/// Does nothing, like [`sync_folder`].
pub(crate) fn sync_open_folder(_folder: &File) -> io::Result<()> {
    Ok(())
}

/// Whether the error means that this file system has no kernel locks.
pub(crate) fn locks_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ERROR_NOT_SUPPORTED | ERROR_INVALID_FUNCTION))
}

/// Whether the error means that this file can't have a second name.
pub(crate) fn links_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ERROR_NOT_SUPPORTED | ERROR_INVALID_FUNCTION))
}

/// Whether the error means that the medium is write-protected.
pub(crate) fn is_read_only(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_WRITE_PROTECT)
}

/// Always false: Windows mounts no single files.
pub(crate) fn is_busy(_error: &io::Error) -> bool {
    false
}

/// Always false: Windows has no such error beside that of the access control list.
pub(crate) fn is_not_permitted(_error: &io::Error) -> bool {
    false
}

/// Always false: Windows mounts no single files.
pub(crate) fn is_mount_point(_path: &Path) -> bool {
    false
}

/// Always `None`: Windows has no such attributes.
pub(crate) fn write_block_of(_path: &Path) -> Option<WriteBlock> {
    None
}

/// Whether a call failed only because another program used the file at that moment: a file that is
/// being replaced, deleted or read can't be opened or replaced.
pub(crate) fn may_be_retried(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION | ERROR_DELETE_PENDING)
    )
}

pub(crate) fn host_name() -> String {
    sysinfo_processes::host_name()
}

/// Always `None`: start times are absolute on Windows, so the boot need not be known.
pub(crate) fn boot_id() -> Option<String> {
    None
}

pub(crate) fn process_state(pid: u32) -> ProcessState {
    sysinfo_processes::process_state(pid)
}

/// Always true: Windows has no signals.
pub(crate) fn may_signal(_pid: u32) -> bool {
    true
}

pub(crate) fn process_began(pid: u32) -> Option<SystemTime> {
    sysinfo_processes::process_began(pid)
}

/// Always `None`: not asked for where a boot has no id.
pub(crate) fn boot_began() -> Option<SystemTime> {
    None
}

/// Always empty: Windows does not tell which processes hold a lock.
pub(crate) fn lock_holders(_file: FileId) -> Vec<u32> {
    Vec::new()
}
