//! The folders to watch for a file, and the names in them that decide where the file's path leads. A
//! watch of these folders reports every change of the file, even if the file does not exist yet.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::files::paths::LINK_LIMIT;
use crate::sys;

/// Whether the system reports only changes directly in a watched folder. macOS reports all changes
/// below it, at any depth: a home folder that is watched for one name would wake the watch for every
/// change in it. So only the required folders are watched there.
const EVENTS_ARE_SHALLOW: bool = !cfg!(target_os = "macos");

/// The role of a name in the watched path. Of two roles of one name, the greater counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PathRole {
    /// The file itself.
    File,
    /// A folder or symbolic link through which the path leads, or a missing one: its change may make
    /// the path lead elsewhere.
    Intermediate,
}

/// Whether a folder must be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Requirement {
    /// The folder is watched if the system permits it.
    Optional,
    /// Changes of the file would be missed without a watch of the folder.
    Required,
}

/// The folders to watch for a path, and the names that count in them.
///
/// A name counts in every folder in which it occurs. An event for that name in a folder that the path
/// does not lead through costs one needless read. In return, the system need not report a folder by the
/// path under which it is watched.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct WatchedPath {
    pub(crate) folders: BTreeMap<PathBuf, Requirement>,
    pub(crate) names: HashMap<OsString, PathRole>,
    /// The name of a folder in which every file counts. Linux reports that a file was dated by the name
    /// under which it was opened, which may be that of a temp file that is gone.
    with_files: Option<OsString>,
}

impl WatchedPath {
    /// Like [`resolve`](Self::resolve), for a folder and the files in it.
    pub(crate) fn resolve_with_files(folder: &Path) -> Self {
        let mut watched = WatchedPath::resolve(folder);
        let Some(name) = folder.file_name() else { return watched };
        // A folder that was replaced has to be watched anew.
        watched.add_name(name, PathRole::Intermediate);
        if let Ok(folder) = sys::canonicalize(folder) {
            watched.with_files = folder.file_name().map(comparable);
            watched.add_folder(&folder, Requirement::Required);
        }
        watched
    }

    /// Follows an absolute path as far as it exists now. Includes every symbolic link, since each can be
    /// pointed elsewhere. Ends at the file, or at the first component that is missing.
    pub(crate) fn resolve(path: &Path) -> Self {
        let mut watched = WatchedPath::default();
        let mut at = PathBuf::new();
        let mut rest = path.to_path_buf();
        let mut links = 0;
        loop {
            let mut components = rest.components();
            let Some(component) = components.next() else { return watched };
            let after = components.as_path().to_path_buf();
            let is_last = after.as_os_str().is_empty();
            match component {
                Component::Prefix(_) | Component::RootDir => at.push(component),
                Component::CurDir => {}
                Component::ParentDir => {
                    at.pop();
                }
                Component::Normal(name) => {
                    let here = at.join(name);
                    if let Ok(target) = fs::read_link(&here) {
                        if is_last {
                            watched.add(&at, name, PathRole::Intermediate, Requirement::Required);
                        } else if EVENTS_ARE_SHALLOW {
                            watched.add(&at, name, PathRole::Intermediate, Requirement::Optional);
                        }
                        links += 1;
                        // The links form a loop. The read of the file fails with that error.
                        if links > LINK_LIMIT {
                            return watched;
                        }
                        rest = target.join(after);
                        continue;
                    }
                    // A component that can't be looked at counts as missing. The read of the file
                    // fails with the system's error.
                    let exists = fs::symlink_metadata(&here).is_ok();
                    if is_last || !exists {
                        let role = if is_last { PathRole::File } else { PathRole::Intermediate };
                        watched.add(&at, name, role, Requirement::Required);
                        return watched;
                    }
                    at = here;
                }
            }
            rest = after;
        }
    }

    fn add(&mut self, folder: &Path, name: &OsStr, role: PathRole, requirement: Requirement) {
        self.add_name(name, role);
        self.add_folder(folder, requirement);
        let Some(folder_name) = folder.file_name() else { return };
        self.add_name(folder_name, PathRole::Intermediate);
        // The system does not always report the end of a watched folder: Linux does not while a process
        // has the folder open or as its current folder, and Windows never does. The parent folder
        // reports it.
        if let Some(parent) = folder.parent().filter(|_| EVENTS_ARE_SHALLOW) {
            self.add_folder(parent, Requirement::Optional);
            // The parent may be moved as well, and both may be created again.
            if let Some(parent_name) = parent.file_name() {
                self.add_name(parent_name, PathRole::Intermediate);
            }
        }
    }

    fn add_folder(&mut self, folder: &Path, requirement: Requirement) {
        let known = self.folders.entry(folder.to_path_buf()).or_insert(requirement);
        *known = requirement.max(*known);
    }

    fn add_name(&mut self, name: &OsStr, role: PathRole) {
        let known = self.names.entry(comparable(name)).or_insert(role);
        *known = role.max(*known);
    }

    /// The role of a path that the system reports; `None` if a change of it does not matter.
    pub(crate) fn role_of(&self, reported: &Path) -> Option<PathRole> {
        let name = reported.file_name()?;
        let is_in = |folder: &OsString| {
            let parent = reported.parent().and_then(Path::file_name).map(comparable);
            parent.as_ref() == Some(folder)
        };
        let in_folder = self.with_files.as_ref().filter(|folder| is_in(folder));
        self.names.get(&comparable(name)).copied().max(in_folder.map(|_| PathRole::File))
    }
}

/// A name in the form in which names are compared. Where the file system ignores case, the system may
/// report a name in another case than the path has.
fn comparable(name: &OsStr) -> OsString {
    if cfg!(any(windows, target_os = "macos")) {
        name.to_ascii_lowercase()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(watched: &WatchedPath) -> Vec<&Path> {
        let folders = watched.folders.iter();
        let required = folders.filter(|(_, requirement)| **requirement == Requirement::Required);
        required.map(|(folder, _)| folder.as_path()).collect()
    }

    #[test]
    fn a_path_is_followed_to_the_file_or_to_the_first_missing_component() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        let path = real.join("a").join("b").join("registry.json");
        for (folder, name) in [(real.clone(), "a"), (real.join("a"), "b")] {
            let watched = WatchedPath::resolve(&path);
            assert_eq!(required(&watched), [folder.as_path()]);
            assert_eq!(watched.role_of(&folder.join(name)), Some(PathRole::Intermediate));
            assert_eq!(watched.role_of(&folder), Some(PathRole::Intermediate));
            assert_eq!(watched.role_of(Path::new("registry.json.guard")), None);
            fs::create_dir(folder.join(name)).unwrap();
        }
        let missing = WatchedPath::resolve(&path);
        assert_eq!(required(&missing), [real.join("a").join("b")]);
        assert_eq!(missing.role_of(&path), Some(PathRole::File));
        assert_eq!(missing.role_of(Path::new("registry.json.lock")), None);
        fs::File::create(&path).unwrap();
        assert_eq!(WatchedPath::resolve(&path), missing);
    }

    #[cfg(unix)]
    #[test]
    fn every_symbolic_link_in_a_path_is_watched() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        for folder in ["one", "two", "three"] {
            fs::create_dir(real.join(folder)).unwrap();
        }
        symlink("../two/second", real.join("one/first")).unwrap();
        symlink(real.join("folder/file"), real.join("two/second")).unwrap();
        symlink("three", real.join("folder")).unwrap();
        symlink("loop", real.join("loop")).unwrap();
        let watched = WatchedPath::resolve(&real.join("one/../one/./first"));
        let folders = ["one", "three", "two"].map(|name| real.join(name));
        assert_eq!(required(&watched), folders);
        for name in ["first", "second", "three"] {
            assert_eq!(watched.role_of(Path::new(name)), Some(PathRole::Intermediate), "{name}");
        }
        assert_eq!(watched.role_of(Path::new("folder")).is_some(), EVENTS_ARE_SHALLOW);
        assert_eq!(watched.role_of(Path::new("file")), Some(PathRole::File));
        assert_eq!(required(&WatchedPath::resolve(&real.join("loop"))), [real.as_path()]);
    }
}
