//! Reading a registry that this process has written, without parsing or printing all of its text.
//!
//! The process caches the last registry that it wrote, as its text has it. That text is known to be valid, and in
//! the layout that printing gives. If a content that is read later differs from it in the registry's date and in the
//! values of its entries only, checking those values proves that the whole content is valid and in that layout, too.
//! It does not matter which file the cached registry was written to, or whether that file has changed since.

use std::sync::{Mutex, PoisonError};

use crate::content::registry_v1::RegistryV1;

/// A larger registry is not cached: the text stays in memory until the process ends.
const MAX_CACHED_BYTES: usize = 16 * 1024 * 1024;

/// One registry for all that a process uses. Few processes use more than one; in those that do, the registries
/// replace one another here.
static CACHED: Mutex<Option<RegistryV1>> = Mutex::new(None);

/// Caches a registry that was [printed](RegistryV1::printed), for the next call that reads one.
pub(crate) fn cache(printed: RegistryV1) {
    if printed.text().len() > MAX_CACHED_BYTES {
        return;
    }
    *CACHED.lock().unwrap_or_else(PoisonError::into_inner) = Some(printed);
}

/// The registry in a content, if the cached one shows that the content is valid. Takes the cached registry in any case,
/// and moves the bytes out of `content` if it returns a registry.
pub(crate) fn read(content: &mut Vec<u8>) -> Option<RegistryV1> {
    let cached = CACHED.lock().unwrap_or_else(PoisonError::into_inner).take();
    cached?.reread(content)
}

#[cfg(test)]
mod tests;
