//! Watching a registry for changes.
//!
//! For: waiting until a registry's file, or what its path leads through, has changed, and reading it
//! then. May use: everything below, `registry` and `content` included. Never: takes a lock, or
//! delivers what an event says instead of what the file holds.

pub(crate) mod registry_watch;
pub(crate) mod state_watch;
pub(crate) mod watched_path;
