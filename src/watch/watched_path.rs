//! The way to a file: in which folders which names decide what a path stands for. Whoever watches
//! these learns of every change of the file, whether it is there yet or not.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::files::paths::LINK_LIMIT;

/// macOS reports everything below a folder, however deep. A home folder that is watched for one
/// name would wake the watch with all that is done in it, so there only what must be is watched.
const FOLDERS_ARE_CHEAP: bool = !cfg!(target_os = "macos");

/// What a name is to the path, the graver last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PathRole {
    /// The file itself.
    File,
    /// A folder or a symbolic link on the way, or what is missing there: a change of it may lead
    /// the path elsewhere.
    Way,
}

/// Whether a folder has to be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// If that is allowed.
    Helpful,
    /// Or changes of the file are missed.
    Required,
}

/// Folders to watch, and the names in them that count.
///
/// The names count in whichever folder they are met: one that is met in another costs a look, and
/// no system has to name its folders as we do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) folders: BTreeMap<PathBuf, Need>,
    pub(crate) names: HashMap<OsString, PathRole>,
}

impl Route {
    /// The way to an absolute path, as far as it goes right now. It follows every symbolic link,
    /// since each can be pointed elsewhere, and ends at the file or at the first thing missing.
    pub(crate) fn to(path: &Path) -> Self {
        let mut route = Route::default();
        let mut at = PathBuf::new();
        let mut rest = path.to_path_buf();
        let mut links = 0;
        loop {
            let mut parts = rest.components();
            let Some(part) = parts.next() else { return route };
            let after = parts.as_path().to_path_buf();
            let is_last = after.as_os_str().is_empty();
            match part {
                Component::Prefix(_) | Component::RootDir => at.push(part),
                Component::CurDir => {}
                Component::ParentDir => {
                    at.pop();
                }
                Component::Normal(name) => {
                    let here = at.join(name);
                    if let Ok(target) = fs::read_link(&here) {
                        if is_last {
                            route.add(&at, name, PathRole::Way, Need::Required);
                        } else if FOLDERS_ARE_CHEAP {
                            route.add(&at, name, PathRole::Way, Need::Helpful);
                        }
                        links += 1;
                        // A loop: who reads the file is told so.
                        if links > LINK_LIMIT {
                            return route;
                        }
                        rest = target.join(after);
                        continue;
                    }
                    // What can't be looked at is treated as missing: who reads the file is told.
                    let is_there = fs::symlink_metadata(&here).is_ok();
                    if is_last || !is_there {
                        let part = if is_last { PathRole::File } else { PathRole::Way };
                        route.add(&at, name, part, Need::Required);
                        return route;
                    }
                    at = here;
                }
            }
            rest = after;
        }
    }

    fn add(&mut self, folder: &Path, name: &OsStr, part: PathRole, need: Need) {
        self.add_name(name, part);
        self.add_folder(folder, need);
        let Some(own_name) = folder.file_name() else { return };
        self.add_name(own_name, PathRole::Way);
        // A folder does not always tell of its own end: Linux is silent as long as somebody has it
        // open or stands in it, Windows is always. The folder around it tells.
        if let Some(around) = folder.parent().filter(|_| FOLDERS_ARE_CHEAP) {
            self.add_folder(around, Need::Helpful);
            // That one may be moved, too, and all of it be made anew.
            if let Some(its_name) = around.file_name() {
                self.add_name(its_name, PathRole::Way);
            }
        }
    }

    fn add_folder(&mut self, folder: &Path, need: Need) {
        let known = self.folders.entry(folder.to_path_buf()).or_insert(need);
        *known = need.max(*known);
    }

    fn add_name(&mut self, name: &OsStr, part: PathRole) {
        let known = self.names.entry(key(name)).or_insert(part);
        *known = part.max(*known);
    }

    /// What a path that the system reports is to this route; `None` if it is nothing to it.
    pub(crate) fn part(&self, reported: &Path) -> Option<PathRole> {
        self.names.get(&key(reported.file_name()?)).copied()
    }
}

/// A name as it is compared: where case makes no difference, the system may report another than
/// the path has.
fn key(name: &OsStr) -> OsString {
    if cfg!(any(windows, target_os = "macos")) {
        name.to_ascii_lowercase()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(route: &Route) -> Vec<&Path> {
        let required = route.folders.iter().filter(|(_, need)| **need == Need::Required);
        required.map(|(folder, _)| folder.as_path()).collect()
    }

    #[test]
    fn the_way_ends_at_the_file_or_at_the_first_thing_missing() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        let path = real.join("a").join("b").join("registry.json");
        for (folder, name, part) in
            [(real.clone(), "a", PathRole::Way), (real.join("a"), "b", PathRole::Way)]
        {
            let route = Route::to(&path);
            assert_eq!(required(&route), [folder.as_path()]);
            assert_eq!(route.part(&folder.join(name)), Some(part));
            assert_eq!(route.part(&folder), Some(PathRole::Way));
            assert_eq!(route.part(Path::new("registry.json.guard")), None);
            fs::create_dir(folder.join(name)).unwrap();
        }
        let missing = Route::to(&path);
        assert_eq!(required(&missing), [real.join("a").join("b")]);
        assert_eq!(missing.part(&path), Some(PathRole::File));
        assert_eq!(missing.part(Path::new("registry.json.lock")), None);
        fs::File::create(&path).unwrap();
        assert_eq!(Route::to(&path), missing);
    }

    #[cfg(unix)]
    #[test]
    fn every_link_on_the_way_counts() {
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
        let route = Route::to(&real.join("one/../one/./first"));
        let folders = ["one", "three", "two"].map(|name| real.join(name));
        assert_eq!(required(&route), folders);
        for name in ["first", "second", "three"] {
            assert_eq!(route.part(Path::new(name)), Some(PathRole::Way), "{name}");
        }
        assert_eq!(route.part(Path::new("folder")).is_some(), FOLDERS_ARE_CHEAP);
        assert_eq!(route.part(Path::new("file")), Some(PathRole::File));
        assert_eq!(required(&Route::to(&real.join("loop"))), [real.as_path()]);
    }
}
