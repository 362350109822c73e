//! A number that a test's threads and processes share.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use argus_registry::{Document, Error, LockOptions};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counter {
    pub(crate) count: u64,
}

pub(crate) fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("doc.json");
    (dir, path)
}

pub(crate) fn counter(path: &Path) -> Document<Counter> {
    Document::json(path).empty(Counter::default).durable(false)
}

pub(crate) fn count_up(counter: &mut Counter) -> Result<u64, Error> {
    counter.count += 1;
    Ok(counter.count)
}

pub(crate) fn patient() -> LockOptions {
    LockOptions { timeout: Some(Duration::from_secs(60)), ..LockOptions::default() }
}
