//! A registry in a folder: one file per entry.
//!
//! For: the calls on a registry whose entries are files of their own, so that a heartbeat dates one file
//! and waits for no other process. May use: everything below it, `registry` included, whose options and
//! judgements it shares. Never: parses or replaces a registry file; changes what is in an entry's file
//! once it has its name.
//!
//! The process that claims an entry keeps its file open, with a kernel lock: as long as it is locked, the
//! process lives. ARCHITECTURE.md has the protocol.

pub(crate) mod entries;
mod entry_file;
pub(crate) mod guarded;
pub(crate) mod held;
pub(crate) mod id;
mod journal;
pub(crate) mod layout;
pub(crate) mod listing;
mod listing_cache;
mod names;
mod publish;
pub(crate) mod temps;
pub(crate) mod update;
