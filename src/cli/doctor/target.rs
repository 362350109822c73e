//! What the doctor examines: a folder, and perhaps one file in it.

use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use argus_registry::{
    canonicalize, shell_quoted, write_obstacle, WriteObstacle, MAX_CONTENT_BYTES,
};

use super::report::DoctorCheck;
use crate::cli::exit::hint;
use crate::cli::lock_target::add_extension;

/// As many symbolic links as Linux follows before it reports a loop.
const MAX_SYMLINKS: u32 = 40;

pub(super) struct DoctorTarget {
    pub(super) folder: PathBuf,
    /// A registry or a document, which need not exist; `None` if the folder itself was named.
    pub(super) file: Option<PathBuf>,
}

impl DoctorTarget {
    /// Finds the file that a path names, through symbolic links, as every update does.
    ///
    /// # Errors
    ///
    /// A failed check if there is no such folder, or if the path names neither a file nor a folder.
    pub(super) fn find(path: &Path) -> Result<Self, DoctorCheck> {
        let mut path = path.to_path_buf();
        for _ in 0..MAX_SYMLINKS {
            match canonicalize(&path) {
                Ok(found) if found.is_dir() => {
                    return Ok(DoctorTarget { folder: found, file: None })
                }
                Ok(found) if !found.is_file() => {
                    let message = format!("{} is neither a file nor a folder", found.display());
                    return Err(DoctorCheck::fail("path", message)
                        .next("name a registry, a document or a folder"));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let message = format!("{} can't be examined: {error}", path.display());
                    return Err(DoctorCheck::fail("path", message)
                        .next("check the path, and the rights on each folder of it"));
                }
                _ => {}
            }
            let Some(name) = path.file_name() else { break };
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            let folder = match canonicalize(parent) {
                Ok(folder) if folder.is_dir() => folder,
                Ok(_) => return Err(missing(parent, "is not a folder")),
                Err(error) => return Err(missing(parent, &format!("can't be used: {error}"))),
            };
            match fs::read_link(folder.join(name)) {
                Ok(target) => path = folder.join(target),
                Err(_) => {
                    let file = folder.join(name);
                    // A guard or a lock file stands for its folder: hints name such files.
                    let carries_a_lock = file
                        .extension()
                        .is_some_and(|ending| ending == "guard" || ending == "lock");
                    return Ok(DoctorTarget { file: (!carries_a_lock).then_some(file), folder });
                }
            }
        }
        let message = format!("{} names no file", path.display());
        Err(DoctorCheck::fail("path", message).next("name a registry, a document or a folder"))
    }

    /// Checks which of the existing files this user may read and lock.
    pub(super) fn check_access(&self) -> Vec<DoctorCheck> {
        let Some(file) = &self.file else { return Vec::new() };
        let shown = file.display();
        let mut checks = vec![match File::open(file).and_then(|file| file.metadata()) {
            Ok(found) if found.len() > MAX_CONTENT_BYTES => {
                let message = format!(
                    "{shown} has {} bytes, more than the {MAX_CONTENT_BYTES} that are read, so every \
                     call on it fails",
                    found.len()
                );
                DoctorCheck::fail("read", message).next("make it smaller or move it away")
            }
            Ok(_) => DoctorCheck::ok("read", format!("{shown} can be read by this user")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DoctorCheck::ok("read", format!("{shown} does not exist yet"))
            }
            Err(error) => {
                let message = format!("{shown} can't be read by this user: {error}");
                DoctorCheck::fail("read", message).next("give this user the right to read the file")
            }
        }];
        checks.extend(write_hindrance(file));
        for lock in self.lock_files() {
            let Ok(found) = fs::symlink_metadata(&lock) else { continue };
            if !found.is_file() {
                checks.push(not_a_file(&lock, found.file_type()));
                continue;
            }
            let opened = || OpenOptions::new().read(true).write(true).open(&lock);
            if let Err(error) = opened() {
                let message = format!(
                    "{} can't be opened for writing by this user ({error}), so this user's updates \
                     fail",
                    lock.display()
                );
                let next =
                    "give this user the right to write this file, and leave the file in place";
                checks.push(DoctorCheck::fail("access", message).next(next));
            } else if is_less_open(&lock, file) {
                let message = format!(
                    "{} may be written by fewer users than {shown}, so the updates of the others \
                     fail",
                    lock.display()
                );
                let next = format!("run `chmod {} {}`", mode_of(file), shell_quoted(&lock));
                checks.push(DoctorCheck::warn("access", message).next(next));
            }
        }
        checks
    }

    /// The paths of the files that updates lock or create; not each of them exists. Only a file without
    /// a guard can be a document with a lock file.
    fn lock_files(&self) -> Vec<PathBuf> {
        let Some(file) = &self.file else { return Vec::new() };
        let (guard, lockfile) = (add_extension(file, "guard"), add_extension(file, "lock"));
        let candidates = match guard.is_file() {
            true => [guard, lockfile],
            false => [guard, file.with_extension("lock")],
        };
        candidates.into_iter().filter(|lock| lock != file).collect()
    }

    /// The path to name in hints.
    pub(super) fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(&self.folder)
    }
}

/// A failed check if the file can't be replaced whatever its owner and mode are.
fn write_hindrance(file: &Path) -> Option<DoctorCheck> {
    Some(match write_obstacle(file)? {
        WriteObstacle::MountPoint => {
            let message = format!(
                "{} is a mount point of its own, as a container's bind mount of a single file: it can't be \
                 replaced, so every update fails",
                file.display()
            );
            DoctorCheck::fail("mount", message).next("mount its folder instead")
        }
        WriteObstacle::Attribute { what, command } => {
            let message = format!("{what}, so every update fails");
            DoctorCheck::fail("access", message).next(format!("run `{command}`"))
        }
    })
}

/// Whether a lock file lacks a right to write that the file has which it protects.
#[cfg(unix)]
fn is_less_open(lock: &Path, file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let writers = |path| fs::metadata(path).map(|found| found.mode() & 0o022);
    matches!((writers(lock), writers(file)), (Ok(lock), Ok(file)) if file & !lock != 0)
}

/// A file's mode, as `chmod` takes it.
#[cfg(unix)]
fn mode_of(file: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(file)
        .map_or_else(|_| "u+rw".to_owned(), |found| format!("{:o}", found.mode() & 0o777))
}

/// Not asked for: no lock file counts as less open there.
#[cfg(not(unix))]
fn mode_of(_file: &Path) -> String {
    String::new()
}

/// Always false: on Windows a file's permissions come from its folder.
#[cfg(not(unix))]
fn is_less_open(_lock: &Path, _file: &Path) -> bool {
    false
}

/// The failed check of a lock's file that is not a regular file: every update fails on it.
fn not_a_file(lock: &Path, kind: FileType) -> DoctorCheck {
    let kind = match kind {
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_dir() => "a folder",
        _ => "not a regular file",
    };
    let message = format!("{} is {kind}, so every update fails", lock.display());
    DoctorCheck::fail("access", message).next("move it away; the next update creates the file")
}

fn missing(folder: &Path, problem: &str) -> DoctorCheck {
    let next = format!(
        "create it (as the first update of a file in it would), then {} again",
        hint(&["doctor"], folder)
    );
    DoctorCheck::fail("folder", format!("{} {problem}", folder.display())).next(next)
}
