//! `doctor`, as the real program in real folders: healthy ones, ones that lack something, and ones
//! in which crashed processes left files.

#[cfg(target_os = "linux")]
mod file_systems;
mod folders;
mod litter;

use std::path::{Path, PathBuf};
use std::process::Command;

use argus_registry::{update_registry, Error, UpdateOptions};

use crate::support::{program, Folder};

/// What the doctor printed, and its exit code.
#[derive(Debug)]
struct DoctorOutcome {
    code: Option<i32>,
    text: String,
}

impl DoctorOutcome {
    /// Runs it; it must print nothing on standard error.
    fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error, "", "{text}");
        DoctorOutcome { code: output.status.code(), text }
    }

    /// The lines of a check.
    fn lines(&self, check: &str) -> Vec<&str> {
        let is_of_check = |line: &&str| line.get(6..).is_some_and(|line| line.starts_with(check));
        self.text.lines().filter(is_of_check).collect()
    }

    /// Asserts that a check has one line, of that level, which contains a text.
    #[track_caller]
    fn assert_check(&self, level: &str, check: &str, text: &str) {
        let lines = self.lines(&format!("{check}: "));
        let [line] = lines[..] else { panic!("{check}: {}", self.text) };
        assert!(line.starts_with(level) && line.contains(text), "{level} {text}: {}", self.text);
    }

    /// Asserts that a left file has a line of that level, which contains a text.
    #[track_caller]
    fn assert_litter(&self, path: &Path, level: &str, text: &str) {
        let path = path.to_str().unwrap();
        let line = self.lines("litter: ").into_iter().find(|line| line.contains(path));
        let line = line.unwrap_or_else(|| panic!("{path}: {}", self.text));
        assert!(line.starts_with(level) && line.contains(text), "{level} {text}: {}", self.text);
    }

    /// Asserts that a next step follows each failure.
    #[track_caller]
    fn assert_next_steps(&self) {
        let lines: Vec<_> = self.text.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[0].starts_with("FAIL")) {
            assert!(pair[1].starts_with("      next: "), "{}", self.text);
        }
        assert!(!lines.last().unwrap().starts_with("FAIL"), "{}", self.text);
    }
}

fn doctor() -> Command {
    let mut command = program();
    command.arg("doctor");
    command
}

/// Runs the doctor on the registry of a folder.
fn examine(folder: &Folder, arguments: &[&str]) -> DoctorOutcome {
    DoctorOutcome::of(doctor().args(arguments).arg(registry(folder)))
}

fn registry(folder: &Folder) -> PathBuf {
    folder.path("registry.json")
}

fn folder_with_registry() -> Folder {
    let folder = Folder::new();
    update_registry(registry(&folder), &UpdateOptions::default(), |registry| {
        registry.set_updated_at(1);
        Ok::<_, Error>(())
    })
    .unwrap();
    folder
}

/// Makes a temp file as a writer leaves that is killed before its rename.
fn temp_file(folder: &Folder, of: &str, digit: &str) -> PathBuf {
    let name = format!(".{of}.{}.tmp", digit.repeat(32));
    folder.put(&name, "half").path(&name)
}
