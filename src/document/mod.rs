//! Any serde value in a file that several processes share.
//!
//! For: loading, saving and updating a document in JSON, TOML or a format of the caller's, each call
//! under the document's lock, blocking or async. May use: `util`, `sys`, the vocabulary, `files` and
//! `lock`. Never: knows what a registry's text means, or reads or writes under two kinds of lock.

#[cfg(feature = "tokio")]
pub(crate) mod async_operations;
pub(crate) mod definition;
pub(crate) mod format;
mod json_rewrite;
pub(crate) mod lock;
pub(crate) mod lock_choice;
mod match_elements;
mod names;
pub(crate) mod operations;
mod ordered_json;
#[cfg(feature = "toml")]
mod toml_rewrite;
#[cfg(feature = "toml")]
mod toml_values;
mod written_text;
