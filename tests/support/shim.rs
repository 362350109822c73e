//! Libraries that are loaded before libc's, and take calls away from real programs.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles one into a folder, with some of what its source has defined.
pub(crate) fn compile(source: &str, defined: &[&str], folder: &Path) -> PathBuf {
    // There the test would run, and show nothing.
    if cfg!(target_feature = "crt-static") {
        panic!("no library can be loaded into a static program");
    }
    let (code, library) = (folder.join("shim.c"), folder.join("shim.so"));
    File::create(&code).unwrap().write_all(source.as_bytes()).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &code])
        .arg("-ldl")
        .args(defined.iter().map(|name| format!("-D{name}")))
        .status()
        .expect("Rust on Linux links with cc, so it is there");
    assert!(compiled.success());
    library
}
