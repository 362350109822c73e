//! File systems that lack something: kernel locks, second names, or both.
//!
//! No such file system can be counted on here, so a library that is loaded before libc's takes
//! the call away from real processes on real files.
#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use argus_registry::{
    clear_litter, find_litter, inspect_lock, read_registry, try_lock_exclusive, update_registry,
    Document, Error, Guarantee, LockOptions, LockState, RegistryLock, UpdateOptions,
};

#[path = "support/shim.rs"]
mod shim;

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef WITHOUT_LOCKS
int flock(int fd, int operation) { errno = ENOLCK; return -1; }
#endif
#ifdef WITHOUT_LINKS
int linkat(int d1, const char *p1, int d2, const char *p2, int flags) { errno = EPERM; return -1; }
#endif
#ifdef ROBBED_AFTER_LINK
/* An old argus that took our fresh link for the stale lockfile it had looked at before. */
int linkat(int d1, const char *p1, int d2, const char *p2, int flags) {
    int (*real)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
    int result = real(d1, p1, d2, p2, flags);
    if (result == 0 && strstr(p2, ".lock")) {
        unlink(p2);
        close(open(p2, O_CREAT | O_EXCL | O_WRONLY, 0644));
    }
    return result;
}
#endif
#ifdef KILLED_AT_LINK
/* A crash at the making of a second name: the one that is given as the ending. */
int linkat(int d1, const char *p1, int d2, const char *p2, int flags) {
    const char *ending = getenv("KILLED_AT");
    size_t length = strlen(p2), wanted = ending ? strlen(ending) : 0;
    if (ending && length >= wanted && !strcmp(p2 + length - wanted, ending)) {
        kill(getpid(), SIGKILL);
        pause();
    }
    int (*real)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
    return real(d1, p1, d2, p2, flags);
}
#endif
#ifdef ROBBED_WHILE_WRITING
/* An old argus that takes our lockfile for stale while our new content goes to the disk. */
int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    char lockfile[4096];
    snprintf(lockfile, sizeof lockfile, "%s.lock", getenv("ARGUS_REGISTRY_TEST_PART"));
    unlink(lockfile);
    close(open(lockfile, O_CREAT | O_EXCL | O_WRONLY, 0644));
    return real(fd);
}
#endif
#ifdef TELLS
/* Writes down what is made durable, renamed and given another mode, in order. */
static void tell(const char *what, const char *path) {
    char told[4096];
    snprintf(told, sizeof told, "%s.told", getenv("ARGUS_REGISTRY_TEST_PART"));
    FILE *file = fopen(told, "a");
    fprintf(file, "%s %s\n", what, path);
    fclose(file);
}
static void tell_of_open_file(const char *what, int fd) {
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    tell(what, path);
}
int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    tell_of_open_file("sync", fd);
    return real(fd);
}
int fchmod(int fd, mode_t mode) {
    int (*real)(int, mode_t) = dlsym(RTLD_NEXT, "fchmod");
    tell_of_open_file("chmod", fd);
    return real(fd, mode);
}
int rename(const char *p1, const char *p2) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    tell("rename", p2);
    return real(p1, p2);
}
#endif
#ifdef SOMEBODY_LOOKS
/* Somebody looks at the guard, which he locks for that, the first three times that it is tried. */
int flock(int fd, int operation) {
    static int tries = 0;
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    if (operation == (LOCK_EX | LOCK_NB) && ++tries <= 3) {
        errno = EWOULDBLOCK;
        return -1;
    }
    return real(fd, operation);
}
#endif
#ifdef VANISHES
/* Somebody deletes the document while we are at its lock. */
int flock(int fd, int operation) {
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    unlink(getenv("ARGUS_REGISTRY_TEST_PART"));
    return real(fd, operation);
}
#endif
#ifdef VANISHES_AT_ONCE
/* Somebody deletes the document as soon as its own name has been found. */
char *realpath(const char *path, char *resolved) {
    char *(*real)(const char *, char *) = dlsym(RTLD_NEXT, "realpath");
    char *result = real(path, resolved);
    if (result && !strcmp(result, getenv("ARGUS_REGISTRY_TEST_PART"))) unlink(result);
    return result;
}
#endif
#ifdef SWEPT
/* Somebody who took our lock away and swept up what we were about to commit, the first time. */
int rename(const char *p1, const char *p2) {
    static int times = 0;
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    char lockfile[4096];
    snprintf(lockfile, sizeof lockfile, "%s.lock", getenv("ARGUS_REGISTRY_TEST_PART"));
    if (times++ == 0) {
#ifndef LEAVES_THE_LOCK
        unlink(lockfile);
#endif
        unlink(p1);
    }
    return real(p1, p2);
}
#endif
#ifdef ROBBED_BEFORE_MOVE
/* An old argus that takes over the stale lockfile which we are just about to move aside. */
int rename(const char *p1, const char *p2) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    if (strstr(p1, ".lock")) {
        unlink(p1);
        close(open(p1, O_CREAT | O_EXCL | O_WRONLY, 0644));
    }
    return real(p1, p2);
}
#endif
#ifdef CLOSES_NOTHING
/* Somebody else still has every descriptor, as a child has until its exec. */
int close(int fd) { return 0; }
#endif
#ifdef SLOW_RENAMES
/* Widens the windows around moving a lockfile, and the one between the last check of a commit and
   its rename: milliseconds from the environment. */
static void pause_for(const char *name) {
    const char *ms = getenv(name);
    if (ms) usleep(atoi(ms) * 1000);
}
int rename(const char *p1, const char *p2) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    int moves_lockfile = strstr(p1, ".lock") != NULL;
    pause_for(moves_lockfile ? "BEFORE_MOVE" : "BEFORE_COMMIT");
    int result = real(p1, p2);
    if (moves_lockfile) pause_for("AFTER_MOVE");
    return result;
}
#endif
"#;

/// Set for a run of this test program under the shim: which part of the test it is.
const PART: &str = "ARGUS_REGISTRY_TEST_PART";

struct Shim {
    dir: tempfile::TempDir,
    library: PathBuf,
}

impl Shim {
    fn new(lacks: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let library = shim::compile(SHIM, lacks, dir.path());
        Shim { dir, library }
    }

    fn path(&self) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap().join("registry.json")
    }

    fn increment(&self, arguments: &[&str], pauses: &[(&str, &str)]) -> Child {
        let program = env::current_exe().unwrap();
        let program = program.ancestors().nth(2).unwrap().join("examples").join("increment");
        Command::new(&program)
            .arg(self.path())
            .args(arguments)
            .env("LD_PRELOAD", &self.library)
            .envs(pauses.iter().copied())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; build examples first", program.display()))
    }

    /// Runs one test of this program again, under the shim.
    fn again(&self, test: &str) {
        let status = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env("LD_PRELOAD", &self.library)
            .env(PART, self.path())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

/// Several processes count up; a witness that knows nothing of the lock sees overlaps.
fn counts_exactly(lacks: &[&str]) {
    let shim = Shim::new(lacks);
    let marker = shim.dir.path().join("marker");
    let marker = marker.to_str().unwrap();
    let children: Vec<_> = (0..4).map(|_| shim.increment(&["100", marker], &[])).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let (registry, _) = read_registry(shim.path()).unwrap();
    assert_eq!(registry.watcher("counter").unwrap().port, 400);
    let mut left: Vec<_> = fs::read_dir(shim.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("registry.json"))
        .collect();
    left.sort();
    assert_eq!(left, ["registry.json", "registry.json.guard"]);
}

#[test]
fn without_second_names() {
    counts_exactly(&["WITHOUT_LINKS"]);
}

#[test]
fn without_kernel_locks() {
    counts_exactly(&["WITHOUT_LOCKS"]);
}

#[test]
fn without_either() {
    counts_exactly(&["WITHOUT_LOCKS", "WITHOUT_LINKS"]);
}

/// Kills a holder in the middle of its updates until it leaves its lockfile behind.
fn leave_a_dead_holders_lockfile(shim: &Shim) {
    let lockfile = shim.path().with_extension("json.lock");
    while !lockfile.exists() {
        let mut victim = shim.increment(&["60000", "--say"], &[]);
        let mut said = [0; 8];
        std::io::Read::read_exact(victim.stdout.as_mut().unwrap(), &mut said).unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
    }
}

/// A dead holder's lockfile is judged by two at once. The slower one must not move away the fresh
/// lockfile of the faster one, or a third gets in while the faster one is about to commit: an
/// acknowledged update was lost that way.
#[test]
fn two_that_judge_a_dead_holders_lockfile_without_kernel_locks() {
    let shim = Shim::new(&["WITHOUT_LOCKS", "SLOW_RENAMES"]);
    let port = || read_registry(shim.path()).unwrap().0.watcher("counter").unwrap().port;
    leave_a_dead_holders_lockfile(&shim);
    let expected = port().wrapping_add(3);
    #[allow(clippy::disallowed_methods, reason = "the windows are made of pauses")]
    let after = |ms| thread::sleep(Duration::from_millis(ms));
    let slower = shim.increment(&["1"], &[("BEFORE_MOVE", "300"), ("AFTER_MOVE", "900")]);
    after(100);
    let faster = shim.increment(&["1"], &[("BEFORE_COMMIT", "1500")]);
    after(400);
    let third = shim.increment(&["1"], &[]);
    for mut child in [slower, faster, third] {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(port(), expected);
}

/// A crash that leaves a temp file but no lockfile: there is nothing to take over, and the temp
/// file stayed for good.
#[test]
fn the_temp_file_of_a_guard_that_was_never_named_goes_with_the_next_process() {
    let shim = Shim::new(&["KILLED_AT_LINK"]);
    // With a registry to copy the mode of, the guard is made under another name first.
    #[allow(clippy::disallowed_methods, reason = "made by somebody else")]
    fs::write(shim.path(), r#"{"version":1,"updatedAt":0,"watchers":{}}"#).unwrap();
    let names = || {
        fs::read_dir(shim.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("registry.json"))
            .collect::<Vec<_>>()
    };
    let mut victim = shim.increment(&["1"], &[("KILLED_AT", ".guard")]);
    assert!(!victim.wait().unwrap().success());
    assert!(names().iter().any(|name| name.ends_with(".tmp")), "{:?}", names());
    let mut next = shim.increment(&["1"], &[]);
    assert!(next.wait().unwrap().success());
    let mut left = names();
    left.sort();
    assert_eq!(left, ["registry.json", "registry.json.guard"]);
}

#[test]
fn an_old_arguss_fresh_lockfile_is_never_removed() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["ROBBED_AFTER_LINK"]);
        return shim.again("an_old_arguss_fresh_lockfile_is_never_removed");
    };
    assert_eq!(touch(path.as_ref()).unwrap_err().code(), "LOCK_BUSY");
    let lockfile = Path::new(&path).with_extension("json.lock");
    assert_eq!(fs::metadata(lockfile).unwrap().len(), 0, "the old one's is there");
    assert!(!Path::new(&path).exists());
}

/// The new content is written and synced, which takes its time; who holds the lock after that is
/// what counts.
#[test]
fn a_lock_that_is_lost_during_the_writing_replaces_nothing() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["ROBBED_WHILE_WRITING"]);
        return shim.again("a_lock_that_is_lost_during_the_writing_replaces_nothing");
    };
    assert_eq!(touch(path.as_ref()).unwrap_err().code(), "LOCK_LOST");
    assert!(!Path::new(&path).exists());
    let lockfile = Path::new(&path).with_extension("json.lock");
    assert_eq!(fs::metadata(lockfile).unwrap().len(), 0, "the old one's is there");
}

#[test]
fn corrupt_bytes_that_were_not_replaced_after_all_are_kept_only_once() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["ROBBED_WHILE_WRITING"]);
        return shim.again("corrupt_bytes_that_were_not_replaced_after_all_are_kept_only_once");
    };
    put(path.as_ref(), "precious {");
    assert_eq!(touch(path.as_ref()).unwrap_err().code(), "LOCK_LOST");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious {");
    assert_eq!(keepsakes(path.as_ref()), Vec::<PathBuf>::new());
}

#[test]
fn corrupt_bytes_are_kept_without_second_names() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["WITHOUT_LINKS"]);
        return shim.again("corrupt_bytes_are_kept_without_second_names");
    };
    put(path.as_ref(), "precious {");
    touch(path.as_ref()).unwrap();
    let kept = keepsakes(path.as_ref());
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), "precious {");
    assert_eq!(read_registry(&path).unwrap().0.updated_at(), 7);
}

/// What a power failure leaves can't be tried here; what is asked of the disk, and when, can.
#[test]
fn a_durable_update_syncs_the_file_before_the_rename_and_the_folder_after_it() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["TELLS"]);
        return shim
            .again("a_durable_update_syncs_the_file_before_the_rename_and_the_folder_after_it");
    };
    touch(path.as_ref()).unwrap();
    let told = fs::read_to_string(format!("{path}.told")).unwrap();
    let told: Vec<_> = told.lines().filter_map(|line| line.split_once(' ')).collect();
    let [("sync", file), ("rename", target), ("sync", folder)] = told[..] else {
        panic!("{told:?}")
    };
    assert!(file.ends_with(".tmp"), "{file}");
    assert_eq!(target, path);
    assert_eq!(Path::new(folder), Path::new(&path).parent().unwrap());
}

#[test]
fn a_folder_is_created_durably() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["TELLS"]);
        return shim.again("a_folder_is_created_durably");
    };
    let parent = Path::new(&path).parent().unwrap();
    touch(&parent.join("not").join("yet").join("registry.json")).unwrap();
    let told = fs::read_to_string(format!("{path}.told")).unwrap();
    for holds_a_new_name in [parent, &parent.join("not")] {
        let line = format!("sync {}", holds_a_new_name.display());
        assert!(told.lines().any(|told| told == line), "{line} in {told}");
    }
}

/// Looking at a lock takes the kernel lock for a moment: that is not what busy means.
#[test]
fn one_try_is_not_put_off_by_somebody_who_only_looks() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["SOMEBODY_LOOKS"]);
        return shim.again("one_try_is_not_put_off_by_somebody_who_only_looks");
    };
    touch(path.as_ref()).unwrap();
}

#[test]
fn a_document_that_vanishes_after_it_was_seen_is_not_found() {
    const TEST: &str = "a_document_that_vanishes_after_it_was_seen_is_not_found";
    let Ok(path) = env::var(PART) else { return Shim::new(&["VANISHES"]).again(TEST) };
    let path = Path::new(&path);
    let document = Document::<u32>::json(path);
    put(path, "7");
    let missing = document.load().unwrap_err();
    assert_eq!((missing.code(), missing.path()), ("NOT_FOUND", path));
    assert!(path.with_extension("lock").exists(), "it was seen, and then locked");
    put(path, "7");
    let changed = document.update(&LockOptions::default(), |number| {
        *number = 8;
        Ok::<_, Error>(())
    });
    assert_eq!(changed.unwrap_err().code(), "NOT_FOUND");
}

/// It was told as "not a regular file".
#[test]
fn a_document_that_vanishes_before_it_is_locked_is_not_found() {
    const TEST: &str = "a_document_that_vanishes_before_it_is_locked_is_not_found";
    let Ok(path) = env::var(PART) else { return Shim::new(&["VANISHES_AT_ONCE"]).again(TEST) };
    let path = Path::new(&path);
    put(path, "7");
    // A path with a symbolic link in it is resolved by `realpath`.
    let link = path.with_file_name("link.json");
    std::os::unix::fs::symlink(path, &link).unwrap();
    let missing = Document::<u32>::json(&link).load().unwrap_err();
    assert_eq!((missing.code(), missing.path()), ("NOT_FOUND", path));
    assert!(!path.with_extension("lock").exists());
    // For who can do without it, it is as if it had never been there.
    put(path, "7");
    let document = Document::<u32>::json(&link).empty(|| 1);
    let made = document.update(&LockOptions::one_try(), |number| {
        *number += 1;
        Ok::<_, Error>(*number)
    });
    assert_eq!(made.unwrap(), 2);
}

/// It was told as "not found", which nobody would try again.
#[test]
fn a_temp_file_that_is_swept_away_with_the_lock_is_told_as_a_lost_lock() {
    const TEST: &str = "a_temp_file_that_is_swept_away_with_the_lock_is_told_as_a_lost_lock";
    let Ok(path) = env::var(PART) else {
        Shim::new(&["SWEPT", "LEAVES_THE_LOCK"]).again(TEST);
        return Shim::new(&["SWEPT"]).again(TEST);
    };
    let document = Document::<u32>::json(&path).empty(|| 0);
    let count_up = |number: &mut u32| {
        *number += 1;
        Ok::<_, Error>(())
    };
    let lost = document.update(&LockOptions::one_try(), count_up).unwrap_err();
    assert_eq!(lost.code(), "LOCK_LOST");
    assert!(!Path::new(&path).exists());
    document.update(&LockOptions::one_try(), count_up).unwrap();
    assert_eq!(document.load().unwrap().value, 1);
}

#[test]
fn documents_without_kernel_locks_are_read_and_not_written() {
    const TEST: &str = "documents_without_kernel_locks_are_read_and_not_written";
    let Ok(path) = env::var(PART) else { return Shim::new(&["WITHOUT_LOCKS"]).again(TEST) };
    let document = Document::<u32>::json(&path);
    put(path.as_ref(), "7");
    let loaded = document.load().unwrap();
    assert_eq!((loaded.value, loaded.locked), (7, false));
    assert_eq!(document.save(&mut 8).unwrap_err().code(), "UNSUPPORTED_FILE_SYSTEM");
    let changed = document.update(&LockOptions::default(), |number| {
        *number = 8;
        Ok::<_, Error>(())
    });
    assert_eq!(changed.unwrap_err().code(), "UNSUPPORTED_FILE_SYSTEM");
    assert_eq!(fs::read_to_string(&path).unwrap(), "7");
}

/// Without second names, nothing but the guard itself tells that it was deleted. Whoever got the
/// lock of the deleted one would be robbed as soon as his lockfile looks old.
#[test]
fn the_guard_deleted_while_somebody_waits_for_it_without_second_names() {
    use std::os::unix::fs::MetadataExt;
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["WITHOUT_LINKS"]);
        return shim.again("the_guard_deleted_while_somebody_waits_for_it_without_second_names");
    };
    let endless = LockOptions { timeout: None, ..LockOptions::default() };
    let first = RegistryLock::acquire(&path, &endless).unwrap();
    let guard = Path::new(&path).with_extension("json.guard");
    let inode = format!(":{} ", fs::metadata(&guard).unwrap().ino());
    let second = thread::scope(|scope| {
        let waiting = scope.spawn(|| RegistryLock::acquire(&path, &endless).unwrap());
        let is_waiting = |line: &str| line.contains("-> FLOCK") && line.contains(&inode);
        while !fs::read_to_string("/proc/locks").unwrap().lines().any(is_waiting) {
            thread::yield_now();
        }
        fs::remove_file(&guard).unwrap();
        drop(first);
        waiting.join().unwrap()
    });
    let lockfile = fs::File::open(Path::new(&path).with_extension("json.lock")).unwrap();
    lockfile.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(touch(path.as_ref()).unwrap_err().code(), "LOCK_BUSY");
    drop(second);
    touch(path.as_ref()).unwrap();
}

#[test]
fn an_old_arguss_lockfile_that_was_moved_aside_by_mistake_is_put_back() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["ROBBED_BEFORE_MOVE"]);
        return shim.again("an_old_arguss_lockfile_that_was_moved_aside_by_mistake_is_put_back");
    };
    let lockfile = Path::new(&path).with_extension("json.lock");
    let abandoned = fs::File::create(&lockfile).unwrap();
    abandoned.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(touch(path.as_ref()).unwrap_err().code(), "LOCK_BUSY");
    assert!(fs::metadata(&lockfile).unwrap().modified().unwrap() > std::time::UNIX_EPOCH);
}

#[test]
fn a_copy_of_the_descriptor_does_not_keep_a_lock_that_was_released() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["CLOSES_NOTHING"]);
        return shim.again("a_copy_of_the_descriptor_does_not_keep_a_lock_that_was_released");
    };
    for _ in 0..3 {
        touch(path.as_ref()).unwrap();
        drop(try_lock_exclusive(format!("{path}.x")).unwrap());
    }
}

/// Whoever holds the guard knows that nobody else does: a lockfile made under it is left behind,
/// whatever may be known of the process that made it.
#[test]
fn a_leftover_under_our_guard_is_not_judged_without_second_names() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["WITHOUT_LINKS"]);
        return shim.again("a_leftover_under_our_guard_is_not_judged_without_second_names");
    };
    let lockfile = Path::new(&path).with_extension("json.lock");
    let lock = RegistryLock::acquire(&path, &one_try().lock).unwrap();
    let record = fs::read_to_string(&lockfile).unwrap();
    drop(lock);
    let (before, after) = record.split_once("\"host\":\"").unwrap();
    put(&lockfile, &format!("{before}\"host\":\"not-{after}"));
    touch(path.as_ref()).unwrap();
}

/// Where there are no kernel locks others may be at work, so only what is known to be the dead
/// holder's goes with him.
#[test]
fn a_dead_holders_litter_goes_and_others_stays_without_kernel_locks() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["WITHOUT_LOCKS"]);
        leave_a_dead_holders_lockfile(&shim);
        return shim.again("a_dead_holders_litter_goes_and_others_stays_without_kernel_locks");
    };
    let folder = Path::new(&path).parent().unwrap();
    let record = fs::read_to_string(format!("{path}.lock")).unwrap();
    let (_, nonce) = record.split_once("\"nonce\":\"").unwrap();
    let temp = |nonce: &str| folder.join(format!(".registry.json.{nonce}.tmp"));
    let (dead_holders, others) = (temp(&nonce[..32]), temp(&"0".repeat(32)));
    // Killed in just that moment, he has left the lockfile under this name, too.
    let _ = fs::remove_file(&dead_holders);
    put(&dead_holders, "half");
    put(&others, "half");
    touch(path.as_ref()).unwrap();
    assert!(!dead_holders.exists());
    assert!(others.exists());
}

/// Without kernel locks a temp file may be somebody's who is at work, until it is old; and its
/// owner's process is all that a lockfile is judged by.
#[test]
fn litter_without_kernel_locks() {
    const TEST: &str = "litter_without_kernel_locks";
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["WITHOUT_LOCKS"]);
        leave_a_dead_holders_lockfile(&shim);
        return shim.again(TEST);
    };
    let (lockfile, temp) = (
        PathBuf::from(format!("{path}.lock")),
        Path::new(&path).with_file_name(format!(".registry.json.{}.tmp", "0".repeat(32))),
    );
    put(&temp, "half");
    let (hour, moment) = (Duration::from_secs(3600), Duration::from_nanos(1));
    let is_safe = |of: &Path, stale_after| {
        let found = find_litter(&path, stale_after).unwrap();
        found.iter().find(|found| found.path == of).map(|found| found.safe_to_delete)
    };
    assert_eq!((is_safe(&lockfile, hour), is_safe(&temp, hour)), (Some(true), Some(false)));
    assert_eq!(is_safe(&temp, moment), Some(true));
    let cleared = clear_litter(&path, hour).unwrap();
    assert!(cleared.iter().any(|cleared| cleared.path == lockfile), "{cleared:?}");
    assert!(!lockfile.exists() && temp.exists());
    let lock = RegistryLock::acquire(&path, &one_try().lock).unwrap();
    assert_eq!((is_safe(&lockfile, moment), is_safe(&temp, moment)), (None, Some(false)));
    assert_eq!(clear_litter(&path, moment).unwrap_err().code(), "LOCK_BUSY");
    drop(lock);
    clear_litter(&path, moment).unwrap();
    assert!(!temp.exists());
    // A document's writers have no other lock.
    let document = Path::new(&path).with_file_name("a.toml");
    put(&document.with_extension("lock"), "");
    let temp = document.with_file_name(format!(".a.toml.{}.tmp", "0".repeat(32)));
    put(&temp, "half");
    let found = find_litter(&document, moment).unwrap();
    assert!(!found[0].safe_to_delete && found[0].reason.contains("can't be known"), "{found:?}");
    assert_eq!(clear_litter(&document, moment).unwrap_err().code(), "UNSUPPORTED_FILE_SYSTEM");
    assert!(temp.exists());
}

/// Killed between claiming a dead holder's lockfile and dropping the claim.
#[test]
fn a_dead_claim_keeps_others_off_until_it_is_stale_and_no_longer() {
    use std::os::unix::fs::MetadataExt;
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["WITHOUT_LOCKS"]);
        leave_a_dead_holders_lockfile(&shim);
        return shim.again("a_dead_claim_keeps_others_off_until_it_is_stale_and_no_longer");
    };
    let lockfile = Path::new(&path).with_extension("json.lock");
    let found = fs::metadata(&lockfile).unwrap();
    let nanos = found.mtime() * 1_000_000_000 + found.mtime_nsec();
    let claim = format!(".registry.json.{:016x}{nanos:016x}.tmp", found.ino());
    let claim = lockfile.with_file_name(claim);
    #[allow(clippy::disallowed_methods, reason = "a crash's leftover is made by hand")]
    fs::hard_link(&lockfile, &claim).unwrap();
    assert_eq!(touch(path.as_ref()).unwrap_err().code(), "LOCK_BUSY");
    let mut impatient = one_try();
    impatient.lock.timeout = None;
    impatient.lock.stale_after = Duration::from_nanos(1);
    update_registry(&path, &impatient, |registry| {
        registry.set_updated_at(8);
        Ok::<_, Error>(())
    })
    .unwrap();
    assert!(!claim.exists());
}

/// A mode that is only set later leaves a moment in which everybody may open the file.
#[test]
fn the_new_content_of_a_private_registry_is_private_from_the_beginning() {
    use std::os::unix::fs::PermissionsExt;
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["TELLS"]);
        return shim.again("the_new_content_of_a_private_registry_is_private_from_the_beginning");
    };
    put(path.as_ref(), r#"{"version":1,"updatedAt":0,"watchers":{}}"#);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    touch(path.as_ref()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let told = fs::read_to_string(format!("{path}.told")).unwrap();
    let new_content = told.lines().find_map(|line| line.strip_prefix("sync ")).unwrap();
    assert!(!told.contains(&format!("chmod {new_content}")), "its mode was set afterwards: {told}");
}

fn put(path: &Path, text: &str) {
    let mut file = fs::File::create(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

/// The files in which corrupt bytes were kept.
fn keepsakes(registry: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(registry.parent().unwrap()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_str().unwrap().contains(".corrupt-")).collect()
}

fn one_try() -> UpdateOptions {
    UpdateOptions {
        lock: LockOptions { timeout: Some(Duration::ZERO), ..LockOptions::default() },
        ..UpdateOptions::default()
    }
}

fn touch(path: &Path) -> Result<(), Error> {
    update_registry(path, &one_try(), |registry| {
        registry.set_updated_at(7);
        Ok(())
    })
}

#[test]
fn a_dead_holder_costs_no_waiting_without_kernel_locks() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["WITHOUT_LOCKS"]);
        leave_a_dead_holders_lockfile(&shim);
        return shim.again("a_dead_holder_costs_no_waiting_without_kernel_locks");
    };
    let status = inspect_lock(&path, Duration::from_secs(10)).unwrap();
    assert_eq!(status.guarantee, Guarantee::LockfileOnly);
    assert_eq!(status.state, LockState::Stale);
    assert_eq!(status.holder.unwrap().alive, Some(false));
    touch(path.as_ref()).unwrap();
}

#[test]
fn a_dead_holder_costs_no_waiting_without_second_names() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["WITHOUT_LINKS"]);
        leave_a_dead_holders_lockfile(&shim);
        return shim.again("a_dead_holder_costs_no_waiting_without_second_names");
    };
    // Killed between creating the lockfile and filling it, it looks like an old argus's: that is
    // the one place where a dead holder costs the stale threshold, and only on such file systems.
    let lockfile = Path::new(&path).with_extension("json.lock");
    if fs::metadata(&lockfile).unwrap().len() > 0 {
        let status = inspect_lock(&path, Duration::from_secs(10)).unwrap();
        assert_eq!(status.guarantee, Guarantee::KernelLock);
        assert_eq!(status.state, LockState::Stale);
        touch(path.as_ref()).unwrap();
    }
}

#[test]
fn a_live_holder_is_not_robbed_by_age_without_kernel_locks() {
    let Ok(path) = env::var(PART) else {
        let shim = Shim::new(&["WITHOUT_LOCKS"]);
        return shim.again("a_live_holder_is_not_robbed_by_age_without_kernel_locks");
    };
    let lock = RegistryLock::acquire(&path, &one_try().lock).unwrap();
    let lockfile = fs::File::open(Path::new(&path).with_extension("json.lock")).unwrap();
    lockfile.set_modified(std::time::UNIX_EPOCH).unwrap();
    let busy = touch(path.as_ref()).unwrap_err();
    assert_eq!(busy.code(), "LOCK_BUSY");
    assert_eq!(busy.holder().unwrap().pid, Some(std::process::id()));
    drop(lock);
    touch(path.as_ref()).unwrap();
    let unsupported = try_lock_exclusive(format!("{path}.x")).unwrap_err();
    assert_eq!(unsupported.code(), "UNSUPPORTED_FILE_SYSTEM");
}
