//! The kernel's lock of a file, for shuttle's threads: exclusive, and handed to any thread that waits.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LockMode {
    Shared,
    Exclusive,
}

/// Which descriptor holds the lock of each inode.
static HOLDERS: Mutex<Option<HashMap<u64, i32>>> = Mutex::new(None);
static FREED: Condvar = Condvar::new();

fn holders() -> MutexGuard<'static, Option<HashMap<u64, i32>>> {
    HOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn attempt(file: &File, _: LockMode) -> io::Result<bool> {
    let inode = file.metadata()?.ino();
    let mut holders = holders();
    let holders = holders.get_or_insert_with(HashMap::new);
    let is_free = !holders.contains_key(&inode);
    if is_free {
        holders.insert(inode, file.as_raw_fd());
    }
    Ok(is_free)
}

pub(crate) fn wait(file: &File, _: LockMode) -> io::Result<()> {
    let inode = file.metadata()?.ino();
    let mut guard = holders();
    loop {
        let holders = guard.get_or_insert_with(HashMap::new);
        if !holders.contains_key(&inode) {
            holders.insert(inode, file.as_raw_fd());
            return Ok(());
        }
        guard = FREED.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
}

pub(crate) fn unlock(file: &File) -> io::Result<()> {
    let inode = file.metadata()?.ino();
    let held = holders().as_mut().and_then(|holders| holders.remove(&inode));
    assert_eq!(held, Some(file.as_raw_fd()), "only its holder unlocks it");
    FREED.notify_all();
    Ok(())
}
