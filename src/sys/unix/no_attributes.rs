//! Access control lists and extended attributes where this crate can't copy them: macOS has lists of
//! another kind, which only unsafe code can read.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use super::super::types::WriteBlock;

/// Always `None`: only Linux lets a program read a list without unsafe code.
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

/// Always false: only Linux mounts single files.
pub(crate) fn is_mount_point(_path: &Path) -> bool {
    false
}

/// Always `None`: not looked for here.
pub(crate) fn write_block_of(_path: &Path) -> Option<WriteBlock> {
    None
}
