//! What tests of several folders need.

pub(crate) mod processes;
pub(crate) mod proxy;
#[path = "../../../../tests/it/support/registries.rs"]
#[allow(dead_code, reason = "the core's tests use more of it")]
pub(crate) mod registries;
pub(crate) mod servers;
