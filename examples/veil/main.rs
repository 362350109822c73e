//! veil's exception registry on this crate, as docs/how-to/adopting-in-veil.md has it: `registry.rs` is
//! that page's code.
//!
//! ```text
//! veil REGISTRY clear                    replaces the registry by an empty one
//! veil REGISTRY accept FINDING REASON
//! veil REGISTRY scan FINDING...          tells which of the findings are accepted
//! ```

#[allow(unreachable_pub, reason = "a module of a library: veil's core exports it")]
mod registry;

use std::path::Path;
use std::process::ExitCode;

use registry::{FindingId, Registry, RegistryError};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [path, "clear"] => Registry::default().save(Path::new(path)),
        [path, "accept", id, reason] => {
            Registry::accept(Path::new(path), &FindingId((*id).to_owned()), reason)
        }
        [path, "scan", ids @ ..] => scan(Path::new(path), ids),
        _ => {
            eprintln!("usage: veil REGISTRY clear | accept FINDING REASON | scan FINDING...");
            return ExitCode::from(1);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("veil: {error}");
            ExitCode::from(2)
        }
    }
}

fn scan(path: &Path, ids: &[&str]) -> Result<(), RegistryError> {
    let registry = Registry::load(path)?;
    for id in ids {
        match registry.reason(&FindingId((*id).to_owned())) {
            Some(reason) => println!("{id}: accepted, {reason}"),
            None => println!("{id}: found"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::thread;

    use argus_registry::{try_lock_exclusive, try_lock_shared};

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(dir.path()).unwrap().join("exception_registry.toml");
        (dir, path)
    }

    fn id(id: &str) -> FindingId {
        FindingId(id.to_owned())
    }

    #[test]
    fn scans_that_accept_findings_at_once_lose_none() {
        let (_dir, path) = folder();
        thread::scope(|scope| {
            for scan in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for finding in 0..5 {
                        Registry::accept(path, &id(&format!("{scan}-{finding}")), "known").unwrap();
                    }
                });
            }
        });
        assert_eq!(Registry::load(&path).unwrap().exceptions.len(), 40);
    }

    /// An older veil locks this file, and so does any program with flock.
    #[test]
    fn a_lock_file_that_another_program_holds_is_busy_at_once() {
        let (_dir, path) = folder();
        Registry::default().save(&path).unwrap();
        let lock_file = path.with_extension("lock");
        let writer = try_lock_exclusive(&lock_file).unwrap();
        let busy = Registry::load(&path).unwrap_err();
        assert!(matches!(&busy, RegistryError::LockBusy(path) if *path == lock_file), "{busy}");
        drop(writer);
        let _reader = try_lock_shared(&lock_file).unwrap();
        assert!(Registry::load(&path).unwrap().exceptions.is_empty());
        let busy = Registry::default().save(&path).unwrap_err();
        assert!(matches!(busy, RegistryError::LockBusy(_)), "{busy}");
    }

    #[test]
    fn fields_that_this_program_does_not_know_are_kept() {
        let (_dir, path) = folder();
        let exception = "[[exceptions]]\nid = \"a\"\nreason = \"old\"\n\
                         expires_at = 2026-12-31T23:59:59Z\nlinks = [\"x\"]\n";
        fs::write(&path, format!("version = 1\n\n{exception}")).unwrap();
        Registry::accept(&path, &id("b"), "known").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("expires_at = 2026-12-31T23:59:59Z\nlinks = ["), "{text}");
        assert_eq!(Registry::load(&path).unwrap().reason(&id("b")), Some("known"));
    }

    #[test]
    fn a_missing_registry_is_empty_and_one_of_another_version_is_refused() {
        let (_dir, path) = folder();
        assert!(Registry::load(&path).unwrap().exceptions.is_empty());
        assert!(!path.with_extension("lock").exists(), "a scan without a registry leaves no trace");
        fs::write(&path, "version = 2\n").unwrap();
        let refused = Registry::accept(&path, &id("a"), "known").unwrap_err();
        assert!(refused.to_string().contains("schema version 2"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "version = 2\n");
    }
}
