//! The access rights that a lock file gets from the file that it protects.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{fchown, MetadataExt, PermissionsExt};

use super::access::{
    acts_as_owner, copy_mode_and_owner, permission_bits, GROUP_WRITE, OTHERS_WRITE,
};
#[cfg(any(target_os = "linux", target_os = "macos"))]
use super::access_list::set_acl;
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
use super::copied_attributes::set_acl;

/// Gives a file the access rights of `like`: only users who may read or write `like` may do so with
/// the file. `acl` is the access control list of `like`. The file's owner may always read and write it,
/// even where `like` is read-only.
pub(crate) fn copy_access(file: &File, like: &Metadata, acl: Option<&[u8]>) -> io::Result<()> {
    copy_mode_and_owner(file, like)?;
    if let Some(acl) = acl {
        set_acl(file, acl, like)?;
    }
    let mode = permission_bits(&file.metadata()?) | 0o600;
    file.set_permissions(Permissions::from_mode(mode))
}

/// Permits the users who may write `like` to write this file, too, which is in the same folder, whose metadata
/// `folder` returns. `current` is the file's own metadata, `acl` returns the access control list of `like`. Most times
/// there is nothing to do, and the arguments tell.
pub(crate) fn widen_access(
    file: &File,
    current: &Metadata,
    like: &Metadata,
    folder: impl FnOnce() -> Option<Metadata>,
    acl: impl FnOnce() -> Option<Vec<u8>>,
) -> io::Result<()> {
    if permission_bits(like) & !permission_bits(current) != 0 {
        return copy_access(file, like, acl().as_deref());
    }
    // The mode is the mask of a list: where the group may not write, no list lets another user write.
    let lets_group_write = like.mode() & GROUP_WRITE != 0 && current.mode() & OTHERS_WRITE == 0;
    if !lets_group_write || !acts_as_owner(current) {
        return Ok(());
    }
    // The users who may replace `like` because they may write into the folder would lose the file.
    let is_for_folder = |folder: Metadata| {
        let shared = folder.mode() & GROUP_WRITE != 0 && folder.gid() == current.gid();
        shared && like.mode() & 0o004 != 0
    };
    if like.gid() != current.gid() && !folder().is_some_and(is_for_folder) {
        // Refused to an owner who is not of that group.
        let _ = fchown(file, None, Some(like.gid()));
    }
    #[cfg(target_os = "linux")]
    if let Some(acl) = acl() {
        super::access_list::add_writers(file, &acl)?;
    }
    Ok(())
}

/// Permits the users who may write `like` to open a document's lock file.
///
/// The caller of the library has chosen the lock file's path, so it may name any file. Only an
/// empty file of the owner of `like`, with one name, is changed, and no permission is taken away.
pub(crate) fn open_to_users_of(file: &File, like: &Metadata) -> io::Result<()> {
    let current = file.metadata()?;
    let is_lock_file = current.len() == 0 && current.nlink() == 1 && current.uid() == like.uid();
    let (has, mut wants) = (permission_bits(&current), permission_bits(like));
    if !is_lock_file || wants & !has == 0 {
        return Ok(());
    }
    let same_group = current.gid() == like.gid() || fchown(file, None, Some(like.gid())).is_ok();
    if !same_group {
        wants &= !0o070;
    }
    file.set_permissions(Permissions::from_mode(has | wants))
}
