//! Any `serde` value in a file that several processes share, behind a kernel lock that is tried
//! once or waited for: veil's way, without its lost updates.

use std::fmt;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use crate::document::format::Json;
#[cfg(feature = "toml")]
use crate::document::format::Toml;
use crate::document::lock::{LockChoice, LockFile};
use crate::error::Result;
use crate::files::paths::FilePaths;
use crate::files::shared_file::NEW_FILE_MODE;
use crate::warning::OnWarning;

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
/// Nothing waits unless it is told to: [`load_with`](Self::load_with) and
/// [`save_with`](Self::save_with) take the same [`LockOptions`](crate::LockOptions) as `update`.
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
    pub(crate) path: PathBuf,
    pub(crate) lock: LockChoice,
    pub(crate) format: F,
    pub(crate) version: Option<u32>,
    pub(crate) canonical: Option<Order<T>>,
    pub(crate) empty: Option<Make<T>>,
    pub(crate) new_file_mode: u32,
    pub(crate) durable: bool,
    pub(crate) on_warning: OnWarning,
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
    /// version and no order, must exist to be updated, and is written durably.
    pub fn new(path: impl Into<PathBuf>, format: F) -> Self {
        Document {
            path: absolute(path.into()),
            lock: LockChoice::LockFile(LockFile::default()),
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
        self.lock = LockChoice::LockFile(match lock_file {
            LockFile::At(path) => LockFile::At(absolute(path)),
            other @ LockFile::WithExtension => other,
        });
        self
    }

    /// Uses the document under the lock of an argus registry, guard and lockfile, instead of a lock file:
    /// for a file that programs share which know that lock, such as older versions of argus. Then
    /// [`load`](Self::load) takes no lock, and all of [`LockOptions`](crate::LockOptions) matter to
    /// [`update`](Self::update) and [`save_with`](Self::save_with).
    #[must_use]
    pub fn registry_lock(mut self) -> Self {
        self.lock = LockChoice::Registry;
        self
    }

    /// The schema version that the file must have. Reading another is
    /// [`Error::UnsupportedVersion`](crate::Error::UnsupportedVersion), found before the rest is
    /// parsed, and a newer one is not overwritten either. Where it stands in the file is the format's
    /// to know ([`Format::version`](crate::Format::version)); a file that carries none is left to
    /// `T` to accept or not. A value that would be written with another version is
    /// [`Error::InvalidValue`](crate::Error::InvalidValue).
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
    /// [`Error::NotFound`](crate::Error::NotFound).
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

    /// Its path. One that was given relative is taken from what the current folder was then.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that carries the lock: the lock file, or the guard of a registry's lock. It is beside
    /// the file that a symbolic link leads to, so that all names of a document have one lock.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`](crate::Error::InvalidValue) if the path can't be a document's, or if the
    /// lock file would be the document itself or have the name of a registry's lockfile or guard;
    /// [`Error::Io`](crate::Error::Io) for what is no regular file.
    pub fn lock_path(&self) -> Result<PathBuf> {
        let paths = self.paths()?;
        Ok(self.lock.resolve(&paths)?.file(&paths).to_path_buf())
    }

    pub(crate) fn paths(&self) -> Result<FilePaths> {
        FilePaths::resolve(&self.path)
    }
}

/// So that a document is one file, whatever its process's current folder becomes.
fn absolute(path: PathBuf) -> PathBuf {
    path::absolute(&path).unwrap_or(path)
}

impl<T, F: Clone> Clone for Document<T, F> {
    fn clone(&self) -> Self {
        Document {
            path: self.path.clone(),
            lock: self.lock.clone(),
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
            .field("lock", &self.lock)
            .field("format", &self.format)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
