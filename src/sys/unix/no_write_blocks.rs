//! What keeps every user from replacing a file, on other systems than Linux: not looked for.

use std::path::Path;

use super::super::types::WriteBlock;

/// Always false: only Linux mounts single files.
pub(crate) fn is_mount_point(_path: &Path) -> bool {
    false
}

/// Always `None`: not looked for here.
pub(crate) fn write_block_of(_path: &Path) -> Option<WriteBlock> {
    None
}
