//! An update inside an update of one registry would wait for itself.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use argus_registry::{Error, Result};

thread_local! {
    /// The registries that this thread updates, or whose lock it has.
    static UNDER_WAY: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
}

/// While it is there, this thread updates a registry.
#[derive(Debug)]
pub(crate) struct UnderWay {
    path: PathBuf,
}

impl UnderWay {
    /// Fails if this thread updates the registry already.
    pub(crate) fn enter(path: &Path) -> Result<Self> {
        UNDER_WAY.with_borrow_mut(|under_way| {
            if under_way.iter().any(|other| other == path) {
                return Err(Error::ReEntrant { path: path.to_path_buf() });
            }
            under_way.push(path.to_path_buf());
            Ok(UnderWay { path: path.to_path_buf() })
        })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.with_borrow_mut(|under_way| under_way.retain(|other| *other != self.path));
    }
}
