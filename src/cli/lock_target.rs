//! What the PATH of a command line stands for, and which file carries its lock.

use std::path::{Path, PathBuf};

use argus_registry::{registry_path, system_registry_path, Document, Error, LockFileHolder};
use clap::error::ErrorKind;
use clap::CommandFactory;

use crate::cli::args::{Cli, RegistryArgs};
use crate::cli::exit::{hint, CommandError, Exit};
use crate::cli::output;

/// What a PATH stands for. The first rule that fits decides:
///
/// 0. PATH begins with `etcd://`: a registry in etcd.
/// 0. PATH ends in a separator, or is a folder: a registry in that folder.
/// 1. PATH has a guard beside it: a registry.
/// 2. PATH is the lockfile or the guard of a registry that has a guard: that registry.
/// 3. PATH ends in `.lock` and does not exist, and PATH without that ending is a file that may be a
///    registry: an error. A lock file of that name would be taken for the registry's lockfile.
/// 4. PATH ends in `.lock`: a lock file, of no document in particular.
/// 5. PATH ends in `.toml`, or there is a file of its name with the extension `lock`: a document
///    with that lock file, as veil has it.
/// 6. Every other PATH: a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LockTarget {
    Registry(PathBuf),
    LockFile { lock_file: PathBuf, document: Option<PathBuf> },
}

impl LockTarget {
    pub(crate) fn of(path: &Path) -> Result<Self, CommandError> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let extension = extension.unwrap_or_default().to_ascii_lowercase();
        let protected = || path.with_extension("");
        match extension.as_str() {
            _ if is_etcd(path) || is_folder(path) => Ok(LockTarget::Registry(path.to_path_buf())),
            _ if add_extension(path, "guard").is_file() => {
                Ok(LockTarget::Registry(path.to_path_buf()))
            }
            "lock" | "guard" if add_extension(&protected(), "guard").is_file() => {
                Ok(LockTarget::Registry(protected()))
            }
            "lock" if !path.exists() && may_be_registry(&protected()) => {
                Err(ambiguous_lock_file(path, &protected()))
            }
            "lock" => Ok(LockTarget::LockFile { lock_file: path.to_path_buf(), document: None }),
            extension if extension == "toml" || path.with_extension("lock").is_file() => {
                let lock_file = Document::<()>::json(path).lock_path()?;
                Ok(LockTarget::LockFile { lock_file, document: Some(path.to_path_buf()) })
            }
            _ => Ok(LockTarget::Registry(path.to_path_buf())),
        }
    }

    /// What PATH, `--lock-file` and the options for a registry stand for together.
    pub(crate) fn from_args(
        path: Option<PathBuf>,
        lock_file: Option<PathBuf>,
        registry: &RegistryArgs,
    ) -> Result<Self, CommandError> {
        match lock_file {
            None => LockTarget::of(&path_from_args(path, registry)?),
            Some(_) if registry.registry.is_some() || registry.system_registry => Err(usage_error(
                "--lock-file names what to lock, so --registry and --system-registry can't be \
                 given with it",
            )),
            Some(lock_file) => Ok(LockTarget::LockFile { lock_file, document: None }),
        }
    }
}

/// Whether a path is that of a registry in etcd.
pub(crate) fn is_etcd(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(b"etcd://")
}

/// Whether a registry is kept in a folder: its path ends in a separator, or is that of a folder.
pub(crate) fn is_folder(path: &Path) -> bool {
    let last = path.as_os_str().as_encoded_bytes().last();
    let ends_as_folder = last.is_some_and(|last| std::path::is_separator(char::from(*last)));
    !is_etcd(path) && (ends_as_folder || path.is_dir())
}

/// The guard or the lockfile of a registry: its path with an extension more.
pub(crate) fn add_extension(registry: &Path, extension: &str) -> PathBuf {
    let mut name = registry.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Whether there is a file that may be a registry: each that isn't TOML.
fn may_be_registry(path: &Path) -> bool {
    path.is_file() && !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"))
}

/// The file that PATH or the options for a registry name.
///
/// # Errors
///
/// A usage error if there is more than one of them; the library's if there is none, and the
/// environment names no registry.
pub(crate) fn path_from_args(
    path: Option<PathBuf>,
    registry: &RegistryArgs,
) -> Result<PathBuf, CommandError> {
    match (path, &registry.registry, registry.system_registry) {
        (Some(path), None, false) => Ok(path),
        (None, Some(path), false) => Ok(path.clone()),
        (None, None, true) => Ok(system_registry_path()),
        (None, None, false) => Ok(registry_path()?),
        _ => Err(usage_error("only one of PATH, --registry and --system-registry can be given")),
    }
}

/// The error of a command line that clap accepts and this program does not.
pub(crate) fn usage_error(message: &str) -> CommandError {
    Cli::command().error(ErrorKind::ArgumentConflict, message).into()
}

fn ambiguous_lock_file(lock_file: &Path, registry: &Path) -> CommandError {
    usage_error(&format!(
        "{} does not exist, and if {} is a registry, that is the name of its lockfile: a lock file \
         of this name would block the registry's updates. Name the registry itself, or name a \
         document's lock file with --lock-file",
        lock_file.display(),
        registry.display()
    ))
}

/// The error of an operation on a lock file, with its next step.
pub(crate) fn lock_file_error(error: Error) -> CommandError {
    let (path, holder) = match &error {
        Error::LockBusy { path, holder } | Error::LockTimeout { path, holder, .. } => {
            (path, holder)
        }
        _ => return error.into(),
    };
    // Only the lock of a registry has a record that tells since when it is held.
    if holder.as_ref().is_some_and(|holder| holder.since.is_some()) {
        return error.into();
    }
    let status = hint(&["status", "--lock-file"], path);
    CommandError::new(Exit::Registry, error.to_string()).next(format!(
        "{status} shows which process holds it; don't delete the file: a second process could \
             then take the lock beside the first"
    ))
}

/// A process that holds a lock file, in words.
pub(crate) fn describe_holder(holder: &LockFileHolder) -> String {
    let since = holder.running_since.and_then(output::instant);
    let since = since.map(|since| format!(", running since {since}")).unwrap_or_default();
    format!("process {}{since}", holder.pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_path_and_the_files_beside_it_tell_what_it_stands_for() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().canonicalize().unwrap();
        let of = |name: &str| LockTarget::of(&folder.join(name)).unwrap();
        let registry = |name: &str| LockTarget::Registry(folder.join(name));
        let lock_file = |name: &str, document: Option<&str>| LockTarget::LockFile {
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
        assert!(LockTarget::of(&folder.join("r.json.lock")).is_err());
        File::create(folder.join("r.json.lock")).unwrap();
        assert_eq!(of("r.json.lock"), lock_file("r.json.lock", None));
        File::create(folder.join("r.json.guard")).unwrap();
        assert_eq!(of("r.json.lock"), registry("r.json"));
        assert_eq!(of("r.json.guard"), registry("r.json"));
        assert_eq!(of("e.lock"), lock_file("e.lock", None));
    }
}
