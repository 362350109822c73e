#![cfg_attr(not(feature = "node"), forbid(unsafe_code))]
#![cfg_attr(feature = "node", deny(unsafe_code))]
#![cfg_attr(
    not(feature = "node"),
    allow(
        dead_code,
        reason = "the addon decides what its threads may do, and only it uses some of the core's \
                  policies; what is unused in the build with it is reported there"
    )
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! Many processes update one small state file, and nothing that was acknowledged is lost.
//!
//! # Which function
//!
//! For an argus registry, the JSON file of watchers that programs in JavaScript share, too:
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
//! | see who holds the lock | [`inspect_lock`], of a lock file [`inspect_lock_file`] |
//! | find what a crash left, and clear it away | [`find_litter`], [`clear_litter`] |
//! | find it | [`registry_path`] |
//!
//! For a file of your own, in JSON, TOML or any other format, behind a kernel lock, as in veil:
//!
//! | to | call |
//! |---|---|
//! | change it, losing nothing that others do | [`Document::update`] |
//! | read it; busy is an error at once | [`Document::load`] |
//! | replace it whole; busy is an error at once | [`Document::save`] |
#![cfg_attr(
    feature = "tokio",
    doc = "| the same from async code | [`Document::update_async`], [`Document::load_async`], [`Document::save_async`] |"
)]
//! | do something else while nobody writes | [`try_lock_shared`], [`try_lock_exclusive`], [`lock_shared`], [`lock_exclusive`] |
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
//! ```
//! use argus_registry::{Document, Error, LockOptions};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("names.json");
//! let names = Document::<Vec<String>>::json(&path).empty(Vec::new);
//! names.update(&LockOptions::default(), |names| {
//!     names.push("ada".into());
//!     Ok::<_, Error>(())
//! })?;
//! assert_eq!(names.load()?.value, ["ada"]);
//! # Ok::<_, Error>(())
//! ```
//!
//! # Errors
//!
//! There is one [`Error`], whose variants name the path, and the holder of the lock where one can be
//! seen. `try_` means that nothing is waited for. Contention is [`Error::LockBusy`] after one try
//! and [`Error::LockTimeout`] after a wait, and never any other variant.
//!
//! # Limitations
//!
//! - [`Document::load`] and then [`Document::save`] take two locks, and what others save in between
//!   is lost. [`Document::update`] takes one.
//! - A program that takes no lock, or deletes the lock's files, is not kept out; it is noticed
//!   before the next write wherever that can be noticed.
//! - A hard link to a registry, unlike a symbolic link, is another file after the first update.
//! - Fields that a document's type does not know are lost when it is written: keep them with
//!   `#[serde(flatten)]`. A registry's are kept.
//! - Extended attributes and access control lists of a replaced file are not carried over.
//! - A lock that is leaked (`std::mem::forget`) is held until the process ends.
//!
//! ARCHITECTURE.md has the protocol and what a crash leaves behind at each of its steps.
//!
//! # Features
//!
//! - `watch`: `watch_registry`, with the dependency that listens to the system's file events. Off by
//!   default.
//! - `toml`: `Toml`, the format of documents in TOML. Off by default.
//! - `tokio`: documents from async code. Off by default.
//! - `cli`: the program `argus-registry`, with `watch` and `toml`. Off by default; for
//!   `cargo install`, not for callers.
//! - `node`: the Node addon, with `watch`. Off by default; needs Rust 1.88.

mod content;
mod document;
mod error;
mod files;
mod holder;
mod litter;
mod lock;
#[cfg(feature = "node")]
#[allow(unreachable_pub, reason = "what #[napi] exports must be pub")]
mod node;
mod registry;
mod sys;
mod util;
mod warning;
#[cfg(feature = "watch")]
mod watch;

pub use content::entry_operation::{PruneReason, PrunedWatcher, WatcherRef};
pub use content::record::{WatcherClaim, WatcherRecord};
pub use content::registry_v1::{RegistryV1, REGISTRY_VERSION};
pub use document::definition::{Document, Loaded};
#[cfg(feature = "toml")]
pub use document::format::Toml;
pub use document::format::{Format, Json};
pub use document::lock::LockFile;
pub use error::{Error, FormatError, LockKind, Result};
pub use files::paths::{registry_path, system_registry_path};
pub use holder::Holder;
pub use litter::cleanup::{clear_litter, find_litter};
pub use litter::probe_folder::ProbeFolder;
pub use litter::types::{Litter, LitterKind};
pub use lock::file_lock::{
    lock_exclusive, lock_shared, try_lock_exclusive, try_lock_shared, KernelLock,
};
pub use lock::inspect::{
    inspect_lock, inspect_lock_file, Guarantee, LockFileHolder, LockFileState, LockFileStatus,
    LockState, LockStatus,
};
pub use lock::registry_lock::RegistryLock;
pub use lock::wait::LockOptions;
pub use registry::entries::{
    announce_watcher, claim_watcher, heartbeat_watcher, prune_stale_watchers, remove_watcher,
    stale_watchers, ClaimOptions, PruneOptions, DEFAULT_TTL_MS,
};
pub use registry::heartbeat::{start_registry_heartbeat, Heartbeat, HeartbeatOptions, OnError};
pub use registry::read::read_registry;
pub use registry::update::{update_registry, with_registry_lock, write_registry, UpdateOptions};
pub use util::backoff::Backoff;
pub use util::cancel::CancelToken;
pub use warning::{OnWarning, Warning};
#[cfg(feature = "watch")]
pub use watch::registry_watch::{watch_registry, RegistryWatch};
