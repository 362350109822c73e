//! What this process has read of a folder's entries, so that reading the folder again reads only the files
//! that have changed.
//!
//! A file has not changed if its identity, its size and its times are as they were when it was read,
//! provided that those times were not too recent then: a later change within one tick of the file
//! system's clock leaves no trace in them. Such a file is read again. The time of the last status change is
//! one of the times, and no program can set it.
//!
//! Nothing is kept of a file system that another machine may change, whose times a system may be late to
//! learn, or of one that is not known.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::folder::entry_file::EntryFile;
use crate::folder::layout::FolderPaths;
use crate::sys;
use crate::sys::FileStamp;

/// How many folders' entries are kept. Of more than that the one that was not read for longest is dropped.
const MAX_FOLDERS: usize = 8;

/// The length of all texts that are kept of one folder. Further entries are read each time.
const MAX_FOLDER_BYTES: usize = 16 * 1024 * 1024;

/// The longest tick of a file system whose times have fractions of a second, with a wide margin: Linux
/// takes the times of files from a clock that moves up to every ten milliseconds.
const FINE_TICK: Duration = Duration::from_millis(100);

/// Like [`FINE_TICK`], of a file system whose times are whole seconds, or every second one.
const COARSE_TICK: Duration = Duration::from_secs(3);

/// How much less the clock of the day may show to have passed than the one that no program sets, before it
/// counts as set back.
const CLOCK_TOLERANCE: Duration = Duration::from_millis(10);

/// The entries of one folder, by their files' names.
#[derive(Debug, Default)]
pub(super) struct CachedEntries {
    entries: HashMap<String, CachedEntry>,
    bytes: usize,
    /// When the folder was read last, by both clocks.
    read: Option<(SystemTime, Instant)>,
}

#[derive(Debug)]
struct CachedEntry {
    stamp: FileStamp,
    entry: EntryFile,
}

type SharedEntries = Arc<Mutex<CachedEntries>>;

/// By the folders' real paths, the one that was read last at the end.
static FOLDERS: LazyLock<Mutex<Vec<(PathBuf, SharedEntries)>>> = LazyLock::new(Mutex::default);

/// What is kept of a folder; `None` if nothing may be.
pub(super) fn of_folder(paths: &FolderPaths) -> Option<SharedEntries> {
    if !sys::FILES_HAVE_STAMPS
        || !File::open(&paths.entries).is_ok_and(|folder| sys::is_local(&folder))
    {
        return None;
    }
    let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = folders.iter().position(|(path, _): &(PathBuf, _)| path == Path::new(&paths.root));
    let folder = match found {
        Some(at) => folders.remove(at),
        None => (paths.root.clone(), SharedEntries::default()),
    };
    let entries = folder.1.clone();
    folders.push(folder);
    if folders.len() > MAX_FOLDERS {
        folders.remove(0);
    }
    Some(entries)
}

impl CachedEntries {
    /// Begins to read the folder again: returns the entries that were kept, and keeps none. To be called
    /// before anything is read.
    pub(super) fn begin(&mut self) -> EarlierEntries {
        let now = (SystemTime::now(), Instant::now());
        let last = self.read.replace(now);
        self.bytes = 0;
        let entries = std::mem::take(&mut self.entries);
        let is_trusted = last.is_some_and(|last| !was_set_back(last, now));
        EarlierEntries { entries: if is_trusted { entries } else { HashMap::new() }, began: now.0 }
    }

    fn keep(&mut self, cached: CachedEntry) {
        let bytes = cached.entry.value.get().len();
        if self.bytes + bytes <= MAX_FOLDER_BYTES {
            self.bytes += bytes;
            self.entries.insert(cached.entry.name.clone(), cached);
        }
    }

    /// Keeps an entry of which this is the stamp that its file had before it was read, if that tells of
    /// every later change.
    pub(super) fn add(&mut self, earlier: &EarlierEntries, entry: &EntryFile, stamp: FileStamp) {
        if is_settled(&stamp, earlier.began) {
            self.keep(CachedEntry { stamp, entry: entry.clone() });
        }
    }

    /// The entry in a file that has this stamp, if that was read before and has not changed since. Keeps it.
    pub(super) fn unchanged(
        &mut self,
        earlier: &mut EarlierEntries,
        name: &str,
        stamp: &FileStamp,
    ) -> Option<EntryFile> {
        let cached = earlier.entries.remove(name).filter(|cached| cached.stamp == *stamp)?;
        let entry = cached.entry.clone();
        self.keep(cached);
        Some(entry)
    }
}

/// The entries that were kept when a folder began to be read again.
pub(super) struct EarlierEntries {
    entries: HashMap<String, CachedEntry>,
    began: SystemTime,
}

/// Whether a change after `now` gives the file another stamp.
fn is_settled(stamp: &FileStamp, now: SystemTime) -> bool {
    let tick = if stamp.changed.subsec_nanos == 0 { COARSE_TICK } else { FINE_TICK };
    now.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|now| {
        let Ok(seconds) = u64::try_from(stamp.changed.seconds) else { return false };
        now > Duration::new(seconds, stamp.changed.subsec_nanos) + tick
    })
}

/// Whether the clock of the day was set back between these two moments. Files may get times then that they
/// have had before.
fn was_set_back(before: (SystemTime, Instant), now: (SystemTime, Instant)) -> bool {
    let passed = now.1.saturating_duration_since(before.1);
    now.0.duration_since(before.0).map_or(true, |shown| shown + CLOCK_TOLERANCE < passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::entry_file::{self, FoundFile};

    fn folder_with_entry() -> (tempfile::TempDir, FolderPaths) {
        let dir = tempfile::tempdir().unwrap();
        let paths = FolderPaths::resolve(&dir.path().join("registry")).unwrap();
        std::fs::create_dir_all(&paths.entries).unwrap();
        let mut file = File::create(paths.entry("app.json")).unwrap();
        std::io::Write::write_all(&mut file, b"{}").unwrap();
        (dir, paths)
    }

    fn read(paths: &FolderPaths) -> (EntryFile, FileStamp) {
        let (found, stamp) = entry_file::read_with_stamp(paths, "app.json");
        let FoundFile::Entry(entry) = found else { panic!("{found:?}") };
        (entry, stamp.unwrap())
    }

    #[cfg(unix)]
    #[test]
    fn an_entry_is_kept_once_its_times_are_over_and_until_its_file_changes() {
        let (_dir, paths) = folder_with_entry();
        let mut cached = CachedEntries::default();
        let (entry, stamp) = read(&paths);
        let mut earlier = cached.begin();
        cached.add(&earlier, &entry, stamp);
        assert!(cached.entries.is_empty(), "it could change without a trace");
        earlier.began += COARSE_TICK;
        cached.add(&earlier, &entry, stamp);
        for _ in 0..2 {
            earlier = cached.begin();
            assert!(cached.unchanged(&mut earlier, "app.json", &stamp).is_some());
        }
        earlier = cached.begin();
        sys::set_modified(
            &sys::open_existing(&paths.entry("app.json")).unwrap(),
            SystemTime::now() + Duration::from_secs(1),
        )
        .unwrap();
        let (_, renewed) = read(&paths);
        assert!(cached.unchanged(&mut earlier, "app.json", &renewed).is_none());
        assert!(cached.entries.is_empty() && cached.bytes == 0);
    }

    #[test]
    fn a_stamp_is_settled_after_a_tick_of_its_file_system() {
        let at = |ms: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        let stamp = |subsec_nanos| {
            let (_dir, paths) = folder_with_entry();
            let mut stamp = read(&paths).1;
            (stamp.changed.seconds, stamp.changed.subsec_nanos) = (10, subsec_nanos);
            stamp
        };
        if sys::FILES_HAVE_STAMPS {
            assert!(!is_settled(&stamp(5), at(10_099)) && is_settled(&stamp(5), at(10_101)));
            assert!(!is_settled(&stamp(0), at(12_999)) && is_settled(&stamp(0), at(13_001)));
            assert!(!is_settled(&stamp(5), at(9_000)), "its clock is ahead of this one");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_is_noticed_and_one_that_is_slewed_is_none() {
        let (day, steady) = (SystemTime::now(), Instant::now());
        let after = |day_ms: i64, steady_ms: u64| {
            let shift = Duration::from_millis(day_ms.unsigned_abs());
            let day = if day_ms < 0 { day - shift } else { day + shift };
            (day, steady + Duration::from_millis(steady_ms))
        };
        let before = (day, steady);
        assert!(was_set_back(before, after(-1, 0)) && was_set_back(before, after(500, 1_000)));
        for now in [after(0, 0), after(1_000, 1_000), after(995, 1_000), after(60_000, 1_000)] {
            assert!(!was_set_back(before, now));
        }
    }

    #[test]
    fn only_so_many_folders_and_bytes_are_kept() {
        let (_dir, paths) = folder_with_entry();
        let folders: Vec<_> = (0..MAX_FOLDERS + 3)
            .map(|number| {
                let mut paths = paths.clone();
                paths.root = paths.root.join(number.to_string());
                of_folder(&paths)
            })
            .collect();
        assert!(FOLDERS.lock().unwrap().len() <= MAX_FOLDERS);
        assert_eq!(
            folders.iter().flatten().count(),
            folders.len() * usize::from(sys::FILES_HAVE_STAMPS)
        );
    }
}
