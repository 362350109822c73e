//! Updating an argus registry under its lock.

use std::path::Path;
use std::time::Instant;

use crate::content::cached_registry;
use crate::content::registry_v1::{RegistryV1, BYTE_ORDER_MARK};
use crate::error::update_error::UpdateError;
use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::files::shared_file::{self, CommitOptions, FileContent, WriteLock};
use crate::lock::reentry::UpdateScope;
use crate::lock::registry_lock::{self, RegistryLock};
use crate::lock::wait::{LockOptions, Wait, WaitPolicy};
use crate::registry::read::parse;
use crate::warning::{OnCorrupt, OnWarning, Warning};

/// Options for updating a registry.
#[derive(Debug, Clone)]
pub struct UpdateOptions {
    /// How to wait for the lock. Its timeout also bounds how long an update is repeated that loses its
    /// lock.
    pub lock: LockOptions,
    /// Whether an update returns only when it would survive a power failure (fsync of file and
    /// folder); an update that is not durable can take earlier durable ones with it in a power failure,
    /// which leaves an empty file on some file systems (XFS, btrfs, ext4 with `noauto_da_alloc`).
    /// Default true. An update that finds its change in the file already makes that durable;
    /// pruning that finds nothing to remove only reads. Otherwise an update survives the crash of any process, but not a crash of
    /// the machine.
    pub durable: bool,
    /// What to do about content that can't be parsed. Default [`OnCorrupt::Keep`].
    pub on_corrupt: OnCorrupt,
    /// Called when content that can't be parsed was kept in another file and replaced, and when the lock
    /// was taken away after the registry was written ([`Warning::LockLost`]). The default
    /// writes to standard error: the warning is about data that a person may miss.
    pub on_warning: OnWarning,
}

impl Default for UpdateOptions {
    fn default() -> Self {
        UpdateOptions {
            lock: LockOptions::default(),
            durable: true,
            on_corrupt: OnCorrupt::Keep,
            on_warning: OnWarning::default(),
        }
    }
}

/// Updates the registry in a file.
pub(crate) fn update_file<T, E: From<Error>>(
    path: &Path,
    options: &UpdateOptions,
    updater: &mut impl FnMut(&mut RegistryV1) -> Result<T, E>,
) -> Result<T, E> {
    let paths = FilePaths::resolve(path)?;
    let updated = update(&paths, options, &mut |registry| {
        let before = registry.clone();
        let value = updater(registry).map_err(UpdateError::Updater)?;
        Ok((value, !registry.equals_but_for_layout(&before)))
    });
    updated.map_err(|error: UpdateError<E>| error.into_callers(|error| paths.error_as_given(error)))
}

/// Replaces the whole content of the registry in a file, under its lock.
pub(crate) fn write_file(
    path: &Path,
    registry: &RegistryV1,
    options: &UpdateOptions,
) -> Result<()> {
    let paths = FilePaths::resolve(path)?;
    update(&paths, options, &mut replace_by(registry))
        .map_err(|error: Error| paths.error_as_given(error))
}

/// Puts `new` in the place of any registry.
fn replace_by(new: &RegistryV1) -> impl FnMut(&mut RegistryV1) -> Result<((), bool)> + '_ {
    |registry| {
        *registry = new.clone();
        Ok(((), true))
    }
}

/// Updates a registry. `updater` returns whether to write it, beside its value.
fn update<T, E: From<Error>>(
    paths: &FilePaths,
    options: &UpdateOptions,
    updater: &mut impl FnMut(&mut RegistryV1) -> Result<(T, bool), E>,
) -> Result<T, E> {
    retry_while_lost(options, |options| {
        under_lock(paths, &options.lock, WaitPolicy::default(), |lock| {
            update_under(lock, options, updater)
        })
    })
}

/// Calls `once`, and again whenever it loses the lock, until the timeout is over.
pub(crate) fn retry_while_lost<T, E: From<Error>>(
    options: &UpdateOptions,
    mut once: impl FnMut(&UpdateOptions) -> Result<T, UpdateFailure<E>>,
) -> Result<T, E> {
    let since = Some(options.lock.since.unwrap_or_else(Instant::now));
    let lock = LockOptions { since, ..options.lock.clone() };
    let wait = Wait::start(&lock);
    let options = UpdateOptions { lock, ..options.clone() };
    loop {
        match once(&options) {
            Err(UpdateFailure::LockLost(_)) if wait.has_time() => {}
            Err(UpdateFailure::LockLost(error)) => return Err(error.into()),
            Err(UpdateFailure::Other(error)) => return Err(error),
            Ok(value) => return Ok(value),
        }
    }
}

/// Updates a registry's entries, and does not retry. `operate` returns whether it has changed anything.
pub(crate) fn update_entries<T>(
    paths: &FilePaths,
    options: &UpdateOptions,
    policy: WaitPolicy,
    operate: impl FnOnce(&mut RegistryV1) -> (T, bool),
) -> Result<T, UpdateFailure<Error>> {
    let mut operate = Some(operate);
    under_lock(paths, &options.lock, policy, |lock| {
        update_under(lock, options, &mut |registry| {
            let operate = operate.take().expect("it is called once");
            Ok(operate(registry))
        })
    })
}

/// Runs `body` under the lock of the registry in a file.
pub(crate) fn with_file_lock<T, E: From<Error>>(
    path: &Path,
    options: &LockOptions,
    body: impl FnOnce(&RegistryLock) -> Result<T, E>,
) -> Result<T, E> {
    registry_lock::refuse_folder(path)?;
    let paths = FilePaths::resolve(path)?;
    let ended = under_lock(&paths, options, WaitPolicy::default(), |lock| {
        let value = body(lock).map_err(UpdateError::Updater)?;
        lock.check()?;
        Ok(value)
    });
    ended.map_err(|error: UpdateError<E>| error.into_callers(|error| paths.error_as_given(error)))
}

/// Runs `body` under a registry's lock. A failure to release the lock is not reported: the work of
/// `body` is done, and the kernel releases the lock in any case.
fn under_lock<T, E: From<Error>>(
    paths: &FilePaths,
    options: &LockOptions,
    policy: WaitPolicy,
    body: impl FnOnce(&RegistryLock) -> Result<T, E>,
) -> Result<T, E> {
    let _entered = UpdateScope::enter(&paths.target, &paths.target)?;
    let wait = Wait::start_with(options, policy);
    let _busy = wait.busy_scope();
    let lock = RegistryLock::acquire_at(paths, &wait)?;
    body(&lock)
}

impl RegistryLock {
    /// Replaces the registry under this lock. [`read_registry`](crate::read_registry) reads it.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] if the lock was taken away, in which case this value was not written;
    /// [`Error::UnsupportedVersion`] for a registry of a newer schema, which stays as it was;
    /// [`Error::Corrupt`] with [`OnCorrupt::Fail`].
    pub fn write(&self, registry: &RegistryV1, options: &UpdateOptions) -> Result<()> {
        match update_under(self, options, &mut replace_by(registry)) {
            Err(UpdateFailure::LockLost(error) | UpdateFailure::Other(error)) => {
                Err(self.paths().error_as_given(error))
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Why an update under the lock did not happen.
pub(crate) enum UpdateFailure<E> {
    /// The lock was taken away. Nothing was written, and the update may be tried again.
    LockLost(Error),
    Other(E),
}

impl<E: From<Error>> From<Error> for UpdateFailure<E> {
    fn from(error: Error) -> Self {
        match error {
            Error::LockLost { .. } => UpdateFailure::LockLost(error),
            other => UpdateFailure::Other(other.into()),
        }
    }
}

/// Updates the registry under its lock. `updater` returns whether to write it, beside its value.
fn update_under<T, E: From<Error>>(
    lock: &RegistryLock,
    options: &UpdateOptions,
    updater: &mut impl FnMut(&mut RegistryV1) -> Result<(T, bool), E>,
) -> Result<T, UpdateFailure<E>> {
    let mut content = shared_file::read(lock.path())?;
    let bytes = content.as_mut().map(|content| &mut content.bytes);
    let cached = bytes.and_then(cached_registry::read);
    let is_printed = cached.is_some();
    let (mut registry, corrupt) = match cached {
        Some(registry) => (registry, None),
        None => parse_under(lock, content.as_ref(), options.on_corrupt)?,
    };
    let (value, is_changed) = updater(&mut registry).map_err(UpdateFailure::Other)?;
    if !is_changed {
        keep(lock, options, content.as_ref())?;
        if is_printed {
            cached_registry::cache(registry.printed());
        }
        return Ok(value);
    }
    let printed = registry.printed();
    commit(lock, options, content.as_ref(), printed.text().as_bytes(), corrupt)?;
    cached_registry::cache(printed);
    Ok(value)
}

/// The registry to be updated. If the content is corrupt and is to be kept, that is an empty one, and the
/// second value is the reason.
fn parse_under(
    lock: &RegistryLock,
    content: Option<&FileContent>,
    on_corrupt: OnCorrupt,
) -> Result<(RegistryV1, Option<String>)> {
    match parse(lock.path(), content.map(|content| &*content.bytes)) {
        Ok(registry) => Ok((registry.unwrap_or_default(), None)),
        Err(Error::Corrupt { reason, .. }) if on_corrupt == OnCorrupt::Keep => {
            Ok((RegistryV1::new(), Some(reason)))
        }
        Err(error) => Err(error),
    }
}

/// Replaces the file, and keeps its byte order mark, if it has one. If the old content is corrupt, its bytes are kept in another file.
fn commit(
    lock: &RegistryLock,
    options: &UpdateOptions,
    old: Option<&FileContent>,
    bytes: &[u8],
    corrupt: Option<String>,
) -> Result<()> {
    let commit_options = CommitOptions {
        durable: options.durable,
        keep_old: corrupt.is_some(),
        new_file_mode: None,
    };
    let has_mark = old.is_some_and(|old| old.bytes.starts_with(BYTE_ORDER_MARK));
    let marked = (has_mark && corrupt.is_none()).then(|| [BYTE_ORDER_MARK, bytes].concat());
    let bytes = marked.as_deref().unwrap_or(bytes);
    lock.warn_of_loss(&options.on_warning);
    let kept = shared_file::commit(lock, old, bytes, commit_options)?.kept;
    if let Some(reason) = corrupt {
        let paths = lock.paths();
        let kept = kept.map(|kept| paths.as_given(&kept));
        let path = paths.as_given(&paths.target);
        options.on_warning.call(&Warning::of_replaced(path, reason, kept));
    }
    Ok(())
}

/// Leaves the content as it was found, and makes it durable if the update has to be: its change may
/// have been made by an update that was not.
fn keep(lock: &RegistryLock, options: &UpdateOptions, found: Option<&FileContent>) -> Result<()> {
    match options.durable {
        true => shared_file::make_durable(lock.paths(), found),
        false => Ok(()),
    }
}
