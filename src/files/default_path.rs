//! Where the default registries are: a user's, and a whole machine's.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::sys;

/// The path of the user's argus registry: the value of `ARGUS_REGISTRY_PATH`; else `registry.json`
/// in the folder `ARGUS_HOME`; else `.argus/registry.json` in the user's home folder. An empty variable
/// counts as unset.
///
/// The home folder is found as Node's `os.homedir()` finds it: on Unix it is `HOME`, else that of the
/// effective user in the system's list of users; on Windows it is `USERPROFILE`, else the user's profile
/// folder. (Compiled with Rust before 1.85, `HOME` is tried before that folder.)
///
/// # Errors
///
/// [`Error::NotFound`] if none of the variables is set, and the system knows no home folder of the user;
/// [`Error::InvalidValue`] if the home folder is no absolute path: it would be another one in each working
/// folder.
pub fn registry_path() -> Result<PathBuf> {
    registry_path_from(|name| env::var_os(name))
}

/// Like [`registry_path`], with `get` in place of the process's environment.
pub(crate) fn registry_path_from(get: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    find_registry_path(get, sys::user_home)
}

fn find_registry_path(
    get: impl Fn(&str) -> Option<OsString>,
    user_home: impl Fn() -> Option<PathBuf>,
) -> Result<PathBuf> {
    let variable = |name| get(name).filter(|value| !value.is_empty());
    if let Some(path) = variable("ARGUS_REGISTRY_PATH") {
        return Ok(path.into());
    }
    if let Some(home) = variable("ARGUS_HOME") {
        return Ok(Path::new(&home).join("registry.json"));
    }
    let in_home = |home: &Path| home.join(".argus").join("registry.json");
    let name = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    if let Some(home) = variable(name).map(PathBuf::from) {
        let why = format!("{name} is not an absolute path; set it to one, or set ARGUS_HOME");
        return must_be_absolute(&home, in_home(&home), why);
    }
    match user_home().filter(|home| !home.as_os_str().is_empty()) {
        Some(home) => {
            let why = "the user's home folder is not an absolute path; set ARGUS_HOME".to_owned();
            must_be_absolute(&home, in_home(&home), why)
        }
        None => Err(Error::NotFound {
            path: in_home(Path::new("~")),
            operation: "find the home folder of",
            source: io::Error::new(
                io::ErrorKind::NotFound,
                format!("the system knows none; set {name}, ARGUS_HOME or ARGUS_REGISTRY_PATH"),
            ),
        }),
    }
}

fn must_be_absolute(home: &Path, path: PathBuf, reason: String) -> Result<PathBuf> {
    match home.is_absolute() {
        true => Ok(path),
        false => Err(Error::InvalidValue { path, reason }),
    }
}

/// The path of a registry for all users of a machine: `/var/lib/argus/registry.json`; on macOS
/// `/Library/Application Support/argus/registry.json`; on Windows `argus\registry.json` in
/// `%ProgramData%` (`C:\ProgramData` if that is unset or empty). No function of this crate uses it
/// unless the caller passes it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_variables_decide_the_path_in_order() {
        let path = |set: &[(&str, &str)]| {
            let get = |name: &str| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
            };
            find_registry_path(get, || None)
        };
        let (home, folder) = if cfg!(windows) { ("USERPROFILE", r"C:\c") } else { ("HOME", "/c") };
        let all = [("ARGUS_REGISTRY_PATH", "/a"), ("ARGUS_HOME", "/b"), (home, folder)];
        assert_eq!(path(&all).unwrap(), Path::new("/a"));
        assert_eq!(path(&all[1..]).unwrap(), Path::new("/b").join("registry.json"));
        let default = Path::new(folder).join(".argus").join("registry.json");
        assert_eq!(path(&all[2..]).unwrap(), default);
        let empty = [("ARGUS_REGISTRY_PATH", ""), ("ARGUS_HOME", ""), (home, folder)];
        assert_eq!(path(&empty).unwrap(), default);
        assert_eq!(path(&[]).unwrap_err().code(), "NOT_FOUND");
        assert_eq!(path(&[(home, "")]).unwrap_err().code(), "NOT_FOUND");
    }

    #[test]
    fn a_home_that_is_unset_or_empty_is_that_of_the_user() {
        let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let root = if cfg!(windows) { r"C:\" } else { "/" };
        let path = |value: Option<&str>, home: Option<&str>| {
            let get = |name: &str| value.filter(|_| name == variable).map(OsString::from);
            find_registry_path(get, || home.map(PathBuf::from))
        };
        let expected = Path::new(root).join("x").join(".argus").join("registry.json");
        let home = format!("{root}x");
        for value in [None, Some("")] {
            assert_eq!(path(value, Some(&home)).unwrap(), expected);
            assert_eq!(path(value, Some("")).unwrap_err().code(), "NOT_FOUND");
        }
        assert_eq!(path(Some(&home), Some("/other")).unwrap(), expected);
    }

    #[test]
    fn a_relative_home_is_refused() {
        let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        for home in ["x", ".", "./x", "../x", "~"] {
            let set = find_registry_path(|name| (name == variable).then(|| home.into()), || None);
            let of_user = find_registry_path(|_| None, || Some(home.into()));
            for (refused, what) in [(set, variable), (of_user, "home folder")] {
                let error = refused.unwrap_err();
                assert_eq!(error.code(), "INVALID_VALUE", "{home}");
                assert!(error.to_string().contains(what), "{error}");
            }
        }
        // That a path of the caller's own is relative is the caller's choice.
        let own = find_registry_path(|name| (name == "ARGUS_HOME").then(|| "x".into()), || None);
        assert_eq!(own.unwrap(), Path::new("x").join("registry.json"));
    }

    #[cfg(unix)]
    #[test]
    fn the_system_knows_the_home_of_this_user() {
        let uid = rustix::process::geteuid().as_raw().to_string();
        let Ok(users) = std::fs::read_to_string("/etc/passwd") else { return };
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let Some(user) = users.lines().map(fields).find(|user| user.get(2) == Some(&uid)) else {
            return;
        };
        assert_eq!(sys::user_home(), Some(PathBuf::from(&user[5])));
    }

    #[test]
    fn the_system_registry_has_one_path_per_platform() {
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
}
