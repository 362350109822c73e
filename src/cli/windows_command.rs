//! Windows: how `run` finds its command, and what Ctrl-C does meanwhile.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// As in a Windows without that environment variable.
const DEFAULT_EXTENSIONS: &str = ".COM;.EXE;.BAT;.CMD";

/// Lets Ctrl-C and Ctrl-Break end the command alone, which gets them from the console as this program does:
/// otherwise this program would end first, and leave a lockfile that looks like that of a crashed process.
pub(crate) fn outlive_ctrl_c() -> io::Result<()> {
    ctrlc::set_handler(|| {}).map_err(io::Error::other)
}

/// The program that the first word of a command names, as shells find it: by the variables `PATH` and
/// `PATHEXT`. The standard library finds only programs whose names end in `.exe`, and so not `npm`, which
/// is `npm.cmd`. A name that is not found is returned as it is.
pub(crate) fn find_command(name: &OsStr) -> OsString {
    let extensions = env::var("PATHEXT").unwrap_or_else(|_| DEFAULT_EXTENSIONS.to_owned());
    let path = env::var_os("PATH").unwrap_or_default();
    let found = find_in(Path::new(name), env::split_paths(&path), &extensions);
    found.map_or_else(|| name.to_owned(), PathBuf::into_os_string)
}

fn find_in(
    name: &Path,
    mut folders: impl Iterator<Item = PathBuf>,
    extensions: &str,
) -> Option<PathBuf> {
    let extensions: Vec<_> = extensions.split(';').filter(|one| one.starts_with('.')).collect();
    let has_one = name.extension().and_then(OsStr::to_str).is_some_and(|has| {
        extensions.iter().any(|extension| extension[1..].eq_ignore_ascii_case(has))
    });
    let find = |path: PathBuf| {
        let with = |extension: &&str| {
            let mut path = path.clone().into_os_string();
            path.push(extension);
            PathBuf::from(path)
        };
        let as_it_is = has_one.then(|| path.clone());
        as_it_is.into_iter().chain(extensions.iter().map(with)).find(|path| path.is_file())
    };
    match name.parent() {
        Some(folder) if folder.as_os_str().is_empty() => {
            folders.find_map(|folder| find(folder.join(name)))
        }
        _ => find(name.to_path_buf()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn a_command_is_found_by_path_and_extensions_as_shells_find_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = |name: &str| dir.path().join(name);
        for name in ["first", "second"] {
            fs::create_dir(folder(name)).unwrap();
        }
        for file in ["first/npm", "first/npm.cmd", "second/npm.exe", "second/tool.v2.bat"] {
            File::create(folder(file)).unwrap();
        }
        let find = |name: &str| {
            let folders = [folder("first"), folder("second")].into_iter();
            find_in(Path::new(name), folders, ".COM;.EXE;.BAT;.CMD")
        };
        let is = |name: &str, file: &str| {
            let found = find(name).unwrap_or_else(|| panic!("{name} was not found"));
            assert_eq!(fs::canonicalize(found).unwrap(), fs::canonicalize(folder(file)).unwrap());
        };
        is("npm", "first/npm.cmd");
        is("npm.exe", "second/npm.exe");
        is("NPM.CMD", "first/npm.cmd");
        is("tool.v2", "second/tool.v2.bat");
        is(folder("second/npm").to_str().unwrap(), "second/npm.exe");
        for name in ["absent", "first", "npm.com"] {
            assert_eq!(find(name), None, "{name}");
        }
    }
}
