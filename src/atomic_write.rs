//! Replacing a file in one step: readers see the old file or the new one, a crash leaves the old
//! file or the new one, and a full disk leaves the old one and no litter.
//!
//! Knows nothing of locks: the caller names the temp file and may stop the replacement at the
//! last moment.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::sys;

/// What a new file may be read and written by, less the umask.
const NEW_FILE_MODE: u32 = 0o644;

/// How to replace a file.
pub(crate) struct Replacement<'a> {
    pub(crate) target: &'a Path,
    pub(crate) folder: &'a Path,
    /// In the same folder, and nobody else's. Gone when this returns.
    pub(crate) temp: &'a Path,
    pub(crate) bytes: &'a [u8],
    /// The file that is replaced, whose mode and owner the new one gets.
    pub(crate) like: Option<&'a Metadata>,
    /// Whether to wait until the new content would survive a power failure.
    pub(crate) durable: bool,
}

impl Replacement<'_> {
    /// Writes the temp file, asks `last_check`, and renames. An error means that the target is
    /// what it was.
    pub(crate) fn run(&self, last_check: impl FnOnce() -> Result<()>) -> Result<()> {
        let fail = |operation, error| Error::from_io(self.target, operation, error);
        let mode = self.like.map_or(NEW_FILE_MODE, sys::permission_bits);
        let mut temp =
            Temp::create(self.temp, mode).map_err(|e| fail("create a file beside", e))?;
        self.fill(&mut temp.file).map_err(|e| fail("write the new content of", e))?;
        last_check()?;
        temp.rename_to(self.target).map_err(|e| fail("replace", e))
    }

    /// Makes the rename durable. The one failure that comes too late to undo: the new content is
    /// in place, but may not survive a power failure.
    pub(crate) fn sync_folder(&self) -> Result<()> {
        let operation = "make durable (though it already has its new content)";
        sys::sync_folder(self.folder).map_err(|e| Error::from_io(self.target, operation, e))
    }

    fn fill(&self, file: &mut File) -> io::Result<()> {
        if let Some(like) = self.like {
            sys::copy_mode_and_owner(file, like)?;
        }
        // write_all: a disk that fills up writes less than it was told, without an error.
        file.write_all(self.bytes)?;
        if self.durable {
            file.sync_all()?;
        }
        Ok(())
    }
}

/// Deletes itself unless it was renamed.
struct Temp<'a> {
    file: File,
    path: &'a Path,
    renamed: bool,
}

impl<'a> Temp<'a> {
    fn create(path: &'a Path, mode: u32) -> io::Result<Self> {
        Ok(Temp { file: sys::create_new(path, mode)?, path, renamed: false })
    }

    fn rename_to(mut self, target: &Path) -> io::Result<()> {
        sys::rename(self.path, target)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = sys::remove_if_there(self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn replace(folder: &Path, bytes: &[u8], check: impl FnOnce() -> Result<()>) -> Result<()> {
        let target = folder.join("a");
        let like = fs::metadata(&target).ok();
        Replacement {
            target: &target,
            folder,
            temp: &folder.join("temp"),
            bytes,
            like: like.as_ref(),
            durable: true,
        }
        .run(check)
    }

    #[test]
    fn a_refused_replacement_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        replace(dir.path(), b"old", || Ok(())).unwrap();
        let refused = replace(dir.path(), b"new", || {
            // The new content is complete by now, beside the old.
            assert_eq!(fs::read(dir.path().join("temp")).unwrap(), b"new");
            Err(Error::LockLost { path: "a".into() })
        });
        assert_eq!(refused.unwrap_err().code(), "LOCK_LOST");
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
