//! Panics on demand, for the tests of what becomes of a panic. Does nothing without the feature `panic-test`,
//! which no published build has.

use std::path::Path;

/// Panics if the file's name asks for a panic at this step: `panic-at-commit.json` at `commit`.
#[cfg(feature = "panic-test")]
pub(crate) fn panic_if_asked(step: &str, path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    assert!(!name.starts_with(&format!("panic-at-{step}.")), "asked to panic at {step}");
}

#[cfg(not(feature = "panic-test"))]
pub(crate) fn panic_if_asked(_step: &str, _path: &Path) {}
