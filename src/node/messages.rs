//! Errors and warnings that `lib/` raises itself, in the words that the core has for them.

use napi_derive::napi;

use super::convert::AddonFailure;
use crate::document::operations::missing;
use crate::error::Error;
use crate::files::paths::FilePaths;
use crate::store::calls;
use crate::warning::Warning;

/// The failure of a claim without a suffix, if a living watcher has the id.
#[napi(catch_unwind)]
pub fn id_taken(path: String, id: String, pid: Option<u32>) -> AddonFailure {
    Error::IdTaken { path: path.into(), id, pid }.into()
}

/// The failure of a call that would hold a folder's lock.
#[napi(catch_unwind)]
pub fn no_lock_in_folder(path: String) -> AddonFailure {
    calls::no_lock_in_folder(path.as_ref()).into()
}

/// The failure of a heartbeat whose entry was removed, or is another watcher's by now.
#[napi(catch_unwind)]
pub fn entry_lost(path: String, id: String) -> AddonFailure {
    Error::EntryLost { path: path.into(), id }.into()
}

/// The failure of an update that its caller aborted.
#[napi(catch_unwind)]
pub fn update_aborted(path: String) -> AddonFailure {
    Error::Aborted { path: path.into() }.into()
}

/// The failure of a call on a file of another schema version than the expected one.
#[napi(catch_unwind)]
pub fn unsupported_version(path: String, found: String, expected: u32) -> AddonFailure {
    Error::UnsupportedVersion { path: path.into(), found, expected }.into()
}

/// The failure of a call on a document that can't be decoded.
#[napi(catch_unwind)]
pub fn parse_failure(path: String, reason: String) -> AddonFailure {
    Error::Parse { path: path.into(), source: reason.into() }.into()
}

/// The failure of an update of a file that holds no registry, and is to stay as it is.
#[napi(catch_unwind)]
pub fn corrupt_failure(path: String, reason: String) -> AddonFailure {
    Error::Corrupt { path: path.into(), reason }.into()
}

/// The failure of a call whose new content is larger than a file may be.
#[napi(catch_unwind)]
pub fn new_content_too_large(path: String, size: f64) -> AddonFailure {
    Error::TooLarge { path: path.into(), size: size as u64, is_new: true }.into()
}

/// The failure of a call on a document that does not exist and has no empty value.
#[napi(catch_unwind)]
pub fn missing_document(path: String) -> AddonFailure {
    FilePaths::of_resolved(path.as_ref()).map_or_else(|error| error, |paths| missing(&paths)).into()
}

/// The warning of a read that found no file.
#[napi(catch_unwind)]
pub fn missing_warning(path: String) -> String {
    Warning::Missing { path: path.into() }.to_string()
}

/// The warning of a read that found no registry in the file.
#[napi(catch_unwind)]
pub fn corrupt_warning(path: String, reason: String) -> String {
    Warning::Corrupt { path: path.into(), reason, kept: None }.to_string()
}

/// The warning of a write whose lock was taken away before it was released.
#[napi(catch_unwind)]
pub fn lock_lost_warning(path: String) -> String {
    Warning::LockLost { path: path.into() }.to_string()
}

/// The warning of a read that found a registry which a newer program has written.
#[napi(catch_unwind)]
pub fn unsupported_version_warning(path: String, found: String) -> String {
    Warning::UnsupportedVersion { path: path.into(), found }.to_string()
}
