//! Registries, documents and held locks that tests begin with.

use std::any::Any;
use std::fs;
use std::path::Path;

use argus_registry::{LockOptions, RegistryLock};

use crate::support::Folder;

/// A lock that has to be held while the program runs, if there is one.
pub(crate) type Held = Option<Box<dyn Any>>;

/// A lock that is taken by plain fs2, as veil does.
pub(crate) struct PlainFs2(fs::File);

#[allow(clippy::disallowed_methods, reason = "it stands for a program without this crate")]
pub(crate) fn plain_fs2(path: &Path, exclusive: bool) -> std::io::Result<PlainFs2> {
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).truncate(false).read(true).write(true).open(path)?;
    match exclusive {
        true => fs2::FileExt::try_lock_exclusive(&file)?,
        false => fs2::FileExt::try_lock_shared(&file)?,
    }
    Ok(PlainFs2(file))
}

impl Drop for PlainFs2 {
    /// To close the file is not enough: another test may be starting a process at this moment,
    /// which has the descriptor until its exec.
    #[allow(clippy::disallowed_methods, reason = "it stands for a program without this crate")]
    fn drop(&mut self) {
        fs2::FileExt::unlock(&self.0).unwrap();
    }
}

pub(crate) fn nothing(_: &Folder) -> Held {
    None
}

pub(crate) fn fresh(folder: &Folder) -> Held {
    folder.registry(&["app"]);
    None
}

pub(crate) fn expired(folder: &Folder) -> Held {
    folder.registry(&["app", "expired"]);
    None
}

pub(crate) fn dead(folder: &Folder) -> Held {
    folder.registry(&["app", "dead"]);
    None
}

pub(crate) fn expired_and_dead(folder: &Folder) -> Held {
    folder.registry(&["expired", "dead"]);
    None
}

/// A registry with an entry that is no watcher's record.
pub(crate) fn non_record(folder: &Folder) -> Held {
    folder.put("r.json", r#"{"version":1,"updatedAt":1,"watchers":{"odd":3}}"#);
    None
}

pub(crate) fn corrupt(folder: &Folder) -> Held {
    folder.put("r.json", "{");
    None
}

pub(crate) fn newer_version(folder: &Folder) -> Held {
    folder.put("r.json", r#"{"version":2,"updatedAt":1,"watchers":{}}"#);
    None
}

/// A registry whose last holder crashed: the lockfile, a second name of the guard, is still there.
pub(crate) fn stale_lockfile(folder: &Folder) -> Held {
    folder.registry(&["app"]);
    let (guard, lockfile) = (folder.path("r.json.guard"), folder.path("r.json.lock"));
    #[allow(clippy::disallowed_methods, reason = "it makes by hand what a crash leaves")]
    fs::hard_link(guard, lockfile).unwrap();
    None
}

/// A registry whose lock this process holds.
pub(crate) fn busy(folder: &Folder) -> Held {
    folder.registry(&["app", "expired"]);
    let lock = RegistryLock::acquire(folder.path("r.json"), &LockOptions::one_try()).unwrap();
    Some(Box::new(lock))
}

/// A document of exceptions.
pub(crate) fn exceptions(folder: &Folder, text: &str) -> Held {
    folder.put("e.toml", &format!("version = 1\n{text}"));
    None
}

pub(crate) const EXPIRED_EXCEPTION: &str =
    "[[exceptions]]\nid = 'a'\nreason = 'r'\nexpires_at = 2020-01-01T00:00:00Z\n";
pub(crate) const VALID_EXCEPTION: &str =
    "[[exceptions]]\nid = 'b'\nreason = 'r'\nexpires_at = '9000-01-01T00:00:00Z'\n";
pub(crate) const UNREADABLE_EXPIRY: &str =
    "[[exceptions]]\nid = 'c'\nreason = 'r'\nexpires_at = 'soon'\n";

pub(crate) fn valid_document(folder: &Folder) -> Held {
    exceptions(folder, VALID_EXCEPTION)
}

/// A document whose lock this process holds exclusively.
pub(crate) fn busy_document(folder: &Folder) -> Held {
    valid_document(folder);
    Some(Box::new(plain_fs2(&folder.path("e.lock"), true).unwrap()))
}

/// A document whose lock this process holds shared.
pub(crate) fn shared_document(folder: &Folder) -> Held {
    valid_document(folder);
    Some(Box::new(plain_fs2(&folder.path("e.lock"), false).unwrap()))
}
