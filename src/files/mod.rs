//! One file that several processes share: where it is, reading it, replacing it.
//!
//! For: following a path to the file that it names, naming the files beside it, reading it without
//! a lock, and replacing it in one step. May use: `util`, `sys`, and the crate's vocabulary
//! (errors, warnings, holders). Never: takes a lock or knows what the bytes mean; a caller that
//! replaces a file passes the lock that it holds as a `WriteLock`.

pub(crate) mod atomic_write;
pub(crate) mod default_path;
pub(crate) mod kept_copies;
pub(crate) mod new_file;
pub(crate) mod paths;
pub(crate) mod shared_file;
