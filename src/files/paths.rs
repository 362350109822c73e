//! The path of a shared file with symbolic links resolved, and the names of the files beside it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{self, Path, PathBuf};

use crate::error::{Error, Result};
use crate::sys::{self, ListedKind};
use crate::util::panic_test::panic_if_asked;

/// The longest name of a shared file. File systems limit a name to 255 bytes, and a temp file's
/// name is that of its shared file with a nonce and punctuation added.
const MAX_NAME_BYTES: usize = 255 - (NONCE_DIGITS + "..".len() + ".tmp".len());

/// How many symbolic links are followed before they count as a loop, as in Linux.
pub(crate) const LINK_LIMIT: u32 = 40;

/// A shared file and the files beside it. All paths of one file resolve to equal values.
#[derive(Debug, Clone)]
pub(crate) struct FilePaths {
    pub(crate) target: PathBuf,
    pub(crate) folder: PathBuf,
    /// The guard: a permanent file, which carries the kernel lock of a registry.
    pub(crate) guard: PathBuf,
    /// The lockfile: it exists exactly while a registry's lock is held, for programs that know no
    /// other lock.
    pub(crate) lockfile: PathBuf,
    /// The path that the caller passed, if that is not `target`.
    given: Option<PathBuf>,
}

impl FilePaths {
    /// Follows symbolic links to the file itself, so that all paths of one file lead to one lock.
    /// Neither the file nor its folder need exist. Errors name the path as it was passed.
    pub(crate) fn resolve(path: &Path) -> Result<Self> {
        panic_if_asked("resolve", path);
        let resolved = Self::follow_links(path);
        let mut paths = resolved.map_err(|error| error.map_paths(|_| path.to_path_buf()))?;
        paths.given = (paths.target != path).then(|| path.to_path_buf());
        Ok(paths)
    }

    fn follow_links(path: &Path) -> Result<Self> {
        let invalid = |reason: &str| Error::InvalidValue {
            path: path.to_path_buf(),
            reason: reason.to_owned(),
        };
        if path.as_os_str().is_empty() {
            return Err(invalid("the path is empty"));
        }
        let last = path.as_os_str().as_encoded_bytes().last();
        if last.is_some_and(|last| path::is_separator(char::from(*last))) {
            return Err(invalid("the path names a folder"));
        }
        if sys::names_a_stream(path) {
            return Err(invalid("the path names a stream of a file"));
        }
        // Most paths need no resolving, which on Linux a single system call shows.
        let is_resolved = is_normalized(path)
            && sys::metadata_without_links(path).is_some_and(|found| found.is_file());
        if is_resolved {
            return Self::of_resolved(path);
        }
        if let Ok(resolved) = sys::canonicalize(path) {
            // A file that was deleted since `canonicalize` counts as missing, not as another kind
            // of file.
            match sys::retry_while_busy(&resolved, || fs::metadata(&resolved)) {
                Ok(metadata) if metadata.is_file() => return Self::of_target(resolved),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Self::of_target(resolved)
                }
                Err(error) => return Err(Error::from_io(&resolved, "look at", error)),
                Ok(_) => {
                    return Err(Error::Io {
                        path: resolved,
                        operation: "use",
                        source: io::Error::other("it is not a regular file"),
                    })
                }
            }
        }
        // A part of the path does not exist: follow the links that do.
        let mut current =
            path::absolute(path).map_err(|error| Error::from_io(path, "resolve", error))?;
        for _ in 0..LINK_LIMIT {
            let name = current.file_name().ok_or_else(|| invalid("the path names no file"))?;
            let folder = current.parent().ok_or_else(|| invalid("the path names no file"))?;
            let folder = canonicalize_existing_part(folder);
            let file = folder.join(name);
            match fs::read_link(&file) {
                Ok(target) => current = folder.join(target),
                Err(_) if sys::NAMES_IGNORE_CASE => {
                    return Self::of_target(spelled_as_its_siblings(file))
                }
                Err(_) => return Self::of_target(file),
            }
        }
        Err(Error::Io {
            path: path.to_path_buf(),
            operation: "resolve",
            source: io::Error::other("it leads through too many symbolic links, perhaps in a loop"),
        })
    }

    /// A path of the file, or of a file beside it, as the caller spelled the folder. A path in another
    /// folder than the caller's, as beside the target of a link, is returned as it is.
    pub(crate) fn as_given(&self, path: &Path) -> PathBuf {
        let Some(given) = &self.given else { return path.to_path_buf() };
        // Also for an error that names the file as its caller does already.
        if path == self.target || path == given {
            return given.clone();
        }
        // If the caller's path is itself a link, its target's name or folder is another.
        let is_in_folder = given.file_name() == self.target.file_name() && !given.is_symlink();
        let folder = given.parent().filter(|_| is_in_folder);
        match (folder, path.strip_prefix(&self.folder)) {
            (Some(folder), Ok(name)) if !name.as_os_str().is_empty() => folder.join(name),
            (Some(folder), Ok(_)) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => path.to_path_buf(),
        }
    }

    /// An error that names its paths as the caller spelled them.
    pub(crate) fn error_as_given(&self, error: Error) -> Error {
        error.map_paths(|path| self.as_given(path))
    }

    /// The lock file that a document at this path has by default: `path.with_extension("lock")`, as
    /// in veil.
    pub(crate) fn document_lock_file(&self) -> PathBuf {
        self.target.with_extension("lock")
    }

    /// Like [`resolve`](Self::resolve), for a path that `resolve` has returned before.
    pub(crate) fn of_resolved(target: &Path) -> Result<Self> {
        Self::of_target(target.to_path_buf())
    }

    fn of_target(target: PathBuf) -> Result<Self> {
        let invalid = |reason| Error::InvalidValue { path: target.clone(), reason };
        let (Some(name), Some(folder)) = (target.file_name(), target.parent()) else {
            return Err(invalid("the path names no file".to_owned()));
        };
        if name.len() > MAX_NAME_BYTES {
            let reason = format!(
                "its name has {} bytes; at most {MAX_NAME_BYTES} leave room for the names of the files \
                 beside it",
                name.len()
            );
            return Err(invalid(reason));
        }
        let with = |ending: &str| {
            let mut path = target.clone().into_os_string();
            path.push(ending);
            PathBuf::from(path)
        };
        Ok(FilePaths {
            guard: with(".guard"),
            lockfile: with(".lock"),
            folder: folder.to_path_buf(),
            target,
            given: None,
        })
    }

    /// The lock of a folder, with the folder in which what it protects is, and the path of the locked
    /// folder as the caller passed it. Its guard is `.guard` in the locked folder.
    pub(crate) fn of_folder(folder: &Path, protected: &Path, given: &Path) -> Self {
        FilePaths {
            target: protected.to_path_buf(),
            folder: folder.to_path_buf(),
            guard: folder.join(".guard"),
            lockfile: folder.join(".lock"),
            given: Some(given.to_path_buf()),
        }
    }

    /// The path of a temp file, for the holder of the lock whose nonce this is.
    pub(crate) fn temp(&self, nonce: &str) -> PathBuf {
        let mut name = temp_prefix(self.name());
        name.push(nonce);
        name.push(".tmp");
        self.folder.join(name)
    }

    /// The path under which content that can't be parsed is kept when it is replaced.
    pub(crate) fn kept_copy(&self, unix_ms: u64, nonce: &str) -> PathBuf {
        let mut name = self.name().to_owned();
        name.push(format!(".corrupt-{unix_ms}-{}", &nonce[..KEPT_COPY_DIGITS]));
        self.folder.join(name)
    }

    /// The temp files beside the file. Those whose makers are gone are litter.
    pub(crate) fn leftover_temps(&self) -> io::Result<Vec<PathBuf>> {
        let prefix = temp_prefix(self.name());
        self.siblings(|name| is_temp(name, &prefix))
    }

    /// The files beside the file in which content that could not be parsed is kept, oldest first. The
    /// number is when each was made, in milliseconds since 1970.
    pub(crate) fn kept_copies(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let copies = self.siblings(|name| kept_copy_date(name, self.name()).is_some())?;
        let date = |path: &Path| kept_copy_date(path.file_name()?, self.name());
        let mut copies: Vec<_> =
            copies.into_iter().filter_map(|path| Some((date(&path)?, path))).collect();
        copies.sort();
        Ok(copies)
    }

    /// The regular files in the folder whose names match. Anything else with such a name was not
    /// made by this crate.
    fn siblings(&self, matches: impl Fn(&OsStr) -> bool) -> io::Result<Vec<PathBuf>> {
        let names = sys::names_in(&self.folder)?.into_iter();
        let files = names.filter(|entry| entry.kind == ListedKind::File && matches(&entry.name));
        Ok(files.map(|entry| self.folder.join(entry.name)).collect())
    }

    fn name(&self) -> &OsStr {
        self.target.file_name().expect("a resolved path has a file name")
    }
}

/// Whether a path is that of a folder: it ends in a separator, or there is a folder.
pub(crate) fn is_folder(path: &Path) -> bool {
    let last = path.as_os_str().as_encoded_bytes().last();
    last.is_some_and(|last| path::is_separator(char::from(*last))) || path.is_dir()
}

/// Whether a path of Unix is absolute and has no `.`, `..` or `//` in it.
fn is_normalized(path: &Path) -> bool {
    let parts = path.as_os_str().as_encoded_bytes().strip_prefix(b"/");
    parts.is_some_and(|parts| {
        parts.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
    })
}

/// Resolves the part of a folder's path that exists, so that two paths of a folder that is yet to
/// be created resolve to one.
pub(crate) fn canonicalize_existing_part(folder: &Path) -> PathBuf {
    let found = folder.ancestors().find_map(|at| Some((at, sys::canonicalize(at).ok()?)));
    match found {
        Some((existing, canonical)) => match folder.strip_prefix(existing) {
            Ok(rest) if rest.as_os_str().is_empty() => canonical,
            Ok(rest) => canonical.join(rest),
            Err(_) => folder.to_path_buf(),
        },
        None => folder.to_path_buf(),
    }
}

/// The path of a file that does not exist, with the name that its guard, its lockfile or its lock file has
/// on the disk, if that differs in the case of letters only. An existing file's own spelling is found with
/// its real path.
fn spelled_as_its_siblings(file: PathBuf) -> PathBuf {
    let Some(name) = file.file_name().and_then(OsStr::to_str) else { return file };
    let with = |ending: &str| file.with_file_name(format!("{name}{ending}"));
    let spelling = |sibling: PathBuf| {
        let sibling = sibling.file_name()?.to_str()?.to_owned();
        let found = sys::canonicalize(&file.with_file_name(&sibling)).ok()?;
        let found = found.file_name()?.to_str()?;
        let common = sibling.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let is_spelling = found.eq_ignore_ascii_case(&sibling);
        is_spelling.then(|| Some([found.get(..common)?, name.get(common..)?].concat()))?
    };
    let siblings = [with(".guard"), with(".lock"), file.with_extension("lock")];
    match siblings.into_iter().find_map(spelling) {
        Some(spelling) => file.with_file_name(spelling),
        None => file,
    }
}

/// What follows `prefix` in a name; `None` if the name does not begin with it. On some systems two names
/// are one if they differ in the case of letters only.
fn strip_prefix<'a>(name: &'a [u8], prefix: &[u8], ignore_case: bool) -> Option<&'a [u8]> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    let is_prefix = start == prefix || ignore_case && start.eq_ignore_ascii_case(prefix);
    is_prefix.then_some(rest)
}

fn temp_prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    prefix
}

fn is_temp(name: &OsStr, prefix: &OsStr) -> bool {
    let (name, prefix) = (name.as_encoded_bytes(), prefix.as_encoded_bytes());
    let nonce = strip_prefix(name, prefix, sys::NAMES_IGNORE_CASE)
        .and_then(|rest| rest.strip_suffix(b".tmp"));
    nonce
        .is_some_and(|nonce| nonce.len() == NONCE_DIGITS && nonce.iter().all(u8::is_ascii_hexdigit))
}

/// When the kept copy of this name was made, in milliseconds since 1970; `None` for any other name.
fn kept_copy_date(name: &OsStr, of: &OsStr) -> Option<u64> {
    let (name, of) = (name.as_encoded_bytes(), of.as_encoded_bytes());
    let rest = strip_prefix(name, of, sys::NAMES_IGNORE_CASE)?;
    let rest = std::str::from_utf8(rest.strip_prefix(b".corrupt-")?).ok()?;
    let (date, nonce) = rest.split_once('-')?;
    let is_nonce = nonce.len() == KEPT_COPY_DIGITS && nonce.bytes().all(|b| b.is_ascii_hexdigit());
    let is_date = date.bytes().all(|byte| byte.is_ascii_digit());
    (is_nonce && is_date).then(|| date.parse().ok()).flatten()
}

/// The name of the shared file to which a temp file, kept file, guard or lockfile of this name
/// belongs; `None` for any other name.
pub(crate) fn target_name_of(name: &str) -> Option<&str> {
    let of_temp = || {
        let of = &name.strip_prefix('.')?.strip_suffix(".tmp")?;
        let of = of.get(..of.len().checked_sub(NONCE_DIGITS + 1)?)?;
        is_temp(OsStr::new(name), &temp_prefix(OsStr::new(of))).then_some(of)
    };
    let of_kept_copy = || {
        let of = &name[..name.rfind(".corrupt-")?];
        kept_copy_date(OsStr::new(name), OsStr::new(of)).map(|_| of)
    };
    let of_lock = || name.strip_suffix(".guard").or_else(|| name.strip_suffix(".lock"));
    of_temp().or_else(of_kept_copy).or_else(of_lock).filter(|of| !of.is_empty())
}

/// How many digits of a lock's nonce the name of a kept file has.
const KEPT_COPY_DIGITS: usize = 8;

/// How many hexadecimal digits a [`nonce`] has.
const NONCE_DIGITS: usize = 32;

/// A random name part, which no other program has used or can guess.
pub(crate) fn nonce() -> String {
    format!("{:0width$x}", u128::from_ne_bytes(sys::random()), width = NONCE_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temp_files_are_recognised_by_their_names_and_other_files_are_not() {
        let paths = FilePaths::of_target(PathBuf::from("/x/registry.json")).unwrap();
        let temp = paths.temp(&nonce());
        let prefix = temp_prefix(paths.name());
        assert!(is_temp(temp.file_name().unwrap(), &prefix));
        for other in [
            "registry.json",
            "registry.json.lock",
            ".registry.json.me.tmp",
            ".registry.json.2026.tmp",
            ".registry.json..tmp",
            ".registry.json.tmp",
        ] {
            assert!(!is_temp(OsStr::new(other), &prefix), "{other}");
        }
    }

    #[test]
    fn the_names_of_files_beside_a_file_lead_to_it_and_other_names_do_not() {
        let paths = FilePaths::of_target(PathBuf::from("/x/registry.json")).unwrap();
        for path in [
            paths.temp(&nonce()),
            paths.kept_copy(1_700_000_000_000, &nonce()),
            paths.guard.clone(),
            paths.lockfile.clone(),
        ] {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(target_name_of(name), Some("registry.json"), "{name}");
        }
        for other in [
            "registry.json",
            ".lock",
            ".guard",
            "..0123456789abcdef0123456789abcdef.tmp",
            ".é0123456789abcdef0123456789abcdef.tmp",
            ".registry.json.2026.tmp",
            "registry.json.corrupt-",
            "registry.json.corrupt-1-xyz",
            "registry.json.corrupt-x-01234567",
            "registry.json.corrupt-1",
            "registry.json.corrupt-1-0123456",
            ".corrupt-1-01234567",
            "registry.json.corrupt-99999999999999999999-01234567",
            "registry.json.corrupt-+1-01234567",
        ] {
            assert_eq!(target_name_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_temp_file_of_another_spelling_is_the_files_own_where_names_ignore_case() {
        let rest =
            |ignore_case| strip_prefix(b".Registry.json.0.tmp", b".registry.json.", ignore_case);
        assert_eq!(rest(true), Some(&b"0.tmp"[..]));
        assert_eq!(rest(false), None);
        assert_eq!(strip_prefix(b".registry", b".registry.json.", true), None);
    }

    #[test]
    fn a_file_that_is_not_there_is_spelled_as_its_guard_or_lock_file() {
        let dir = tempfile::tempdir().unwrap();
        let spelled = |name: &str| spelled_as_its_siblings(dir.path().join(name));
        assert_eq!(spelled("New.json"), dir.path().join("New.json"));
        for (sibling, name, expected) in [
            ("New.json.guard", "NEW.JSON", "New.json"),
            ("b.toml.lock", "B.toml", "b.toml"),
            ("Doc.lock", "doc.TOML", "Doc.TOML"),
        ] {
            fs::File::create(dir.path().join(sibling)).unwrap();
            // Elsewhere the sibling of the other spelling is another file, which is not there.
            let expected = if cfg!(windows) { expected } else { name };
            assert_eq!(spelled(name), dir.path().join(expected), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn all_paths_of_a_file_resolve_to_one() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir(real.join("there")).unwrap();
        symlink("there/registry.json", real.join("dangling.json")).unwrap();
        symlink("dangling.json", real.join("twice.json")).unwrap();
        symlink("loop.json", real.join("loop.json")).unwrap();
        let resolve = |name: &str| FilePaths::resolve(&real.join(name));
        let expected = real.join("there/registry.json");
        for _ in 0..2 {
            for name in ["there/registry.json", "there/../dangling.json", "twice.json"] {
                assert_eq!(resolve(name).unwrap().target, expected, "{name}");
            }
            // In the second round the file exists.
            fs::File::create(&expected).unwrap();
        }
        assert_eq!(resolve("loop.json").unwrap_err().code(), "IO");
        let not_yet = real.join("there/not/yet.json");
        symlink("there", real.join("link")).unwrap();
        for name in ["there/not/yet.json", "link/not/yet.json"] {
            assert_eq!(resolve(name).unwrap().target, not_yet, "{name}");
        }
        for (bad, code) in [
            ("", "INVALID_VALUE"),
            ("/", "INVALID_VALUE"),
            ("new.json/", "INVALID_VALUE"),
            ("..", "IO"),
            ("/dev/null", "IO"),
            (&"x".repeat(MAX_NAME_BYTES + 1), "INVALID_VALUE"),
        ] {
            assert_eq!(FilePaths::resolve(Path::new(bad)).unwrap_err().code(), code, "{bad}");
        }
        assert!(FilePaths::resolve(Path::new(&"x".repeat(MAX_NAME_BYTES))).is_ok());
    }
}
