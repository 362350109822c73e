//! Owners of files and folders, and who may do what in a folder.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{fchown, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Dir, OFlags};

const SET_GROUP_ID: u32 = 0o2000;
const STICKY: u32 = 0o1000;
pub(super) const GROUP_WRITE: u32 = 0o020;
pub(super) const OTHERS_WRITE: u32 = 0o002;

/// Whether this process may do with a file what its owner may: its user is the owner, or root.
pub(crate) fn acts_as_owner(metadata: &Metadata) -> bool {
    let user = rustix::process::geteuid();
    user.is_root() || user.as_raw() == metadata.uid()
}

/// Whether this process, if it may write into a folder, may remove or replace this file in it: in a
/// sticky folder only the owner of either may.
pub(crate) fn may_remove(folder: &Metadata, file: &Metadata) -> bool {
    !is_sticky(folder) || acts_as_owner(folder) || acts_as_owner(file)
}

fn is_sticky(folder: &Metadata) -> bool {
    folder.mode() & STICKY != 0
}

/// Whether a folder gives its group to new files, and lets that group replace them.
pub(crate) fn is_shared_by_group(folder: &Metadata) -> bool {
    folder.mode() & (SET_GROUP_ID | GROUP_WRITE | STICKY) == SET_GROUP_ID | GROUP_WRITE
}

/// A file's permission bits for reading and writing. Leaves out the bits for executing and set-id,
/// which no file of this crate needs.
pub(super) fn permission_bits(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o666
}

/// The permission bits that a new file has until it gets the attributes, owner, group and mode of `like`. Its
/// group is not the right one yet: another user, of this group or of the other, could open the file meanwhile. So
/// both may do only what both may do with `like`. The owner may write: nothing can be set of a read-only file.
pub(crate) fn first_permission_bits(like: &Metadata) -> u32 {
    let mode = permission_bits(like);
    let common = (mode >> 3) & mode & 0o007;
    0o600 | common << 3 | common
}

/// Gives a file the mode, owner and group of `like`.
///
/// A process that may not change the owner sets the group alone. A process that may not do that
/// either leaves the file with a group for which `like` was not meant, so that group gets the
/// permissions of all other users.
pub(super) fn copy_mode_and_owner(file: &File, like: &Metadata) -> io::Result<()> {
    let current = file.metadata()?;
    let mut mode = like.mode() & 0o7777;
    let chown = |uid: Option<u32>, gid: Option<u32>| fchown(file, uid, gid);
    if (current.uid(), current.gid()) != (like.uid(), like.gid())
        && chown(Some(like.uid()), Some(like.gid())).is_err()
    {
        // Set-id bits were granted to the owner of `like`, not to this process's user.
        mode &= 0o777;
        if current.gid() != like.gid() && chown(None, Some(like.gid())).is_err() {
            mode = (mode & !0o070) | ((mode & 0o007) << 3);
        }
    }
    if current.mode() & 0o7777 != mode {
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Whether this process is root's, and the folder is another user's.
fn must_give_to_owner_of(folder: &Metadata) -> bool {
    rustix::process::geteuid().is_root() && folder.uid() != 0
}

/// Gives a new file of root's to the owner and the group of its folder. Does nothing for other
/// users. Where the file system refuses that, the file stays root's.
pub(crate) fn give_to_owner_of(folder: &Metadata, file: &File) {
    if must_give_to_owner_of(folder) {
        let _ = fchown(file, Some(folder.uid()), Some(folder.gid()));
    }
}

/// Permits the users who may read `protected`, and may replace it because they may write into its
/// folder, to write this file. Without `protected`, all users who may write into the folder.
pub(crate) fn open_to_writers_of(
    folder: &Metadata,
    protected: Option<&Metadata>,
    file: &File,
) -> io::Result<()> {
    if is_sticky(folder) {
        return Ok(());
    }
    let current = file.metadata()?;
    let mut mode = current.mode() & 0o7777;
    // Which users of the folder's group, and which other users, may read `protected`.
    let (group_reads, others_read) = protected.map_or((true, true), |protected| {
        let others_read = protected.mode() & 0o004 != 0;
        let has_group = protected.gid() == folder.gid();
        (if has_group { protected.mode() & 0o040 != 0 } else { others_read }, others_read)
    });
    if folder.mode() & GROUP_WRITE != 0 && group_reads {
        let has_group =
            current.gid() == folder.gid() || fchown(file, None, Some(folder.gid())).is_ok();
        mode |= if has_group { 0o060 } else { 0 };
    }
    if folder.mode() & OTHERS_WRITE != 0 && others_read {
        mode |= 0o006;
    }
    set_mode(file, &current, mode)
}

/// Whether the mode of a file lets its group write.
pub(crate) fn is_writable_by_group(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.mode() & GROUP_WRITE != 0)
}

/// Permits a file's group to read and write it.
pub(crate) fn open_to_group(file: &File) -> io::Result<()> {
    let current = file.metadata()?;
    set_mode(file, &current, current.mode() & 0o7777 | 0o060)
}

fn set_mode(file: &File, current: &Metadata, mode: u32) -> io::Result<()> {
    if current.mode() & 0o7777 == mode {
        return Ok(());
    }
    file.set_permissions(Permissions::from_mode(mode))
}

/// Makes a new, empty folder of this process belong to the owner of its parent, if this process is
/// root's, and permits the group to write it if the parent is shared by that group.
pub(crate) fn adopt_folder(parent: &Metadata, folder: &Path) -> io::Result<()> {
    if !must_give_to_owner_of(parent) && !is_shared_by_group(parent) {
        return Ok(());
    }
    let no_link = (OFlags::NOFOLLOW | OFlags::DIRECTORY).bits() as i32;
    let folder = OpenOptions::new().read(true).custom_flags(no_link).open(folder)?;
    let current = folder.metadata()?;
    // The parent's owner may have put another folder of root's in the place of the new one. An empty
    // one can be given away.
    let mut entries = Dir::read_from(&folder)?;
    let is_empty =
        entries.all(|entry| entry.is_ok_and(|entry| [c".", c".."].contains(&entry.file_name())));
    if !is_empty || !acts_as_owner(&current) {
        return Ok(());
    }
    give_to_owner_of(parent, &folder);
    if is_shared_by_group(parent) {
        set_mode(&folder, &current, current.mode() & 0o7777 | 0o070)?;
    }
    Ok(())
}
