//! The functions of `content`'s types that use the present time and this process's id.

use crate::content::record::WatcherRecord;
use crate::content::registry_v1::RegistryV1;
use crate::registry::own_scope::own_scope;
use crate::sys;

impl Default for RegistryV1 {
    fn default() -> Self {
        Self::new()
    }
}

impl RegistryV1 {
    /// An empty registry. Its date is the present time.
    #[must_use]
    pub fn new() -> Self {
        Self::empty_at(sys::now_ms())
    }

    /// Adds a watcher, or replaces the entry of its id. Sets the registry's date to now.
    pub fn set_watcher(&mut self, record: WatcherRecord) {
        self.set_watcher_at(record, sys::now_ms());
    }

    /// Removes an entry, even if it is not a watcher's record. Returns whether there was one, and in
    /// that case sets the registry's date to now.
    pub fn remove_watcher(&mut self, id: &str) -> bool {
        self.remove_watcher_at(id, sys::now_ms())
    }
}

impl WatcherRecord {
    /// The record of a watcher in this process that starts now.
    #[must_use]
    pub fn new(id: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        WatcherRecord::started_by(own_scope(), sys::now_ms(), id, host, port)
    }
}
