//! The stores of a registry, and the calls that choose one by a path.
//!
//! For: one set of calls on a registry that is kept in a file, in a folder, or in an engine of another
//! crate. May use: everything below. Never: locks, reads or writes itself; a store's own folder does.

pub(crate) mod calls;
pub(crate) mod entry_request;
pub(crate) mod failure;
pub(crate) mod file_store;
pub(crate) mod folder_store;
pub(crate) mod heartbeat;
pub(crate) mod migrate;
pub(crate) mod mirror;
mod operations;
pub(crate) mod other_store;
pub mod parts;
pub(crate) mod registry_store;
