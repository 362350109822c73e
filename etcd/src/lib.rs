//! A registry of [`argus_registry`] in [etcd](https://etcd.io), 3.4 or later: one registry that watchers on several
//! machines share.
//!
//! Start a server from the system's packages (Debian: `etcd-server`), which forgets old revisions by itself:
//!
//! ```text
//! etcd --auto-compaction-mode=periodic --auto-compaction-retention=1h
//! ```
//!
//! ```no_run
//! use argus_registry::{RegistryStore, WatcherRecord};
//! use argus_registry_etcd::{EtcdOptions, EtcdStore};
//!
//! let store = EtcdStore::open(EtcdOptions::of_path("etcd://127.0.0.1:2379/argus")?)?;
//! let watcher = WatcherRecord::new("app", "10.0.0.7", 9222);
//! let own = store.claim(watcher, &Default::default(), &Default::default())?;
//! assert!(store.heartbeat(own.claim().into(), &Default::default())?);
//! # Ok::<_, argus_registry::Error>(())
//! ```
//!
//! [`EtcdStore`] is a [`RegistryStore`](argus_registry::RegistryStore), so
//! [`start_heartbeat`](argus_registry::start_heartbeat), [`update_store`](argus_registry::update_store) and
//! [`migrate`](argus_registry::migrate) take it. After [`register`], the functions that take a path take one that
//! begins with `etcd://`.
//!
//! What a registry in etcd promises, costs and can't do is in `docs/concepts/stores.md`.

#[doc(hidden)]
pub mod addon_parts;
mod call;
mod claim;
mod client;
mod connection;
mod error;
mod heartbeat;
mod keys;
mod lease;
mod lock;
mod options;
mod outcome;
mod reentry;
mod removal;
mod rpc;
mod runtime;
mod snapshot;
mod store;
mod update;
mod watch;

pub use lock::EtcdLock;
pub use options::{ClientCertificate, EtcdOptions, Password, TlsOptions, User};
pub use store::{register, EtcdStore};
