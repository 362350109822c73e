//! A folder for trying out a file system, beside the files that it is about. It says whose it is,
//! so that one whose process was killed can be told from one that is in use.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::files::paths;
use crate::lock::owner_record::{Liveness, OwnerRecord, RECORD_SIZE};
use crate::sys;

const PREFIX: &str = ".argus-registry-probe-";
/// The file that says whose the folder is: the first one in it, and the last one to go.
const OWNER: &str = "owner";
/// What the names of all other files in it begin with.
const PROBE: &str = "probe-";

/// When one whose owner can't be judged from here (another host, no owner file) counts as left
/// behind. Trying out a file system takes seconds, on a slow one a minute.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// A folder for trying out what a file system can do. Dropping it removes it; one whose process
/// was killed is found by [`find_litter`](crate::find_litter). Source: ours.
#[derive(Debug)]
#[must_use = "the folder is removed as soon as this value is dropped"]
pub struct ProbeFolder {
    path: PathBuf,
}

impl ProbeFolder {
    /// Makes one in an existing folder, with a record in it of whose it is.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such folder; [`Error::PermissionDenied`] if it is
    /// read-only; [`Error::Io`].
    pub fn create(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join(format!("{PREFIX}{}", paths::nonce()));
        fs::create_dir(&path)
            .map_err(|error| Error::from_io(folder, "create a folder in", error))?;
        let probe = ProbeFolder { path };
        let owner = OwnerRecord::new(
            std::process::id(),
            sys::own_start(),
            sys::location().clone(),
            None,
            paths::nonce(),
            SystemTime::now(),
        );
        sys::create_new(&probe.path.join(OWNER), 0o644)
            .and_then(|file| sys::write_start(&file, &owner.encode()))
            .map_err(|error| Error::from_io(&probe.path, "create a file in", error))?;
        Ok(probe)
    }

    /// A path for a file in it. Others than these are not removed with it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{PROBE}{name}"))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it and reports a failure, which `drop` can't.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if something else is in it, or the system refused.
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
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if is_one(&entry.path()) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Whether a folder is one, by its name.
pub(crate) fn is_one(folder: &Path) -> bool {
    folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX))
}

/// Whether nobody uses a probe folder any more, and how one knows. `None` if it is gone.
pub(crate) fn judge(path: &Path) -> Option<(bool, String)> {
    let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    let record = sys::open_read_only(&path.join(OWNER))
        .and_then(|file| sys::read_start(&file, 4 * RECORD_SIZE))
        .ok()
        .and_then(|bytes| OwnerRecord::parse(&bytes));
    let (owner, liveness) = match &record {
        Some(record) => {
            (record.holder(None).name(), record.judge(sys::location(), sys::process_state))
        }
        None => ("somebody".to_owned(), Liveness::Unknown),
    };
    let old = modified.elapsed().is_ok_and(|age| age > ABANDONED_AFTER);
    Some(match liveness {
        Liveness::Alive => (false, format!("a doctor at work uses it ({owner})")),
        Liveness::Dead => (true, format!("the doctor that made it ({owner}) is dead")),
        Liveness::Unknown if old => {
            (true, format!("{owner} made it, and nobody has used it for over an hour"))
        }
        Liveness::Unknown => {
            (false, format!("{owner} made it, who can't be judged from here, within the last hour"))
        }
    })
}

/// Removes a probe folder, if nothing but what belongs in one is in it.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let fail = |error| Error::from_io(path, "remove", error);
    let mut files = Vec::new();
    let listed = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed.map_err(fail)?,
    };
    for entry in listed {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let belongs = name.to_str().is_some_and(|name| name == OWNER || name.starts_with(PROBE));
        if !belongs || !entry.file_type().map_err(fail)?.is_file() {
            let reason = format!("{} in it is no probe's; move it away", name.to_string_lossy());
            return Err(fail(io::Error::other(reason)));
        }
        files.push(entry.path());
    }
    // The owner last: killed in between, what is left still says whose it is.
    files.sort_by_key(|file| file.ends_with(OWNER));
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
    fn it_comes_and_goes_and_is_in_use_meanwhile() {
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
    fn what_belongs_to_somebody_else_stays_and_keeps_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let probe = ProbeFolder::create(dir.path()).unwrap();
        let path = probe.path().to_owned();
        put(&path.join("precious"), b"x");
        let refused = probe.remove().unwrap_err();
        assert!(refused.to_string().contains("precious"), "{refused}");
        assert!(path.join("precious").exists());
        // Nothing was deleted, so it still says whose it is.
        assert!(path.join(OWNER).exists());
    }

    #[test]
    fn one_without_an_owner_is_abandoned_when_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("{PREFIX}x"));
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
    fn the_folder_has_to_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let missing = ProbeFolder::create(dir.path().join("no")).unwrap_err();
        assert_eq!(missing.code(), "NOT_FOUND");
    }
}
