//! Watching a registry: its content now, and again after each change.
//!
//! Events only wake; what there is to say is read from the file. Each look first makes sure that
//! the right folders are watched and reads then, so that no change falls between the two.

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
use crate::files::shared_file::{self, Content};
use crate::registry::read::interpret;
use crate::util::cancel::CancelToken;
use crate::warning::Warning;
use crate::watch::watched_path::{Need, PathRole, Route};

/// A burst of events is over after this much quiet.
const QUIET: Duration = Duration::from_millis(15);

/// A burst without end is looked at this long after it began.
const LONGEST_BURST: Duration = Duration::from_millis(100);

/// So often the folders on the way may change while we try to watch them.
const TRIES: u32 = 100;

/// Watches a registry: an iterator over its states, the first of which is that of now. Source:
/// ours.
///
/// Each state is as [`read_registry`](crate::read_registry) would return it. The next one comes
/// when the file's content has changed, however that was done: by an update, by a write in place,
/// by deleting the file or its folders, or by pointing a symbolic link elsewhere. The path need not
/// exist, nor its folders. A burst of changes is one state: the last one is always delivered, those
/// before it may be left out, also when the caller comes late.
///
/// Nothing is locked, written or created. Waiting costs no CPU: the operating system's file events
/// wake the watch. A network file system has no events for what other machines do.
///
/// # Errors
///
/// [`Error::InvalidValue`] for a path that names no file; the first [`next`](Iterator::next) opens
/// what there is to open, and each returns the failures of the system.
///
/// ```
/// use argus_registry::{update_registry, watch_registry, Error, UpdateOptions, WatcherRecord};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("registry.json");
/// let mut watch = watch_registry(&path)?;
/// let (registry, _) = watch.next().unwrap()?;
/// assert!(registry.watcher("app").is_none());
/// update_registry(&path, &UpdateOptions::default(), |registry| {
///     registry.set_watcher(WatcherRecord::new("app", "127.0.0.1", 9222));
///     Ok::<_, Error>(())
/// })?;
/// let (registry, _) = watch.next().unwrap()?;
/// assert_eq!(registry.watcher("app").unwrap().port, 9222);
/// # Ok::<_, Error>(())
/// ```
pub fn watch_registry(path: impl AsRef<Path>) -> Result<RegistryWatch> {
    let path = path.as_ref();
    let invalid =
        |reason: &str| Error::InvalidValue { path: path.to_path_buf(), reason: reason.to_owned() };
    if path.as_os_str().is_empty() {
        return Err(invalid("the path is empty"));
    }
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.file_name().is_none() {
        return Err(invalid("the path names a folder"));
    }
    Ok(RegistryWatch {
        // Now: the working directory may be another at the next look.
        path: path::absolute(path).map_err(|error| Error::from_io(path, "resolve", error))?,
        token: CancelToken::new(),
        news: Arc::default(),
        route: Arc::default(),
        watcher: None,
        delivered: None,
        ended: false,
    })
}

/// A watch of a registry, made by [`watch_registry`]. Dropping it closes all that it has opened.
///
/// The iteration ends after a failure, and when its [`cancel_token`](Self::cancel_token) is
/// cancelled.
#[derive(Debug)]
#[must_use = "nothing is watched once this value is dropped"]
pub struct RegistryWatch {
    path: PathBuf,
    token: CancelToken,
    news: Arc<Mutex<News>>,
    /// What is watched.
    route: Arc<Route>,
    /// There from the first look on.
    watcher: Option<RecommendedWatcher>,
    /// The bytes that were delivered last, where `None` stands for no file.
    delivered: Option<Option<Vec<u8>>>,
    ended: bool,
}

/// What the system has told since the last look.
#[derive(Debug, Default)]
struct News {
    /// Which names count.
    route: Arc<Route>,
    /// When the first and the last of it came; `None` if there is none.
    came: Option<(Instant, Instant)>,
    /// Whether it is about the way to the file, so that the folders may be others now.
    on_the_way: bool,
}

impl News {
    /// Notes an event if it may be about the file; says whether it may.
    fn note(&mut self, event: notify::Result<Event>) -> bool {
        let part = match &event {
            // Reads are reported too, our own among them: each look would cause the next.
            Ok(event) if event.kind.is_access() => None,
            Ok(event) if event.need_rescan() => Some(PathRole::Way),
            Ok(event) => event.paths.iter().filter_map(|path| self.route.part(path)).max(),
            // Something was missed.
            Err(_) => Some(PathRole::Way),
        };
        let Some(part) = part else { return false };
        let now = Instant::now();
        self.came = Some((self.came.map_or(now, |(first, _)| first), now));
        self.on_the_way |= part == PathRole::Way;
        true
    }

    /// When it is time to look.
    fn due(&self) -> Option<Instant> {
        self.came.map(|(first, last)| (last + QUIET).min(first + LONGEST_BURST))
    }
}

fn lock(news: &Mutex<News>) -> MutexGuard<'_, News> {
    news.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RegistryWatch {
    /// Ends the iteration from another thread: a [`next`](Iterator::next) that waits returns
    /// `None`, and so do all later ones.
    #[must_use]
    pub fn cancel_token(&self) -> CancelToken {
        self.token.clone()
    }

    /// The next state of the file, as it is in there; the inner `None` stands for no file.
    pub(crate) fn next_content(&mut self) -> Option<Result<Option<Content>>> {
        if self.ended {
            return None;
        }
        let next = self.look_until_changed().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.ended = true;
            self.watcher = None;
        }
        next
    }

    fn look_until_changed(&mut self) -> Result<Option<Option<Content>>> {
        loop {
            self.wait();
            if self.token.is_cancelled() {
                return Ok(None);
            }
            self.listen()?;
            let content = shared_file::read(&self.path)?;
            let bytes = content.as_ref().map(|content| content.bytes.clone());
            if self.delivered.as_ref() != Some(&bytes) {
                self.delivered = Some(bytes);
                return Ok(Some(content));
            }
        }
    }

    /// Waits for news and for the end of its burst, or until the token is cancelled. There is
    /// nothing to wait for before the first look.
    fn wait(&self) {
        if self.watcher.is_none() {
            return;
        }
        self.token.wait_until(None, || lock(&self.news).came.is_some());
        while !self.token.is_cancelled() {
            let due = lock(&self.news).due();
            match due.filter(|due| *due > Instant::now()) {
                Some(due) => self.token.sleep_until(due),
                None => return,
            }
        }
    }

    /// Sees to it that every change from now on is heard of.
    fn listen(&mut self) -> Result<()> {
        let on_the_way = {
            let mut news = lock(&self.news);
            news.came = None;
            mem::take(&mut news.on_the_way)
        };
        let mut watcher = match self.watcher.take() {
            // The file may have become a link, without a change on the way to it.
            Some(watcher) if !on_the_way && *self.route == Route::to(&self.path) => {
                self.watcher = Some(watcher);
                return Ok(());
            }
            Some(watcher) => watcher,
            None => start(&self.path, self.token.clone(), self.news.clone())?,
        };
        self.watch_the_way(&mut watcher)?;
        self.watcher = Some(watcher);
        Ok(())
    }

    fn watch_the_way(&mut self, watcher: &mut RecommendedWatcher) -> Result<()> {
        for _ in 0..TRIES {
            let old = mem::replace(&mut self.route, Arc::new(Route::to(&self.path)));
            lock(&self.news).route = self.route.clone();
            // All of it: a folder may be another one by now, under the same name and even, since
            // they are used again at once, with the same inode. And one that the path no
            // longer leads through would go on waking us.
            for folder in old.folders.keys() {
                let _ = watcher.unwatch(folder);
            }
            // The way may have changed until it was watched all along.
            if watch_folders(watcher, &self.route)? && *self.route == Route::to(&self.path) {
                return Ok(());
            }
        }
        let busy = io::Error::other("the folders on the way to it don't stop coming and going");
        Err(Error::from_io(&self.path, "watch", busy))
    }
}

impl Iterator for RegistryWatch {
    type Item = Result<(RegistryV1, Vec<Warning>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let content = self.next_content()?;
        Some(content.and_then(|content| interpret(&self.path, content.as_ref())))
    }
}

impl FusedIterator for RegistryWatch {}

/// Starts to listen, to nothing yet.
fn start(path: &Path, token: CancelToken, news: Arc<Mutex<News>>) -> Result<RecommendedWatcher> {
    let note = move |event| {
        if lock(&news).note(event) {
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
    let mut watcher = RecommendedWatcher::new(note, Config::default()).map_err(fail)?;
    // Answered only if the system has given it a thread. If not, everything else would panic, even
    // dropping it.
    if let Err(error) = watcher.configure(Config::default()) {
        mem::forget(watcher);
        return Err(fail(error));
    }
    Ok(watcher)
}

/// Watches the folders of a route; false if one of them is gone.
fn watch_folders(watcher: &mut RecommendedWatcher, route: &Route) -> Result<bool> {
    for (folder, need) in &route.folders {
        let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) else { continue };
        let error = system_error(error);
        match error.kind() {
            io::ErrorKind::NotFound => return Ok(false),
            _ if fs::symlink_metadata(folder).is_err() => return Ok(false),
            io::ErrorKind::PermissionDenied if *need == Need::Helpful => {}
            _ => return Err(Error::from_io(folder, "watch", error)),
        }
    }
    Ok(true)
}

fn system_error(error: notify::Error) -> io::Error {
    match error.kind {
        ErrorKind::Io(error) => error,
        ErrorKind::PathNotFound => io::ErrorKind::NotFound.into(),
        // The system calls this a full disk.
        ErrorKind::MaxFilesWatch => io::Error::other(
            "this user watches as many folders as the system allows; raise \
             fs.inotify.max_user_watches",
        ),
        _ => io::Error::other(error),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    /// Replaces a file without opening it under its name.
    fn put(path: &Path, text: &str) {
        use std::io::Write;
        let temp = path.with_extension("other");
        fs::File::create(&temp).unwrap().write_all(text.as_bytes()).unwrap();
        crate::sys::rename(&temp, path).unwrap();
    }

    /// The system itself counts how often the file is opened. A watch that is woken by what is not
    /// about its file, or by its own look, opens it more often than it has changed.
    #[test]
    fn nothing_but_a_change_of_the_file_causes_a_look() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        let path = real.join("registry.json");
        let (opened, opens) = mpsc::channel();
        let note = move |event: notify::Result<Event>| {
            let event = event.unwrap();
            if matches!(event.kind, notify::EventKind::Access(notify::event::AccessKind::Open(_))) {
                opened.send(event.paths[0].clone()).unwrap();
            }
        };
        let mut witness = RecommendedWatcher::new(note, Config::default()).unwrap();
        witness.watch(&real, RecursiveMode::NonRecursive).unwrap();
        put(&path, "1");
        let watch = watch_registry(&path).unwrap();
        let token = watch.cancel_token();
        let (sender, states) = mpsc::channel();
        let watching = thread::spawn(move || watch.for_each(|state| sender.send(state).unwrap()));
        for round in 0..3 {
            states.recv().unwrap().unwrap();
            for name in ["registry.json.guard", "registry.json.lock", ".registry.json.x.tmp"] {
                fs::File::create(real.join(name)).unwrap();
                fs::remove_file(real.join(name)).unwrap();
            }
            // Time for a look that should not be.
            CancelToken::new().sleep_until(Instant::now() + 5 * QUIET);
            put(&path, &format!("next {round}"));
        }
        states.recv().unwrap().unwrap();
        token.cancel();
        watching.join().unwrap();
        let end = real.join("end");
        fs::File::create(&end).unwrap();
        let looks = opens.iter().take_while(|name| *name != end).filter(|name| *name == path);
        assert_eq!(looks.count(), 4);
    }

    #[test]
    fn a_file_that_a_link_no_longer_points_at_wakes_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        let path = real.join("link.json");
        let targets = ["one", "two"].map(|name| real.join(name).join("registry.json"));
        let mut watch = watch_registry(&path).unwrap();
        for target in &targets {
            fs::create_dir(target.parent().unwrap()).unwrap();
            put(target, &target.to_string_lossy());
            let _ = fs::remove_file(&path);
            std::os::unix::fs::symlink(target, &path).unwrap();
            watch.next().unwrap().unwrap();
        }
        // Whatever of that is still to come.
        CancelToken::new().sleep_until(Instant::now() + 5 * QUIET);
        watch.listen().unwrap();
        put(&targets[0], "changed");
        CancelToken::new().sleep_until(Instant::now() + 5 * QUIET);
        assert_eq!(lock(&watch.news).came, None);
    }

    #[test]
    fn a_burst_is_over_when_it_is_quiet_or_has_lasted_long_enough() {
        let mut news = News { route: Arc::new(Route::to(Path::new("/x"))), ..News::default() };
        assert_eq!(news.due(), None);
        let event = |path: &str| Ok(Event::new(notify::EventKind::Any).add_path(path.into()));
        assert!(!news.note(event("/x.lock")));
        assert!(news.note(event("/x")));
        let (first, last) = news.came.unwrap();
        assert_eq!((first, news.due(), news.on_the_way), (last, Some(first + QUIET), false));
        news.came = Some((first, first + LONGEST_BURST));
        assert_eq!(news.due(), Some(first + LONGEST_BURST));
        // Events were lost: nobody knows which.
        let lost = Event::new(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert!(news.note(Ok(lost)) && news.on_the_way);
    }
}
