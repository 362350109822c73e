//! The copies of content that could not be parsed, kept beside the file that replaced it.
//!
//! A copy is made before its original is replaced. Only when that is done, copies are removed that are
//! no longer needed: an empty one, older ones with the same bytes, and the oldest ones above
//! [`MAX_KEPT_COPIES`]. The new one is durable before. All this happens under the file's
//! lock, so that no two processes judge at once.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::sys;

/// How many copies of content that could not be parsed are kept per file.
pub(crate) const MAX_KEPT_COPIES: usize = 8;

/// The content that is to be kept.
pub(crate) struct OldContent<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) metadata: &'a Metadata,
    /// The open file, where open files can be replaced.
    pub(crate) file: Option<&'a File>,
}

/// A copy that was made, and those that were there before.
pub(crate) struct KeptCopy {
    pub(crate) path: PathBuf,
    /// Oldest first.
    older: Vec<PathBuf>,
}

/// Keeps the old file under another name. A hard link to the file needs no space, so this works on a
/// full disk, too. Where files can't have two names, the content is copied.
pub(crate) fn keep(paths: &FilePaths, nonce: &str, old: &OldContent<'_>) -> Result<KeptCopy> {
    // A folder that can't be listed is no reason to lose content: then only the bound is lost.
    let older = paths.kept_copies().unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    // Later than all others: a clock that was set back must not make the newest copy the oldest.
    let newest = older.last().map_or(0, |(unix_ms, _)| *unix_ms);
    let path = paths.kept_copy(now.max(newest.saturating_add(1)), nonce);
    let fail = |error| Error::from_io(&path, "keep the old content as", error);
    match sys::hard_link(&paths.target, &path) {
        // On network file systems a link that was made can be reported as failed, as one that
        // existed before.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let is_linked = sys::id_at(&path).is_ok_and(|found| {
                found.is_some() && sys::id_at(&paths.target).is_ok_and(|target| target == found)
            });
            if !is_linked {
                return Err(fail(error));
            }
        }
        Err(error) if sys::links_unsupported(&error) => {
            let copied = copy(&path, old);
            if copied.is_err() {
                let _ = sys::remove_if_there(&path);
            }
            copied.map_err(fail)?;
        }
        linked => linked.map_err(fail)?,
    }
    Ok(KeptCopy { path, older: older.into_iter().map(|(_, path)| path).collect() })
}

fn copy(path: &Path, old: &OldContent<'_>) -> io::Result<()> {
    let file = sys::create_new(path, 0o600)?;
    if let Some(old_file) = old.file {
        sys::copy_attributes_and_access(old_file, old.metadata, &file)?;
    }
    sys::write_start(&file, old.bytes)?;
    sys::sync_opened(&file)
}

impl KeptCopy {
    /// Removes this copy again, after a failure to replace its original. Does so only if the original is
    /// still in its place (`is_in_place` if the caller knows that): another program may have replaced it.
    pub(crate) fn undo(&self, paths: &FilePaths, is_in_place: bool) {
        let id = |path: &Path| sys::id_at(path).ok().flatten();
        if is_in_place || (id(&self.path).is_some() && id(&self.path) == id(&paths.target)) {
            let _ = sys::remove_if_there(&self.path);
        }
    }

    /// Removes the copies that are no longer needed: this one if it is empty, older ones with the same
    /// bytes, and the oldest ones. Returns the path of this one; `None` if it was empty.
    ///
    /// Of two equal copies it removes the older one: that may be the copy of a process that has lost the
    /// lock, and removes its copy, too.
    ///
    /// To be called when the original was replaced. Its failure changes nothing about that, so none is
    /// returned: a copy too many stays.
    pub(crate) fn tidy(self, paths: &FilePaths) -> Option<PathBuf> {
        // Looked at now, not before: until it was replaced, a program could write the file in place.
        let own = sys::open_read_only(&self.path).and_then(Content::of);
        if own.as_ref().is_ok_and(|own| own.size == 0) {
            let _ = sys::remove_if_there(&self.path);
            return None;
        }
        // What can't be read can't be compared.
        let is_same = |own: &Content, other: &Path| {
            let other = sys::open_read_only(other).and_then(Content::of);
            other.and_then(|other| own.equals(&other)).unwrap_or(false)
        };
        let is_equal = |other: &PathBuf| own.as_ref().is_ok_and(|own| is_same(own, other));
        let (mut superseded, others): (Vec<_>, Vec<_>) =
            self.older.iter().partition(|other| is_equal(other));
        let excess = (others.len() + 1).saturating_sub(MAX_KEPT_COPIES);
        superseded.extend(&others[..excess]);
        if !superseded.is_empty() && sync(&self.path, paths).is_ok() {
            for copy in superseded {
                let _ = sys::remove_if_there(copy);
            }
        }
        Some(self.path)
    }
}

/// Makes a copy and its name durable.
fn sync(copy: &Path, paths: &FilePaths) -> io::Result<()> {
    sys::sync_file(copy)?;
    sys::sync_folder(&paths.folder)
}

/// A regular file that is open to be compared.
struct Content {
    file: File,
    size: u64,
}

impl Content {
    fn of(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let size = metadata.len();
        // Some file systems have files whose size they give as 0.
        if size == 0 && sys::read_at(&file, &mut [0], 0)? > 0 {
            return Err(io::Error::other("its size can't be known"));
        }
        Ok(Content { size, file })
    }

    fn equals(&self, other: &Content) -> io::Result<bool> {
        if self.size != other.size {
            return Ok(false);
        }
        let (mut ours, mut theirs) = ([0; 16 << 10], [0; 16 << 10]);
        let mut offset = 0;
        while offset < self.size {
            let count = sys::read_at(&self.file, &mut ours, offset)?;
            // A part of the other file is read as often as its reads are shorter.
            let compared = sys::read_at(&other.file, &mut theirs[..count], offset)?;
            // A file that became shorter is not equal to anything.
            if compared == 0 || ours[..compared] != theirs[..compared] {
                return Ok(false);
            }
            offset += compared as u64;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
