//! Litter, the files that crashed processes leave: which are reported as safe to delete, and which
//! `--fix` deletes.

use std::env;
use std::fs;
#[cfg(unix)]
use std::io::Write;
use std::io::{BufRead, BufReader, Read};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
#[cfg(unix)]
use std::thread;
use std::time::{Duration, SystemTime};

use argus_registry::{
    try_lock_exclusive, update_registry, Error, LockOptions, OnWarning, RegistryLock, UpdateOptions,
};

use super::{doctor, examine, folder_with_registry, registry, temp_file, DoctorOutcome};
use crate::support::Folder;

/// The environment variable that makes this test program the holder of a registry's lock.
const HOLDER_VARIABLE: &str = "ARGUS_REGISTRY_TEST_HOLDER";

/// A process that holds the lock of a registry until it is killed.
struct HolderProcess(Child);

impl HolderProcess {
    /// Runs one test of this program again, with the variable that makes it [`hold`](Self::hold).
    fn start(registry: &Path, test: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(HOLDER_VARIABLE, registry)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.map(|line| line.unwrap()).any(|line| line == "held"), "no test {test}");
        HolderProcess(child)
    }

    /// What that process does.
    fn hold(registry: &str) {
        let _held = RegistryLock::acquire(registry, &LockOptions::default()).unwrap();
        println!("\nheld");
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn the_files_of_a_dead_holder_are_deleted_and_those_of_a_live_one_are_not() {
    const TEST: &str =
        "doctor::litter::the_files_of_a_dead_holder_are_deleted_and_those_of_a_live_one_are_not";
    if let Ok(registry) = env::var(HOLDER_VARIABLE) {
        return HolderProcess::hold(&registry);
    }
    let folder = folder_with_registry();
    let (guard, lockfile) = (folder.path("registry.json.guard"), folder.path("registry.json.lock"));
    // Files that are none of the library's.
    for name in [".registry.json.tmp", ".other.json.x.tmp", "registry.json.backup", "Cargo.lock"] {
        folder.put(name, "a user's");
    }
    let other = temp_file(&folder, "other.json", "1");
    let before = folder.names();

    let holder = HolderProcess::start(&registry(&folder), TEST);
    // As if the holder were about to commit.
    let ours = temp_file(&folder, "registry.json", "0");
    let pid = format!("process {}", holder.0.id());
    for arguments in [&[][..], &["--fix"]] {
        let outcome = examine(&folder, arguments);
        assert_eq!(outcome.code, Some(0), "{}", outcome.text);
        outcome.assert_litter(&ours, "warn", &pid);
        outcome.assert_litter(&ours, "warn", "not to be deleted now");
        assert_eq!(outcome.lines("litter: ").len(), 1, "{}", outcome.text);
    }
    assert!(ours.exists() && lockfile.exists(), "a live process holds the lock");

    holder.kill();
    let outcome = examine(&folder, &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    outcome.assert_litter(&ours, "warn", "safe to delete");
    outcome.assert_litter(&lockfile, "warn", &pid);
    outcome.assert_litter(&lockfile, "warn", "safe to delete");
    assert_eq!(outcome.lines("litter: ").len(), 2, "{}", outcome.text);
    assert!(ours.exists() && lockfile.exists(), "without --fix it deletes nothing");

    let outcome = examine(&folder, &["--fix"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    outcome.assert_litter(&ours, "ok", "deleted");
    outcome.assert_litter(&lockfile, "ok", "deleted");
    assert_eq!(folder.names(), before);
    assert!(guard.exists() && other.exists());
    examine(&folder, &["--fix"]).assert_check("ok", "litter", "none");

    // In the whole folder it also finds the other temp file, which no lock tells to be litter.
    let outcome = DoctorOutcome::of(doctor().arg("--fix").arg(&folder.path));
    outcome.assert_litter(&other, "warn", "not to be deleted now");
    assert_eq!(folder.names(), before);
}

#[test]
fn an_old_lockfile_of_an_older_argus_is_deleted_and_kept_content_is_not() {
    let folder = Folder::new();
    folder.put("registry.json", "precious {");
    let on_warning = OnWarning::new(|_| {});
    let options = UpdateOptions { on_warning, ..UpdateOptions::default() };
    update_registry(registry(&folder), &options, |registry| {
        registry.set_updated_at(1);
        Ok::<_, Error>(())
    })
    .unwrap();
    let kept = folder.names().into_iter().find(|name| name.contains(".corrupt-")).unwrap();
    let kept = folder.path(&kept);
    let lockfile = folder.path("registry.json.lock");
    folder.put("registry.json.lock", "");
    let before = folder.names();

    // A fresh lockfile: a process of an older argus version may hold it.
    let opened = fs::File::options().write(true).open(&lockfile).unwrap();
    opened.set_modified(SystemTime::now()).unwrap();
    let outcome = examine(&folder, &["--fix"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    outcome.assert_litter(&kept, "warn", "not to be deleted now");
    assert_eq!(outcome.lines("litter: ").len(), 1, "{}", outcome.text);
    assert_eq!(folder.names(), before);

    opened.set_modified(std::time::UNIX_EPOCH).unwrap();
    drop(opened);
    examine(&folder, &[]).assert_litter(&lockfile, "warn", "safe to delete");
    let outcome = examine(&folder, &["--fix"]);
    outcome.assert_litter(&lockfile, "ok", "deleted");
    outcome.assert_litter(&kept, "warn", "not to be deleted now");
    assert!(!lockfile.exists());
    assert_eq!(fs::read_to_string(&kept).unwrap(), "precious {");
}

#[test]
fn kept_copies_are_told_by_number_age_and_size_and_not_by_what_they_hold() {
    let folder = folder_with_registry();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    let copy = |hours: u64, text: &str| {
        let name = format!("registry.json.corrupt-{}-0123abcd", now - hours * 3_600_000);
        folder.put(&name, text).path(&name)
    };
    let newer = copy(5, "{\"watchers\": [");
    let older = copy(100, &format!("{}\u{1b}[2J", "x".repeat(60)));
    let outcome = examine(&folder, &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    for expected in ["14 bytes", "5 h ago", "number 2 of 2", "at most 8", "delete it"] {
        outcome.assert_litter(&newer, "warn", expected);
    }
    for expected in ["64 bytes", "4 d ago", "number 1 of 2"] {
        outcome.assert_litter(&older, "warn", expected);
    }
    // It may be private, and have control sequences for the terminal.
    for held in ["watchers\\\": [", "xxx", "\u{1b}"] {
        assert!(!outcome.text.contains(held), "{}", outcome.text);
    }
    let fixed = examine(&folder, &["--fix"]);
    fixed.assert_litter(&older, "warn", "not to be deleted now");
    assert!(older.exists() && newer.exists());
}

#[test]
fn a_removed_guard_is_reported_and_an_unrelated_file_under_its_name_fails() {
    const TEST: &str =
        "doctor::litter::a_removed_guard_is_reported_and_an_unrelated_file_under_its_name_fails";
    if let Ok(registry) = env::var(HOLDER_VARIABLE) {
        return HolderProcess::hold(&registry);
    }
    let folder = folder_with_registry();
    let (guard, lockfile) = (folder.path("registry.json.guard"), folder.path("registry.json.lock"));
    let holder = HolderProcess::start(&registry(&folder), TEST);
    fs::remove_file(&guard).unwrap();
    let before = folder.names();
    let outcome = examine(&folder, &["--fix"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    outcome.assert_litter(&guard, "warn", "was removed while");
    assert_eq!(folder.names(), before, "nothing changes while the lock is held");

    holder.kill();
    let outcome = examine(&folder, &["--fix"]);
    outcome.assert_litter(&lockfile, "ok", "deleted");
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    assert_eq!(folder.names(), ["registry.json", "registry.json.guard"]);
    examine(&folder, &[]).assert_check("ok", "litter", "none");

    folder.put("registry.json.guard", "a user's notes");
    let outcome = examine(&folder, &["--fix"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.text);
    outcome.assert_litter(&guard, "FAIL", "until it is moved away");
    outcome.assert_next_steps();
    assert_eq!(fs::read_to_string(&guard).unwrap(), "a user's notes");
}

#[test]
fn temp_files_of_a_document_are_deleted_when_they_are_old() {
    let folder = Folder::new();
    let document = folder.path("exceptions.toml");
    folder.put("exceptions.toml", "version = 1\n");
    let temp = temp_file(&folder, "exceptions.toml", "0");
    let fix = || DoctorOutcome::of(doctor().arg("--fix").arg(&document));
    fix().assert_litter(&temp, "warn", "no lock file");
    let lock_file = folder.path("exceptions.lock");
    let held = try_lock_exclusive(&lock_file).unwrap();
    fix().assert_litter(&temp, "warn", "exceptions.lock");
    assert!(temp.exists());
    drop(held);
    // Another program may lock the document by another lock file. The file stays young however slow the doctor is.
    let opened = fs::File::options().write(true).open(&temp).unwrap();
    opened.set_modified(SystemTime::now() + HOUR).unwrap();
    fix().assert_litter(&temp, "warn", "elsewhere");
    opened.set_modified(std::time::UNIX_EPOCH).unwrap();
    drop(opened);
    let outcome = fix();
    outcome.assert_litter(&temp, "ok", "deleted");
    assert_eq!(outcome.code, Some(0));
    assert_eq!(folder.names(), ["exceptions.lock", "exceptions.toml"]);
}

#[cfg(unix)]
#[test]
fn the_probe_folder_of_a_killed_doctor_is_deleted() {
    let folder = folder_with_registry();
    let before = folder.names();
    // Its output goes into a full socket, so it blocks at its first line, after it has made its
    // probe folder.
    let (mut full, reader) = UnixStream::pair().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.write(&[b' '; 4096]).is_ok() {}
    full.set_nonblocking(false).unwrap();
    let output = Stdio::from(std::os::fd::OwnedFd::from(full));
    let mut blocked = doctor().arg(registry(&folder)).stdout(output).spawn().unwrap();
    let probe_folder = || {
        let mut names = folder.names();
        names.retain(|name| name.starts_with(".argus-registry-probe-"));
        names.pop().map(|name| folder.path(&name))
    };
    let is_made = |path: &Path| fs::metadata(path.join("owner")).is_ok_and(|file| file.len() > 0);
    let left = loop {
        match probe_folder() {
            Some(left) if is_made(&left) => break left,
            _ => thread::yield_now(),
        }
    };
    let outcome = examine(&folder, &["--fix"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    outcome.assert_litter(&left, "warn", "a doctor at work uses it");
    assert!(left.exists());

    blocked.kill().unwrap();
    blocked.wait().unwrap();
    drop(reader);
    let notes = left.join("notes");
    fs::File::create(&notes).unwrap().write_all(b"a user's").unwrap();
    let outcome = examine(&folder, &["--fix"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.text);
    assert!(outcome.text.contains("notes"), "{}", outcome.text);
    assert!(notes.exists());

    fs::remove_file(notes).unwrap();
    examine(&folder, &[]).assert_litter(&left, "warn", "safe to delete");
    examine(&folder, &["--fix"]).assert_litter(&left, "ok", "deleted");
    assert_eq!(folder.names(), before);
}
