//! Tests against servers of their own: `npm run test:etcd`, which needs an installed `etcd`.

#[cfg(feature = "cli")]
mod cli;
mod faults;
mod store;
mod support;
