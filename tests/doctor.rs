//! The doctor, as the real program in real folders: healthy ones, ones that lack something, and
//! ones in which something was left behind.
//!
//! No file system that lies can be counted on here, so a library that is loaded before libc's
//! takes the call away from the program and all that it starts.
#![cfg(unix)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use argus_registry::{
    try_lock_exclusive, update_registry, Error, LockOptions, RegistryLock, UpdateOptions,
};
use tempfile::TempDir;

#[cfg(target_os = "linux")]
#[path = "support/shim.rs"]
mod shim;

const PROGRAM: &str = env!("CARGO_BIN_EXE_argus-registry");

/// Set for a run of this test program as a process that takes part in a test.
const PART: &str = "ARGUS_REGISTRY_TEST_PART";

struct Folder {
    dir: TempDir,
    registry: PathBuf,
}

/// What the doctor said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    text: String,
}

impl Said {
    fn new(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error, "", "{text}");
        Said { code: output.status.code(), text }
    }

    /// The lines of a check.
    fn lines(&self, check: &str) -> Vec<&str> {
        let is_its = |line: &&str| line.get(6..).is_some_and(|line| line.starts_with(check));
        self.text.lines().filter(is_its).collect()
    }

    /// The one line of a check, with its level.
    #[track_caller]
    fn says(&self, level: &str, check: &str, what: &str) {
        let lines = self.lines(&format!("{check}: "));
        let [line] = lines[..] else { panic!("{check}: {}", self.text) };
        assert!(line.starts_with(level) && line.contains(what), "{level} {what}: {}", self.text);
    }

    /// What it says of one piece of litter.
    #[track_caller]
    fn says_of(&self, path: &Path, level: &str, what: &str) {
        let path = path.to_str().unwrap();
        let line = self.lines("litter: ").into_iter().find(|line| line.contains(path));
        let line = line.unwrap_or_else(|| panic!("{path}: {}", self.text));
        assert!(line.starts_with(level) && line.contains(what), "{level} {what}: {}", self.text);
    }

    /// Every failure comes with what to do.
    fn has_next_steps(&self) {
        let lines: Vec<_> = self.text.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[0].starts_with("FAIL")) {
            assert!(pair[1].starts_with("      next: "), "{}", self.text);
        }
        assert!(!lines.last().unwrap().starts_with("FAIL"), "{}", self.text);
    }
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registry = fs::canonicalize(dir.path()).unwrap().join("registry.json");
        Folder { dir, registry }
    }

    fn with_registry() -> Self {
        let folder = Folder::new();
        touch(&folder.registry);
        folder
    }

    fn path(&self) -> &Path {
        self.registry.parent().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// New content that was never put in its place.
    fn temp(&self, of: &str, digit: &str) -> PathBuf {
        let temp = self.file(&format!(".{of}.{}.tmp", digit.repeat(32)));
        put(&temp, "half");
        temp
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn doctor(&self, arguments: &[&str]) -> Said {
        Said::new(doctor().args(arguments).arg(&self.registry))
    }
}

fn doctor() -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("doctor");
    command
}

fn put(path: &Path, text: &str) {
    fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn touch(registry: &Path) {
    update_registry(registry, &UpdateOptions::default(), |registry| {
        registry.set_updated_at(1);
        Ok::<_, Error>(())
    })
    .unwrap();
}

/// A process that holds the lock of a registry until it is killed.
struct Holder(Child);

impl Holder {
    fn of(registry: &Path, test: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(PART, registry)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.map(|line| line.unwrap()).any(|line| line == "held"));
        Holder(child)
    }

    /// What such a process does.
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

#[test]
fn a_healthy_folder() {
    let folder = Folder::with_registry();
    let document = folder.file("doc.toml");
    put(&document, "version = 1\n");
    drop(try_lock_exclusive(folder.file("doc.lock")).unwrap());
    let before = folder.names();
    std::os::unix::fs::symlink(&folder.registry, folder.dir.path().join("link")).unwrap();
    for path in [&folder.registry, &document, &folder.file("link"), folder.path()] {
        let said = Said::new(doctor().arg(path));
        assert_eq!(said.code, Some(0), "{}", said.text);
        for check in ["folder", "locks", "rename", "fsync", "links", "litter"] {
            said.says("ok", check, "");
        }
        assert!(said.text.lines().all(|line| line.starts_with("ok ")), "{}", said.text);
    }
    fs::remove_file(folder.file("link")).unwrap();
    // A file that carries a lock stands for its folder: the hints of failures name such files.
    let temp = folder.temp("registry.json", "0");
    for lock in ["registry.json.guard", "doc.lock"] {
        Said::new(doctor().arg(folder.file(lock))).says_of(&temp, "warn", "safe to delete");
    }
    fs::remove_file(temp).unwrap();
    assert_eq!(folder.names(), before, "nothing of the doctor's is left");
}

#[test]
fn json_is_for_programs() {
    let folder = Folder::with_registry();
    let temp = folder.temp("registry.json", "0");
    let told = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&folder.doctor(arguments).text).unwrap()
    };
    let found = told(&["--json"]);
    assert_eq!(found["fine"], true);
    assert_eq!(found["file"], folder.registry.to_str().unwrap());
    assert_eq!(found["folder"], folder.path().to_str().unwrap());
    assert!(found["checks"].as_array().unwrap().iter().any(|check| check["check"] == "locks"));
    let litter = |told: &serde_json::Value| {
        let litter = &told["litter"][0];
        (litter["safeToDelete"].clone(), litter["deleted"].clone(), litter["kind"].clone())
    };
    assert_eq!(litter(&found), (true.into(), false.into(), "TEMP_FILE".into()));
    assert_eq!(found["litter"][0]["path"], temp.to_str().unwrap());
    assert_eq!(litter(&told(&["--json", "--fix"])), (true.into(), true.into(), "TEMP_FILE".into()));
    assert_eq!(told(&["--json"])["litter"], serde_json::json!([]));
}

#[test]
fn without_a_path_it_is_the_registrys() {
    let folder = Folder::with_registry();
    let said = Said::new(doctor().env("ARGUS_REGISTRY_PATH", &folder.registry));
    said.says("ok", "read", folder.registry.to_str().unwrap());
    let said = Said::new(doctor().arg("--registry").arg(folder.file("other.json")));
    said.says("ok", "read", "other.json does not exist yet");
    assert_eq!(said.code, Some(0));
}

#[test]
fn what_is_not_there_or_can_not_be_meant() {
    let folder = Folder::with_registry();
    let said = Said::new(doctor().arg(folder.file("no").join("registry.json")));
    said.says("FAIL", "folder", "No such file");
    assert_eq!(said.code, Some(2));
    said.has_next_steps();
    for (odd, check, what) in [
        (Path::new("/dev/null"), "path", "neither a file nor a folder"),
        (&folder.registry.join("inside"), "path", "Not a directory"),
    ] {
        let said = Said::new(doctor().arg(odd));
        assert_eq!(said.code, Some(2), "{}", said.text);
        said.says("FAIL", check, what);
        said.has_next_steps();
    }
    std::os::unix::fs::symlink("loop", folder.file("loop")).unwrap();
    assert_eq!(Said::new(doctor().arg(folder.file("loop"))).code, Some(2));
    // A link to what is not there yet, which the first update makes.
    std::os::unix::fs::symlink("later.json", folder.file("link")).unwrap();
    let said = Said::new(doctor().arg(folder.file("link")));
    said.says("ok", "read", "later.json does not exist yet");
    let usage = doctor().arg("--no-such-thing").output().unwrap();
    assert_eq!(usage.status.code(), Some(1));
    assert!(!usage.stderr.is_empty());
}

/// Whoever stops reading ends it, and finds the folder as it was.
#[test]
fn whoever_stops_reading_leaves_no_probe_folder() {
    let folder = Folder::with_registry();
    let before = folder.names();
    let mut child = doctor().arg(&folder.registry).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(folder.names(), before);
}

#[test]
fn a_read_only_folder() {
    const NOBODY: u32 = 65_534;
    let folder = Folder::with_registry();
    let is_root = fs::metadata(folder.path()).unwrap().uid() == 0;
    let temp = folder.temp("registry.json", "0");
    // Where another user may get at it.
    let program = folder.file("program");
    // By another process: a file that this one had open for writing may be refused to be run.
    assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.arg("doctor").args(arguments).arg(&folder.registry);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        Said::new(&mut command)
    };
    mode(0o555);
    let before = folder.names();
    for arguments in [&[][..], &["--fix"]] {
        let said = run(arguments);
        assert_eq!(said.code, Some(2), "{}", said.text);
        said.says("FAIL", "folder", "readers work");
        said.says("FAIL", "folder", "updates fail with PERMISSION_DENIED");
        said.says("ok", "read", "can be read");
        said.says("warn", "locks", "has kernel locks");
        said.says("warn", "rename", "not tried");
        said.has_next_steps();
        if arguments.is_empty() {
            said.says_of(&temp, "warn", "safe to delete");
        } else {
            // He found the lock free, and could delete nothing all the same.
            assert!(said.text.contains("FAIL  litter: could not be deleted"), "{}", said.text);
        }
        assert_eq!(folder.names(), before);
    }
    if is_root {
        // A folder for everybody, with files that are one user's.
        mode(0o777);
        let guard = folder.file("registry.json.guard");
        for file in [&folder.registry, &guard] {
            fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let said = run(&[]);
        assert_eq!(said.code, Some(2), "{}", said.text);
        said.says("ok", "locks", "");
        said.says("FAIL", "read", "can't be read");
        said.says("FAIL", "access", "registry.json.guard");
        said.says_of(&temp, "warn", "can't open");
        said.has_next_steps();
    } else {
        eprintln!("not run: files of another user, which takes root to make");
    }
    mode(0o755);
}

#[cfg(target_os = "linux")]
mod file_systems {
    use super::*;

    const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
static int is_folder(int fd) {
    struct stat found;
    return fstat(fd, &found) == 0 && S_ISDIR(found.st_mode);
}
#ifdef NO_LOCKS
int flock(int fd, int operation) { errno = ENOLCK; return -1; }
#endif
#ifdef LOCKS_THAT_LIE
int flock(int fd, int operation) { return 0; }
#endif
#ifdef LOCKS_OF_PROCESSES
/* As some network file systems have them: two handles in one process do not exclude each other. */
int flock(int fd, int operation) {
    struct flock lock = { .l_whence = SEEK_SET };
    lock.l_type = operation & LOCK_UN ? F_UNLCK : operation & LOCK_EX ? F_WRLCK : F_RDLCK;
    return fcntl(fd, F_SETLK, &lock);
}
#endif
#ifdef LOCKS_THAT_HANG
int flock(int fd, int operation) { for (;;) pause(); }
#endif
#ifdef LOCKS_THAT_FAIL
int flock(int fd, int operation) { errno = EIO; return -1; }
#endif
#ifdef READERS_EXCLUDE
int flock(int fd, int operation) {
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    return real(fd, operation & LOCK_SH ? (operation & ~LOCK_SH) | LOCK_EX : operation);
}
#endif
#ifdef RENAME_REMOVES
int rename(const char *p1, const char *p2) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    unlink(p2);
    usleep(2000);
    return real(p1, p2);
}
#endif
#ifdef RENAME_COPIES
/* The first half, a pause, the second half. */
int rename(const char *p1, const char *p2) {
    static char content[1 << 20];
    int from = open(p1, O_RDONLY), to = open(p2, O_CREAT | O_WRONLY | TRUNCATES, 0644);
    ssize_t length = read(from, content, sizeof content);
    if (write(to, content, length / 2) < 0) return -1;
    usleep(2000);
    if (write(to, content + length / 2, length - length / 2) < 0) return -1;
    close(from);
    close(to);
    return unlink(p1);
}
#endif
#ifdef NO_FSYNC
int fsync(int fd) { errno = EIO; return -1; }
#endif
#ifdef NO_FSYNC_OF_FOLDERS
int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    if (!is_folder(fd)) return real(fd);
    errno = NO_FSYNC_OF_FOLDERS;
    return -1;
}
#endif
#ifdef FULL
ssize_t write(int fd, const void *bytes, size_t count) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    struct stat found;
    if (fstat(fd, &found) || !S_ISREG(found.st_mode)) return real(fd, bytes, count);
    errno = ENOSPC;
    return -1;
}
#endif
#ifdef NO_LINKS
int linkat(int d1, const char *p1, int d2, const char *p2, int flags) { errno = EPERM; return -1; }
int link(const char *p1, const char *p2) { errno = EPERM; return -1; }
#endif
"#;

    /// The doctor in a folder that lacks something; nothing of it is left there.
    fn doctor_without(lacks: &[&str]) -> Said {
        let (folder, beside) = (Folder::with_registry(), tempfile::tempdir().unwrap());
        let before = folder.names();
        let mut command = doctor();
        let said = Said::new(
            command
                .arg(&folder.registry)
                .env("LD_PRELOAD", shim::compile(SHIM, lacks, beside.path())),
        );
        assert_eq!(folder.names(), before);
        said.has_next_steps();
        said
    }

    #[test]
    fn without_kernel_locks() {
        let said = doctor_without(&["NO_LOCKS"]);
        assert_eq!(said.code, Some(2), "{}", said.text);
        said.says("FAIL", "locks", "registries go on with the lockfile alone");
        said.says("FAIL", "locks", "UNSUPPORTED_FILE_SYSTEM");
        // Everything else is fine, and litter can be judged by its owners.
        for check in ["folder", "rename", "fsync", "links", "litter"] {
            said.says("ok", check, "");
        }
    }

    #[test]
    fn locks_that_can_not_be_relied_on() {
        for (lack, what) in [
            ("LOCKS_THAT_LIE", "another got it exclusively, too"),
            ("LOCKS_OF_PROCESSES", "another handle of the same process"),
            ("READERS_EXCLUDE", "another could not share it"),
            ("LOCKS_THAT_FAIL", "Input/output error"),
        ] {
            let said = doctor_without(&[lack]);
            assert_eq!(said.code, Some(2), "{lack}: {}", said.text);
            said.says("FAIL", "locks", what);
            said.says("warn", "litter", "not looked for");
        }
    }

    /// Where locks lie, a live holder's files look like nobody's.
    #[test]
    fn nothing_is_deleted_where_locks_lie() {
        let (folder, beside) = (Folder::with_registry(), tempfile::tempdir().unwrap());
        folder.temp("registry.json", "0");
        let before = folder.names();
        let library = shim::compile(SHIM, &["LOCKS_THAT_LIE"], beside.path());
        Said::new(doctor().arg("--fix").arg(&folder.registry).env("LD_PRELOAD", library));
        assert_eq!(folder.names(), before);
    }

    #[test]
    fn a_lock_that_never_answers_does_not_hang_the_doctor() {
        let said = doctor_without(&["LOCKS_THAT_HANG"]);
        assert_eq!(said.code, Some(2), "{}", said.text);
        said.says("FAIL", "locks", "no answer within 10 s");
        said.says("ok", "rename", "");
        said.says("warn", "litter", "not looked for");
    }

    #[test]
    fn replacements_that_are_not_atomic_are_found_out() {
        for (lacks, what) in [
            (&["RENAME_REMOVES"][..], "missing for a moment"),
            (&["RENAME_COPIES", "TRUNCATES=O_TRUNC"], "of its 65536 bytes"),
            (&["RENAME_COPIES", "TRUNCATES=0"], "a mix of two versions"),
        ] {
            let said = doctor_without(lacks);
            assert_eq!(said.code, Some(2), "{lacks:?}: {}", said.text);
            said.says("FAIL", "rename", what);
            said.says("ok", "locks", "");
        }
    }

    #[test]
    fn fsync_that_fails_and_a_disk_that_is_full() {
        let said = doctor_without(&["FULL"]);
        assert_eq!(said.code, Some(2), "{}", said.text);
        for check in ["rename", "fsync"] {
            said.says("FAIL", check, "the disk is full");
        }
        let said = doctor_without(&["NO_FSYNC"]);
        assert_eq!(said.code, Some(2), "{}", said.text);
        said.says("FAIL", "fsync", "a file can't be synced (Input/output error");
        let said = doctor_without(&["NO_FSYNC_OF_FOLDERS=EIO"]);
        assert_eq!(said.code, Some(2), "{}", said.text);
        said.says("FAIL", "fsync", "the folder can't be synced");
        let said = doctor_without(&["NO_FSYNC_OF_FOLDERS=EINVAL"]);
        assert_eq!(said.code, Some(0), "{}", said.text);
        said.says("warn", "fsync", "the folder can't");
    }

    #[test]
    fn without_second_names() {
        let said = doctor_without(&["NO_LINKS"]);
        assert_eq!(said.code, Some(0), "{}", said.text);
        said.says("warn", "links", "a registry's lockfile is a file of its own");
    }
}

#[test]
fn temp_files_and_a_dead_holders_lockfile() {
    const TEST: &str = "temp_files_and_a_dead_holders_lockfile";
    if let Ok(registry) = env::var(PART) {
        return Holder::hold(&registry);
    }
    let folder = Folder::with_registry();
    let (guard, lockfile) = (folder.file("registry.json.guard"), folder.file("registry.json.lock"));
    // What the doctor has no business with.
    for name in [".registry.json.tmp", ".other.json.x.tmp", "registry.json.backup", "Cargo.lock"] {
        put(&folder.file(name), "a user's");
    }
    let other = folder.temp("other.json", "1");
    let before = folder.names();

    let holder = Holder::of(&folder.registry, TEST);
    // As if it were about to commit.
    let ours = folder.temp("registry.json", "0");
    let pid = format!("process {}", holder.0.id());
    for arguments in [&[][..], &["--fix"]] {
        let said = folder.doctor(arguments);
        assert_eq!(said.code, Some(0), "{}", said.text);
        said.says_of(&ours, "warn", &pid);
        said.says_of(&ours, "warn", "not to be deleted now");
        assert_eq!(said.lines("litter: ").len(), 1, "{}", said.text);
    }
    assert!(ours.exists() && lockfile.exists(), "a live process holds the lock");

    holder.kill();
    let said = folder.doctor(&[]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    said.says_of(&ours, "warn", "safe to delete");
    said.says_of(&lockfile, "warn", &pid);
    said.says_of(&lockfile, "warn", "safe to delete");
    assert_eq!(said.lines("litter: ").len(), 2, "{}", said.text);
    assert!(ours.exists() && lockfile.exists(), "looking deletes nothing");

    let said = folder.doctor(&["--fix"]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    said.says_of(&ours, "ok", "deleted");
    said.says_of(&lockfile, "ok", "deleted");
    assert_eq!(folder.names(), before);
    assert!(guard.exists() && other.exists());
    folder.doctor(&["--fix"]).says("ok", "litter", "none");

    // Asked about the folder, it finds the other one, too, which has no lock to be judged by.
    let said = Said::new(doctor().arg("--fix").arg(folder.path()));
    said.says_of(&other, "warn", "not to be deleted now");
    assert_eq!(folder.names(), before);
}

#[test]
fn an_old_arguss_lockfile_and_kept_content() {
    let folder = Folder::new();
    put(&folder.registry, "precious {");
    let on_warning = argus_registry::OnWarning::new(|_| {});
    let options = UpdateOptions { on_warning, ..UpdateOptions::default() };
    update_registry(&folder.registry, &options, |registry| {
        registry.set_updated_at(1);
        Ok::<_, Error>(())
    })
    .unwrap();
    let kept = folder.names().into_iter().find(|name| name.contains(".corrupt-")).unwrap();
    let kept = folder.file(&kept);
    let lockfile = folder.file("registry.json.lock");
    put(&lockfile, "");
    let before = folder.names();

    // Fresh: somebody holds it.
    let said = folder.doctor(&["--fix"]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    said.says_of(&kept, "warn", "not to be deleted now");
    assert_eq!(said.lines("litter: ").len(), 1, "{}", said.text);
    assert_eq!(folder.names(), before);

    let opened = fs::File::options().write(true).open(&lockfile).unwrap();
    opened.set_modified(std::time::UNIX_EPOCH).unwrap();
    folder.doctor(&[]).says_of(&lockfile, "warn", "safe to delete");
    let said = folder.doctor(&["--fix"]);
    said.says_of(&lockfile, "ok", "deleted");
    said.says_of(&kept, "warn", "not to be deleted now");
    assert!(!lockfile.exists());
    assert_eq!(fs::read_to_string(&kept).unwrap(), "precious {");
}

#[test]
fn a_guard_that_somebody_removed_and_one_that_is_none() {
    const TEST: &str = "a_guard_that_somebody_removed_and_one_that_is_none";
    if let Ok(registry) = env::var(PART) {
        return Holder::hold(&registry);
    }
    let folder = Folder::with_registry();
    let (guard, lockfile) = (folder.file("registry.json.guard"), folder.file("registry.json.lock"));
    let holder = Holder::of(&folder.registry, TEST);
    fs::remove_file(&guard).unwrap();
    let before = folder.names();
    let said = folder.doctor(&["--fix"]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    said.says_of(&guard, "warn", "was removed while");
    assert_eq!(folder.names(), before, "nothing is mended while it is held");

    holder.kill();
    let said = folder.doctor(&["--fix"]);
    said.says_of(&lockfile, "ok", "deleted");
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert_eq!(folder.names(), ["registry.json", "registry.json.guard"]);
    folder.doctor(&[]).says("ok", "litter", "none");

    put(&guard, "a user's notes");
    let said = folder.doctor(&["--fix"]);
    assert_eq!(said.code, Some(2), "{}", said.text);
    said.says_of(&guard, "FAIL", "until it is moved away");
    said.has_next_steps();
    assert_eq!(fs::read_to_string(&guard).unwrap(), "a user's notes");
}

#[test]
fn a_documents_temp_files() {
    let folder = Folder::new();
    let document = folder.file("exceptions.toml");
    put(&document, "version = 1\n");
    let temp = folder.temp("exceptions.toml", "0");
    let fix = || Said::new(doctor().arg("--fix").arg(&document));
    fix().says_of(&temp, "warn", "no lock file");
    let lock_file = folder.file("exceptions.lock");
    let held = try_lock_exclusive(&lock_file).unwrap();
    fix().says_of(&temp, "warn", "exceptions.lock");
    assert!(temp.exists());
    drop(held);
    // Another lock file may be the document's.
    fix().says_of(&temp, "warn", "elsewhere");
    let opened = fs::File::options().write(true).open(&temp).unwrap();
    opened.set_modified(std::time::UNIX_EPOCH).unwrap();
    let said = fix();
    said.says_of(&temp, "ok", "deleted");
    assert_eq!(said.code, Some(0));
    assert_eq!(folder.names(), ["exceptions.lock", "exceptions.toml"]);
}

#[test]
fn the_probe_folder_of_a_doctor_that_was_killed() {
    let folder = Folder::with_registry();
    let before = folder.names();
    // Its output goes into a full pipe: so it stands still at its first line, with its folder made.
    let (mut full, reader) = UnixStream::pair().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.write(&[b' '; 4096]).is_ok() {}
    full.set_nonblocking(false).unwrap();
    let output = Stdio::from(std::os::fd::OwnedFd::from(full));
    let mut victim = doctor().arg(&folder.registry).stdout(output).spawn().unwrap();
    let probe_folder = || {
        let mut names = folder.names();
        names.retain(|name| name.starts_with(".argus-registry-probe-"));
        names.pop().map(|name| folder.file(&name))
    };
    let is_made = |path: &Path| fs::metadata(path.join("owner")).is_ok_and(|file| file.len() > 0);
    let left = loop {
        match probe_folder() {
            Some(left) if is_made(&left) => break left,
            _ => thread::yield_now(),
        }
    };
    let said = folder.doctor(&["--fix"]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    said.says_of(&left, "warn", "a doctor at work uses it");
    assert!(left.exists());

    victim.kill().unwrap();
    victim.wait().unwrap();
    drop(reader);
    let mine = left.join("notes");
    put(&mine, "a user's");
    let said = folder.doctor(&["--fix"]);
    assert_eq!(said.code, Some(2), "{}", said.text);
    assert!(said.text.contains("notes"), "{}", said.text);
    assert!(mine.exists());

    fs::remove_file(mine).unwrap();
    folder.doctor(&[]).says_of(&left, "warn", "safe to delete");
    folder.doctor(&["--fix"]).says_of(&left, "ok", "deleted");
    assert_eq!(folder.names(), before);
}
