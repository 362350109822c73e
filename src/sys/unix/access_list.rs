//! Access control lists of files on Linux: an extended attribute.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{fremovexattr, fsetxattr, XattrFlags};

use super::super::acl;
use super::attributes::{has_attribute, value};

const ACL: &str = "system.posix_acl_access";

/// A file's access control list, as the kernel encodes it; `None` if it has none beside its mode.
pub(crate) fn acl_of(file: &File) -> Option<Vec<u8>> {
    value(file, ACL).ok().filter(|acl| !acl.is_empty())
}

/// Gives a file this access control list, which is that of `like`. Users and groups that `like` had
/// and the file could not get keep their access by entries of their own.
pub(super) fn set_acl(file: &File, acl: &[u8], like: &Metadata) -> io::Result<()> {
    let current = file.metadata()?;
    let lost_owner = (current.uid() != like.uid()).then_some(like.uid());
    let lost_group = (current.gid() != like.gid()).then_some(like.gid());
    let kept = acl::keeping(acl, lost_owner, lost_group);
    let acl = kept.as_deref().unwrap_or(acl);
    Ok(fsetxattr(file, ACL, acl, XattrFlags::empty())?)
}

/// Adds to a file's list the users and groups whom `acl` lets write.
pub(super) fn add_writers(file: &File, acl: &[u8]) -> io::Result<()> {
    let own = match acl_of(file) {
        Some(own) => own,
        None => acl::of_mode(file.metadata()?.mode()),
    };
    match acl::adding_writers(&own, acl) {
        Some(list) => Ok(fsetxattr(file, ACL, &list, XattrFlags::empty())?),
        None => Ok(()),
    }
}

/// Gives a new file the list of the file that it replaces, whose metadata is `like`. The names are those of
/// the attributes of both.
pub(super) fn copy_list(
    (old, old_names): (&File, &[u8]),
    like: &Metadata,
    (new, new_names): (&File, &[u8]),
) -> io::Result<()> {
    if has_attribute(old_names, ACL) {
        set_acl(new, &value(old, ACL)?, like)?;
    } else if has_attribute(new_names, ACL) {
        // The folder's default list.
        fremovexattr(new, ACL)?;
    }
    Ok(())
}
