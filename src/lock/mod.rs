//! Exclusion: which process, and which thread of it, may write a file now.
//!
//! For: kernel locks and the queue of their waiting callers, a registry's guard and lockfile, stale
//! lockfiles, owner records, and inspecting a lock without taking it. May use: `util`, `sys`, the
//! vocabulary and `files`. Never: parses or prints a registry or a document, or replaces either.

pub(crate) mod file_lock;
pub(crate) mod first_use;
pub(crate) mod guard;
pub(crate) mod inspect;
pub(crate) mod inspect_lock_file;
pub(crate) mod kernel_lock;
pub(crate) mod kernel_queue;
pub(crate) mod lockfile;
pub(crate) mod lockfile_refresher;
pub(crate) mod loss;
pub(crate) mod owner_record;
pub(crate) mod reentry;
pub(crate) mod registry_lock;
pub(crate) mod stale_lockfile;
pub(crate) mod sweep;
pub(crate) mod wait;
