//! A number in a JSON document, which a test's threads and processes share.

use std::path::Path;
use std::time::Duration;

use argus_registry::{Document, Error, LockOptions};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counter {
    pub(crate) count: u64,
}

pub(crate) fn counter(path: &Path) -> Document<Counter> {
    Document::json(path).empty(Counter::default).durable(false)
}

pub(crate) fn count_up(counter: &mut Counter) -> Result<u64, Error> {
    counter.count += 1;
    Ok(counter.count)
}

/// The longest wait for a lock in a test. It ends a test that hangs, not one that is slow.
pub(crate) fn patient() -> LockOptions {
    LockOptions { timeout: Some(Duration::from_secs(60)), ..LockOptions::default() }
}
