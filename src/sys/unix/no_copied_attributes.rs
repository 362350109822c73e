//! Access control lists and extended attributes on systems other than Linux and macOS, on which this crate
//! does not copy them.

use std::fs::{File, Metadata};
use std::io;

use super::access::copy_mode_and_owner;

/// Always `None`: no list is read here.
pub(crate) fn acl_of(_file: &File) -> Option<Vec<u8>> {
    None
}

/// Does nothing: no list is ever read.
pub(crate) fn set_acl(_file: &File, _acl: &[u8], _like: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Gives a new file the owner and the mode of the file that it replaces, and no more.
pub(crate) fn copy_attributes_and_access(
    _old: &File,
    like: &Metadata,
    new: &File,
) -> io::Result<()> {
    copy_mode_and_owner(new, like)
}
