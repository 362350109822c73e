//! Tests against servers of their own: `npm run test:etcd`, which needs an installed `etcd`.

mod faults;
mod store;
mod support;
