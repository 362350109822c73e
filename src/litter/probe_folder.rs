//! A folder for testing the file system that a file is on, created beside that file. It contains an
//! owner record, so that a folder whose process was killed can be told from one that is in use.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::files::new_file;
use crate::files::paths;
use crate::lock::owner_record::{Liveness, OwnerRecord, RECORD_SIZE};
use crate::sys::{self, ListedKind, ListedName};

/// The beginning of a probe folder's name.
const FOLDER_PREFIX: &str = ".argus-registry-probe-";
/// The name of the file with the owner record: the first file created, and the last one removed.
const OWNER_FILE: &str = "owner";
/// The beginning of the names of all other files in a probe folder.
const PROBE_FILE_PREFIX: &str = "probe-";

/// The age at which a probe folder counts as abandoned if its owner can't be judged (another host, no
/// owner file). Testing a file system takes seconds, on a slow one a minute.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// A folder for testing what a file system can do. Dropping the value removes the folder. If the
/// process is killed, [`find_litter`](crate::find_litter) finds the folder.
#[derive(Debug)]
#[must_use = "the folder is removed as soon as this value is dropped"]
pub struct ProbeFolder {
    path: PathBuf,
}

impl ProbeFolder {
    /// Creates a probe folder in an existing folder, with an owner record of this process in it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if `folder` does not exist; [`Error::PermissionDenied`] if it is read-only;
    /// [`Error::Io`].
    pub fn create(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        // Before the folder is made: a network file system can make it and report a failure, and then it has
        // to be removed, too. No other process has this name.
        let probe = ProbeFolder { path: folder.join(format!("{FOLDER_PREFIX}{}", paths::nonce())) };
        fs::create_dir(&probe.path)
            .map_err(|error| Error::from_io(folder, "create a folder in", error))?;
        new_file::adopt(&probe.path)
            .map_err(|error| Error::from_io(folder, "create a folder in", error))?;
        let owner = OwnerRecord::new(
            std::process::id(),
            sys::own_start(),
            sys::location().clone(),
            None,
            paths::nonce(),
            SystemTime::now(),
        );
        new_file::create(&probe.path.join(OWNER_FILE), Some(0o644))
            .and_then(|file| sys::write_start(&file, &owner.encode()))
            .map_err(|error| Error::from_io(&probe.path, "create a file in", error))?;
        Ok(probe)
    }

    /// A path for a file in the probe folder. Only files with such paths are removed with the folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{PROBE_FILE_PREFIX}{name}"))
    }

    /// The probe folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folder and returns a failure, which `drop` can't do.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the folder contains another file or folder, or if the system refused.
    pub fn remove(self) -> Result<()> {
        remove(&self.path)
    }
}

impl Drop for ProbeFolder {
    fn drop(&mut self) {
        let _ = remove(&self.path);
    }
}

/// The probe folders in a folder.
pub(crate) fn all_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |error| Error::from_io(folder, "list", error);
    let names = sys::names_in(folder).map_err(fail)?.into_iter();
    let folders = names.filter(|entry| entry.kind == ListedKind::Folder);
    Ok(folders.map(|entry| folder.join(entry.name)).filter(|path| is_one(path)).collect())
}

/// Whether a folder has the name of a probe folder.
pub(crate) fn is_one(folder: &Path) -> bool {
    folder
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(FOLDER_PREFIX))
}

/// Whether a probe folder is abandoned, and the reason for this judgement. `None` if the folder is gone.
pub(crate) fn judge(path: &Path) -> Option<(bool, String)> {
    let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    let record = sys::open_read_only(&path.join(OWNER_FILE))
        .and_then(|file| sys::read_start(&file, 4 * RECORD_SIZE))
        .ok()
        .and_then(|bytes| OwnerRecord::parse(&bytes));
    let (owner, liveness) = match &record {
        Some(record) => {
            (record.holder(None).name(), record.judge(sys::location(), sys::process_state))
        }
        None => ("an unknown process".to_owned(), Liveness::Unknown),
    };
    let old = modified.elapsed().is_ok_and(|age| age > ABANDONED_AFTER);
    Some(match liveness {
        Liveness::Alive => (false, format!("a doctor at work uses it ({owner})")),
        Liveness::Dead => (true, format!("the doctor that made it ({owner}) is dead")),
        Liveness::Unknown if old => {
            (true, format!("was made by {owner}, and has not been used for over an hour"))
        }
        Liveness::Unknown => (
            false,
            format!("was made within the last hour by {owner}, which can't be judged from here"),
        ),
    })
}

/// Removes a probe folder, if it contains nothing but the files of a probe folder.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let fail = |error| Error::from_io(path, "remove", error);
    let mut files = Vec::new();
    let listed = match sys::names_in(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed.map_err(fail)?,
    };
    for ListedName { name, kind } in listed {
        let belongs = name
            .to_str()
            .is_some_and(|name| name == OWNER_FILE || name.starts_with(PROBE_FILE_PREFIX));
        if !belongs || kind != ListedKind::File {
            let name = name.to_string_lossy();
            let reason = format!("{name} in it is not a probe's file; move it away");
            return Err(fail(io::Error::other(reason)));
        }
        files.push(path.join(name));
    }
    // The owner record last: if this process is killed in between, the rest still names its owner.
    files.sort_by_key(|file| file.ends_with(OWNER_FILE));
    for file in files {
        sys::remove_if_there(&file).map_err(fail)?;
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(fail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, bytes: &[u8]) {
        sys::write_start(&fs::File::create(path).unwrap(), bytes).unwrap();
    }

    #[test]
    fn a_probe_folder_is_in_use_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let probe = ProbeFolder::create(dir.path()).unwrap();
        put(&probe.file("lock"), b"x");
        let (left_behind, why) = judge(probe.path()).unwrap();
        assert!(!left_behind, "{why}");
        assert!(why.contains(&format!("process {}", std::process::id())), "{why}");
        assert_eq!(all_in(dir.path()).unwrap(), [probe.path()]);
        probe.remove().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        drop(ProbeFolder::create(dir.path()).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_with_another_file_in_it_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let probe = ProbeFolder::create(dir.path()).unwrap();
        let path = probe.path().to_owned();
        put(&path.join("precious"), b"x");
        let refused = probe.remove().unwrap_err();
        assert!(refused.to_string().contains("precious"), "{refused}");
        assert!(path.join("precious").exists());
        // Nothing was deleted, so the folder still names its owner.
        assert!(path.join(OWNER_FILE).exists());
    }

    #[test]
    fn a_folder_without_an_owner_record_is_abandoned_when_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("{FOLDER_PREFIX}x"));
        fs::create_dir(&path).unwrap();
        assert!(!judge(&path).unwrap().0);
        #[cfg(unix)]
        {
            let then = SystemTime::now() - ABANDONED_AFTER - Duration::from_secs(1);
            fs::File::open(&path).unwrap().set_modified(then).unwrap();
            assert!(judge(&path).unwrap().0);
        }
        fs::remove_dir(&path).unwrap();
        assert!(judge(&path).is_none());
    }

    #[test]
    fn the_containing_folder_must_exist() {
        let dir = tempfile::tempdir().unwrap();
        let missing = ProbeFolder::create(dir.path().join("no")).unwrap_err();
        assert_eq!(missing.code(), "NOT_FOUND");
    }
}
