#![cfg_attr(not(feature = "node"), forbid(unsafe_code))]
#![cfg_attr(feature = "node", deny(unsafe_code))]
//! Many processes update one small state file, and nothing that was acknowledged is lost.
//!
//! | to | call |
//! |---|---|
//! | change a registry | [`update_registry`] |
//! | enter a watcher, under its own id or a free one | [`announce_watcher`], [`claim_watcher`] |
//! | renew its entry, once or all the time | [`heartbeat_watcher`], [`start_registry_heartbeat`] |
//! | take entries out | [`remove_watcher`], [`prune_stale_watchers`] |
//! | read one, without a lock | [`read_registry`] |
//! | replace one whole | [`write_registry`] |
#![cfg_attr(feature = "watch", doc = "| be told of every change of one | [`watch_registry`] |")]
//! | do something else while nobody updates | [`with_registry_lock`], [`RegistryLock::acquire`] |
//! | see who holds the lock | [`inspect_lock`] |
//! | find what a crash left, and clear it away | [`find_litter`], [`clear_litter`] |
//! | lock a file of your own, in one try | [`try_lock_shared`], [`try_lock_exclusive`] |
//!
//! ```
//! use argus_registry::{read_registry, update_registry, Error, UpdateOptions, WatcherRecord};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("registry.json");
//! update_registry(&path, &UpdateOptions::default(), |registry| {
//!     registry.set_watcher(WatcherRecord::new("app", "127.0.0.1", 9222));
//!     Ok::<_, Error>(())
//! })?;
//! let (registry, warnings) = read_registry(&path)?;
//! assert_eq!(registry.watcher("app").unwrap().port, 9222);
//! assert!(warnings.is_empty());
//! # Ok::<_, Error>(())
//! ```
//!
//! # Limitations
//!
//! - A program that takes no lock, or deletes the lock's files, is not kept out; it is noticed
//!   before the next write wherever that can be noticed.
//! - A hard link to a registry, unlike a symbolic link, is another file after the first update.
//! - Extended attributes and access control lists of a replaced file are not carried over.
//! - A lock that is leaked (`std::mem::forget`) is held until the process ends.
//!
//! ARCHITECTURE.md has the protocol and what a crash leaves behind at each of its steps.
//!
//! # Features
//!
//! - `watch`: `watch_registry`, with the dependency that listens to the system's file events. Off by
//!   default.
//! - `node`: the Node addon, with `watch`. Off by default; needs Rust 1.88.

mod atomic_write;
mod backoff;
mod beside;
mod cancel;
mod document;
#[cfg(feature = "tokio")]
mod document_async;
mod document_lock;
mod entries;
mod error;
mod file_lock;
mod format;
mod guard;
mod heartbeat;
mod inspect;
mod json;
mod keeper;
mod kernel_lock;
mod layout;
mod litter;
mod liveness;
mod lockfile;
#[cfg(feature = "node")]
#[allow(unreachable_pub, reason = "what #[napi] exports must be pub")]
mod node;
mod owner;
mod paths;
mod probe_folder;
mod record;
mod reentry;
mod registry;
mod registry_lock;
mod registry_v1;
#[cfg(feature = "watch")]
mod route;
mod store;
mod sys;
mod takeover;
mod wait;
mod wait_line;
mod warning;
#[cfg(feature = "watch")]
mod watch;
mod watchers;

pub use backoff::Backoff;
pub use beside::{Litter, LitterKind};
pub use cancel::CancelToken;
pub use document::{Document, Loaded};
pub use document_lock::LockFile;
pub use entries::{PruneReason, PrunedWatcher, WatcherRef};
pub use error::{Error, Result};
pub use file_lock::{lock_exclusive, lock_shared, try_lock_exclusive, try_lock_shared, KernelLock};
#[cfg(feature = "toml")]
pub use format::Toml;
pub use format::{Format, FormatError, Json};
pub use heartbeat::{start_registry_heartbeat, Heartbeat, HeartbeatOptions, OnError};
pub use inspect::{inspect_lock, Guarantee, LockState, LockStatus};
pub use litter::{clear_litter, find_litter};
pub use owner::Holder;
pub use paths::registry_path;
pub use probe_folder::ProbeFolder;
pub use record::{WatcherClaim, WatcherRecord};
pub use registry::{
    read_registry, update_registry, with_registry_lock, write_registry, UpdateOptions,
};
pub use registry_lock::RegistryLock;
pub use registry_v1::{RegistryV1, REGISTRY_VERSION};
pub use wait::LockOptions;
pub use warning::{OnWarning, Warning};
#[cfg(feature = "watch")]
pub use watch::{watch_registry, RegistryWatch};
pub use watchers::{
    announce_watcher, claim_watcher, heartbeat_watcher, prune_stale_watchers, remove_watcher,
    ClaimOptions, PruneOptions, DEFAULT_TTL_MS,
};
