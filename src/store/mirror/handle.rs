//! Starting and stopping a mirror.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::phase::{MirrorPhase, Phase, Shared};
use super::state::MirrorPaths;
use super::worker::Worker;
use crate::error::{Error, Result};
use crate::files::paths::{is_folder, FilePaths};
use crate::registry::update::UpdateOptions;
use crate::store::calls::open_store;
use crate::store::file_store::FileStore;
use crate::store::heartbeat::OnError;
use crate::store::other_store::{is_other, other_store};
use crate::store::registry_store::RegistryStore;
use crate::sys;
use crate::util::cancel::CancelToken;
use crate::warning::to_standard_error;

/// Options for a mirror.
#[derive(Debug, Clone)]
pub struct MirrorOptions {
    /// Options for the updates of the store and of the file. `lock.cancel` is not used:
    /// [`Mirror::stop`] ends a wait.
    pub update: UpdateOptions,
    /// Called for each failure, once until it is another one, and for each entry that can't be copied.
    /// The mirror goes on nevertheless. The default writes the error to standard error.
    pub on_error: OnError,
}

impl Default for MirrorOptions {
    fn default() -> Self {
        MirrorOptions {
            update: UpdateOptions::default(),
            on_error: OnError::new(|error| to_standard_error(format_args!("mirror: {error}"))),
        }
    }
}

/// A running mirror, made by [`mirror_registry`] or [`start_mirror`]. Dropping it stops the mirror, and waits
/// for a round in progress. The file keeps the entries that were copied.
#[derive(Debug)]
#[must_use = "the mirror stops as soon as this value is dropped"]
pub struct Mirror {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Keeps the registry file `file` in step with the registry at `source`, until the mirror is stopped. See
/// [`start_mirror`].
///
/// ```
/// use argus_registry::{announce_watcher, mirror_registry, read_registry};
/// use argus_registry::{MirrorOptions, UpdateOptions, WatcherRecord};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let (folder, file) = (dir.path().join("registry/"), dir.path().join("registry.json"));
/// let options = UpdateOptions::default();
/// announce_watcher(&folder, WatcherRecord::new("new", "127.0.0.1", 1), &options)?;
/// announce_watcher(&file, WatcherRecord::new("older", "127.0.0.1", 2), &options)?;
/// let mirror = mirror_registry(&folder, &file, MirrorOptions::default())?;
/// assert!(mirror.wait_until_working());
/// for path in [&folder, &file] {
///     let (registry, _) = read_registry(path)?;
///     assert!(registry.watcher("new").is_some() && registry.watcher("older").is_some());
/// }
/// mirror.stop();
/// # Ok::<_, argus_registry::Error>(())
/// ```
///
/// # Errors
///
/// Those of [`start_mirror`].
pub fn mirror_registry(
    source: impl AsRef<Path>,
    file: impl AsRef<Path>,
    options: MirrorOptions,
) -> Result<Mirror> {
    start_mirror(open_source(source.as_ref())?, file, options)
}

/// Keeps the registry file `file` in step with a store, until the mirror is stopped, for programs that know
/// only the file. Entries that such programs write into the file are kept, and copied into the store, so that
/// readers of either side see all watchers.
///
/// - An entry belongs to the side on which it was written first. Its watcher renews, changes and removes it
///   there, and the mirror does that to the copy.
/// - If the copy is removed, its entry is removed, too, unless it was renewed since it was copied; and of
///   the store's entries only one whose watcher is dead. Otherwise the copy comes back. If the copy is
///   renewed, or its fields are changed, so is its entry.
/// - If different watchers have one id on the two sides, each side keeps its own, and `on_error` gets
///   [`Error::IdTaken`]. The one that remains is copied once the other is gone.
/// - Nothing is removed because a whole side is missing, or because an entry of a folder is damaged. A store that
///   was there before is not made anew.
/// - Dates reach the file every two seconds, and all else at once.
///
/// One mirror works on a file at a time, by a kernel lock on `<file>.mirror`; further ones wait, and one of
/// them takes over as soon as that one ends or dies. `<file>.mirror.json` tells the next one what was copied.
///
/// # Errors
///
/// [`Error::InvalidValue`] if `file` is a folder, or is the store itself; those of the file's path;
/// [`Error::Io`] if the system refuses a thread. All later ones are reported to
/// [`MirrorOptions::on_error`], a panic of this crate as [`Error::Internal`].
pub fn start_mirror(
    store: Arc<dyn RegistryStore>,
    file: impl AsRef<Path>,
    options: MirrorOptions,
) -> Result<Mirror> {
    let on_error = options.on_error;
    start(store, file.as_ref(), options.update, move |error| on_error.call(&error))
}

/// The store of a path as it is now: the process may change its current folder while the mirror works.
pub(crate) fn open_source(source: &Path) -> Result<Arc<dyn RegistryStore>> {
    if let Some(store) = other_store(source) {
        return Ok(Arc::from(store));
    }
    let absolute = std::path::absolute(source);
    let absolute = absolute.map_err(|error| Error::from_io(source, "resolve", error))?;
    Ok(Arc::from(open_store(absolute)))
}

/// Starts a mirror that gives its errors to `report`.
pub(crate) fn start(
    store: Arc<dyn RegistryStore>,
    file: &Path,
    update: UpdateOptions,
    report: impl Fn(Error) + Send + 'static,
) -> Result<Mirror> {
    let invalid = |reason: String| Error::InvalidValue { path: file.to_path_buf(), reason };
    if is_folder(file) {
        let reason =
            "it is a folder; a mirror is a registry file, for programs that know no folder";
        return Err(invalid(reason.to_owned()));
    }
    if is_other(file) {
        let reason =
            "it is in etcd; a mirror is a registry file, for programs that know no other store";
        return Err(invalid(reason.to_owned()));
    }
    let real = sys::canonicalize(file).ok();
    if real.is_some() && real == sys::canonicalize(store.path()).ok() {
        return Err(invalid("it is the registry itself; name another file".to_owned()));
    }
    // The process may change its current folder until the file is used.
    let absolute =
        std::path::absolute(file).map_err(|error| Error::from_io(file, "resolve", error))?;
    let paths = MirrorPaths::of_file(&FilePaths::resolve(&absolute)?);
    let stopped = CancelToken::new();
    let shared = Arc::new(Shared::new(stopped.clone()));
    let mut update = update;
    update.lock.cancel = Some(stopped);
    let worker = Worker {
        store,
        file: FileStore::new(absolute),
        paths,
        update,
        shared: shared.clone(),
        report: Box::new(report),
        is_reporting: Cell::new(false),
    };
    let thread = thread::Builder::new()
        .name("argus-mirror".into())
        .spawn(move || worker.run())
        .map_err(|error| Error::from_io(file, "start the mirror of", error))?;
    Ok(Mirror { shared, thread: Some(thread) })
}

impl Mirror {
    /// Whether this mirror works: it holds the lock, and both sides have been in step since.
    #[must_use]
    pub fn is_working(&self) -> bool {
        *self.shared.phase() == Phase::Working
    }

    /// Waits until this mirror works, which may be never as long as another one does. Returns false if it has
    /// ended instead.
    #[must_use]
    pub fn wait_until_working(&self) -> bool {
        self.shared.stopped.wait_until(None, || *self.shared.phase() != Phase::Waiting);
        self.is_working()
    }

    /// Waits until the mirror has ended, because another thread has cancelled its
    /// [token](Self::cancel_token), or `on_error` has panicked.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of the caller's function has been printed already.
            let _ = thread.join();
        }
    }

    /// A token that stops the mirror from another thread, without waiting for the round in progress.
    #[must_use]
    pub fn cancel_token(&self) -> CancelToken {
        self.shared.stopped.clone()
    }

    /// What the mirror is doing, for a thread that has to wait for it without keeping the [`Mirror`].
    pub(crate) fn phase(&self) -> MirrorPhase {
        MirrorPhase::of(self.shared.clone())
    }

    /// Stops the mirror and waits for a round in progress, unless that round makes this call.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stopped.cancel();
        // Called from `on_error`: the mirror's thread can't wait for itself.
        let thread =
            self.thread.take().filter(|thread| thread.thread().id() != thread::current().id());
        if let Some(thread) = thread {
            // A panic of the caller's function has been printed already.
            let _ = thread.join();
        }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.end();
    }
}
