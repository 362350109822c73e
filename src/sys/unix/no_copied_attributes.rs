//! Access control lists and extended attributes on systems other than Linux and macOS, on which this crate
//! does not copy them.

use std::fs::{File, Metadata};
use std::io;

/// Always `None`: no list is read here.
pub(crate) fn acl_of(_file: &File) -> Option<Vec<u8>> {
    None
}

/// Does nothing: no list is ever read.
pub(crate) fn set_acl(_file: &File, _acl: &[u8], _like: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Does nothing: here a file that replaces another keeps mode and owner, and no more.
pub(crate) fn copy_attributes(_old: &File, _like: &Metadata, _new: &File) -> io::Result<()> {
    Ok(())
}
