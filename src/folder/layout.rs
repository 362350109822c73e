//! Where the files of a registry in a folder are.
//!
//! | path | what it is |
//! |---|---|
//! | `watchers/<name>.json` | one entry; [`EntryId`](crate::folder::id::EntryId) tells the name |
//! | `watchers/<name>.lock` | where a locked file can't be read (Windows): the file that carries the claim's lock |
//! | `watchers/.<32 digits>.tmp` | an entry that is being published or removed |
//! | `.guard`, `.lock` | the lock of the folder: guard and lockfile, as a registry file has them |
//! | `.update` | the journal of an update that changes several entries |

use std::fs;
use std::io;
use std::path::{self, Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::paths::{self, FilePaths};
use crate::folder::id;

/// The folder in a registry's folder that holds the entries.
pub(crate) const ENTRIES: &str = "watchers";

/// The paths of a registry in a folder. All paths of one folder resolve to equal ones.
#[derive(Debug, Clone)]
pub(crate) struct FolderPaths {
    /// As the caller passed it.
    pub(crate) given: PathBuf,
    pub(crate) root: PathBuf,
    pub(crate) entries: PathBuf,
    pub(crate) journal: PathBuf,
    /// The paths of the folder's lock.
    pub(crate) lock: FilePaths,
}

impl FolderPaths {
    /// Follows symbolic links to the folder itself, which need not exist.
    pub(crate) fn resolve(given: &Path) -> Result<Self> {
        let fail = |error| Error::from_io(given, "resolve", error);
        if given.as_os_str().is_empty() {
            let reason = "the path is empty".to_owned();
            return Err(Error::InvalidValue { path: given.to_path_buf(), reason });
        }
        let absolute = path::absolute(given).map_err(fail)?;
        // Without a separator at its end.
        let root: PathBuf = paths::canonicalize_existing_part(&absolute).components().collect();
        if fs::metadata(&root).is_ok_and(|found| !found.is_dir()) {
            return Err(Error::from_io(given, "use", io::Error::other("it is not a folder")));
        }
        if root.file_name().is_none() {
            let reason = "the path names the root folder".to_owned();
            return Err(Error::InvalidValue { path: given.to_path_buf(), reason });
        }
        let entries = root.join(ENTRIES);
        Ok(FolderPaths {
            given: given.to_path_buf(),
            journal: root.join(".update"),
            lock: FilePaths::of_folder(&root, &entries, given),
            entries,
            root,
        })
    }

    /// Where a journal that can't be read is kept.
    pub(crate) fn damaged_journal(&self) -> PathBuf {
        self.root.join(".update.damaged")
    }

    /// The file of the entry with this name.
    pub(crate) fn entry(&self, name: &str) -> PathBuf {
        self.entries.join(name)
    }

    /// The file that carries the lock of the claim on the entry with this name, where the entry's own
    /// file can't.
    pub(crate) fn claim_lock(&self, name: &str) -> PathBuf {
        let stem = name.strip_suffix(id::ENDING).unwrap_or(name);
        self.entries.join(format!("{stem}.lock"))
    }

    /// A path beside the entries that no other process uses.
    pub(crate) fn new_temp(&self) -> PathBuf {
        self.entries.join(format!(".{}.tmp", paths::nonce()))
    }

    /// Whether a file among the entries has the name of a temp file.
    pub(crate) fn is_temp(name: &str) -> bool {
        let nonce = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
        nonce.is_some_and(|nonce| nonce.len() == 32 && nonce.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    /// An error of the operating system about the registry.
    pub(crate) fn error(&self, operation: &'static str, source: io::Error) -> Error {
        Error::from_io(&self.given, operation, source)
    }

    pub(crate) fn invalid(&self, reason: String) -> Error {
        Error::InvalidValue { path: self.given.clone(), reason }
    }

    pub(crate) fn unsupported(&self, reason: impl Into<String>) -> Error {
        Error::Unsupported { path: self.given.clone(), reason: reason.into() }
    }
}
