//! What crashed processes leave beside a file.
//!
//! For: finding temp files, stale lockfiles and set-aside content, and removing what no process
//! needs. May use: `util`, `sys`, the vocabulary, `files`, `lock`, `content` and `folder`. Never: removes a file
//! without holding the lock under which it was made.

pub(crate) mod cleanup;
mod folder;
pub(crate) mod probe_folder;
pub(crate) mod survey;
pub(crate) mod types;
