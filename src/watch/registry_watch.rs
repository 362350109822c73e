//! Watching a registry: its present content, and its content after each change.
//!
//! An event only wakes the watching thread, which then reads the file. It first makes sure that the
//! right folders are watched, and reads afterwards, so that no change is missed between the two.

use std::fs;
use std::io;
use std::iter::FusedIterator;
use std::mem;
use std::path::{self, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::{Config, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};

use crate::content::registry_v1::RegistryV1;
use crate::error::{Error, Result};
use crate::files::shared_file;
use crate::folder::layout::{FolderPaths, ENTRIES};
use crate::folder::listing;
use crate::registry::read::interpret;
use crate::util::cancel::CancelToken;
use crate::warning::Warning;
use crate::watch::watched_path::{PathRole, Requirement, WatchedPath};

/// A burst of events is over when no event has come for this long.
const QUIET_PERIOD: Duration = Duration::from_millis(15);

/// The file is read this long after a burst began, even if events still come.
const MAX_BURST: Duration = Duration::from_millis(100);

/// How often the folders may change while the watch is set up, before it fails.
const MAX_SETUP_ATTEMPTS: u32 = 100;

/// Watches the registry in a file.
pub(crate) fn watch_file(path: &Path) -> Result<FileWatch> {
    let invalid =
        |reason: &str| Error::InvalidValue { path: path.to_path_buf(), reason: reason.to_owned() };
    if path.as_os_str().is_empty() {
        return Err(invalid("the path is empty"));
    }
    if path.file_name().is_none() {
        return Err(invalid("the path names a folder"));
    }
    FileWatch::of(WatchSource::File(absolute(path)?))
}

/// Watches the registry in a folder.
pub(crate) fn watch_folder(path: &Path) -> Result<FileWatch> {
    FolderPaths::resolve(path)?;
    FileWatch::of(WatchSource::Folder(absolute(path)?))
}

/// Made absolute before the first read: the process may change its current folder until then.
fn absolute(path: &Path) -> Result<PathBuf> {
    path::absolute(path).map_err(|error| Error::from_io(path, "resolve", error))
}

/// What is watched, by its absolute path.
#[derive(Debug)]
enum WatchSource {
    File(PathBuf),
    Folder(PathBuf),
}

impl WatchSource {
    fn path(&self) -> &Path {
        match self {
            WatchSource::File(path) | WatchSource::Folder(path) => path,
        }
    }

    /// The folders to watch, and the names that count in them.
    fn resolve(&self) -> WatchedPath {
        match self {
            WatchSource::File(path) => WatchedPath::resolve(path),
            WatchSource::Folder(path) => WatchedPath::resolve_with_files(&path.join(ENTRIES)),
        }
    }

    fn read(&self) -> Result<WatchedContent> {
        match self {
            WatchSource::File(path) => {
                let bytes = shared_file::read(path)?.map(|content| content.bytes);
                Ok(WatchedContent { bytes, warnings: Vec::new() })
            }
            WatchSource::Folder(path) => {
                let (text, warnings) = listing::read_text(&FolderPaths::resolve(path)?)?;
                Ok(WatchedContent { bytes: text.map(String::into_bytes), warnings })
            }
        }
    }
}

/// One state of what is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatchedContent {
    /// The registry's text; `None` if it does not exist.
    pub(crate) bytes: Option<Vec<u8>>,
    /// What the reading of a folder warns of. A file's warnings follow from its text.
    pub(crate) warnings: Vec<Warning>,
}

/// A watch of the registry in a file or a folder. Dropping it closes everything that it opened.
#[derive(Debug)]
pub(crate) struct FileWatch {
    source: WatchSource,
    token: CancelToken,
    pending: Arc<Mutex<PendingEvents>>,
    /// The folders and names that are watched.
    watched: Arc<WatchedPath>,
    /// `None` before the first read.
    watcher: Option<RecommendedWatcher>,
    /// What was delivered last.
    delivered: Option<WatchedContent>,
    ended: bool,
}

/// The events that have come since the last read.
#[derive(Debug, Default)]
struct PendingEvents {
    /// The names that count.
    watched: Arc<WatchedPath>,
    /// When the first and the last event came; `None` if there is none.
    times: Option<(Instant, Instant)>,
    /// Whether an event is about the path to the file, so that other folders may have to be watched.
    path_changed: bool,
}

impl PendingEvents {
    /// Adds an event if it may be about the file. Returns whether it may.
    fn add(&mut self, event: notify::Result<Event>) -> bool {
        let role = match &event {
            // The system also reports reads, including those of the watch: each read would cause the
            // next one.
            Ok(event) if event.kind.is_access() => None,
            Ok(event) if event.need_rescan() => Some(PathRole::Intermediate),
            Ok(event) => event.paths.iter().filter_map(|path| self.watched.role_of(path)).max(),
            // An event was lost. It may have been about any of the names.
            Err(_) => Some(PathRole::Intermediate),
        };
        let Some(role) = role else { return false };
        let now = Instant::now();
        self.times = Some((self.times.map_or(now, |(first, _)| first), now));
        self.path_changed |= role == PathRole::Intermediate;
        true
    }

    /// When the file is to be read; `None` if no event is pending.
    fn due(&self) -> Option<Instant> {
        self.times.map(|(first, last)| (last + QUIET_PERIOD).min(first + MAX_BURST))
    }
}

fn lock(pending: &Mutex<PendingEvents>) -> MutexGuard<'_, PendingEvents> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FileWatch {
    fn of(source: WatchSource) -> Result<Self> {
        Ok(FileWatch {
            source,
            token: CancelToken::new(),
            pending: Arc::default(),
            watched: Arc::default(),
            watcher: None,
            delivered: None,
            ended: false,
        })
    }

    /// A token that ends the iteration from another thread: a [`next`](Iterator::next) that waits
    /// returns `None`, and so do all later calls.
    #[must_use]
    pub(crate) fn cancel_token(&self) -> CancelToken {
        self.token.clone()
    }

    /// The registry's next content, not parsed.
    pub(crate) fn next_content(&mut self) -> Option<Result<WatchedContent>> {
        if self.ended {
            return None;
        }
        let next = self.read_until_changed().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.ended = true;
            self.watcher = None;
        }
        next
    }

    fn read_until_changed(&mut self) -> Result<Option<WatchedContent>> {
        loop {
            self.wait();
            if self.token.is_cancelled() {
                return Ok(None);
            }
            self.watch_all_folders()?;
            let content = self.source.read()?;
            if self.delivered.as_ref() != Some(&content) {
                self.delivered = Some(content.clone());
                return Ok(Some(content));
            }
        }
    }

    /// Waits for an event and for the end of its burst, or until the token is cancelled. Returns at once
    /// before the first read.
    fn wait(&self) {
        if self.watcher.is_none() {
            return;
        }
        self.token.wait_until(None, || lock(&self.pending).times.is_some());
        while !self.token.is_cancelled() {
            let due = lock(&self.pending).due();
            match due.filter(|due| *due > Instant::now()) {
                Some(due) => self.token.sleep_until(due),
                None => return,
            }
        }
    }

    /// Makes sure that every change from now on causes an event.
    fn watch_all_folders(&mut self) -> Result<()> {
        let path_changed = {
            let mut pending = lock(&self.pending);
            pending.times = None;
            mem::take(&mut pending.path_changed)
        };
        let mut watcher = match self.watcher.take() {
            // Resolved again even without such an event: the file itself may have become a link.
            Some(watcher) if !path_changed && *self.watched == self.source.resolve() => {
                self.watcher = Some(watcher);
                return Ok(());
            }
            Some(watcher) => watcher,
            None => start_watcher(self.source.path(), self.token.clone(), self.pending.clone())?,
        };
        self.replace_watched_folders(&mut watcher)?;
        self.watcher = Some(watcher);
        Ok(())
    }

    fn replace_watched_folders(&mut self, watcher: &mut RecommendedWatcher) -> Result<()> {
        for _ in 0..MAX_SETUP_ATTEMPTS {
            let resolved = Arc::new(self.source.resolve());
            let old = mem::replace(&mut self.watched, resolved);
            lock(&self.pending).watched = self.watched.clone();
            // All old folders, even those that are watched again. A folder may have been replaced by
            // another of its name, even with its inode number, which file systems reuse at once. And a
            // folder that the path no longer leads through would go on waking the watch.
            for folder in old.folders.keys() {
                let _ = watcher.unwatch(folder);
            }
            // The path may have changed before all of its folders were watched.
            if watch_folders(watcher, &self.watched)? && *self.watched == self.source.resolve() {
                return Ok(());
            }
        }
        let busy = io::Error::other("the folders of its path keep changing");
        Err(Error::from_io(self.source.path(), "watch", busy))
    }
}

impl Iterator for FileWatch {
    type Item = Result<(RegistryV1, Vec<Warning>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let content = self.next_content()?;
        Some(content.and_then(|content| {
            let (registry, warnings) = interpret(self.source.path(), content.bytes.as_deref())?;
            match self.source {
                WatchSource::File(_) => Ok((registry, warnings)),
                WatchSource::Folder(_) => Ok((registry, content.warnings)),
            }
        }))
    }
}

impl FusedIterator for FileWatch {}

/// Starts a watcher that watches no folder yet.
fn start_watcher(
    path: &Path,
    token: CancelToken,
    pending: Arc<Mutex<PendingEvents>>,
) -> Result<RecommendedWatcher> {
    let on_event = move |event| {
        if lock(&pending).add(event) {
            token.wake();
        }
    };
    let fail = |error: notify::Error| {
        let error = system_error(error);
        let hint = if cfg!(target_os = "linux") {
            "; if it is not the limit of open files, raise fs.inotify.max_user_instances"
        } else {
            ""
        };
        Error::from_io(path, "watch", io::Error::new(error.kind(), format!("{error}{hint}")))
    };
    let mut watcher = RecommendedWatcher::new(on_event, Config::default()).map_err(fail)?;
    // This call fails if the system refused the watcher its thread. Every other call would then panic,
    // even dropping the watcher.
    if let Err(error) = watcher.configure(Config::default()) {
        mem::forget(watcher);
        return Err(fail(error));
    }
    Ok(watcher)
}

/// Watches the folders of a path. Returns false if one of them is gone.
fn watch_folders(watcher: &mut RecommendedWatcher, watched: &WatchedPath) -> Result<bool> {
    for (folder, requirement) in &watched.folders {
        let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) else { continue };
        let error = system_error(error);
        match error.kind() {
            io::ErrorKind::NotFound => return Ok(false),
            _ if fs::symlink_metadata(folder).is_err() => return Ok(false),
            io::ErrorKind::PermissionDenied if *requirement == Requirement::Optional => {}
            _ => return Err(Error::from_io(folder, "watch", error)),
        }
    }
    Ok(true)
}

fn system_error(error: notify::Error) -> io::Error {
    match error.kind {
        ErrorKind::Io(error) => error,
        ErrorKind::PathNotFound => io::ErrorKind::NotFound.into(),
        // Linux reports this limit as a full disk (ENOSPC).
        ErrorKind::MaxFilesWatch => io::Error::other(
            "this user watches as many folders as the system allows; raise \
             fs.inotify.max_user_watches",
        ),
        _ => io::Error::other(error),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
