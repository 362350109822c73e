//! What is done with a document: load, save and update, each under its lock.

use std::fs;

use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::document::definition::{Document, Loaded};
use crate::document::format::Format;
use crate::document::lock::{DocumentLock, LockRequest};
use crate::error::FormatError;
use crate::error::{Error, Result};
use crate::files::paths::FilePaths;
use crate::files::shared_file::{self, CommitOptions, Content};
use crate::lock::reentry::ReentryCheck;
use crate::lock::wait::{LockOptions, Wait};
use crate::sys;
use crate::warning::Warning;

impl<T: DeserializeOwned, F: Format> Document<T, F> {
    /// Reads the document under a shared lock, in one try. Source: veil's `Registry::load`.
    ///
    /// It needs no write access: where the lock file is missing and may not be made, or may not be
    /// opened, nothing is made, and the document is read without a lock, which
    /// [`Loaded::locked`] says.
    ///
    /// # Errors
    ///
    /// [`Error::LockBusy`] with the lock file's path, at once, if somebody is writing;
    /// [`Error::NotFound`] if there is no file, in which case no lock file is made, or if it vanishes
    /// just now; [`Error::Parse`]; [`Error::UnsupportedVersion`];
    /// [`Error::PermissionDenied`]; [`Error::Io`].
    pub fn load(&self) -> Result<Loaded<T>> {
        self.load_with(&LockOptions::one_try())
    }

    /// [`load`](Self::load) with a bounded wait: of the options only `timeout`, `since` and `cancel`
    /// matter here. Source: ours.
    ///
    /// # Errors
    ///
    /// Those of `load`; [`Error::LockTimeout`] with the lock file's path; [`Error::Aborted`];
    /// [`Error::ReEntrant`] for a wait inside an updater of the same thread under the same lock file.
    pub fn load_with(&self, options: &LockOptions) -> Result<Loaded<T>> {
        let paths = self.paths()?;
        let lock = self.lock.resolve(&paths)?;
        let wait = Wait::start(options);
        // One try finds the lock busy. A wait for an update of the same thread would never end.
        if matches!(lock, DocumentLock::LockFile(_)) && !wait.one_try {
            ReentryCheck::enter(lock.identity(&paths), &paths.target)?;
        }
        let request = self.lock_request(&paths, &lock);
        let (content, locked) = load_content(&request, &wait)?;
        Ok(Loaded { value: self.parse(&paths, &content)?, locked })
    }

    fn lock_request<'a>(&self, paths: &'a FilePaths, lock: &'a DocumentLock) -> LockRequest<'a> {
        LockRequest { paths, lock, new_file_mode: self.new_file_mode }
    }

    fn parse(&self, paths: &FilePaths, content: &Content) -> Result<T> {
        let path = || paths.target.clone();
        let fail = |source: FormatError| Error::Parse { path: path(), source };
        if let Some((found, expected)) = self.other_version(&content.bytes).map_err(fail)? {
            return Err(Error::UnsupportedVersion { path: path(), found, expected });
        }
        self.format.parse(&content.bytes).map_err(fail)
    }

    /// The version that the bytes carry, if it is not the right one, and that.
    fn other_version(&self, bytes: &[u8]) -> Result<Option<(String, u32)>, FormatError> {
        let Some(expected) = self.version else { return Ok(None) };
        let found = self.format.version(bytes)?.filter(|found| *found != expected.to_string());
        Ok(found.map(|found| (found, expected)))
    }
}

impl<T: Serialize + DeserializeOwned, F: Format> Document<T, F> {
    /// Replaces the document, under an exclusive lock, in one try; the value is put in its
    /// canonical order. A missing folder is created. Source: veil's `Registry::save`.
    ///
    /// Not to change what [`load`](Self::load) returned: [`update`](Self::update) does that without
    /// losing what others do meanwhile. What is replaced and can't be parsed is kept beside the
    /// new file, as `<name>.corrupt-*`, with a [`Warning`].
    ///
    /// # Errors
    ///
    /// [`Error::LockBusy`] with the lock file's path, at once, if anybody reads or writes;
    /// [`Error::ReEntrant`] inside an updater of the same thread under the same lock;
    /// [`Error::Serialize`]; [`Error::InvalidValue`] for a value of another version;
    /// [`Error::UnsupportedVersion`] if the file has a newer version, and
    /// [`Error::LockLost`] if the lock file was deleted meanwhile, in all of which nothing was
    /// written; [`Error::PermissionDenied`]; [`Error::UnsupportedFileSystem`]; [`Error::Io`].
    pub fn save(&self, value: &mut T) -> Result<()> {
        self.save_with(&LockOptions::one_try(), value)
    }

    /// [`save`](Self::save) with a bounded wait: of the options only `timeout`, `since` and `cancel`
    /// matter here. Source: ours.
    ///
    /// # Errors
    ///
    /// Those of `save`; [`Error::LockTimeout`] with the lock file's path; [`Error::Aborted`].
    pub fn save_with(&self, options: &LockOptions, value: &mut T) -> Result<()> {
        let bytes = self.print(value)?;
        self.save_bytes(options, &bytes)
    }

    pub(crate) fn save_bytes(&self, options: &LockOptions, bytes: &[u8]) -> Result<()> {
        let paths = self.paths()?;
        let lock = self.lock.resolve(&paths)?;
        let wait = Wait::start(options);
        let _entered = ReentryCheck::enter(lock.identity(&paths), &paths.target)?;
        let lock = self.lock_request(&paths, &lock).acquire(&wait)?;
        let old = shared_file::read(&paths.target)?;
        let corrupt = match old.as_ref().map(|old| self.parse(&paths, old)) {
            Some(Err(Error::Parse { source, .. })) => Some(source.to_string()),
            Some(Err(error @ Error::UnsupportedVersion { .. })) if is_newer(&error) => {
                return Err(error)
            }
            _ => None,
        };
        // From here on a cancelled save would be done all the same.
        wait.check_cancelled(&paths)?;
        let kept = shared_file::commit(&lock, old.as_ref(), bytes, self.how(corrupt.is_some()))?;
        if let Some(reason) = corrupt {
            let path = paths.target.clone();
            self.on_warning.call(&Warning::Corrupt { path, reason, kept });
        }
        Ok(())
    }

    /// Changes the document: reads it, lets `updater` change the value, and replaces the file, all
    /// under one exclusive lock. When this returns `Ok`, the change is in the file. Source: ours.
    ///
    /// `options` say how long to wait for the lock ([`LockOptions::one_try`]: not at all); of the
    /// rest only `since` and `cancel` matter here. An updater that fails leaves the file as it was,
    /// and so does one that changes nothing. It runs again, on fresh content, if the lock file was
    /// deleted while it ran, as long as the timeout allows.
    ///
    /// # Errors
    ///
    /// [`Error::LockBusy`] or [`Error::LockTimeout`] with the lock file's path; [`Error::Aborted`];
    /// [`Error::NotFound`] if there is no file, unless [`empty`](Self::empty) says what that means;
    /// [`Error::Parse`] and [`Error::UnsupportedVersion`]: nothing is written over what is not
    /// understood; [`Error::LockLost`]; [`Error::ReEntrant`] from inside an updater of the same
    /// thread under the same lock file; whatever `updater` returns; the others of
    /// [`save`](Self::save).
    pub fn update<R, E: From<Error>>(
        &self,
        options: &LockOptions,
        mut updater: impl FnMut(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let paths = self.paths()?;
        let lock = self.lock.resolve(&paths)?;
        let wait = Wait::start(options);
        if self.empty.is_none() {
            must_exist(&paths)?;
        }
        // By the lock, which several documents may share.
        let _entered = ReentryCheck::enter(lock.identity(&paths), &paths.target)?;
        let request = self.lock_request(&paths, &lock);
        loop {
            let lock = request.acquire(&wait)?;
            let old = shared_file::read(&paths.target)?;
            let mut value = match (&old, &self.empty) {
                (Some(old), _) => self.parse(&paths, old)?,
                (None, Some(empty)) => empty(),
                (None, None) => return Err(missing(&paths).into()),
            };
            let before = self.print(&mut value)?;
            let result = updater(&mut value)?;
            let bytes = self.print(&mut value)?;
            if bytes == before {
                return Ok(result);
            }
            // From here on a cancelled update would be done all the same.
            wait.check_cancelled(&paths)?;
            match shared_file::commit(&lock, old.as_ref(), &bytes, self.how(false)) {
                Err(Error::LockLost { .. }) if wait.has_time() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(result),
            }
        }
    }

    pub(crate) fn print(&self, value: &mut T) -> Result<Vec<u8>> {
        if let Some(order) = &self.canonical {
            order(value);
        }
        let path = || self.path.clone();
        let fail = |source| Error::Serialize { path: path(), source };
        let bytes = self.format.print(value).map_err(fail)?;
        // What nobody could read again must not be written.
        if let Some((found, _)) = self.other_version(&bytes).map_err(fail)? {
            let reason = format!("the new value has schema version {found}, not its document's");
            return Err(Error::InvalidValue { path: path(), reason });
        }
        Ok(bytes)
    }

    fn how(&self, keep_old: bool) -> CommitOptions {
        CommitOptions { durable: self.durable, keep_old, new_file_mode: self.new_file_mode }
    }
}

/// Reads a document that must exist, under its lock for reading if there is one; says whether there was.
pub(crate) fn load_content(request: &LockRequest<'_>, wait: &Wait) -> Result<(Content, bool)> {
    must_exist(request.paths)?;
    let lock = request.share(wait)?;
    let content =
        shared_file::read(&request.paths.target)?.ok_or_else(|| missing(request.paths))?;
    Ok((content, lock.is_some()))
}

/// Whether a file of that version must not be overwritten. One that can't be compared counts as
/// newer.
fn is_newer(error: &Error) -> bool {
    let Error::UnsupportedVersion { found, expected, .. } = error else { return false };
    !found.parse().is_ok_and(|found: f64| found < f64::from(*expected))
}

/// Before a lock file is made for what is not there.
pub(crate) fn must_exist(paths: &FilePaths) -> Result<()> {
    let looked = sys::patiently(|| fs::metadata(&paths.target));
    looked.map(|_| ()).map_err(|error| Error::from_io(&paths.target, "read", error))
}

pub(crate) fn missing(paths: &FilePaths) -> Error {
    Error::from_io(&paths.target, "read", std::io::ErrorKind::NotFound.into())
}
