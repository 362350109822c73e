//! Files and processes on Windows.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::{self, Component, Path, PathBuf, Prefix};
use std::time::SystemTime;

use super::busy::retry_while_busy;
use super::sysinfo_processes;
use super::types::{FileId, FileStamp, ProcessState, WriteBlock};

/// Whether a program can read a file that another one has locked. Kernel locks are mandatory here,
/// so the lockfile, which must be readable, is a separate file.
pub(crate) const LOCKED_FILE_IS_READABLE: bool = false;

/// False: what a folder tells of a file that a program has open may be older than the file.
pub(crate) const FILES_HAVE_STAMPS: bool = false;

/// Always `None`.
pub(crate) fn stamp_of(_metadata: &Metadata) -> Option<FileStamp> {
    None
}

/// Whether a file can be replaced while a program has it open. Here this depends on the file
/// system.
pub(crate) const OPEN_FILES_CAN_BE_REPLACED: bool = false;

/// Opens a symbolic link (a reparse point) itself, where `O_NOFOLLOW` on Unix refuses to open one.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

/// Opens a folder, too.
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;

const FILE_READ_ATTRIBUTES: u32 = 0x80;

const ERROR_WRITE_PROTECT: i32 = 19;
const ERROR_NOT_SUPPORTED: i32 = 50;
const ERROR_INVALID_FUNCTION: i32 = 1;

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    retry_while_busy(path, || options.open(path))
}

/// Opens an existing file for reading and writing, not following a symbolic link.
pub(crate) fn open_existing(path: &Path) -> io::Result<File> {
    let flags = FILE_FLAG_OPEN_REPARSE_POINT;
    open(path, OpenOptions::new().read(true).write(true).custom_flags(flags))
}

/// Opens an existing file for reading, not following a symbolic link.
pub(crate) fn open_read_only(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT))
}

/// Opens an existing file for reading, following symbolic links.
pub(crate) fn open_following_links(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true))
}

/// Creates a file; fails if one of that name exists. Its permissions come from the folder.
pub(crate) fn create_new(path: &Path, _mode: u32) -> io::Result<File> {
    open(path, OpenOptions::new().read(true).write(true).create_new(true))
}

/// The user's profile folder, as the system has it for a process without `USERPROFILE`.
#[allow(deprecated, reason = "since Rust 1.85 it is not, and does what is needed here")]
pub(crate) fn user_home() -> Option<PathBuf> {
    std::env::home_dir()
}

/// Makes the content of a file durable, not following a symbolic link. Windows asks for the right to write,
/// so it can't be asked to write a read-only file to the disk; it does so in its own time.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.permissions().readonly() {
        return Ok(());
    }
    sync_opened(&open_existing(path)?)
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

/// Whether opening any file may have to wait for another program.
pub(crate) const OPENING_MAY_WAIT: bool = true;

/// Always false: on Windows other programs, such as virus scanners, may examine every file that is
/// opened, so no call is known to return without delay.
pub(crate) fn is_local(_file: &File) -> bool {
    false
}

/// The identity of the file that a path names now, not following a symbolic link; `None` if there
/// is no file.
pub(crate) fn id_at(path: &Path) -> io::Result<Option<FileId>> {
    // Opened for its attributes alone, which a program that shares the file with no other permits, too;
    // and a folder as well.
    let flags = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS;
    match open(path, OpenOptions::new().access_mode(FILE_READ_ATTRIBUTES).custom_flags(flags)) {
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

/// Whether a path no longer names an open file: it was deleted, or another file replaced it. A file that is
/// deleted while it is open does not tell its number of names here.
pub(crate) fn has_lost_name(file: &File, path: &Path) -> io::Result<bool> {
    Ok(id_at(path)? != Some(id_of(file, &file.metadata()?)?))
}

/// Sets when the content of an open file was modified, and no other time.
pub(crate) fn set_modified(file: &File, time: SystemTime) -> io::Result<()> {
    file.set_modified(time)
}

/// Does nothing: Windows has no permission bits.
pub(crate) fn mark(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Always false: Windows has no permission bits.
pub(crate) fn is_marked(_metadata: &Metadata) -> bool {
    false
}

/// On Windows a file's permissions come from its folder.
pub(crate) fn first_permission_bits(_like: &Metadata) -> u32 {
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
    _folder: impl FnOnce() -> Option<Metadata>,
    _acl: impl FnOnce() -> Option<Vec<u8>>,
) -> io::Result<()> {
    Ok(())
}

/// On Windows a file's permissions come from its folder.
pub(crate) fn is_writable_by_group(_path: &Path) -> bool {
    false
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

/// Always `None`: on Windows a file's permissions come from its folder.
pub(crate) fn acl_of(_file: &File) -> Option<Vec<u8>> {
    None
}

/// On Windows a file's permissions come from its folder, also those of a file that replaces
/// another.
pub(crate) fn copy_attributes_and_access(
    _old: &File,
    _like: &Metadata,
    _new: &File,
) -> io::Result<()> {
    Ok(())
}

/// Writes the content of a file to the disk.
pub(crate) fn sync_opened(file: &File) -> io::Result<()> {
    file.sync_all()
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

/// Renames `from` to `to`, in one try. If `to` is read-only, it is replaced nevertheless, as a file
/// without write permission is on Unix, and its successor is read-only, too.
#[allow(clippy::disallowed_methods, reason = "only sys may call it")]
pub(crate) fn rename_once(from: &Path, to: &Path) -> io::Result<()> {
    if !fs::metadata(to).is_ok_and(|found| found.permissions().readonly()) {
        return fs::rename(from, to);
    }
    // Before it gets the name: no reader finds it without the attribute.
    set_read_only(from, true)?;
    let renamed = set_read_only(to, false).and_then(|()| fs::rename(from, to));
    if renamed.is_err() {
        let _ = set_read_only(to, true);
        // A read-only file can't be deleted.
        let _ = set_read_only(from, false);
    }
    renamed
}

fn set_read_only(path: &Path, read_only: bool) -> io::Result<()> {
    let mut permissions = fs::metadata(path)?.permissions();
    permissions.set_readonly(read_only);
    fs::set_permissions(path, permissions)
}

/// The absolute path of a file or folder that exists, without symbolic links, and without the prefix
/// `\\?\` where the path does not need it: few other programs understand that.
pub fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path).map(|verbatim| plain(&verbatim).unwrap_or(verbatim))
}

/// The longest path that every program can open: `MAX_PATH` without the zero at its end.
const MAX_PLAIN_UNITS: usize = 259;

/// A path that begins with `\\?\`, without that prefix; `None` if it begins otherwise, or if the path
/// would mean another file then, or none.
fn plain(verbatim: &Path) -> Option<PathBuf> {
    let mut parts = verbatim.components();
    let Component::Prefix(prefix) = parts.next()? else { return None };
    let mut plain = match prefix.kind() {
        Prefix::VerbatimDisk(letter) => OsString::from(format!("{}:", char::from(letter))),
        Prefix::VerbatimUNC(server, share) => {
            [OsStr::new(r"\\"), server, OsStr::new(r"\"), share].into_iter().collect()
        }
        _ => return None,
    };
    plain.push(parts.as_path());
    // Windows changes the names of devices (`nul`), and names that end with a dot or a space.
    let is_kept = path::absolute(&plain).is_ok_and(|absolute| absolute.as_os_str() == plain);
    (is_kept && plain.encode_wide().count() <= MAX_PLAIN_UNITS).then(|| plain.into())
}

/// Whether a path names a stream of a file (`file:stream`), which can't be replaced by renaming.
pub(crate) fn names_a_stream(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&b':'))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_verbatim_only_where_the_plain_one_would_not_do() {
        for (verbatim, expected) in [
            (r"\\?\C:\a\registry.json", Some(r"C:\a\registry.json")),
            (r"\\?\C:\", Some(r"C:\")),
            (r"\\?\UNC\server\share\a.json", Some(r"\\server\share\a.json")),
            (r"\\?\C:\a\dot.", None),
            (r"\\?\C:\a\space ", None),
            (r"C:\a", None),
        ] {
            assert_eq!(
                plain(Path::new(verbatim)).as_deref(),
                expected.map(Path::new),
                "{verbatim}"
            );
        }
        let long = format!(r"\\?\C:\{}", "x".repeat(MAX_PLAIN_UNITS));
        assert_eq!(plain(Path::new(&long)), None);
    }

    #[test]
    fn a_stream_of_a_file_is_told_from_a_file() {
        assert!(names_a_stream(Path::new(r"C:\a\registry.json:stream")));
        for file in [r"C:\a\registry.json", "C:registry.json", "registry.json"] {
            assert!(!names_a_stream(Path::new(file)), "{file}");
        }
    }
}
