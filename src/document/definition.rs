//! [`Document`]: any `serde` value in a file that several processes share under a kernel lock. A call
//! tries the lock once, as veil does, or waits for it. An update holds one lock from reading to writing,
//! so that it loses no other process's change, as veil's own load and save can.

use std::fmt;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use crate::document::format::Json;
#[cfg(feature = "toml")]
use crate::document::format::Toml;
use crate::document::lock::UnlockedReason;
use crate::document::lock_choice::{LockChoice, LockFile};
use crate::error::Result;
use crate::files::paths::FilePaths;
use crate::warning::{OnCorrupt, OnWarning};

/// A shared file that holds one value of type `T`: its path, its lock and its format.
///
/// | to | call | lock |
/// |---|---|---|
/// | read it | [`load`](Self::load) | shared, one try |
/// | change it | [`update`](Self::update) | exclusive, from reading to writing |
/// | replace it whole | [`save`](Self::save) | exclusive, one try |
///
/// **To change a document, call `update`.** Another process may save between a `load` and a `save`. The
/// later save then overwrites the other process's change. `update` holds one lock from reading to
/// writing.
///
/// `load` and `save` do not wait for the lock. [`load_with`](Self::load_with) and
/// [`save_with`](Self::save_with) take [`LockOptions`](crate::LockOptions), as `update` does, and can
/// wait.
///
/// All processes that share a document must use one lock file. A program without this crate can take
/// part by locking that file with `fs2` or `flock`.
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
    pub(crate) requires_lock: bool,
    pub(crate) format: F,
    pub(crate) version: Option<u32>,
    pub(crate) canonical: Option<CanonicalOrder<T>>,
    pub(crate) empty: Option<EmptyValue<T>>,
    pub(crate) new_file_mode: Option<u32>,
    pub(crate) durable: bool,
    pub(crate) on_corrupt: OnCorrupt,
    pub(crate) on_warning: OnWarning,
}

/// Puts a value in its canonical order.
type CanonicalOrder<T> = Arc<dyn Fn(&mut T) + Send + Sync>;
/// Makes the value of a document that has no file yet.
type EmptyValue<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// The result of [`Document::load`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded<T> {
    /// The value.
    pub value: T,
    /// Whether the value was read under the document's lock. Even a value that was not is one whole
    /// version of those that this crate wrote, since this crate replaces files atomically.
    pub locked: bool,
    /// Why the value was read without the lock; `None` if it was read under it. For a document that
    /// [requires its lock](Document::require_lock) always `None`.
    pub unlocked: Option<UnlockedReason>,
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
    /// A document in any format. Its lock file is [`LockFile::WithExtension`]. It has no schema version
    /// and no canonical order, must exist to be updated, and is written durably.
    pub fn new(path: impl Into<PathBuf>, format: F) -> Self {
        Document {
            path: absolute(path.into()),
            lock: LockChoice::LockFile(LockFile::default()),
            requires_lock: false,
            format,
            version: None,
            canonical: None,
            empty: None,
            new_file_mode: None,
            durable: true,
            on_corrupt: OnCorrupt::Fail,
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

    /// Uses the document under the lock of an argus registry, a guard and a lockfile, instead of a lock
    /// file. This is for a file that is shared with programs that know that lock, such as older versions
    /// of argus. [`load`](Self::load) then takes no lock, and [`update`](Self::update) and
    /// [`save_with`](Self::save_with) use all of [`LockOptions`](crate::LockOptions).
    ///
    /// A file is used under one kind of lock only. A call that finds the other kind's file beside the
    /// document fails with [`Error::LockMismatch`](crate::Error::LockMismatch).
    #[must_use]
    pub fn registry_lock(mut self) -> Self {
        self.lock = LockChoice::Registry;
        self
    }

    /// Makes [`load`](Self::load) fail where it would otherwise read the document without its lock: if
    /// the caller may not open or create the lock file
    /// ([`Error::PermissionDenied`](crate::Error::PermissionDenied)), or if the file system has no kernel
    /// locks ([`Error::UnsupportedFileSystem`](crate::Error::UnsupportedFileSystem)). A missing lock file
    /// is created, with its folder. Under a [registry's lock](Self::registry_lock), which has no shared
    /// mode, `load` then takes that lock, so that readers exclude each other, too.
    ///
    /// Writing requires the lock in any case.
    #[must_use]
    pub fn require_lock(mut self) -> Self {
        self.requires_lock = true;
        self
    }

    /// Sets the schema version that the file must have. Reading a file with another version fails with
    /// [`Error::UnsupportedVersion`](crate::Error::UnsupportedVersion), before the rest is parsed. A
    /// newer version is never overwritten either. The format finds the version in the file
    /// ([`Format::version`](crate::Format::version)). If a file has none, parsing as `T` decides whether
    /// the file is valid. Writing a value with another version fails with
    /// [`Error::InvalidValue`](crate::Error::InvalidValue).
    #[must_use]
    pub fn version(mut self, expected: u32) -> Self {
        self.version = Some(expected);
        self
    }

    /// Sets the function that puts a value in its canonical order before it is written, so that equal
    /// content is always written as equal bytes.
    #[must_use]
    pub fn canonical(mut self, order: impl Fn(&mut T) + Send + Sync + 'static) -> Self {
        self.canonical = Some(Arc::new(order));
        self
    }

    /// Sets the function that makes the value from which [`update`](Self::update) starts if there is no
    /// file yet. Without it, such an update fails with [`Error::NotFound`](crate::Error::NotFound).
    #[must_use]
    pub fn empty(mut self, make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        self.empty = Some(Arc::new(make));
        self
    }

    /// Sets the Unix permission bits of a new file, from which the umask is taken away. Default 0644. A
    /// file that is replaced keeps its permissions.
    #[must_use]
    pub fn new_file_mode(mut self, mode: u32) -> Self {
        self.new_file_mode = Some(mode & 0o666);
        self
    }

    /// Sets whether writing returns only when the new content would survive a power failure (fsync of
    /// file and folder); a write that is not durable can take earlier durable ones with it in a power
    /// failure, which leaves an empty file on some file systems (XFS, btrfs, ext4 with
    /// `noauto_da_alloc`). Default true.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Sets what [`update`](Self::update) does about content that can't be parsed. Default
    /// [`OnCorrupt::Fail`]: a settings file with a mistyped comma must not be replaced by an empty one.
    /// [`OnCorrupt::Keep`] needs an [`empty`](Self::empty) value to start from; without one the update is
    /// refused nevertheless. [`save`](Self::save) replaces such content in either case, and keeps the bytes.
    #[must_use]
    pub fn on_corrupt(mut self, on_corrupt: OnCorrupt) -> Self {
        self.on_corrupt = on_corrupt;
        self
    }

    /// Sets the function that receives a warning when content was replaced that could not be parsed (the
    /// warning says where that content is kept), when an update lost what the type does not know
    /// ([`Warning::UnknownLost`](crate::Warning::UnknownLost)), or when a lock was lost. The default writes to
    /// standard error.
    #[must_use]
    pub fn on_warning(mut self, call: OnWarning) -> Self {
        self.on_warning = call;
        self
    }

    /// The document's path. A relative path is resolved against the folder that was current when the
    /// document was made.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that carries the lock: the lock file, or the guard of a registry's lock. If the
    /// document's path is a symbolic link, the lock's file is beside the link's target, so that all
    /// names of a document have one lock. Its path is spelled as in errors
    /// ([`Error::path`](crate::Error::path)).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`](crate::Error::InvalidValue) if the path can't be a document's, or if the
    /// lock file would be the document itself or have the name of a registry's lockfile or guard;
    /// [`Error::Io`](crate::Error::Io) if the document is not a regular file.
    pub fn lock_path(&self) -> Result<PathBuf> {
        let paths = self.paths()?;
        let lock = self.lock.resolve(&paths).map_err(|error| paths.error_as_given(error))?;
        Ok(paths.as_given(lock.file(&paths)))
    }

    pub(crate) fn paths(&self) -> Result<FilePaths> {
        FilePaths::resolve(&self.path)
    }
}

/// Makes a path absolute, so that it stays one file when the process changes its current folder.
fn absolute(path: PathBuf) -> PathBuf {
    path::absolute(&path).unwrap_or(path)
}

impl<T, F: Clone> Clone for Document<T, F> {
    fn clone(&self) -> Self {
        Document {
            path: self.path.clone(),
            lock: self.lock.clone(),
            requires_lock: self.requires_lock,
            format: self.format.clone(),
            version: self.version,
            canonical: self.canonical.clone(),
            empty: self.empty.clone(),
            new_file_mode: self.new_file_mode,
            durable: self.durable,
            on_corrupt: self.on_corrupt,
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
