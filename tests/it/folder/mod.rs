//! What a registry in a folder does that no other store does.

mod claims;
#[cfg(target_os = "linux")]
pub(crate) mod crashes;
#[cfg(target_os = "linux")]
mod file_systems;
mod files;
