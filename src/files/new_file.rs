//! Files and folders that are new: whose they are, and who may write them.
//!
//! What root makes in a folder of another user belongs to that user, who could neither change nor
//! lock it otherwise. What a user makes in a folder that a group shares is as open as the folder.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::sys;

/// The mode of a new file, before the umask is applied, unless the caller or the folder asks for
/// another.
const DEFAULT_MODE: u32 = 0o644;

/// Creates a file that replaces none; fails if one of its name exists. Without a mode, the file is
/// as open as the folder means it to be: a folder that is shared by a group (set-group-ID and
/// writable by the group), or that has a default ACL.
pub(crate) fn create(path: &Path, mode: Option<u32>) -> io::Result<File> {
    let folder = folder_of(path);
    // The system applies a default ACL within the mode that is asked for.
    let default_mode = || if sys::has_default_acl(folder) { 0o666 } else { DEFAULT_MODE };
    let owner = fs::metadata(folder)?;
    let file = sys::create_new(path, mode.unwrap_or_else(default_mode))?;
    sys::give_to_owner_of(&owner, &file);
    if mode.is_none() && sys::is_shared_by_group(&owner) {
        // A call that fails leaves no trace.
        sys::open_to_group(&file).inspect_err(|_| _ = sys::remove_if_there(path))?;
    }
    Ok(file)
}

/// Creates a folder and its missing parents, so that they would survive a power failure like the
/// file that is put there. It happens once in the life of a file, so there is no option to skip the
/// fsync.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<_> = folder.ancestors().take_while(|folder| !folder.is_dir()).collect();
    for created in missing.into_iter().rev() {
        create_one_folder(created)?;
        sys::sync_folder(folder_of(created))?;
    }
    Ok(())
}

/// Creates a folder in an existing folder; succeeds if another process has created it.
fn create_one_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => adopt(folder),
    }
}

/// Makes a folder that was just created belong to the owner of its parent if root created it, and
/// opens it to the group that shares the parent.
pub(crate) fn adopt(folder: &Path) -> io::Result<()> {
    sys::adopt_folder(&fs::metadata(folder_of(folder))?, folder)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
