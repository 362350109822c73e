//! The operations on a document, each under the document's lock: load, save and update.

use std::fs;

use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::document::definition::{Document, Loaded};
use crate::document::format::Format;
use crate::document::lock::{HeldLock, LockRequest, UnlockedReason};
use crate::document::lock_choice::{DocumentLock, LockChoice};
use crate::error::update_error::UpdateError;
use crate::error::{Error, FormatError, Result};
use crate::files::paths::FilePaths;
use crate::files::shared_file::{self, CommitOptions, FileContent, WriteLock};
use crate::lock::reentry::UpdateScope;
use crate::lock::wait::{LockOptions, Wait};
use crate::sys;
use crate::warning::{OnCorrupt, Warning};

impl<T: DeserializeOwned, F: Format> Document<T, F> {
    /// Reads the document under a shared lock, which it tries once.
    ///
    /// It needs no write access. If the caller may not create a missing lock file, or may not open an
    /// existing one, nothing is created and the document is read without a lock. [`Loaded::unlocked`]
    /// then tells the reason. For a document that [requires its lock](Self::require_lock), the reason is
    /// an error instead.
    ///
    /// # Errors
    ///
    /// [`Error::LockBusy`] with the lock file's path, at once, if another process or thread is writing;
    /// [`Error::ReEntrant`] from inside an updater that runs on this thread under this document's lock;
    /// [`Error::LockMismatch`]; [`Error::TooLarge`]; [`Error::NotFound`] if the file does not exist or is deleted during the
    /// call (for a file that does not exist, no lock file is created); [`Error::Parse`];
    /// [`Error::UnsupportedVersion`]; [`Error::PermissionDenied`]; [`Error::Io`]. For a document that
    /// requires its lock: [`Error::PermissionDenied`] and [`Error::UnsupportedFileSystem`] with the lock
    /// file's path.
    pub fn load(&self) -> Result<Loaded<T>> {
        self.load_with(&LockOptions::one_try())
    }

    /// Like [`load`](Self::load), with a bounded wait for the lock. Of the options it uses only
    /// `timeout`, `since` and `cancel`.
    ///
    /// # Errors
    ///
    /// Those of `load`; [`Error::LockTimeout`] with the lock file's path; [`Error::Aborted`].
    pub fn load_with(&self, options: &LockOptions) -> Result<Loaded<T>> {
        let paths = self.paths()?;
        self.load_resolved(&paths, options).map_err(|error| paths.error_as_given(error))
    }

    fn load_resolved(&self, paths: &FilePaths, options: &LockOptions) -> Result<Loaded<T>> {
        let lock = self.lock.resolve(paths)?;
        let request = self.lock_request(paths, &lock);
        let wait = Wait::start(options);
        let _busy = wait.busy_scope();
        let _entered = match self.load_takes_lock() {
            true => Some(UpdateScope::enter(lock.identity(paths), &paths.target)?),
            false => None,
        };
        let (content, unlocked) = match self.requires_lock {
            true => (load_under_lock(&request, &wait)?, None),
            false => load_content(&request, &wait)?,
        };
        let value = self.parse(paths, &content)?;
        Ok(Loaded { value, locked: unlocked.is_none(), unlocked })
    }

    /// Whether [`load`](Self::load) takes the lock: readers of a registry's lock take none by default.
    pub(crate) fn load_takes_lock(&self) -> bool {
        self.requires_lock || matches!(self.lock, LockChoice::LockFile(_))
    }

    fn lock_request<'a>(&self, paths: &'a FilePaths, lock: &'a DocumentLock) -> LockRequest<'a> {
        LockRequest { paths, lock, new_file_mode: self.new_file_mode }
    }

    fn parse(&self, paths: &FilePaths, content: &FileContent) -> Result<T> {
        let path = || paths.target.clone();
        let fail = |source: FormatError| Error::Parse { path: path(), source };
        if let Some((found, expected)) = self.other_version(&content.bytes).map_err(fail)? {
            return Err(Error::UnsupportedVersion { path: path(), found, expected });
        }
        self.format.parse(&content.bytes).map_err(fail)
    }
}

impl<T: Serialize + DeserializeOwned, F: Format> Document<T, F> {
    /// Replaces the document under an exclusive lock, which it tries once. Puts the value in its
    /// canonical order. Creates a missing folder.
    ///
    /// Do not use it to change a value that [`load`](Self::load) returned: [`update`](Self::update) does
    /// that without losing the changes that other processes make meanwhile. Replaced content that can't
    /// be parsed is kept beside the new file as `<name>.corrupt-*`, and reported as a [`Warning`].
    ///
    /// # Errors
    ///
    /// [`Error::LockBusy`] with the lock file's path, at once, if another process or thread is reading
    /// or writing; [`Error::ReEntrant`] from inside an updater that runs on this thread under this
    /// document's lock; [`Error::LockMismatch`]; [`Error::Serialize`]; [`Error::TooLarge`]; [`Error::InvalidValue`] for a value
    /// of another version; [`Error::UnsupportedVersion`] if the file has a newer version;
    /// [`Error::LockLost`] if the lock file was deleted during the call. After any of these, nothing was
    /// written. [`Error::PermissionDenied`]; [`Error::UnsupportedFileSystem`]; [`Error::Io`].
    pub fn save(&self, value: &mut T) -> Result<()> {
        self.save_with(&LockOptions::one_try(), value)
    }

    /// Like [`save`](Self::save), with a bounded wait for the lock. Of the options it uses only
    /// `timeout`, `since` and `cancel`; under a [registry's lock](Self::registry_lock) it uses all.
    ///
    /// # Errors
    ///
    /// Those of `save`; [`Error::LockTimeout`] with the lock file's path; [`Error::Aborted`].
    pub fn save_with(&self, options: &LockOptions, value: &mut T) -> Result<()> {
        let bytes = self.print_to_save(value)?;
        self.save_bytes(options, &bytes)
    }

    pub(crate) fn save_bytes(&self, options: &LockOptions, bytes: &[u8]) -> Result<()> {
        let paths = self.paths()?;
        let saved = self.save_resolved(&paths, options, bytes);
        saved.map_err(|error| paths.error_as_given(error))
    }

    fn save_resolved(&self, paths: &FilePaths, options: &LockOptions, bytes: &[u8]) -> Result<()> {
        let lock = self.lock.resolve(paths)?;
        let wait = Wait::start(options);
        let _busy = wait.busy_scope();
        let _entered = UpdateScope::enter(lock.identity(paths), &paths.target)?;
        let lock = self.lock_request(paths, &lock).acquire(&wait)?;
        let old = shared_file::read(&paths.target)?;
        let corrupt = match old.as_ref().map(|old| self.parse(paths, old)) {
            Some(Err(Error::Parse { source, .. })) => Some(source.to_string()),
            Some(Err(error @ Error::UnsupportedVersion { .. })) if is_newer(&error) => {
                return Err(error)
            }
            _ => None,
        };
        // After this check, a cancelled save is completed nevertheless.
        wait.check_cancelled(paths)?;
        self.commit(&lock, old.as_ref(), bytes, corrupt)?;
        self.release(paths, lock);
        Ok(())
    }

    /// Replaces the file. If the old content is corrupt, its bytes are kept in another file.
    fn commit(
        &self,
        lock: &HeldLock,
        old: Option<&FileContent>,
        bytes: &[u8],
        corrupt: Option<String>,
    ) -> Result<()> {
        let options = CommitOptions {
            durable: self.durable,
            keep_old: corrupt.is_some(),
            new_file_mode: self.new_file_mode,
        };
        let kept = shared_file::commit(lock, old, bytes, options)?.kept;
        if let Some(reason) = corrupt {
            let paths = lock.paths();
            let kept = kept.map(|kept| paths.as_given(&kept));
            let path = paths.as_given(&paths.target);
            self.on_warning.call(&Warning::of_replaced(path, reason, kept));
        }
        Ok(())
    }

    /// Changes the document: reads it, calls `updater` to change the value, and replaces the file, all
    /// under one exclusive lock. When this returns `Ok`, the change is in the file.
    ///
    /// `options` set how long to wait for the lock ([`LockOptions::one_try`]: not at all). Of the other
    /// options it uses only `since` and `cancel`; under a [registry's lock](Self::registry_lock) it
    /// uses all. If the updater fails or changes nothing, the file stays as it was. If the lock file is
    /// deleted while the updater runs, the updater runs again on fresh content, as long as the timeout
    /// allows.
    ///
    /// # Errors
    ///
    /// [`Error::LockBusy`] or [`Error::LockTimeout`] with the lock file's path; [`Error::Aborted`];
    /// [`Error::NotFound`] if there is no file and no [`empty`](Self::empty) value; [`Error::Parse`], unless
    /// the document [keeps such content](Self::on_corrupt) in another file;
    /// [`Error::UnsupportedVersion`], since content of another version is not overwritten;
    /// [`Error::LockLost`]; [`Error::ReEntrant`] from inside an updater that runs on this thread under
    /// this document's lock; the errors of `updater`; the others of [`save`](Self::save).
    pub fn update<R, E: From<Error>>(
        &self,
        options: &LockOptions,
        updater: impl FnMut(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let paths = self.paths()?;
        let updated = self.update_resolved(&paths, options, updater);
        updated.map_err(|error| error.into_callers(|error| paths.error_as_given(error)))
    }

    fn update_resolved<R, E>(
        &self,
        paths: &FilePaths,
        options: &LockOptions,
        mut updater: impl FnMut(&mut T) -> Result<R, E>,
    ) -> Result<R, UpdateError<E>> {
        let lock = self.lock.resolve(paths)?;
        let wait = Wait::start(options);
        let _busy = wait.busy_scope();
        if self.empty.is_none() {
            must_exist(paths)?;
        }
        // Identified by the lock, since several documents may share one lock file.
        let _entered = UpdateScope::enter(lock.identity(paths), &paths.target)?;
        let request = self.lock_request(paths, &lock);
        loop {
            let lock = request.acquire(&wait)?;
            let old = shared_file::read(&paths.target)?;
            let parsed = old.as_ref().map(|old| self.parse(paths, old)).transpose();
            let (mut value, corrupt) = match (parsed, &self.empty) {
                (Ok(Some(value)), _) => (value, None),
                (Err(Error::Parse { source, .. }), Some(empty))
                    if self.on_corrupt == OnCorrupt::Keep =>
                {
                    (empty(), Some(source.to_string()))
                }
                (Err(error), _) => return Err(error.into()),
                (Ok(None), Some(empty)) => (empty(), None),
                (Ok(None), None) => return Err(missing(paths).into()),
            };
            let understood = old.as_ref().filter(|_| corrupt.is_none());
            // The text has the elements of lists in this order, not in their canonical one.
            let read = match (understood, &self.canonical) {
                (Some(_), Some(_)) => self.format.print(&value).ok(),
                _ => None,
            };
            let before = self.print(&mut value)?;
            let result = updater(&mut value).map_err(UpdateError::Updater)?;
            let bytes = self.print(&mut value)?;
            if bytes == before {
                if self.durable {
                    // The change may have been made by an update that was not durable.
                    shared_file::make_durable(paths, old.as_ref())?;
                }
                return Ok(result);
            }
            let (bytes, may_have_lost) = match understood {
                Some(old) => self.rewrite(&old.bytes, read.as_ref().unwrap_or(&before), bytes)?,
                None => (self.readable(bytes)?, false),
            };
            // After this check, a cancelled update is completed nevertheless.
            wait.check_cancelled(paths)?;
            match self.commit(&lock, old.as_ref(), &bytes, corrupt) {
                Err(Error::LockLost { .. }) if wait.has_time() => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    if may_have_lost {
                        let path = paths.as_given(&paths.target);
                        self.on_warning.call(&Warning::UnknownLost { path });
                    }
                    self.release(paths, lock);
                    return Ok(result);
                }
            }
        }
    }

    /// Releases the lock under which the document was written. A failure is not reported: the kernel
    /// releases the lock in any case.
    fn release(&self, paths: &FilePaths, lock: HeldLock) {
        if lock.release().is_ok_and(|is_lost| is_lost) {
            self.on_warning.call(&Warning::LockLost { path: paths.as_given(&paths.target) });
        }
    }
}

/// Reads a document that must exist, under its lock for reading if that can be taken. If it can't, the
/// second value is the reason.
pub(crate) fn load_content(
    request: &LockRequest<'_>,
    wait: &Wait,
) -> Result<(FileContent, Option<UnlockedReason>)> {
    must_exist(request.paths)?;
    let lock = request.share(wait)?;
    Ok((read_existing(request.paths)?, lock.unlocked_reason()))
}

/// Reads a document that must exist, under its lock for reading.
fn load_under_lock(request: &LockRequest<'_>, wait: &Wait) -> Result<FileContent> {
    must_exist(request.paths)?;
    let _lock = request.require_shared(wait)?;
    read_existing(request.paths)
}

fn read_existing(paths: &FilePaths) -> Result<FileContent> {
    shared_file::read(&paths.target)?.ok_or_else(|| missing(paths))
}

/// Whether the file's version is newer than the expected one, so that the file must not be overwritten.
/// A version that is not a number counts as newer.
fn is_newer(error: &Error) -> bool {
    let Error::UnsupportedVersion { found, expected, .. } = error else { return false };
    !found.parse().is_ok_and(|found: f64| found < f64::from(*expected))
}

/// Fails for a missing document, before a lock file is created for it.
pub(crate) fn must_exist(paths: &FilePaths) -> Result<()> {
    let metadata = sys::retry_while_busy(&paths.target, || fs::metadata(&paths.target));
    metadata.map(|_| ()).map_err(|error| Error::from_io(&paths.target, "read", error))
}

pub(crate) fn missing(paths: &FilePaths) -> Error {
    Error::from_io(&paths.target, "read", std::io::ErrorKind::NotFound.into())
}
