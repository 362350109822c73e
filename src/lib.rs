#![cfg_attr(not(feature = "node"), forbid(unsafe_code))]
#![cfg_attr(feature = "node", deny(unsafe_code))]
#![cfg_attr(
    not(feature = "node"),
    allow(
        dead_code,
        reason = "some of the core's policies for threads are used by the addon only; the build with \
                  the addon reports unused code"
    )
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! Many processes update one small state file, and no acknowledged update is lost.
//!
//! # Which function
//!
//! argus is a tool that watches browser consoles. Each of its processes, a *watcher*, keeps an entry
//! in one JSON file, the *registry*. Programs in JavaScript share that file. For an argus registry:
//!
//! | to | call |
//! |---|---|
//! | change a registry | [`update_registry`] |
//! | enter a watcher, under a fixed id or a free one | [`announce_watcher`], [`claim_watcher`] |
//! | renew a watcher's entry, once or periodically | [`heartbeat_watcher`], [`start_registry_heartbeat`] |
//! | remove entries | [`remove_watcher`], [`prune_stale_watchers`] |
//! | read a registry, without a lock | [`read_registry`] |
//! | replace a whole registry | [`write_registry`] |
#![cfg_attr(feature = "watch", doc = "| receive every change of a registry | [`watch_registry`] |")]
//! | run other code while no process updates the registry | [`with_registry_lock`], [`RegistryLock::acquire`] |
//! | see which process holds the lock | [`inspect_lock`], for a lock file [`inspect_lock_file`] |
//! | find what a crash left, and delete it | [`find_litter`], [`clear_litter`] |
#![cfg_attr(
    feature = "watch",
    doc = "| keep a registry file in step with a registry in a folder | [`mirror_registry`] |"
)]
//! | locate the registry | [`registry_path`] |
//!
//! A path that ends in a separator, or that is an existing folder, is a registry in that folder, with a file
//! for each entry: see [`FolderStore`]. [`migrate`] moves entries between the two. The trait of both is
//! [`RegistryStore`].
//!
//! veil is a secret scanner. It keeps the findings that a person has accepted in a TOML file, its
//! *exceptions registry*, and takes a kernel lock on a lock file beside it. For such a file, in JSON,
//! TOML or any other format:
//!
//! | to | call |
//! |---|---|
//! | change it, keeping the changes of other processes | [`Document::update`] |
//! | read it; a busy lock is an error at once | [`Document::load`] |
//! | replace it whole; a busy lock is an error at once | [`Document::save`] |
//! | use it under an argus registry's lock instead of a lock file | [`Document::registry_lock`] |
#![cfg_attr(
    feature = "tokio",
    doc = "| do this from async code | [`Document::update_async`], [`Document::load_async`], [`Document::save_async`] |"
)]
//! | run other code while no process writes it | [`try_lock_shared`], [`try_lock_exclusive`], [`lock_shared`], [`lock_exclusive`] |
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
//! All functions return one type, [`Error`]. Its variants name the path and, where it can be seen,
//! the holder of the lock. A function whose name begins with `try_` never waits. Contention is
//! [`Error::LockBusy`] after one try and [`Error::LockTimeout`] after a wait, and never any other
//! variant.
//!
//! # Limitations
//!
//! - [`Document::load`] followed by [`Document::save`] takes two locks. What another process saves in
//!   between is lost. [`Document::update`] takes one lock.
//! - A document's lock file and an argus registry's lock do not exclude each other, so a file is used
//!   under one of the two kinds only. A call that finds the other kind's file beside the document or
//!   registry fails with [`Error::LockMismatch`], and [`LockKind`] says which kind is in use. A registry
//!   call can find a document's lock file only under its default name, [`LockFile::WithExtension`].
//! - A program that takes no lock, or deletes the lock's files, is not excluded. This crate notices
//!   such a program before the next write wherever that is possible.
//! - A hard link to a registry, unlike a symbolic link, is another file after the first update.
//! - [`Document::save`] replaces the whole text: comments, and fields that the document's type does not
//!   know, are lost, unless the type keeps the fields with `#[serde(flatten)]`. [`Document::update`] keeps
//!   them in JSON and TOML, and a registry keeps its unknown fields.
//! - A file has at most [`MAX_CONTENT_BYTES`]: a larger one is neither read nor written.
//! - The access control list, the attributes of users and the labels of a replaced file are carried over on Linux
//!   and macOS, not on Windows. On macOS the guard gets the registry's list when it is made, and not what is
//!   added to that list later.
//! - A lock that is leaked (`std::mem::forget`) is held until the process ends.
//!
//! ARCHITECTURE.md describes the protocol, and what a crash leaves behind at each of its steps.
//!
//! # Features
//!
//! - `process-times`: when a process began, on systems other than Linux, by which a registry's lock and
//!   entries are judged. On by default. A program that uses documents only can leave it out
//!   (`default-features = false`), and with it the crates `sysinfo` and, on Windows, `windows`. A process
//!   whose id is in use then counts as alive; on Windows, every process does.
//! - `watch`: `watch_registry`, with the dependency that receives the system's file events. Off by
//!   default.
//! - `toml`: `Toml`, the format of documents in TOML. Off by default.
//! - `tokio`: documents from async code. Off by default.
//! - `cli`: the program `argus-registry`, with `watch` and `toml`. Off by default; for
//!   `cargo install`, not for callers.
//! - `panic-test`: panics on demand, for the addon's own tests.
//! - `node`: the Node addon, with `watch`. Off by default; needs Rust 1.88.

// The program, in `cli`, names this crate as every other program does.
#[cfg(feature = "cli")]
extern crate self as argus_registry;

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod content;
mod document;
mod error;
mod files;
mod folder;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
#[allow(missing_docs, unreachable_pub, reason = "of no use to a caller")]
pub mod fuzz_targets;
mod holder;
mod litter;
mod lock;
#[cfg(feature = "node")]
#[allow(unreachable_pub, reason = "items that #[napi] exports must be pub")]
mod node;
mod registry;
mod store;
mod sys;
mod util;
mod warning;
#[cfg(feature = "watch")]
mod watch;

pub use content::entry_operation::{PrunedWatcher, WatcherRef};
pub use content::record::{WatcherClaim, WatcherRecord};
pub use content::registry_v1::{RegistryV1, REGISTRY_VERSION};
pub use content::stale_entry::PruneReason;
pub use document::definition::{Document, Loaded};
#[cfg(feature = "toml")]
pub use document::format::Toml;
pub use document::format::{Format, Json};
pub use document::lock::UnlockedReason;
pub use document::lock_choice::LockFile;
#[doc(hidden)]
pub use error::explained::{write_obstacle, WriteObstacle};
#[doc(hidden)]
pub use error::shell::{shell_command, shell_quoted};
pub use error::update_error::UpdateError;
pub use error::{Error, FormatError, LockKind, Result, MAX_CONTENT_BYTES};
pub use files::default_path::{registry_path, system_registry_path};
pub use holder::Holder;
pub use litter::cleanup::{clear_litter, find_litter};
pub use litter::probe_folder::ProbeFolder;
pub use litter::types::{Litter, LitterKind};
pub use lock::file_lock::{
    lock_exclusive, lock_shared, try_lock_exclusive, try_lock_shared, KernelLock,
};
pub use lock::inspect::{Guarantee, LockState, LockStatus};
pub use lock::inspect_lock_file::{
    inspect_lock_file, LockFileHolder, LockFileState, LockFileStatus,
};
pub use lock::registry_lock::RegistryLock;
pub use lock::wait::LockOptions;
pub use registry::entries::{stale_watchers, ClaimOptions, PruneOptions, DEFAULT_TTL_MS};
pub use registry::update::UpdateOptions;
#[cfg(feature = "watch")]
pub use store::calls::watch_registry;
pub use store::calls::{
    announce_watcher, claim_watcher, heartbeat_watcher, inspect_lock, open_store,
    prune_stale_watchers, read_registry, remove_watcher, start_registry_heartbeat, update_registry,
    with_registry_lock, write_registry,
};
pub use store::file_store::FileStore;
pub use store::folder_store::FolderStore;
pub use store::heartbeat::{start_heartbeat, Heartbeat, HeartbeatOptions, OnError};
pub use store::migrate::{migrate, Migration};
#[cfg(feature = "watch")]
pub use store::mirror::handle::{mirror_registry, start_mirror, Mirror, MirrorOptions};
#[doc(hidden)]
pub use store::other_store::{register_store, OpenStore};
#[doc(hidden)]
pub use store::parts as store_parts;
pub use store::registry_store::{update_store, RegistryStore};
#[doc(hidden)]
pub use sys::canonicalize;
#[doc(hidden)]
pub use util::age::age_in_words;
pub use util::backoff::Backoff;
pub use util::cancel::CancelToken;
pub use warning::{OnCorrupt, OnWarning, Warning};
#[cfg(feature = "watch")]
pub use watch::state_watch::RegistryWatch;
