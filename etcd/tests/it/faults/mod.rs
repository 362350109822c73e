//! What servers and connections can do to a call, one fault after the other.

mod access;
mod answers;
mod conservation;
mod elections;
mod leases;
mod limits;
mod locks;
mod outages;
mod transactions;
mod updates;
mod watches;

use argus_registry::{update_store, Error, RegistryStore, UpdateOptions};

use crate::support::registries::watcher;

/// Counts up the number that conservation is judged by.
fn count_up(store: &dyn RegistryStore, options: &UpdateOptions) -> Result<(), Error> {
    update_store(store, options, |found| {
        let mut counter = found.watcher("counter").unwrap_or_else(|| {
            let mut counter = watcher("counter");
            counter.port = 0;
            counter
        });
        counter.port += 1;
        found.set_watcher(counter);
        Ok(())
    })
}

fn count(store: &dyn RegistryStore) -> u16 {
    store.read().unwrap().0.watcher("counter").map_or(0, |counter| counter.port)
}
