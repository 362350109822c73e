//! Any `serde` value in a file that several processes share, behind a kernel lock that is tried
//! once or waited for: veil's way, without its lost updates.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::document_lock::{self, DocumentLock, LockFile};
use crate::error::{Error, Result};
#[cfg(feature = "toml")]
use crate::format::Toml;
use crate::format::{Format, FormatError, Json};
use crate::paths::RegistryPaths;
use crate::reentry::Entered;
use crate::store::{self, Content, How, NEW_FILE_MODE};
use crate::wait::{LockOptions, Wait};
use crate::warning::{OnWarning, Warning};

/// A shared file that holds one value of type `T`: where it is, which file carries its lock, and
/// how it is spelled. Source: veil's `Registry`; `update` is ours.
///
/// | to | call | lock |
/// |---|---|---|
/// | read it | [`load`](Self::load) | shared, one try |
/// | change it | [`update`](Self::update) | exclusive, from the reading to the writing |
/// | replace it whole | [`save`](Self::save) | exclusive, one try |
///
/// **To change a document, call `update`.** Between a `load` and a `save` everybody else may save,
/// and the later one wins: what the other one did is lost. `update` holds one lock all along.
///
/// Every process has to choose the same lock file. A program of its own with `fs2` (or `flock`) on
/// that file joins in: the lock is the same.
///
/// ```
/// use argus_registry::{Document, Error, LockOptions};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Settings {
///     version: u32,
///     names: Vec<String>,
/// }
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("settings.json");
/// let settings = Document::json(&path)
///     .version(1)
///     .empty(|| Settings { version: 1, ..Settings::default() })
///     .canonical(|settings: &mut Settings| settings.names.sort());
/// for name in ["zoe", "ada"] {
///     settings.update(&LockOptions::default(), |settings| {
///         settings.names.push(name.to_owned());
///         Ok::<_, Error>(())
///     })?;
/// }
/// assert_eq!(settings.load()?.value.names, ["ada", "zoe"]);
/// # Ok::<_, Error>(())
/// ```
pub struct Document<T, F = Json> {
    path: PathBuf,
    lock_file: LockFile,
    format: F,
    version: Option<u32>,
    canonical: Option<Order<T>>,
    empty: Option<Make<T>>,
    new_file_mode: u32,
    durable: bool,
    on_warning: OnWarning,
}

type Order<T> = Arc<dyn Fn(&mut T) + Send + Sync>;
type Make<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// What [`Document::load`] read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded<T> {
    /// The value.
    pub value: T,
    /// Whether it was read under the shared lock. Without it, because the caller may neither make
    /// the lock file nor open it, or because the file system has no locks, the value is still
    /// one whole version of those that this crate wrote: it replaces files in one step.
    pub locked: bool,
}

impl<T> Document<T, Json> {
    /// A document in JSON.
    pub fn json(path: impl Into<PathBuf>) -> Self {
        Document::new(path, Json)
    }
}

#[cfg(feature = "toml")]
impl<T> Document<T, Toml> {
    /// A document in TOML. Needs the feature `toml`.
    pub fn toml(path: impl Into<PathBuf>) -> Self {
        Document::new(path, Toml)
    }
}

impl<T, F> Document<T, F> {
    /// A document in any format. Its lock file is [`LockFile::WithExtension`], it has no schema
    /// version and no order of its own, must exist to be updated, and is written durably.
    pub fn new(path: impl Into<PathBuf>, format: F) -> Self {
        Document {
            path: path.into(),
            lock_file: LockFile::default(),
            format,
            version: None,
            canonical: None,
            empty: None,
            new_file_mode: NEW_FILE_MODE,
            durable: true,
            on_warning: OnWarning::default(),
        }
    }

    /// Chooses the file that carries the lock.
    #[must_use]
    pub fn lock_file(mut self, lock_file: LockFile) -> Self {
        self.lock_file = lock_file;
        self
    }

    /// The schema version that the file must have: reading another is
    /// [`Error::UnsupportedVersion`], found before the rest is parsed, and a newer one is not
    /// overwritten either. Where it stands in the file is the format's to know
    /// ([`Format::version`]); a file that carries none is left to `T` to accept or not. `T` has to
    /// write it.
    #[must_use]
    pub fn version(mut self, expected: u32) -> Self {
        self.version = Some(expected);
        self
    }

    /// Puts a value in its canonical order before it is written, so that the same content is
    /// always the same bytes.
    #[must_use]
    pub fn canonical(mut self, order: impl Fn(&mut T) + Send + Sync + 'static) -> Self {
        self.canonical = Some(Arc::new(order));
        self
    }

    /// What [`update`](Self::update) starts from where there is no file yet; without it that is
    /// [`Error::NotFound`].
    #[must_use]
    pub fn empty(mut self, make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        self.empty = Some(Arc::new(make));
        self
    }

    /// What a new file may be read and written by, less the umask: Unix permission bits. Default
    /// 0644. A file that is replaced keeps its own.
    #[must_use]
    pub fn new_file_mode(mut self, mode: u32) -> Self {
        self.new_file_mode = mode & 0o666;
        self
    }

    /// Whether writing returns only when the new content would survive a power failure (fsync of
    /// file and folder). Default true.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Who is told that [`save`](Self::save) replaced content which could not be parsed, and where
    /// that is kept. Default: standard error.
    #[must_use]
    pub fn on_warning(mut self, call: OnWarning) -> Self {
        self.on_warning = call;
        self
    }

    /// Its path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that carries the lock: beside the file that a symbolic link leads to, so that all
    /// names of a document have one lock.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] if the path can't be a document's, or would be its own lock file.
    pub fn lock_path(&self) -> Result<PathBuf> {
        self.lock_file.of(&self.paths()?.registry)
    }

    fn paths(&self) -> Result<RegistryPaths> {
        RegistryPaths::resolve(&self.path)
    }
}

impl<T: Serialize + DeserializeOwned, F: Format> Document<T, F> {
    /// Reads the document under a shared lock, in one try. Source: veil's `Registry::load`.
    ///
    /// It needs no write access: where the lock file is missing and may not be made, or may not be
    /// opened, nothing is made, and the document is read without a lock, which
    /// [`Loaded::locked`] says.
    ///
    /// # Errors
    ///
    /// [`Error::LockBusy`] with the lock file's path, at once, if somebody is writing;
    /// [`Error::NotFound`] if there is no file (then no lock file is made either), even if it
    /// vanishes just now; [`Error::Parse`]; [`Error::UnsupportedVersion`];
    /// [`Error::PermissionDenied`]; [`Error::Io`].
    pub fn load(&self) -> Result<Loaded<T>> {
        let paths = self.paths()?;
        let lock_file = self.lock_file.of(&paths.registry)?;
        must_exist(&paths)?;
        let lock = document_lock::share(&paths, &lock_file)?;
        let content = store::read(&paths.registry)?.ok_or_else(|| missing(&paths))?;
        let locked = lock.is_some();
        drop(lock);
        Ok(Loaded { value: self.parse(&paths, &content)?, locked })
    }

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
    /// [`Error::Serialize`]; [`Error::UnsupportedVersion`] if the file has a newer version, and
    /// [`Error::LockLost`] if the lock file was deleted meanwhile, in all of which nothing was
    /// written; [`Error::PermissionDenied`]; [`Error::UnsupportedFileSystem`]; [`Error::Io`].
    pub fn save(&self, value: &mut T) -> Result<()> {
        let bytes = self.print(value)?;
        self.save_bytes(&bytes)
    }

    pub(crate) fn save_bytes(&self, bytes: &[u8]) -> Result<()> {
        let paths = self.paths()?;
        let lock_file = self.lock_file.of(&paths.registry)?;
        let lock = DocumentLock::acquire(&paths, &lock_file, &LockOptions::one_try())?;
        let old = store::read(&paths.registry)?;
        let corrupt = match old.as_ref().map(|old| self.parse(&paths, old)) {
            Some(Err(Error::Parse { source, .. })) => Some(source.to_string()),
            Some(Err(error @ Error::UnsupportedVersion { .. })) if is_newer(&error) => {
                return Err(error)
            }
            _ => None,
        };
        let kept = store::commit(&lock, old.as_ref(), bytes, self.how(corrupt.is_some()))?;
        if let Some(reason) = corrupt {
            let path = paths.registry.clone();
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
    /// document on the same thread; whatever `updater` returns; the others of
    /// [`save`](Self::save).
    pub fn update<R, E: From<Error>>(
        &self,
        options: &LockOptions,
        mut updater: impl FnMut(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let paths = self.paths()?;
        let lock_file = self.lock_file.of(&paths.registry)?;
        let options = LockOptions {
            since: Some(options.since.unwrap_or_else(Instant::now)),
            ..options.clone()
        };
        let wait = Wait::start(&options);
        if self.empty.is_none() {
            must_exist(&paths)?;
        }
        let _entered = Entered::enter(&paths)?;
        loop {
            let lock = DocumentLock::acquire(&paths, &lock_file, &options)?;
            let old = store::read(&paths.registry)?;
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
            match store::commit(&lock, old.as_ref(), &bytes, self.how(false)) {
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
        let fail = |source| Error::Serialize { path: self.path.clone(), source };
        self.format.print(value).map_err(fail)
    }

    fn parse(&self, paths: &RegistryPaths, content: &Content) -> Result<T> {
        let path = || paths.registry.clone();
        let fail = |source: FormatError| Error::Parse { path: path(), source };
        if let Some(expected) = self.version {
            let found = self.format.version(&content.bytes).map_err(fail)?;
            if let Some(found) = found.filter(|found| *found != expected.to_string()) {
                return Err(Error::UnsupportedVersion { path: path(), found, expected });
            }
        }
        self.format.parse(&content.bytes).map_err(fail)
    }

    fn how(&self, keep_old: bool) -> How {
        How { durable: self.durable, keep_old, new_file_mode: self.new_file_mode }
    }
}

/// Whether a file of that version must not be overwritten. One that can't be compared counts as
/// newer.
fn is_newer(error: &Error) -> bool {
    let Error::UnsupportedVersion { found, expected, .. } = error else { return false };
    !found.parse().is_ok_and(|found: f64| found < f64::from(*expected))
}

/// Before a lock file is made for what is not there.
fn must_exist(paths: &RegistryPaths) -> Result<()> {
    let looked = fs::metadata(&paths.registry);
    looked.map(|_| ()).map_err(|error| Error::from_io(&paths.registry, "read", error))
}

fn missing(paths: &RegistryPaths) -> Error {
    Error::from_io(&paths.registry, "read", std::io::ErrorKind::NotFound.into())
}

impl<T, F: Clone> Clone for Document<T, F> {
    fn clone(&self) -> Self {
        Document {
            path: self.path.clone(),
            lock_file: self.lock_file.clone(),
            format: self.format.clone(),
            version: self.version,
            canonical: self.canonical.clone(),
            empty: self.empty.clone(),
            new_file_mode: self.new_file_mode,
            durable: self.durable,
            on_warning: self.on_warning.clone(),
        }
    }
}

impl<T, F: fmt::Debug> fmt::Debug for Document<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("path", &self.path)
            .field("lock_file", &self.lock_file)
            .field("format", &self.format)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
