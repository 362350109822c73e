//! Refusing a call for a lock from inside an update under that lock: the call would wait for itself.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::paths::FilePaths;

thread_local! {
    /// The locks under which this thread runs an update.
    static ENTERED: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
}

/// The time that a thread spends in an update under a lock. While this value lives, a second call for
/// that lock on this thread is refused: it would wait for the update, which waits for it.
#[derive(Debug)]
pub(crate) struct UpdateScope;

impl UpdateScope {
    /// `lock` identifies the lock: the lock file, or the registry. `path` is the file that is to be used.
    ///
    /// # Errors
    ///
    /// [`Error::ReEntrant`] if this thread is inside an update under that lock.
    pub(crate) fn enter(lock: &Path, path: &Path) -> Result<Self> {
        Self::refuse_inside(lock, path)?;
        ENTERED.with_borrow_mut(|entered| entered.push(lock.to_path_buf()));
        Ok(UpdateScope)
    }

    /// Fails if this thread is inside an update under that lock.
    ///
    /// # Errors
    ///
    /// [`Error::ReEntrant`].
    pub(crate) fn refuse_inside(lock: &Path, path: &Path) -> Result<()> {
        let is_inside = ENTERED.with_borrow(|entered| {
            // A lock file that the caller has named may be spelled otherwise.
            entered.iter().any(|other| other == lock || is_one_file(other, lock))
        });
        match is_inside {
            true => Err(Error::ReEntrant { path: path.to_path_buf() }),
            false => Ok(()),
        }
    }

    /// Whether this thread is inside an update under any lock.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_inside_any() -> bool {
        ENTERED.with_borrow(|entered| !entered.is_empty())
    }
}

fn is_one_file(one: &Path, other: &Path) -> bool {
    let resolve = |path| FilePaths::resolve(path).map(|paths| paths.target).ok();
    one.file_name() == other.file_name()
        && resolve(one).is_some_and(|one| resolve(other) == Some(one))
}

impl Drop for UpdateScope {
    fn drop(&mut self) {
        ENTERED.with_borrow_mut(|entered| entered.pop());
    }
}
