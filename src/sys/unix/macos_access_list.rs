//! Access control lists of files on macOS. The crate `exacl` reads and writes them, by path and with its own error
//! texts; this crate keeps them in that crate's form of text.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::macos_acl::{is_missing, is_unsupported_text, keeping};

/// A file's access control list as a text; `None` if it has none beside its mode.
pub(crate) fn acl_of(file: &File) -> Option<Vec<u8>> {
    read(file).ok().filter(|list| !list.is_empty()).map(String::into_bytes)
}

/// Gives a file this access control list, which is that of `like`. The owner and group that `like` had
/// and the file could not get keep their access by entries of their own.
pub(super) fn set_acl(file: &File, acl: &[u8], like: &Metadata) -> io::Result<()> {
    let current = file.metadata()?;
    let lost_owner = (current.uid() != like.uid()).then_some(like.uid());
    let lost_group = (current.gid() != like.gid()).then_some(like.gid());
    let list = String::from_utf8_lossy(acl);
    write(file, &keeping(&list, like.mode(), lost_owner, lost_group))
}

/// Gives a new file the list of the file that it replaces, whose metadata is `like`. A list is no attribute
/// here.
pub(super) fn copy_list(
    (old, _): (&File, &[u8]),
    like: &Metadata,
    (new, _): (&File, &[u8]),
) -> io::Result<()> {
    let (wanted, has) = (read(old)?, read(new)?);
    match wanted.is_empty() {
        false => set_acl(new, wanted.as_bytes(), like),
        // What the folder has given to its new file.
        true if !has.is_empty() => write(new, ""),
        true => Ok(()),
    }
}

/// Empty for a file without a list, on a file system without lists, or without a path: the check of the lock
/// finds a file that was deleted meanwhile.
fn read(file: &File) -> io::Result<String> {
    let list = path_of(file)
        .and_then(|path| exacl::getfacl(path, None))
        .and_then(|entries| exacl::to_string(&entries));
    match list {
        Err(error) if is_missing(&error) || is_unsupported_text(&error) => Ok(String::new()),
        list => list,
    }
}

fn write(file: &File, list: &str) -> io::Result<()> {
    exacl::setfacl(&[path_of(file)?], &exacl::from_str(list)?, None)
}

/// The path that an open file has now.
fn path_of(file: &File) -> io::Result<PathBuf> {
    Ok(OsString::from_vec(rustix::fs::getpath(file)?.into_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_list_is_copied_with_the_entries_of_a_lost_owner_and_removed_where_there_was_none() {
        let dir = tempfile::tempdir().unwrap();
        let (old_path, new_path) = (dir.path().join("old"), dir.path().join("new"));
        let (old, new) = (File::create(&old_path).unwrap(), File::create(&new_path).unwrap());
        let like = old.metadata().unwrap();
        assert_eq!(acl_of(&old), None);

        write(&old, "allow::group:everyone:read\n").unwrap();
        copy_list((&old, &[]), &like, (&new, &[])).unwrap();
        assert_eq!(acl_of(&new), acl_of(&old));
        assert!(acl_of(&old).is_some());

        let list = keeping(&read(&old).unwrap(), 0o640, Some(1), Some(1));
        write(&new, &list).unwrap();
        assert_eq!(read(&new).unwrap().lines().count(), 3);

        write(&old, "").unwrap();
        copy_list((&old, &[]), &like, (&new, &[])).unwrap();
        assert_eq!(acl_of(&new), None);

        fs::remove_file(&old_path).unwrap();
        assert_eq!(acl_of(&old), None);
    }
}
