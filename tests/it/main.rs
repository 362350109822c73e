//! The library as its callers have it: real files, threads and processes. The modules have the names of
//! the folders in `src/`.

mod document;
mod examples;
mod files;
mod folder;
mod layering;
mod litter;
mod lock;
mod manifest;
mod registry;
mod store;
mod support;
#[cfg(feature = "watch")]
mod watch;
