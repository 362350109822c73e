//! The bytes of a shared file: read without a lock, replaced under one.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::files::atomic_write::Replacement;
use crate::files::paths::FilePaths;
use crate::sys;

/// The lock under which a file is replaced.
pub(crate) trait WriteLock {
    /// The file, and its folder.
    fn paths(&self) -> &FilePaths;

    /// Names this hold and no other.
    fn nonce(&self) -> &str;

    /// The fence: fails with [`Error::LockLost`] if the lock was taken away.
    fn check(&self) -> Result<()>;

    /// Told of what is about to be replaced.
    fn replaces(&self, old: &Metadata, file: Option<Arc<File>>);
}

/// How a file is replaced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommitOptions {
    /// Whether to wait until the new content would survive a power failure.
    pub(crate) durable: bool,
    /// Whether the old file stays beside the new one, under another name.
    pub(crate) keep_old: bool,
    /// What a file that is new may be read and written by, less the umask.
    pub(crate) new_file_mode: u32,
}

/// What a new file may be read and written by, unless its writer says otherwise.
pub(crate) const NEW_FILE_MODE: u32 = 0o644;

/// A file's content, with the file's mode and owner.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    metadata: Metadata,
    /// The file itself, where it can be replaced while it is open.
    file: Option<Arc<File>>,
}

/// Reads a file without a lock; `None` if there is none. Replacement is atomic, so what is
/// read is always one whole version.
pub(crate) fn read(path: &Path) -> Result<Option<Content>> {
    open(path)?.map(Opened::read).transpose()
}

/// How many bytes a file has; `None` if that can't be found out.
pub(crate) fn size(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.len())
}

/// A file that is about to be read.
pub(crate) struct Opened<'a> {
    path: &'a Path,
    file: File,
    metadata: Metadata,
}

pub(crate) fn open(path: &Path) -> Result<Option<Opened<'_>>> {
    let fail = |error| Error::from_io(path, "read", error);
    let file = match sys::retry_while_busy(|| sys::open_following_links(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(fail)?,
    };
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(fail(io::Error::other("it is not a regular file")));
    }
    Ok(Some(Opened { path, file, metadata }))
}

impl Opened<'_> {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> u64 {
        self.metadata.len()
    }

    pub(crate) fn read(self) -> Result<Content> {
        let Opened { path, file, metadata } = self;
        let bytes = sys::read_all(&file, metadata.len())
            .map_err(|error| Error::from_io(path, "read", error))?;
        let file = sys::OPEN_FILES_CAN_BE_REPLACED.then(|| Arc::new(file));
        Ok(Content { bytes, metadata, file })
    }
}

/// Replaces a file's content under its lock. `old` is what was read under the same lock. Returns
/// where the old content is kept, if it is to be.
pub(crate) fn commit(
    lock: &impl WriteLock,
    old: Option<&Content>,
    bytes: &[u8],
    how: CommitOptions,
) -> Result<Option<PathBuf>> {
    if let Some(old) = old {
        lock.replaces(&old.metadata, old.file.clone());
    }
    // Before anything is written: whoever lost the lock leaves no trace, not even a temp file.
    lock.check()?;
    let mut kept = None;
    let paths = lock.paths();
    let replacement = Replacement {
        target: &paths.target,
        folder: &paths.folder,
        temp: &paths.temp(lock.nonce()),
        bytes,
        like: old.map(|content| &content.metadata),
        new_file_mode: how.new_file_mode,
        durable: how.durable,
    };
    let replaced = replacement.run(|| {
        if how.keep_old {
            kept = Some(keep(lock, old)?);
        }
        // And again after the slow part, as near to the rename as can be.
        lock.check()
    });
    if let (Err(_), Some(kept)) = (&replaced, &kept) {
        // Nothing was replaced: the bad content is still where it was.
        let _ = sys::remove_if_there(kept);
    }
    if let Err(error) = replaced {
        // Whoever has the lock by now may have swept away our temp file: that is what went wrong.
        lock.check()?;
        let was_swept = matches!(error, Error::NotFound { .. }) && paths.folder.is_dir();
        return Err(match was_swept {
            // Or somebody who took us for dead: nothing is written, and it may be done again.
            true => Error::LockLost { path: paths.target.clone() },
            false => error,
        });
    }
    if how.durable {
        replacement.sync_folder()?;
    }
    Ok(kept)
}

/// Keeps the old file under another name: the file itself, which needs no space, so that it works
/// on a full disk too. Where files can't have two names, a copy.
fn keep(lock: &impl WriteLock, old: Option<&Content>) -> Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let paths = lock.paths();
    let name = paths.keepsake(now.as_millis(), lock.nonce());
    let fail = |error| Error::from_io(&name, "keep the old content as", error);
    match sys::hard_link(&paths.target, &name) {
        Err(error) if sys::links_unsupported(&error) => {
            let bytes = old.map_or(&[][..], |content| &content.bytes);
            let copied = sys::create_new(&name, 0o600).and_then(|file| {
                sys::write_start(&file, bytes)?;
                file.sync_all()
            });
            if copied.is_err() {
                let _ = sys::remove_if_there(&name);
            }
            copied.map_err(fail)?;
        }
        linked => linked.map_err(fail)?,
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::registry_lock::RegistryLock;
    use crate::lock::wait::LockOptions;

    #[test]
    fn whoever_lost_the_lock_does_not_even_begin_to_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(dir.path()).unwrap().join("registry.json");
        let lock = RegistryLock::acquire(&path, &LockOptions::default()).unwrap();
        fs::remove_file(path.with_extension("json.lock")).unwrap();
        // Creating the temp file would fail over this, with another error.
        File::create(lock.paths().temp(lock.nonce())).unwrap();
        let lost = commit(
            &lock,
            None,
            b"{}",
            CommitOptions { durable: false, keep_old: false, new_file_mode: 0o644 },
        )
        .unwrap_err();
        assert_eq!(lost.code(), "LOCK_LOST");
        assert!(!path.exists());
    }
}
