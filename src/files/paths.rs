//! Where the files are: the default registry, and the files beside a registry.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{self, Path, PathBuf};

use crate::error::{Error, Result};
use crate::sys;

/// Names of files have 255 bytes at most, and a temp file's is this one's with a nonce around it.
const LONGEST_NAME: usize = 255 - (NONCE_DIGITS + "..".len() + ".tmp".len());

/// As many symbolic links as Linux follows before it calls them a loop.
pub(crate) const LINK_LIMIT: u32 = 40;

/// Where argus keeps its registry: `ARGUS_REGISTRY_PATH`; else `registry.json` in `ARGUS_HOME`;
/// else `~/.argus/registry.json` (`%USERPROFILE%` on Windows). An empty variable counts as unset.
/// Source: argus.
///
/// # Errors
///
/// [`Error::NotFound`] if none of the variables is set.
pub fn registry_path() -> Result<PathBuf> {
    registry_path_from(|name| env::var_os(name))
}

/// The same, in an environment that is somewhere else than the process's.
pub(crate) fn registry_path_from(get: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let variable = |name| get(name).filter(|value| !value.is_empty());
    if let Some(path) = variable("ARGUS_REGISTRY_PATH") {
        return Ok(path.into());
    }
    if let Some(home) = variable("ARGUS_HOME") {
        return Ok(Path::new(&home).join("registry.json"));
    }
    let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    match variable(home) {
        Some(home) => Ok(Path::new(&home).join(".argus").join("registry.json")),
        None => Err(Error::NotFound {
            path: Path::new("~").join(".argus").join("registry.json"),
            operation: "find the home folder of",
            source: io::Error::new(
                io::ErrorKind::NotFound,
                format!("set {home}, ARGUS_HOME or ARGUS_REGISTRY_PATH"),
            ),
        }),
    }
}

/// Where the registry of a whole system is, if there is one: `/var/lib/argus/registry.json`; on macOS
/// `/Library/Application Support/argus/registry.json`; on Windows `argus\registry.json` in
/// `%ProgramData%` (`C:\ProgramData` if that is unset). Nothing uses it unless told to. Source: ours.
#[must_use]
pub fn system_registry_path() -> PathBuf {
    let folder = if cfg!(windows) {
        let set = env::var_os("ProgramData").filter(|value| !value.is_empty());
        PathBuf::from(set.unwrap_or_else(|| r"C:\ProgramData".into()))
    } else if cfg!(target_os = "macos") {
        PathBuf::from("/Library/Application Support")
    } else {
        PathBuf::from("/var/lib")
    };
    folder.join("argus").join("registry.json")
}

/// A registry and the files beside it. One registry has one of these, whatever name it was
/// reached by.
#[derive(Debug, Clone)]
pub(crate) struct FilePaths {
    pub(crate) target: PathBuf,
    pub(crate) folder: PathBuf,
    /// Permanent; carries the kernel lock.
    pub(crate) guard: PathBuf,
    /// There exactly while the lock is held, for programs that know nothing else.
    pub(crate) lockfile: PathBuf,
}

impl FilePaths {
    /// Follows symbolic links to the file itself, so that two names of one registry are one
    /// lock. The file need not exist, nor its folder.
    pub(crate) fn resolve(path: &Path) -> Result<Self> {
        let invalid = |reason: &str| Error::InvalidValue {
            path: path.to_path_buf(),
            reason: reason.to_owned(),
        };
        if path.as_os_str().is_empty() {
            return Err(invalid("the path is empty"));
        }
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(invalid("the path names a folder"));
        }
        // Most paths are their file's one name already, which one system call shows on Linux.
        let is_final = is_spelled_out(path)
            && sys::look_without_links(path).is_some_and(|found| found.is_file());
        if is_final {
            return Self::of_resolved(path);
        }
        if let Ok(registry) = fs::canonicalize(path) {
            // What has vanished since is no other thing: it is missing.
            match sys::patiently(|| fs::metadata(&registry)) {
                Ok(metadata) if metadata.is_file() => return Self::beside(registry),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Self::beside(registry)
                }
                Err(error) => return Err(Error::from_io(&registry, "look at", error)),
                Ok(_) => {
                    return Err(Error::Io {
                        path: registry,
                        operation: "use",
                        source: io::Error::other("it is not a regular file"),
                    })
                }
            }
        }
        // Something on the way is missing: go as far as there is anything to follow.
        let mut current =
            path::absolute(path).map_err(|error| Error::from_io(path, "resolve", error))?;
        for _ in 0..LINK_LIMIT {
            let name = current.file_name().ok_or_else(|| invalid("the path names no file"))?;
            let folder = current.parent().ok_or_else(|| invalid("the path names no file"))?;
            let folder = canonical_as_far_as_it_exists(folder);
            let file = folder.join(name);
            match fs::read_link(&file) {
                Ok(target) => current = folder.join(target),
                Err(_) => return Self::beside(file),
            }
        }
        Err(Error::Io {
            path: path.to_path_buf(),
            operation: "resolve",
            source: io::Error::other("too many symbolic links; is it a loop?"),
        })
    }

    /// The lock file that a document of this path has by default, as in veil:
    /// `path.with_extension("lock")`.
    pub(crate) fn document_lock_file(&self) -> PathBuf {
        self.target.with_extension("lock")
    }

    /// The files of a path that [`resolve`](Self::resolve) has returned before.
    pub(crate) fn of_resolved(target: &Path) -> Result<Self> {
        Self::beside(target.to_path_buf())
    }

    fn beside(registry: PathBuf) -> Result<Self> {
        let invalid = |reason| Error::InvalidValue { path: registry.clone(), reason };
        let (Some(name), Some(folder)) = (registry.file_name(), registry.parent()) else {
            return Err(invalid("the path names no file".to_owned()));
        };
        if name.len() > LONGEST_NAME {
            let reason = format!(
                "its name is {} bytes long, of {LONGEST_NAME} that leave room for the files beside it",
                name.len()
            );
            return Err(invalid(reason));
        }
        let folder = folder.to_path_buf();
        let with = |ending: &str| {
            let mut name = name.to_owned();
            name.push(ending);
            folder.join(name)
        };
        Ok(FilePaths { guard: with(".guard"), lockfile: with(".lock"), folder, target: registry })
    }

    /// A name for a file that only this hold uses, and that vanishes with it.
    pub(crate) fn temp(&self, nonce: &str) -> PathBuf {
        let mut name = temp_prefix(self.name());
        name.push(nonce);
        name.push(".tmp");
        self.folder.join(name)
    }

    /// A name to keep bad content under.
    pub(crate) fn keepsake(&self, unix_ms: u128, nonce: &str) -> PathBuf {
        let mut name = self.name().to_owned();
        name.push(format!(".corrupt-{unix_ms}-{}", &nonce[..KEEPSAKE_DIGITS]));
        self.folder.join(name)
    }

    /// The temp files that holds have left behind.
    pub(crate) fn leftover_temps(&self) -> io::Result<Vec<PathBuf>> {
        let prefix = temp_prefix(self.name());
        self.beside_named(|name| is_temp(name, &prefix))
    }

    /// The files in which bad content is kept.
    pub(crate) fn keepsakes(&self) -> io::Result<Vec<PathBuf>> {
        self.beside_named(|name| is_keepsake(name, self.name()))
    }

    /// Regular files only: what else has such a name was not made by this crate.
    fn beside_named(&self, is_one: impl Fn(&OsStr) -> bool) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let is_file = || entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_one(entry.file_name().as_os_str()) && is_file() {
                found.push(entry.path());
            }
        }
        Ok(found)
    }

    fn name(&self) -> &OsStr {
        self.target.file_name().expect("a registry's path has a file name")
    }
}

/// Whether a path is absolute and spelled as the system would: no `.`, `..` or `//` in it.
fn is_spelled_out(name: &Path) -> bool {
    let plain: PathBuf = name.components().collect();
    let has_detour = name.components().any(|part| part == path::Component::ParentDir);
    name.is_absolute() && !has_detour && plain.as_os_str() == name.as_os_str()
}

/// So that two names of a folder that is yet to be created are one, too.
pub(crate) fn canonical_as_far_as_it_exists(folder: &Path) -> PathBuf {
    let exists = folder.ancestors().find_map(|at| Some((at, fs::canonicalize(at).ok()?)));
    match exists {
        Some((at, canonical)) => match folder.strip_prefix(at) {
            Ok(rest) if rest.as_os_str().is_empty() => canonical,
            Ok(rest) => canonical.join(rest),
            Err(_) => folder.to_path_buf(),
        },
        None => folder.to_path_buf(),
    }
}

fn temp_prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    prefix
}

fn is_temp(name: &OsStr, prefix: &OsStr) -> bool {
    let nonce = name
        .as_encoded_bytes()
        .strip_prefix(prefix.as_encoded_bytes())
        .and_then(|rest| rest.strip_suffix(b".tmp"));
    nonce
        .is_some_and(|nonce| nonce.len() == NONCE_DIGITS && nonce.iter().all(u8::is_ascii_hexdigit))
}

fn is_keepsake(name: &OsStr, of: &OsStr) -> bool {
    let rest = name
        .as_encoded_bytes()
        .strip_prefix(of.as_encoded_bytes())
        .and_then(|rest| rest.strip_prefix(b".corrupt-"));
    let Some(dash) = rest.and_then(|rest| rest.iter().position(|byte| *byte == b'-')) else {
        return false;
    };
    let (date, nonce) = rest.unwrap_or_default().split_at(dash);
    let nonce = &nonce[1..];
    !date.is_empty()
        && date.iter().all(u8::is_ascii_digit)
        && nonce.len() == KEEPSAKE_DIGITS
        && nonce.iter().all(u8::is_ascii_hexdigit)
}

/// The name of the file that a file of this name lies beside, if it is one of those that this
/// crate makes.
pub(crate) fn belongs_to(name: &str) -> Option<&str> {
    let of_temp = || {
        let of = &name.strip_prefix('.')?.strip_suffix(".tmp")?;
        let of = of.get(..of.len().checked_sub(NONCE_DIGITS + 1)?)?;
        is_temp(OsStr::new(name), &temp_prefix(OsStr::new(of))).then_some(of)
    };
    let of_keepsake = || {
        let of = &name[..name.rfind(".corrupt-")?];
        is_keepsake(OsStr::new(name), OsStr::new(of)).then_some(of)
    };
    let of_lock = || name.strip_suffix(".guard").or_else(|| name.strip_suffix(".lock"));
    of_temp().or_else(of_keepsake).or_else(of_lock).filter(|of| !of.is_empty())
}

/// How much of a hold's nonce the name of what it kept carries.
const KEEPSAKE_DIGITS: usize = 8;

/// How long [`nonce`] is.
const NONCE_DIGITS: usize = 32;

/// A name that nobody else has used or can guess.
pub(crate) fn nonce() -> String {
    format!("{:0width$x}", u128::from_ne_bytes(sys::random()), width = NONCE_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_registry() {
        let path = |set: &[(&str, &str)]| {
            registry_path_from(|name| {
                let value = set.iter().find(|(key, _)| *key == name)?.1;
                Some(value).filter(|value| !value.is_empty()).map(OsString::from)
            })
        };
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let all = [("ARGUS_REGISTRY_PATH", "/a"), ("ARGUS_HOME", "/b"), (home, "/c")];
        assert_eq!(path(&all).unwrap(), Path::new("/a"));
        assert_eq!(path(&all[1..]).unwrap(), Path::new("/b").join("registry.json"));
        let default = Path::new("/c").join(".argus").join("registry.json");
        assert_eq!(path(&all[2..]).unwrap(), default);
        let empty = [("ARGUS_REGISTRY_PATH", ""), ("ARGUS_HOME", ""), (home, "/c")];
        assert_eq!(path(&empty).unwrap(), default);
        assert_eq!(path(&[]).unwrap_err().code(), "NOT_FOUND");
    }

    #[test]
    fn the_system_has_one_place_for_its_registry() {
        let path = system_registry_path();
        let expected = if cfg!(windows) {
            Path::new(&env::var_os("ProgramData").unwrap()).join(r"argus\registry.json")
        } else if cfg!(target_os = "macos") {
            "/Library/Application Support/argus/registry.json".into()
        } else {
            "/var/lib/argus/registry.json".into()
        };
        assert_eq!(path, expected);
    }

    #[test]
    fn a_temp_file_is_known_by_its_name_and_nothing_else_is() {
        let paths = FilePaths::beside(PathBuf::from("/x/registry.json")).unwrap();
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
    fn what_lies_beside_a_file_names_it_and_nothing_else_does() {
        let paths = FilePaths::beside(PathBuf::from("/x/registry.json")).unwrap();
        for ours in [
            paths.temp(&nonce()),
            paths.keepsake(1_700_000_000_000, &nonce()),
            paths.guard.clone(),
            paths.lockfile.clone(),
        ] {
            let name = ours.file_name().unwrap().to_str().unwrap();
            assert_eq!(belongs_to(name), Some("registry.json"), "{name}");
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
        ] {
            assert_eq!(belongs_to(other), None, "{other}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn every_name_of_a_registry_is_one() {
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
            // The second time round the file exists.
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
            (&"x".repeat(LONGEST_NAME + 1), "INVALID_VALUE"),
        ] {
            assert_eq!(FilePaths::resolve(Path::new(bad)).unwrap_err().code(), code, "{bad}");
        }
        assert!(FilePaths::resolve(Path::new(&"x".repeat(LONGEST_NAME))).is_ok());
    }
}
