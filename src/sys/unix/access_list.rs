//! Access control lists and extended attributes of files on Linux.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{fgetxattr, flistxattr, fremovexattr, fsetxattr, statx, XattrFlags};
use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, CWD};
use rustix::io::Errno;

use super::super::acl;
use super::super::types::WriteBlock;
use super::unsupported::is_unsupported;

const ACL: &str = "system.posix_acl_access";

/// Attributes that are copied if the system permits it. Otherwise the new file has those that the
/// system's policy gives to new files.
const LABELS: [&str; 2] = ["security.selinux", "security.SMACK64"];

/// A file's access control list, as the kernel encodes it; `None` if it has none beside its mode.
pub(crate) fn acl_of(file: &File) -> Option<Vec<u8>> {
    value(file, ACL).ok().filter(|acl| !acl.is_empty())
}

/// Gives a file this access control list, which is that of `like`. Users and groups that `like` had
/// and the file could not get keep their access by entries of their own.
pub(crate) fn set_acl(file: &File, acl: &[u8], like: &Metadata) -> io::Result<()> {
    let current = file.metadata()?;
    let lost_owner = (current.uid() != like.uid()).then_some(like.uid());
    let lost_group = (current.gid() != like.gid()).then_some(like.gid());
    let kept = acl::keeping(acl, lost_owner, lost_group);
    let acl = kept.as_deref().unwrap_or(acl);
    Ok(fsetxattr(file, ACL, acl, XattrFlags::empty())?)
}

/// Gives a new file the access control list, the extended attributes of users and the labels of the
/// file that it replaces. Fails if a list or an attribute can't be set: the access rights would
/// change, and no error would tell. Other attributes, such as capabilities and checksums of the content, belong
/// to the old content.
pub(crate) fn copy_attributes(old: &File, like: &Metadata, new: &File) -> io::Result<()> {
    let (old_names, new_names) = (names(old)?, names(new)?);
    let has =
        |names: &[u8], name: &str| names.split(|byte| *byte == 0).any(|at| at == name.as_bytes());
    if has(&old_names, ACL) {
        set_acl(new, &value(old, ACL)?, like)?;
    } else if has(&new_names, ACL) {
        // The folder's default list.
        fremovexattr(new, ACL)?;
    }
    for name in old_names.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok())
    {
        let is_label = LABELS.contains(&name);
        if !is_label && !name.starts_with("user.") {
            continue;
        }
        let copied = value(old, name).and_then(|wanted| {
            if has(&new_names, name) && value(new, name).is_ok_and(|has| has == wanted) {
                return Ok(());
            }
            Ok(fsetxattr(new, name, &wanted, XattrFlags::empty())?)
        });
        if !is_label {
            copied?;
        }
    }
    Ok(())
}

/// The names of a file's attributes, each with a zero byte after it. Empty where the file system has
/// no attributes.
fn names(file: &File) -> io::Result<Vec<u8>> {
    match filled(|buffer| flistxattr(file.as_fd(), buffer)) {
        Err(error)
            if is_unsupported(&error)
                || matches!(Errno::from_io_error(&error), Some(Errno::PERM | Errno::ACCESS)) =>
        {
            Ok(Vec::new())
        }
        names => names,
    }
}

fn value(file: &File, name: &str) -> io::Result<Vec<u8>> {
    filled(|buffer| fgetxattr(file.as_fd(), name, buffer))
}

/// What a call puts into a buffer, which is made larger until it is large enough.
fn filled(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 1024];
    loop {
        match call(&mut buffer) {
            Err(Errno::RANGE) => buffer.resize(buffer.len() * 4, 0),
            Err(error) => return Err(error.into()),
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
        }
    }
}

/// Whether a path is the root of a mount, such as that of a single file.
pub(crate) fn is_mount_point(path: &Path) -> bool {
    attributes(path).contains(StatxAttributes::MOUNT_ROOT)
}

/// The attribute of a file or folder that keeps every user from changing it, if it has one.
pub(crate) fn write_block_of(path: &Path) -> Option<WriteBlock> {
    let attributes = attributes(path);
    if attributes.contains(StatxAttributes::IMMUTABLE) {
        return Some(WriteBlock::Immutable);
    }
    attributes.contains(StatxAttributes::APPEND).then_some(WriteBlock::AppendOnly)
}

/// Empty if the system does not tell.
fn attributes(path: &Path) -> StatxAttributes {
    let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE);
    found.map_or(StatxAttributes::empty(), |found| found.stx_attributes)
}
