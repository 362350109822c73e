//! The calls on a registry file.
//!
//! For: updating a registry or its entries under its lock, reading it without one, judging whether an
//! entry's process is dead, and renewing an entry from a thread. May use: everything below
//! (`util`, `sys`, the vocabulary, `files`, `lock`, `content`). Never: writes without the registry's
//! lock in hand, or calls the operating system itself.

mod dated;
pub(crate) mod entries;
pub(crate) mod liveness;
pub(crate) mod own_scope;
pub(crate) mod read;
pub(crate) mod update;
