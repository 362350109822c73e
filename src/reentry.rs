//! Refusing to wait for oneself.

use std::cell::RefCell;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::paths::RegistryPaths;

thread_local! {
    /// The files whose locks this thread is inside of.
    static INSIDE: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
}

/// Marks this thread as inside a file's lock: a second update from there would wait for
/// itself.
#[derive(Debug)]
pub(crate) struct Entered;

impl Entered {
    pub(crate) fn enter(paths: &RegistryPaths) -> Result<Self> {
        INSIDE.with_borrow_mut(|inside| {
            if inside.contains(&paths.registry) {
                return Err(Error::ReEntrant { path: paths.registry.clone() });
            }
            inside.push(paths.registry.clone());
            Ok(Entered)
        })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        INSIDE.with_borrow_mut(|inside| inside.pop());
    }
}
