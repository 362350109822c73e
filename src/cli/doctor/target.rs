//! What the doctor is asked about: a folder, and perhaps one file in it.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::report::Check;
use crate::exit::hint;
use crate::target::beside;

/// As many symbolic links as Linux follows before it calls them a loop.
const LINK_LIMIT: u32 = 40;

pub(super) struct Target {
    pub(super) folder: PathBuf,
    /// A registry or a document, which need not exist.
    pub(super) file: Option<PathBuf>,
}

impl Target {
    /// Follows symbolic links to the file itself, as every update does.
    pub(super) fn find(path: &Path) -> Result<Self, Check> {
        let mut path = path.to_path_buf();
        for _ in 0..LINK_LIMIT {
            match fs::canonicalize(&path) {
                Ok(found) if found.is_dir() => return Ok(Target { folder: found, file: None }),
                Ok(found) if !found.is_file() => {
                    let message = format!("{} is neither a file nor a folder", found.display());
                    return Err(Check::fail("path", message)
                        .next("name a registry, a document or a folder"));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let message = format!("{} can't be looked at: {error}", path.display());
                    return Err(Check::fail("path", message)
                        .next("check the path, and the rights on each folder of it"));
                }
                _ => {}
            }
            let Some(name) = path.file_name() else { break };
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            let folder = match fs::canonicalize(parent) {
                Ok(folder) if folder.is_dir() => folder,
                Ok(_) => return Err(missing(parent, "is not a folder")),
                Err(error) => return Err(missing(parent, &format!("can't be used: {error}"))),
            };
            match fs::read_link(folder.join(name)) {
                Ok(target) => path = folder.join(target),
                Err(_) => {
                    let file = folder.join(name);
                    // Of the files that carry locks, the folder tells more than they do.
                    let carries_a_lock = file
                        .extension()
                        .is_some_and(|ending| ending == "guard" || ending == "lock");
                    return Ok(Target { file: (!carries_a_lock).then_some(file), folder });
                }
            }
        }
        let message = format!("{} names no file", path.display());
        Err(Check::fail("path", message).next("name a registry, a document or a folder"))
    }

    /// What this user may do with the files that are there.
    pub(super) fn access(&self) -> Vec<Check> {
        let Some(file) = &self.file else { return Vec::new() };
        let shown = file.display();
        let mut checks = vec![match fs::read(file) {
            Ok(_) => Check::ok("read", format!("{shown} can be read by this user")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Check::ok("read", format!("{shown} does not exist yet"))
            }
            Err(error) => {
                let message = format!("{shown} can't be read by this user: {error}");
                Check::fail("read", message).next("give it the right to read the file")
            }
        }];
        for lock in self.lock_files() {
            let is_file = fs::symlink_metadata(&lock).is_ok_and(|found| found.is_file());
            let opened = || OpenOptions::new().read(true).write(true).open(&lock);
            if let Some(error) = is_file.then(opened).and_then(Result::err) {
                let message = format!(
                    "{} can't be opened for writing by this user ({error}), so its updates fail",
                    lock.display()
                );
                let next = "give it the right to write this file, and leave the file where it is";
                checks.push(Check::fail("access", message).next(next));
            }
        }
        checks
    }

    /// The files that carry its kernel lock, whichever of them there is.
    fn lock_files(&self) -> Vec<PathBuf> {
        let Some(file) = &self.file else { return Vec::new() };
        let candidates = [beside(file, "guard"), file.with_extension("lock")];
        candidates.into_iter().filter(|lock| lock != file).collect()
    }

    /// What was asked about, for hints.
    pub(super) fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(&self.folder)
    }
}

fn missing(folder: &Path, what: &str) -> Check {
    let next = format!(
        "make it (the first update of a file in it does that, too), then {} again",
        hint(&["doctor"], folder)
    );
    Check::fail("folder", format!("{} {what}", folder.display())).next(next)
}
