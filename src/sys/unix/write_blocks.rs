//! What keeps every user from replacing a file on Linux.

use std::path::Path;

use rustix::fs::{statx, AtFlags, StatxAttributes, StatxFlags, CWD};

use super::super::types::WriteBlock;

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
