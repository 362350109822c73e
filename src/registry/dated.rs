//! What `content` leaves open: the time is now, and the process is this one.

use crate::content::record::WatcherRecord;
use crate::content::registry_v1::RegistryV1;
use crate::sys;

impl Default for RegistryV1 {
    fn default() -> Self {
        Self::new()
    }
}

impl RegistryV1 {
    /// An empty registry, dated now.
    #[must_use]
    pub fn new() -> Self {
        Self::empty_at(sys::now_ms())
    }

    /// Adds a watcher, or replaces the entry of its id, and dates the registry.
    pub fn set_watcher(&mut self, record: WatcherRecord) {
        self.set_watcher_at(record, sys::now_ms());
    }

    /// Removes an entry, whatever it is, and dates the registry; says whether there was one.
    pub fn remove_watcher(&mut self, id: &str) -> bool {
        self.remove_watcher_at(id, sys::now_ms())
    }
}

impl WatcherRecord {
    /// A record of this process, started now.
    #[must_use]
    pub fn new(id: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        WatcherRecord::started_by(std::process::id(), sys::now_ms(), id, host, port)
    }
}
