//! A mirror: an ordinary registry file that is kept in step with a store, for programs that know only the
//! file.
//!
//! An entry is renewed where its watcher wrote it first, and copied to the other side. [`merge`] decides
//! about each id, from the two sides and from what was copied before, which [`state`] keeps in a file.
//! That file is written before copies are made, and again afterwards, so that a mirror which takes over
//! from one that died neither takes an entry for removed that was not copied yet, nor brings one back that
//! was removed.

#[cfg(feature = "watch")]
pub(crate) mod events;
#[cfg(feature = "watch")]
pub(crate) mod handle;
mod merge;
#[cfg(feature = "watch")]
pub(crate) mod phase;
mod planned;
mod round;
pub(super) mod state;
#[cfg(feature = "watch")]
mod worker;
