//! Which file a command is about, and what carries its lock.

use std::path::{Path, PathBuf};

use argus_registry::{registry_path, system_registry_path, Document, Error, LockFileHolder};
use clap::error::ErrorKind;
use clap::CommandFactory;

use crate::args::{Cli, RegistryArgs};
use crate::exit::{hint, Exit, Failure};
use crate::output;

/// What a path stands for:
///
/// - one with a guard beside it is a registry; its guard and lockfile stand for it, too;
/// - one that ends in `.toml`, or beside which there is a file with the extension `lock`, is a
///   document with that lock file (veil's way);
/// - one that ends in `.lock` is such a lock file;
/// - everything else is a registry, with a guard and a lockfile beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Registry(PathBuf),
    LockFile { lock_file: PathBuf, document: Option<PathBuf> },
}

impl Target {
    pub(crate) fn of(path: &Path) -> Result<Self, Failure> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let extension = extension.unwrap_or_default().to_ascii_lowercase();
        let protected = || path.with_extension("");
        match extension.as_str() {
            _ if beside(path, "guard").is_file() => Ok(Target::Registry(path.to_path_buf())),
            "lock" | "guard" if beside(&protected(), "guard").is_file() => {
                Ok(Target::Registry(protected()))
            }
            "lock" if !path.exists() && is_json(&protected()) => Err(usage(&format!(
                "{} would be made, and keep everybody waiting if {} is a registry, whose lockfile \
                 has that name: name the registry itself, or a document's lock file with \
                 --lock-file",
                path.display(),
                protected().display()
            ))),
            "lock" => Ok(Target::LockFile { lock_file: path.to_path_buf(), document: None }),
            extension if extension == "toml" || path.with_extension("lock").is_file() => {
                let lock_file = Document::<()>::json(path).lock_path()?;
                Ok(Target::LockFile { lock_file, document: Some(path.to_path_buf()) })
            }
            _ => Ok(Target::Registry(path.to_path_buf())),
        }
    }

    /// What a command line means.
    pub(crate) fn choose(
        path: Option<PathBuf>,
        lock_file: Option<PathBuf>,
        registry: &RegistryArgs,
    ) -> Result<Self, Failure> {
        match lock_file {
            None => Target::of(&choose(path, registry)?),
            Some(_) if registry.registry.is_some() || registry.system_registry => Err(usage(
                "--lock-file names what to lock, so --registry and --system-registry can't be \
                 given with it",
            )),
            Some(lock_file) => Ok(Target::LockFile { lock_file, document: None }),
        }
    }
}

/// The file of a registry's that carries its lock, or tells of it.
pub(crate) fn beside(registry: &Path, ending: &str) -> PathBuf {
    let mut name = registry.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Whether it is there, and may be a registry.
fn is_json(path: &Path) -> bool {
    path.is_file() && !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"))
}

/// The file that a command line means.
pub(crate) fn choose(path: Option<PathBuf>, registry: &RegistryArgs) -> Result<PathBuf, Failure> {
    match (path, &registry.registry, registry.system_registry) {
        (Some(path), None, false) => Ok(path),
        (None, Some(path), false) => Ok(path.clone()),
        (None, None, true) => Ok(system_registry_path()),
        (None, None, false) => Ok(registry_path()?),
        _ => Err(usage("only one of PATH, --registry and --system-registry can be given")),
    }
}

/// A command line that clap lets pass.
pub(crate) fn usage(message: &str) -> Failure {
    Cli::command().error(ErrorKind::ArgumentConflict, message).into()
}

/// The failure to lock a lock file.
pub(crate) fn explain(error: Error) -> Failure {
    let (path, holder) = match &error {
        Error::LockBusy { path, holder } | Error::LockTimeout { path, holder, .. } => {
            (path, holder)
        }
        _ => return error.into(),
    };
    // Of a registry's lock it is known since when it is held.
    if holder.as_ref().is_some_and(|holder| holder.since.is_some()) {
        return error.into();
    }
    let status = hint(&["status", "--lock-file"], path);
    Failure::new(Exit::Registry, error.to_string())
        .next(format!("{status} shows who holds it; deleting the file would let two in at once"))
}

/// A process that holds a lock file.
pub(crate) fn describe(holder: &LockFileHolder) -> String {
    let since = holder.running_since.and_then(output::instant);
    let since = since.map(|since| format!(", running since {since}")).unwrap_or_default();
    format!("process {}{since}", holder.pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_path_tells_what_carries_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().canonicalize().unwrap();
        let of = |name: &str| Target::of(&folder.join(name)).unwrap();
        let registry = |name: &str| Target::Registry(folder.join(name));
        let lock_file = |name: &str, document: Option<&str>| Target::LockFile {
            lock_file: folder.join(name),
            document: document.map(|document| folder.join(document)),
        };
        assert_eq!(of("r.json"), registry("r.json"));
        assert_eq!(of("r"), registry("r"));
        assert_eq!(of("e.toml"), lock_file("e.lock", Some("e.toml")));
        assert_eq!(of("E.TOML"), lock_file("E.lock", Some("E.TOML")));
        assert_eq!(of("e.lock"), lock_file("e.lock", None));
        assert_eq!(of("r.json.lock"), lock_file("r.json.lock", None));
        File::create(folder.join("d.lock")).unwrap();
        assert_eq!(of("d.json"), lock_file("d.lock", Some("d.json")));
        File::create(folder.join("d.json.guard")).unwrap();
        assert_eq!(of("d.json"), registry("d.json"));
        File::create(folder.join("r.json")).unwrap();
        assert!(Target::of(&folder.join("r.json.lock")).is_err());
        File::create(folder.join("r.json.lock")).unwrap();
        assert_eq!(of("r.json.lock"), lock_file("r.json.lock", None));
        File::create(folder.join("r.json.guard")).unwrap();
        assert_eq!(of("r.json.lock"), registry("r.json"));
        assert_eq!(of("r.json.guard"), registry("r.json"));
        assert_eq!(of("e.lock"), lock_file("e.lock", None));
    }
}
