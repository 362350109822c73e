//! Refusing to wait for oneself.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

thread_local! {
    /// What this thread is inside the locks of.
    static INSIDE: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
}

/// Marks this thread as inside a lock: a second update under that lock would wait for itself.
#[derive(Debug)]
pub(crate) struct ReentryCheck;

impl ReentryCheck {
    /// `locked` names the lock, `path` the file that is to be changed.
    pub(crate) fn enter(locked: &Path, path: &Path) -> Result<Self> {
        INSIDE.with_borrow_mut(|inside| {
            if inside.iter().any(|other| other == locked) {
                return Err(Error::ReEntrant { path: path.to_path_buf() });
            }
            inside.push(locked.to_path_buf());
            Ok(ReentryCheck)
        })
    }
}

impl Drop for ReentryCheck {
    fn drop(&mut self) {
        INSIDE.with_borrow_mut(|inside| inside.pop());
    }
}
