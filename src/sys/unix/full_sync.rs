//! `F_FULLFSYNC` of macOS, which the standard library calls for `sync_all`: it also empties the cache of the
//! disk. Network mounts refuse it; those have `fsync` alone.

use std::io;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use super::unsupported::is_unsupported;

/// The mounts on which the full call was refused, by their devices. There it is not tried again.
pub(super) struct FullSync {
    refused: Mutex<Vec<u64>>,
}

impl FullSync {
    pub(super) const fn new() -> Self {
        FullSync { refused: Mutex::new(Vec::new()) }
    }

    /// Calls `full`, or `plain` where the mount refuses that.
    pub(super) fn sync(
        &self,
        mount: impl FnOnce() -> io::Result<u64>,
        full: impl FnOnce() -> io::Result<()>,
        plain: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let mount = mount()?;
        if self.mounts().contains(&mount) {
            return plain();
        }
        match full() {
            Err(error) if is_refusal(&error) => {
                let mut refused = self.mounts();
                if !refused.contains(&mount) {
                    refused.push(mount);
                }
                drop(refused);
                plain()
            }
            synced => synced,
        }
    }

    fn mounts(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the error means that the mount has no such call, and not that writing failed.
fn is_refusal(error: &io::Error) -> bool {
    is_unsupported(error)
        || matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::NOTTY))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_mount_that_refuses_the_full_call_is_synced_by_the_plain_one_from_then_on() {
        for refusal in [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOTTY, Errno::INVAL] {
            let (full_sync, calls) = (FullSync::new(), RefCell::new(Vec::new()));
            let sync = |mount: u64, full: Result<(), Errno>| {
                let called = |name| calls.borrow_mut().push((mount, name));
                full_sync.sync(
                    || Ok(mount),
                    || {
                        called("full");
                        full.map_err(io::Error::from)
                    },
                    || {
                        called("plain");
                        Ok(())
                    },
                )
            };
            sync(1, Err(refusal)).unwrap();
            sync(1, Ok(())).unwrap();
            sync(2, Ok(())).unwrap();
            let expected = [(1, "full"), (1, "plain"), (1, "plain"), (2, "full")];
            assert_eq!(*calls.borrow(), expected, "{refusal:?}");
        }
    }

    #[test]
    fn a_write_that_failed_is_reported_and_not_tried_by_the_plain_call() {
        for failure in [Errno::IO, Errno::NOSPC] {
            let plain = || panic!("it would report that the content is on the disk");
            let synced = FullSync::new().sync(|| Ok(1), || Err(failure.into()), plain);
            assert_eq!(Errno::from_io_error(&synced.unwrap_err()), Some(failure));
        }
    }
}
