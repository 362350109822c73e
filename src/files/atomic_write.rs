//! Replacing a file in one step: readers see the old file or the new one, a crash leaves the old
//! file or the new one, and a full disk leaves the old file and no temp file.
//!
//! This module knows no locks. The caller names the temp file, and may refuse the replacement just
//! before the rename.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::files::new_file;
use crate::sys;
use crate::util::stopping_point;

/// A file that is to be replaced, and how.
pub(crate) struct Replacement<'a> {
    pub(crate) target: &'a Path,
    pub(crate) folder: &'a Path,
    /// The temp file, in `folder`. No other process uses its name, and it is gone when
    /// [`run`](Self::run) returns.
    pub(crate) temp: &'a Path,
    pub(crate) bytes: &'a [u8],
    /// The metadata of the file that is replaced, whose mode and owner the new file gets.
    pub(crate) like: Option<&'a Metadata>,
    /// The open file that is replaced, whose access control list and extended attributes the new file
    /// gets; `None` where open files can't be replaced.
    pub(crate) old: Option<&'a File>,
    /// The mode of a file that replaces none, before the umask is applied; `None` if its folder
    /// decides.
    pub(crate) new_file_mode: Option<u32>,
    /// Whether to write the new content to the disk (fsync) before the rename.
    pub(crate) durable: bool,
}

impl Replacement<'_> {
    /// Writes the temp file, calls `last_check`, renames the temp file to the target, and makes the
    /// rename durable if that was asked for. Returns the new file.
    pub(crate) fn run(
        &self,
        last_check: impl FnOnce() -> Result<()>,
    ) -> Result<Arc<File>, ReplacementError> {
        let fail = |operation, error| Error::from_io(self.target, operation, error);
        // Opened first, because it can fail (a process has a limit of open files), and after the
        // rename a failure can't be undone.
        let folder = match self.durable {
            true => sys::open_folder(self.folder).map_err(|e| fail("open the folder of", e))?,
            false => None,
        };
        stopping_point::before("atomic_write::create");
        let mut temp = TempFile::create(self).map_err(|e| fail("create a file beside", e))?;
        if let (Some(old), Some(like)) = (self.old, self.like) {
            let operation = "keep the access rights and attributes of";
            sys::copy_attributes_and_access(old, like, &temp.file)
                .map_err(|e| fail(operation, e))?;
        }
        self.fill(&temp.file).map_err(|e| fail("write the new content of", e))?;
        last_check()?;
        let renamed = match temp.rename_to(self.target) {
            // On network file systems a rename that the server has made can be reported as failed:
            // the answer was lost, and the call that repeated it found no temp file. So the file
            // that has the target's name now decides.
            Err(error) => match temp.is_at(self.target) {
                Ok(true) => Ok(()),
                Ok(false) => Err(fail("replace", error).into()),
                Err(look) => Err(ReplacementError::Unknown(Error::Io {
                    path: self.target.to_path_buf(),
                    operation: "tell whether the new content has replaced",
                    source: io::Error::new(error.kind(), format!("{error}, and then {look}")),
                })),
            },
            Ok(()) => Ok(()),
        };
        renamed?;
        let sync_folder = |folder| {
            stopping_point::before("atomic_write::run::sync_folder");
            sys::sync_open_folder(&folder)
        };
        match folder.map_or(Ok(()), sync_folder) {
            Err(error) => {
                let operation = "make durable (though it already has its new content)";
                Err(ReplacementError::NotDurable(fail(operation, error)))
            }
            Ok(()) => Ok(temp.file.clone()),
        }
    }

    fn fill(&self, mut file: &File) -> io::Result<()> {
        // write_all: on a disk that fills up, a single write may write a part without an error.
        stopping_point::before("atomic_write::fill::write");
        file.write_all(self.bytes)?;
        if self.durable {
            stopping_point::before("atomic_write::fill::sync");
            sys::sync_opened(file)?;
        }
        Ok(())
    }
}

/// Why [`Replacement::run`] failed, and what is known of the target.
#[derive(Debug)]
pub(crate) enum ReplacementError {
    /// The target has its old content.
    Unchanged(Error),
    /// The rename was reported as failed, and the target can't be looked at.
    Unknown(Error),
    /// The target has its new content, which may not survive a power failure.
    NotDurable(Error),
}

impl From<Error> for ReplacementError {
    fn from(error: Error) -> Self {
        ReplacementError::Unchanged(error)
    }
}

/// A temp file, which is deleted when this is dropped unless it was renamed.
struct TempFile<'a> {
    file: Arc<File>,
    path: &'a Path,
    renamed: bool,
}

impl<'a> TempFile<'a> {
    fn create(replacement: &Replacement<'a>) -> io::Result<Self> {
        let path = replacement.temp;
        let file = match replacement.like {
            Some(like) => sys::create_new(path, sys::first_permission_bits(like)),
            None => new_file::create(path, replacement.new_file_mode),
        };
        Ok(TempFile { file: Arc::new(file?), path, renamed: false })
    }

    fn rename_to(&mut self, target: &Path) -> io::Result<()> {
        stopping_point::before("atomic_write::rename_to");
        sys::rename(self.path, target)?;
        self.renamed = true;
        Ok(())
    }

    /// Whether this file has the target's name.
    fn is_at(&self, target: &Path) -> io::Result<bool> {
        let id = sys::id_of(&self.file, &self.file.metadata()?)?;
        Ok(sys::id_at(target)? == Some(id))
    }
}

impl Drop for TempFile<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            stopping_point::before("atomic_write::drop");
            let _ = sys::remove_if_there(self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn replace(
        folder: &Path,
        bytes: &[u8],
        check: impl FnOnce() -> Result<()>,
    ) -> Result<Arc<File>, ReplacementError> {
        let target = folder.join("a");
        let old = File::open(&target).ok();
        let like = fs::metadata(&target).ok();
        Replacement {
            target: &target,
            folder,
            temp: &folder.join("temp"),
            bytes,
            like: like.as_ref(),
            old: old.as_ref(),
            new_file_mode: Some(0o644),
            durable: true,
        }
        .run(check)
    }

    #[test]
    fn a_refused_replacement_changes_nothing_and_leaves_no_temp_file() {
        let dir = tempfile::tempdir().unwrap();
        replace(dir.path(), b"old", || Ok(())).unwrap();
        let refused = replace(dir.path(), b"new", || {
            // The temp file has all of the new content by now, and the target still has the old.
            assert_eq!(fs::read(dir.path().join("temp")).unwrap(), b"new");
            Err(Error::LockLost { path: "a".into(), written: false })
        });
        let Err(ReplacementError::Unchanged(refused)) = refused else { panic!("{refused:?}") };
        assert_eq!(refused.code(), "LOCK_LOST");
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn the_mode_is_kept() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        for mode in [0o600, 0o640, 0o666, 0o444] {
            replace(dir.path(), b"old", || Ok(())).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
            replace(dir.path(), b"new", || Ok(())).unwrap();
            assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o7777, mode);
        }
    }
}
