//! Which lock protects a document: the choice of its definition, and what that means for one file.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::paths::FilePaths;

/// The file that carries a document's lock. It is created when it is first needed, and never deleted.
/// All programs that share the document must choose one lock file.
///
/// If the document's path is a symbolic link, the default lock file is beside the link's target, so that
/// all names of a document have one lock. (veil puts its lock file beside the link; give veil the
/// target's path.)
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LockFile {
    /// `path.with_extension("lock")`, as in veil: `exceptions.lock` for `exceptions.toml`.
    /// Documents whose names differ in their extensions only share it.
    #[default]
    WithExtension,
    /// This file. A relative path is resolved against the folder that is current when it is passed to
    /// the document.
    At(PathBuf),
}

/// Under which lock a document is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LockChoice {
    LockFile(LockFile),
    Registry,
}

impl LockChoice {
    /// The lock of a document whose symbolic links have been followed.
    pub(crate) fn resolve(&self, paths: &FilePaths) -> Result<DocumentLock> {
        match self {
            LockChoice::LockFile(lock_file) => lock_file.of(paths).map(DocumentLock::LockFile),
            LockChoice::Registry => Ok(DocumentLock::Registry),
        }
    }
}

impl LockFile {
    fn of(&self, paths: &FilePaths) -> Result<PathBuf> {
        let document = &paths.target;
        let (lock_file, resolved) = match self {
            LockFile::WithExtension => (paths.document_lock_file(), None),
            LockFile::At(path) => (path.clone(), Some(FilePaths::resolve(path)?.target)),
        };
        let found = resolved.as_ref().unwrap_or(&lock_file);
        let invalid = |reason: &str| {
            Err(Error::InvalidValue { path: document.clone(), reason: reason.to_owned() })
        };
        if found == document {
            return invalid("it would be its own lock file; choose another");
        }
        // A permanent lock file with the name of a registry's lockfile would look like a lockfile of an
        // older argus, and would be removed as stale.
        if *found == paths.lockfile || *found == paths.guard {
            return invalid(
                "its lock file would have the name of a registry's lockfile or guard; choose another",
            );
        }
        Ok(lock_file)
    }
}

/// The lock of one document, before it is acquired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DocumentLock {
    LockFile(PathBuf),
    Registry,
}

impl DocumentLock {
    /// A path that identifies this lock: the lock file, which several documents may share, or the
    /// registry, which has one lock.
    pub(crate) fn identity<'a>(&'a self, paths: &'a FilePaths) -> &'a Path {
        match self {
            DocumentLock::LockFile(lock_file) => lock_file,
            DocumentLock::Registry => &paths.target,
        }
    }

    /// The file that carries the kernel lock.
    pub(crate) fn file<'a>(&'a self, paths: &'a FilePaths) -> &'a Path {
        match self {
            DocumentLock::LockFile(lock_file) => lock_file,
            DocumentLock::Registry => &paths.guard,
        }
    }
}
