//! Listing a folder.
//!
//! Not by `std::fs::read_dir` on Unix: it panics when the folder can't be closed, as on a network or a
//! full file system that reports a failure so late. The listing is complete by then.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

/// A name in a folder.
#[derive(Debug)]
pub(crate) struct ListedName {
    pub(crate) name: OsString,
    pub(crate) kind: ListedKind,
}

/// What has the name; symbolic links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListedKind {
    File,
    Folder,
    Other,
}

impl From<fs::FileType> for ListedKind {
    fn from(kind: fs::FileType) -> Self {
        match kind {
            kind if kind.is_file() => ListedKind::File,
            kind if kind.is_dir() => ListedKind::Folder,
            _ => ListedKind::Other,
        }
    }
}

/// The names in a folder, in no order.
#[cfg(unix)]
pub(crate) fn names_in(folder: &Path) -> io::Result<Vec<ListedName>> {
    use rustix::fs::{open, Dir, FileType, Mode, OFlags};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut found = Vec::new();
    for entry in Dir::new(open(folder, flags, Mode::empty())?)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::RegularFile => ListedKind::File,
            FileType::Directory => ListedKind::Folder,
            // Some file systems don't tell. What can't be looked at was deleted meanwhile, or is of no use.
            FileType::Unknown => fs::symlink_metadata(folder.join(name))
                .map_or(ListedKind::Other, |metadata| metadata.file_type().into()),
            _ => ListedKind::Other,
        };
        found.push(ListedName { name: name.to_owned(), kind });
    }
    Ok(found)
}

/// The names in a folder, in no order.
#[cfg(not(unix))]
pub(crate) fn names_in(folder: &Path) -> io::Result<Vec<ListedName>> {
    let listed = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        let kind = entry.file_type().map_or(ListedKind::Other, ListedKind::from);
        Ok(ListedName { name: entry.file_name(), kind })
    };
    fs::read_dir(folder)?.map(listed).collect()
}
