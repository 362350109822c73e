//! The argus registry: read it, update it, write it.

use std::path::Path;
use std::time::Instant;

use crate::content::partial_rewrite::{self, IndexedText, OnlyEntry, PartialRegistry};
use crate::content::registry_v1::RegistryV1;
use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::files::shared_file::{self, CommitOptions, FileContent, NEW_FILE_MODE};
use crate::lock::reentry::UpdateScope;
use crate::lock::registry_lock::RegistryLock;
use crate::lock::wait::{LockOptions, ThreadPolicy, Wait};
use crate::warning::{OnWarning, Warning};

/// How to update a registry.
#[derive(Debug, Clone)]
pub struct UpdateOptions {
    /// How to wait for the lock. Its timeout also bounds how long an update that lost its lock
    /// is run again.
    pub lock: LockOptions,
    /// Whether an update returns only when it would survive a power failure (fsync of file and
    /// folder). Default true. Without it an update survives the crash of any process, but not
    /// that of the machine.
    pub durable: bool,
    /// Called for content that had to be set aside. By default such a warning goes to standard
    /// error: it is about data that somebody may miss.
    pub on_warning: OnWarning,
}

impl Default for UpdateOptions {
    fn default() -> Self {
        UpdateOptions {
            lock: LockOptions::default(),
            durable: true,
            on_warning: OnWarning::default(),
        }
    }
}

/// Reads a registry without a lock and without write access.
///
/// A file that is missing, that holds no registry, or one of a newer schema reads as an empty
/// registry with a warning that says which. Source: argus.
///
/// # Errors
///
/// [`Error::PermissionDenied`] or [`Error::Io`] if the file is there and can't be read.
pub fn read_registry(path: impl AsRef<Path>) -> Result<(RegistryV1, Vec<Warning>)> {
    let path = path.as_ref();
    interpret(path, shared_file::read(path)?.as_ref())
}

/// What a content reads as.
pub(crate) fn interpret(
    path: &Path,
    content: Option<&FileContent>,
) -> Result<(RegistryV1, Vec<Warning>)> {
    let (registry, warning) = match parse(path, content) {
        Ok(Some(registry)) => (registry, None),
        Ok(None) => (RegistryV1::new(), Some(Warning::Missing { path: path.to_path_buf() })),
        Err(error) => (RegistryV1::new(), Some(as_warning(error)?)),
    };
    Ok((registry, warning.into_iter().collect()))
}

/// Updates a registry: reads it, lets `updater` change it, and replaces the file, all under the
/// registry's lock. When this returns `Ok`, the change is in the file. Source: argus.
///
/// An updater that changes nothing writes nothing. One that fails leaves the file as it was, and
/// its own error is returned. It runs again, with fresh content, if the lock was taken away by a
/// program that knows no better, as long as the timeout allows.
///
/// # Errors
///
/// Those of [`RegistryLock::acquire`]; [`Error::LockLost`]; [`Error::UnsupportedVersion`] for a
/// registry of a newer schema, which is left untouched; [`Error::ReEntrant`] from inside an
/// updater of the same registry on the same thread.
pub fn update_registry<T, E: From<Error>>(
    path: impl AsRef<Path>,
    options: &UpdateOptions,
    mut updater: impl FnMut(&mut RegistryV1) -> Result<T, E>,
) -> Result<T, E> {
    update(&FilePaths::resolve(path.as_ref())?, options, &mut |registry| {
        let before = registry.to_json();
        let value = updater(registry)?;
        let after = registry.to_json();
        Ok((value, (after != before).then_some(after)))
    })
}

/// Replaces a registry's whole content, under its lock. Source: argus.
///
/// # Errors
///
/// Those of [`update_registry`]: a registry of a newer schema is refused here too.
pub fn write_registry(
    path: impl AsRef<Path>,
    registry: &RegistryV1,
    options: &UpdateOptions,
) -> Result<()> {
    let paths = FilePaths::resolve(path.as_ref())?;
    update(&paths, options, &mut |_| Ok(((), Some(registry.to_json()))))
}

/// Updates a registry with what `updater` returns beside its value: the new text, or `None` to
/// leave the file as it is.
fn update<T, E: From<Error>>(
    paths: &FilePaths,
    options: &UpdateOptions,
    updater: &mut impl FnMut(&mut RegistryV1) -> Result<(T, Option<String>), E>,
) -> Result<T, E> {
    while_lost(options, |options| {
        under_lock(paths, &options.lock, ThreadPolicy::default(), |lock| {
            update_under(lock, options, updater)
        })
    })
}

/// Does something again whenever the lock is lost, as long as there is time.
pub(crate) fn while_lost<T, E: From<Error>>(
    options: &UpdateOptions,
    mut once: impl FnMut(&UpdateOptions) -> Result<T, Attempt<E>>,
) -> Result<T, E> {
    let since = Some(options.lock.since.unwrap_or_else(Instant::now));
    let lock = LockOptions { since, ..options.lock.clone() };
    let wait = Wait::start(&lock);
    let options = UpdateOptions { lock, ..options.clone() };
    loop {
        match once(&options) {
            Err(Attempt::Lost(_)) if wait.has_time() => {}
            Err(Attempt::Lost(error)) => return Err(error.into()),
            Err(Attempt::Failed(error)) => return Err(error),
            Ok(value) => return Ok(value),
        }
    }
}

/// Updates a registry's entries, once. `operate` says whether it has changed anything; if it looks at
/// `only` a few entries, it may be given a registry that has no others.
pub(crate) fn update_entries<T>(
    paths: &FilePaths,
    options: &UpdateOptions,
    policy: ThreadPolicy,
    only: Option<&[OnlyEntry<'_>]>,
    operate: impl FnOnce(&mut RegistryV1) -> (T, bool),
) -> Result<T, Attempt<Error>> {
    under_lock(paths, &options.lock, policy, |lock| {
        let mut content = shared_file::read(lock.path())?;
        let bytes = content.as_mut().map(|content| &mut content.bytes);
        // Whoever takes entries in or out gains nothing by a text that is kept.
        let mut large = only.zip(bytes).filter(|(_, bytes)| partial_rewrite::is_large(bytes.len()));
        let part = large.as_mut().and_then(|(only, bytes)| PartialRegistry::take(bytes, only));
        let is_large = large.is_some();
        if let Some(mut part) = part {
            let (value, has_changed) = operate(&mut part.registry);
            let text = part.into_text();
            if has_changed {
                commit(lock, options, content.as_ref(), text.bytes(), None)?;
            }
            partial_rewrite::keep(text);
            return Ok(value);
        }
        let (mut registry, corrupt) = parse_under(lock, content.as_ref())?;
        let (value, has_changed) = operate(&mut registry);
        if has_changed && is_large {
            let text = IndexedText::print(&registry);
            commit(lock, options, content.as_ref(), text.bytes(), corrupt)?;
            partial_rewrite::keep(text);
        } else if has_changed {
            commit(lock, options, content.as_ref(), registry.to_json().as_bytes(), corrupt)?;
        }
        Ok(value)
    })
}

/// Runs `body` under a registry's lock. Source: argus.
///
/// ```
/// use argus_registry::{read_registry, with_registry_lock, Error, LockOptions, UpdateOptions};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("registry.json");
/// with_registry_lock(&path, &LockOptions::default(), |lock| {
///     let (mut registry, _) = read_registry(lock.path())?;
///     // Nobody changes the registry until this is done.
///     registry.remove_watcher("app");
///     lock.write(&registry, &UpdateOptions::default())
/// })?;
/// # Ok::<_, Error>(())
/// ```
///
/// # Errors
///
/// Those of [`RegistryLock::acquire`]; [`Error::ReEntrant`] from inside another hold of the same
/// registry on the same thread; whatever `body` returns; [`Error::LockLost`] if the lock was taken
/// away by a program that knows no better before `body` was done.
pub fn with_registry_lock<T, E: From<Error>>(
    path: impl AsRef<Path>,
    options: &LockOptions,
    body: impl FnOnce(&RegistryLock) -> Result<T, E>,
) -> Result<T, E> {
    under_lock(&FilePaths::resolve(path.as_ref())?, options, ThreadPolicy::default(), |lock| {
        let value = body(lock)?;
        lock.check()?;
        Ok(value)
    })
}

/// A failure to release is not reported: what `body` did is done, and the kernel lets go of the
/// lock in any case.
fn under_lock<T, E: From<Error>>(
    paths: &FilePaths,
    options: &LockOptions,
    policy: ThreadPolicy,
    body: impl FnOnce(&RegistryLock) -> Result<T, E>,
) -> Result<T, E> {
    let _entered = UpdateScope::enter(&paths.target, &paths.target)?;
    let lock = RegistryLock::acquire_at(paths, &Wait::start_with(options, policy))?;
    body(&lock)
}

impl RegistryLock {
    /// Replaces the registry under this lock. [`read_registry`] reads it.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] if the lock was taken away, in which case nothing was written;
    /// [`Error::UnsupportedVersion`] for a registry of a newer schema, which is left untouched.
    pub fn write(&self, registry: &RegistryV1, options: &UpdateOptions) -> Result<()> {
        match update_under(self, options, &mut |_| Ok(((), Some(registry.to_json())))) {
            Err(Attempt::Lost(error) | Attempt::Failed(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }
}

/// Why an update under the lock did not happen.
pub(crate) enum Attempt<E> {
    /// The lock was taken away: nothing was written, and it may be done again.
    Lost(Error),
    Failed(E),
}

impl<E: From<Error>> From<Error> for Attempt<E> {
    fn from(error: Error) -> Self {
        match error {
            Error::LockLost { .. } => Attempt::Lost(error),
            other => Attempt::Failed(other.into()),
        }
    }
}

fn update_under<T, E: From<Error>>(
    lock: &RegistryLock,
    options: &UpdateOptions,
    updater: &mut impl FnMut(&mut RegistryV1) -> Result<(T, Option<String>), E>,
) -> Result<T, Attempt<E>> {
    let content = shared_file::read(lock.path())?;
    let (mut registry, corrupt) = parse_under(lock, content.as_ref())?;
    let (value, text) = updater(&mut registry).map_err(Attempt::Failed)?;
    if let Some(text) = text {
        commit(lock, options, content.as_ref(), text.as_bytes(), corrupt)?;
    }
    Ok(value)
}

/// What is to be updated, and why the content is corrupt if it is.
fn parse_under(
    lock: &RegistryLock,
    content: Option<&FileContent>,
) -> Result<(RegistryV1, Option<String>)> {
    match parse(lock.path(), content) {
        Ok(registry) => Ok((registry.unwrap_or_default(), None)),
        Err(Error::Corrupt { reason, .. }) => Ok((RegistryV1::new(), Some(reason))),
        Err(error) => Err(error),
    }
}

/// Replaces what was read, which is kept if it is corrupt.
fn commit(
    lock: &RegistryLock,
    options: &UpdateOptions,
    old: Option<&FileContent>,
    bytes: &[u8],
    corrupt: Option<String>,
) -> Result<()> {
    let how = CommitOptions {
        durable: options.durable,
        keep_old: corrupt.is_some(),
        new_file_mode: NEW_FILE_MODE,
    };
    let kept = shared_file::commit(lock, old, bytes, how)?;
    if let Some(reason) = corrupt {
        let path = lock.path().to_path_buf();
        options.on_warning.call(&Warning::Corrupt { path, reason, kept });
    }
    Ok(())
}

fn parse(path: &Path, content: Option<&FileContent>) -> Result<Option<RegistryV1>> {
    content.map(|content| RegistryV1::parse(path, &content.bytes)).transpose()
}

fn as_warning(error: Error) -> Result<Warning> {
    match error {
        Error::Corrupt { path, reason } => Ok(Warning::Corrupt { path, reason, kept: None }),
        Error::UnsupportedVersion { path, found, .. } => {
            Ok(Warning::UnsupportedVersion { path, found })
        }
        other => Err(other),
    }
}
