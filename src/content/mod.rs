//! The text of a registry, and what is done to its entries.
//!
//! For: parsing a registry so that every member keeps its spelling, changing entries, and printing the
//! result as `JSON.stringify(value, null, 2)` does. May use: the vocabulary alone. Never: reads a
//! clock, a process id or a file; the caller passes in the time, the scope of its own pid, and which
//! processes are dead.

pub(crate) mod cached_registry;
mod date_in_text;
pub(crate) mod entry_operation;
pub(crate) mod entry_text;
pub(crate) mod pid_scope;
pub(crate) mod pretty_print;
pub(crate) mod raw_object;
pub(crate) mod record;
pub(crate) mod registry_v1;
pub(crate) mod stale_entry;
