//! What JavaScript calls for a registry in etcd, behind the core's `lib/`: conversions at the border, and no policy.
//!
//! The functions and classes that the core's addon has, too, have the meaning that they have there: `lib/` uses the
//! addon of the store that a path means. No call here throws: a failure is a value
//! ([`AddonFailure`](convert::AddonFailure)). Only a panic is thrown, which every export catches (`catch_unwind`). And
//! no JavaScript is called back: an updater runs in JavaScript, between the call that reads and the one that commits.
//!
//! `scripts/typings.mjs` writes the types of all this to `etcd/node/addon.d.ts`.

mod background;
mod convert;
mod entries;
mod held;
mod mirror;
mod options;
mod reads;
mod stores;
mod watch;

use napi_derive::napi;

/// The version of the border between the core's `lib/` and this addon: `lib/addon/etcd.js` has the number too, and
/// uses no addon with another one.
const BORDER_VERSION: u32 = 1;

/// The version of the border between the core's `lib/` and this addon.
#[napi(catch_unwind)]
pub fn border_version() -> u32 {
    BORDER_VERSION
}

/// The version of the package that this addon belongs to, for error messages.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
