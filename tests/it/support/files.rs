//! A folder for each test, and its files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A new folder, which is deleted with the first value, and the path of a registry in it.
pub(crate) fn registry_path() -> (TempDir, PathBuf) {
    path_in_new_folder("registry.json")
}

/// A new folder, which is deleted with the first value, and the path of a document in it.
pub(crate) fn document_path() -> (TempDir, PathBuf) {
    path_in_new_folder("doc.json")
}

fn path_in_new_folder(name: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join(name);
    (dir, path)
}

/// Writes a file in place, unlike the crate.
pub(crate) fn put(path: &Path, text: &str) {
    put_bytes(path, text.as_bytes());
}

/// Like [`put`], for what need not be text.
pub(crate) fn put_bytes(path: &Path, bytes: &[u8]) {
    fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// The names of all files in a folder, sorted.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Removes a file whose name has to be free afterwards: on Windows the name of a deleted file may stay as
/// long as a program has the file open.
#[allow(clippy::disallowed_methods, reason = "it stands for another program")]
pub(crate) fn take_away(path: &Path) {
    let aside = path.with_extension("aside");
    fs::rename(path, &aside).unwrap();
    fs::remove_file(aside).unwrap();
}
