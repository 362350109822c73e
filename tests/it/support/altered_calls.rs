//! Real programs for which some calls to the operating system do something else.
//!
//! No file system without kernel locks or hard links can be counted on to be here, and no other
//! process can be made to come at an exact moment. So a library that is loaded before libc's takes the
//! calls away from real processes on real files.

use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use argus_registry::{update_registry, Error, LockOptions, UpdateOptions};
use tempfile::TempDir;

use crate::support::processes::{self, example};
use crate::support::shim;

const SOURCE: &str = include_str!("altered_calls.c");

/// A folder for a registry, and the library for the processes that use it.
pub(crate) struct AlteredCalls {
    dir: TempDir,
    library: PathBuf,
    /// Environment variables of the test that is run again.
    variables: Vec<(&'static str, &'static str)>,
}

impl AlteredCalls {
    /// Compiles the library with these of its changes.
    pub(crate) fn new(changes: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let library = shim::compile(SOURCE, changes, dir.path());
        AlteredCalls { dir, library, variables: Vec::new() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Of the registry.
    pub(crate) fn path(&self) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap().join("registry.json")
    }

    /// Starts the fixture `increment` on the registry, with these variables in its environment.
    pub(crate) fn increment(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Child {
        example("increment")
            .arg(self.path())
            .args(arguments)
            .env("LD_PRELOAD", &self.library)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Makes a program have the altered calls.
    pub(crate) fn load_into(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
    }

    pub(crate) fn set_variable(&mut self, name: &'static str, value: &'static str) {
        self.variables.push((name, value));
    }

    /// Runs a test of this program again, in a process with the altered calls.
    pub(crate) fn again(&self, test: &str) {
        let mut command = processes::again(&env::current_exe().unwrap(), test, self.path());
        command.envs(self.variables.iter().copied());
        self.load_into(&mut command);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
    }

    /// Kills a holder in the middle of its update.
    pub(crate) fn leave_a_dead_holders_lockfile(&self) {
        let mut victim = self.increment(&["1", "--hold"], &[]);
        let mut said = [0; 8];
        victim.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert!(self.path().with_extension("json.lock").exists());
    }

    /// The names in the folder that are the registry's or of files beside it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = super::files::names_in(self.folder());
        names.retain(|name| name.contains("registry.json"));
        names
    }

    /// Four processes count up to 400. A marker file, which knows nothing of the lock, shows two holds
    /// at once.
    pub(crate) fn four_processes_count_exactly(&self) {
        let marker = self.folder().join("marker");
        let marker = marker.to_str().unwrap();
        let children: Vec<_> = (0..4).map(|_| self.increment(&["100", marker], &[])).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        let (registry, _) = argus_registry::read_registry(self.path()).unwrap();
        assert_eq!(registry.watcher("counter").unwrap().port, 400);
        assert_eq!(self.names(), ["registry.json", "registry.json.guard"]);
    }
}

/// Durable, so that the calls that make it so can be seen.
pub(crate) fn durable_one_try() -> UpdateOptions {
    UpdateOptions {
        lock: LockOptions { timeout: Some(Duration::ZERO), ..LockOptions::default() },
        ..UpdateOptions::default()
    }
}

/// A durable update of one try.
pub(crate) fn touch(path: &Path) -> Result<(), Error> {
    update_registry(path, &durable_one_try(), |registry| {
        registry.set_updated_at(7);
        Ok(())
    })
}
