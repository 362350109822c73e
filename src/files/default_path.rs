//! Where the default registries are: a user's, and a whole machine's.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The path of the user's argus registry: the value of `ARGUS_REGISTRY_PATH`; else `registry.json`
/// in the folder `ARGUS_HOME`; else `~/.argus/registry.json` (in `%USERPROFILE%` on Windows). An
/// empty variable counts as unset.
///
/// # Errors
///
/// [`Error::NotFound`] if none of the variables is set.
pub fn registry_path() -> Result<PathBuf> {
    registry_path_from(|name| env::var_os(name))
}

/// Like [`registry_path`], with `get` in place of the process's environment.
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
