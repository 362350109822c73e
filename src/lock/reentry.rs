//! Refusing an update from inside an update under one lock, which would wait for itself.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

thread_local! {
    /// The locks under which this thread runs an update.
    static ENTERED: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
}

/// The time that a thread spends in an update under a lock. While this value lives, a second update
/// under that lock on this thread is refused: it would wait for the first, which waits for it.
#[derive(Debug)]
pub(crate) struct UpdateScope;

impl UpdateScope {
    /// `lock` identifies the lock; `path` is the file that is to be changed.
    ///
    /// # Errors
    ///
    /// [`Error::ReEntrant`] if this thread is inside an update under that lock.
    pub(crate) fn enter(lock: &Path, path: &Path) -> Result<Self> {
        ENTERED.with_borrow_mut(|entered| {
            if entered.iter().any(|other| other == lock) {
                return Err(Error::ReEntrant { path: path.to_path_buf() });
            }
            entered.push(lock.to_path_buf());
            Ok(UpdateScope)
        })
    }
}

impl Drop for UpdateScope {
    fn drop(&mut self) {
        ENTERED.with_borrow_mut(|entered| entered.pop());
    }
}
