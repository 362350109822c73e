//! What tests of several folders need.

pub(crate) mod counter;
pub(crate) mod files;
#[cfg(feature = "watch")]
pub(crate) mod panicking_store;
pub(crate) mod processes;
pub(crate) mod registries;

#[cfg(target_os = "linux")]
pub(crate) mod altered_calls;
#[cfg(target_os = "linux")]
pub(crate) mod pid_namespaces;
#[cfg(target_os = "linux")]
pub(crate) mod users;

#[cfg(target_os = "linux")]
#[path = "../../support/shim.rs"]
mod shim;
