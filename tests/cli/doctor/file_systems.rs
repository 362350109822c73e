//! File systems that lack something. None can be counted on here, so a library that is loaded
//! before libc takes the calls away from the program and all processes that it starts.

use super::{doctor, folder_with_registry, registry, temp_file, DoctorOutcome};
use crate::shim;

/// The source of that library: each macro changes some calls.
const SHIM_SOURCE: &str = r#"
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
#ifdef LOCKS_THAT_EXCLUDE_NOTHING
int flock(int fd, int operation) { return 0; }
#endif
#ifdef LOCKS_OF_PROCESSES
/* Like some network file systems: two handles in one process do not exclude each other. */
int flock(int fd, int operation) {
    struct flock lock = { .l_whence = SEEK_SET };
    lock.l_type = operation & LOCK_UN ? F_UNLCK : operation & LOCK_EX ? F_WRLCK : F_RDLCK;
    return fcntl(fd, F_SETLK, &lock);
}
#endif
#ifdef LOCKS_THAT_HANG
int flock(int fd, int operation) { for (;;) pause(); }
#endif
#ifdef FOLDERS_ARE_MADE_AND_REPORTED_AS_FAILED
int mkdir(const char *path, mode_t mode) {
    int (*real)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");
    if (real(path, mode) == 0) errno = EIO;
    return -1;
}
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

/// Runs the doctor in a folder whose file system lacks something; it must leave nothing there.
fn doctor_without(lacks: &[&str]) -> DoctorOutcome {
    let (folder, library_folder) = (folder_with_registry(), tempfile::tempdir().unwrap());
    let before = folder.names();
    let library = shim::compile(SHIM_SOURCE, lacks, library_folder.path());
    let mut command = doctor();
    let outcome = DoctorOutcome::of(command.arg(registry(&folder)).env("LD_PRELOAD", library));
    assert_eq!(folder.names(), before);
    outcome.assert_next_steps();
    outcome
}

#[test]
fn missing_kernel_locks_fail() {
    let outcome = doctor_without(&["NO_LOCKS"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.text);
    outcome.assert_check("FAIL", "locks", "registries go on with the lockfile alone");
    outcome.assert_check("FAIL", "locks", "UNSUPPORTED_FILE_SYSTEM");
    // All other checks pass, and litter can be judged by its owners' processes.
    for check in ["folder", "rename", "fsync", "links", "litter"] {
        outcome.assert_check("ok", check, "");
    }
}

#[test]
fn unreliable_locks_fail() {
    for (lack, text) in [
        ("LOCKS_THAT_EXCLUDE_NOTHING", "another got it exclusively, too"),
        ("LOCKS_OF_PROCESSES", "another handle of the same process"),
        ("READERS_EXCLUDE", "another could not share it"),
        ("LOCKS_THAT_FAIL", "Input/output error"),
    ] {
        let outcome = doctor_without(&[lack]);
        assert_eq!(outcome.code, Some(2), "{lack}: {}", outcome.text);
        outcome.assert_check("FAIL", "locks", text);
        outcome.assert_check("warn", "litter", "not looked for");
    }
}

/// If locks don't exclude, the files of a live holder look like litter.
#[test]
fn nothing_is_deleted_where_locks_do_not_exclude() {
    let (folder, library_folder) = (folder_with_registry(), tempfile::tempdir().unwrap());
    temp_file(&folder, "registry.json", "0");
    let before = folder.names();
    let library =
        shim::compile(SHIM_SOURCE, &["LOCKS_THAT_EXCLUDE_NOTHING"], library_folder.path());
    DoctorOutcome::of(doctor().arg("--fix").arg(registry(&folder)).env("LD_PRELOAD", library));
    assert_eq!(folder.names(), before);
}

#[test]
fn a_lock_call_that_never_returns_does_not_block_the_doctor() {
    let outcome = doctor_without(&["LOCKS_THAT_HANG"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.text);
    outcome.assert_check("FAIL", "locks", "no answer within 10 s");
    outcome.assert_check("ok", "rename", "");
    outcome.assert_check("warn", "litter", "not looked for");
}

#[test]
fn replacements_that_are_not_atomic_fail() {
    for (lacks, text) in [
        (&["RENAME_REMOVES"][..], "missing for a moment"),
        (&["RENAME_COPIES", "TRUNCATES=O_TRUNC"], "of its 65536 bytes"),
        (&["RENAME_COPIES", "TRUNCATES=0"], "a mix of two versions"),
    ] {
        let outcome = doctor_without(lacks);
        assert_eq!(outcome.code, Some(2), "{lacks:?}: {}", outcome.text);
        outcome.assert_check("FAIL", "rename", text);
        outcome.assert_check("ok", "locks", "");
    }
}

#[test]
fn an_fsync_that_fails_and_a_full_disk_fail() {
    let outcome = doctor_without(&["FULL"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.text);
    for check in ["rename", "fsync"] {
        outcome.assert_check("FAIL", check, "the disk is full");
    }
    let outcome = doctor_without(&["NO_FSYNC"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.text);
    outcome.assert_check("FAIL", "fsync", "a file can't be synced (Input/output error");
    let outcome = doctor_without(&["NO_FSYNC_OF_FOLDERS=EIO"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.text);
    outcome.assert_check("FAIL", "fsync", "the folder can't be synced");
    let outcome = doctor_without(&["NO_FSYNC_OF_FOLDERS=EINVAL"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    outcome.assert_check("warn", "fsync", "the folder can't");
}

/// A network file system may make a folder and lose the answer.
#[test]
fn a_folder_that_was_made_although_that_failed_is_removed() {
    let outcome = doctor_without(&["FOLDERS_ARE_MADE_AND_REPORTED_AS_FAILED"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.text);
    assert!(outcome.text.contains("create a folder in"), "{}", outcome.text);
    assert!(!outcome.text.contains("argus-registry-probe"), "{}", outcome.text);
}

#[test]
fn files_that_can_not_have_two_names_are_a_warning() {
    let outcome = doctor_without(&["NO_LINKS"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    outcome.assert_check("warn", "links", "a registry's lockfile is a file of its own");
}
