//! Waiting and threads, and small things that several layers need; no files.
//!
//! For: delays, cancellation, a bounded pool of threads, and the budget of work that a thread which
//! must not block may still do itself. May use: the standard library alone. Never: touches a file,
//! knows a lock or a registry, or decides how long a caller waits.

pub(crate) mod age;
pub(crate) mod backoff;
pub(crate) mod cancel;
pub(crate) mod deferred_drop;
pub(crate) mod inline_budget;
pub(crate) mod panic_test;
pub(crate) mod panics;
pub(crate) mod stable_hash;
pub(crate) mod stopping_point;
pub(crate) mod thread_end;
pub(crate) mod thread_pool;
