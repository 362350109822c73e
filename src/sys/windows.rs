//! Windows.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use super::types::{FileId, ProcessState};

/// A kernel lock here is mandatory: a locked guard can't be read, so the lockfile, which must be
/// readable, is a file of its own.
pub(crate) const LOCKED_FILE_IS_READABLE: bool = false;

/// On some file systems a file that somebody has open can't be replaced.
pub(crate) const OPEN_FILES_CAN_BE_REPLACED: bool = false;

/// Opens the reparse point itself, as `O_NOFOLLOW` refuses to follow a symbolic link.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

const ERROR_ACCESS_DENIED: i32 = 5;
const ERROR_WRITE_PROTECT: i32 = 19;
const ERROR_SHARING_VIOLATION: i32 = 32;
const ERROR_NOT_SUPPORTED: i32 = 50;
const ERROR_INVALID_FUNCTION: i32 = 1;
const ERROR_DELETE_PENDING: i32 = 303;

/// Opens an existing file for reading and writing.
pub(crate) fn open_existing(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)
}

/// Opens an existing file for reading, not following a symbolic link.
pub(crate) fn open_for_look(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)
}

/// Opens the registry for reading, wherever it links to.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Creates a file that must not be there yet; permissions come from the folder.
pub(crate) fn create_new(path: &Path, _mode: u32) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
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

/// What a path leads to, if no link is on the way: there is no such call here.
pub(crate) fn look_without_links(_path: &Path) -> Option<Metadata> {
    None
}

/// Whether a file's calls are answered without delay. Nothing is known of that here, where other
/// programs look into every file that is opened.
pub(crate) fn is_local(_file: &File) -> bool {
    false
}

/// What a name stands for right now, not following a symbolic link; `None` if nothing.
pub(crate) fn id_at(path: &Path) -> io::Result<Option<FileId>> {
    match open_for_look(path) {
        Ok(file) => {
            let metadata = file.metadata()?;
            id_of(&file, &metadata).map(Some)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Files don't say here when a name was last added to them.
pub(crate) fn link_time(_path: &Path) -> Option<SystemTime> {
    None
}

/// Permissions come from the folder here.
pub(crate) fn permission_bits(_metadata: &Metadata) -> u32 {
    0o666
}

/// Permissions come from the folder here.
pub(crate) fn copy_access(_file: &File, _like: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Permissions come from the folder here.
pub(crate) fn widen_access(_file: &File, _current: &Metadata, _like: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Permissions come from the folder here.
pub(crate) fn open_to_users_of(_file: &File, _like: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Permissions come from the folder here.
pub(crate) fn may_give_to_owner_of(_other: &Metadata) -> bool {
    true
}

/// Permissions come from the folder here, and a replaced file keeps none of its own.
pub(crate) fn copy_mode_and_owner(_file: &File, _like: &Metadata) -> io::Result<()> {
    Ok(())
}

/// NTFS journals names itself; there is no call to wait for it.
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether the error says that this file system has no kernel locks at all.
pub(crate) fn locks_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ERROR_NOT_SUPPORTED | ERROR_INVALID_FUNCTION))
}

/// Whether the error says that this file can't have a second name.
pub(crate) fn links_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ERROR_NOT_SUPPORTED | ERROR_INVALID_FUNCTION))
}

/// Whether the error says that the medium is write-protected.
pub(crate) fn is_read_only(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_WRITE_PROTECT)
}

/// A file that is being replaced, deleted or read refuses to be opened or replaced for a moment.
pub(crate) fn may_be_retried(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION | ERROR_DELETE_PENDING)
    )
}

pub(crate) fn host_name() -> String {
    sysinfo::System::host_name().unwrap_or_default()
}

/// Start times are absolute here, so a boot needs no name of its own.
pub(crate) fn boot_id() -> Option<String> {
    None
}

/// There are no pid namespaces here.
pub(crate) fn pid_namespace() -> Option<u64> {
    None
}

pub(crate) fn process_state(pid: u32) -> ProcessState {
    super::process_state_from_library(pid)
}

/// Whether a process may be signalled is nothing that Windows knows.
pub(crate) fn may_signal(_pid: u32) -> bool {
    true
}

pub(crate) fn process_began(pid: u32) -> Option<SystemTime> {
    super::process_began_from_library(pid)
}

/// Windows does not tell who holds a lock.
pub(crate) fn lock_holders(_file: FileId) -> Vec<u32> {
    Vec::new()
}
