/* Calls to the operating system that fail, are late, or meet another process at an exact moment.

   This library is loaded before libc's, into real programs. Each test compiles it with the names of
   the changes that it wants. ARGUS_REGISTRY_TEST_PART holds the path of the file under test. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/file.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef NO_KERNEL_LOCKS
int flock(int fd, int operation) { errno = ENOLCK; return -1; }
#endif
#ifdef LOOKS_AT_THE_LOCKFILE_FAIL_ONCE
/* A disk that fails for a moment: at the look at a lockfile whose number the variable FAILS_AT says. */
int statx(int dir, const char *path, int flags, unsigned mask, struct statx *found) {
    static int looks = 0;
    int (*real)(int, const char *, int, unsigned, struct statx *) = dlsym(RTLD_NEXT, "statx");
    size_t length = path ? strlen(path) : 0;
    const char *fails_at = getenv("FAILS_AT");
    if (fails_at && length > 10 && !strcmp(path + length - 10, ".json.lock") && ++looks == atoi(fails_at)) {
        errno = EIO;
        return -1;
    }
    return real(dir, path, flags, mask, found);
}
#endif
#ifdef FIRST_LOOK_AT_A_TEMP_FILE_FAILS
/* A network file system that loses the answer to a look, once. */
int statx(int dir, const char *path, int flags, unsigned mask, struct statx *found) {
    static int is_done = 0;
    int (*real)(int, const char *, int, unsigned, struct statx *) = dlsym(RTLD_NEXT, "statx");
    size_t length = path ? strlen(path) : 0;
    if (length > 4 && !strcmp(path + length - 4, ".tmp") && !is_done++) {
        errno = ESTALE;
        return -1;
    }
    return real(dir, path, flags, mask, found);
}
#endif
#ifdef NO_HARD_LINKS
int linkat(int d1, const char *p1, int d2, const char *p2, int flags) { errno = EPERM; return -1; }
#endif
#ifdef LOCKFILE_REPLACED_AFTER_LINK
/* An older argus that takes our new lockfile for the stale one which it found there before. */
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
/* A crash just before a hard link is made whose name ends as the variable KILLED_AT says. */
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
#ifdef STOPPED_AT_LINK
/* Other processes come just before or just after a hard link is made whose name ends as the variable
   STOPPED_BEFORE or STOPPED_AFTER says: this process stops there, once, until it is told to go on. */
static void stop_at(const char *when, const char *name) {
    static int is_done = 0;
    const char *ending = getenv(when);
    size_t length = strlen(name), wanted = ending ? strlen(ending) : 0;
    if (ending && length >= wanted && !strcmp(name + length - wanted, ending) && !is_done++)
        raise(SIGSTOP);
}
int linkat(int d1, const char *p1, int d2, const char *p2, int flags) {
    int (*real)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
    stop_at("STOPPED_BEFORE", p2);
    int result = real(d1, p1, d2, p2, flags);
    stop_at("STOPPED_AFTER", p2);
    return result;
}
#endif
#ifdef LOCKFILE_REPLACED_AT_FSYNC
/* An older argus that judges our lockfile stale while our new content goes to the disk. */
int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    const char *path = getenv("ARGUS_REGISTRY_TEST_PART");
    char lockfile[4096], guard_name[4096];
    snprintf(lockfile, sizeof lockfile, "%s.lock", path);
    snprintf(guard_name, sizeof guard_name, "%s.guard", path);
    /* A new guard goes to the disk before there is a lockfile. */
    struct stat synced, guard;
    if (fstat(fd, &synced) == 0 && stat(guard_name, &guard) == 0 && synced.st_ino == guard.st_ino)
        return real(fd);
    unlink(lockfile);
    close(open(lockfile, O_CREAT | O_EXCL | O_WRONLY, 0644));
    return real(fd);
}
#endif
#ifdef RECORDS_CALLS
/* Writes down, in order, what is made durable, renamed and given another mode or owner. */
static void record(const char *what, const char *path) {
    char calls[4096];
    snprintf(calls, sizeof calls, "%s.calls", getenv("ARGUS_REGISTRY_TEST_PART"));
    FILE *file = fopen(calls, "a");
    fprintf(file, "%s %s\n", what, path);
    fclose(file);
}
static void record_open_file(const char *what, int fd) {
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    record(what, path);
}
int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    record_open_file("sync", fd);
    return real(fd);
}
int fchmod(int fd, mode_t mode) {
    int (*real)(int, mode_t) = dlsym(RTLD_NEXT, "fchmod");
    record_open_file("chmod", fd);
    return real(fd, mode);
}
int fchown(int fd, uid_t user, gid_t group) {
    int (*real)(int, uid_t, gid_t) = dlsym(RTLD_NEXT, "fchown");
    char what[64];
    struct stat found;
    if (fstat(fd, &found)) abort();
    snprintf(what, sizeof what, "chown-of-%o", found.st_mode & 07777);
    record_open_file(what, fd);
    return real(fd, user, group);
}
int rename(const char *p1, const char *p2) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    record("rename", p2);
    return real(p1, p2);
}
#endif
#ifdef GUARD_BUSY_THREE_TIMES
/* Another process inspects the guard, for which it locks it, at our first three tries. */
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
#ifdef DOCUMENT_DELETED_AT_LOCK
/* Another process deletes the document while we take its lock. */
int flock(int fd, int operation) {
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    unlink(getenv("ARGUS_REGISTRY_TEST_PART"));
    return real(fd, operation);
}
#endif
#ifdef DOCUMENT_DELETED_AFTER_REALPATH
/* Another process deletes the document as soon as its path has been resolved. */
char *realpath(const char *path, char *resolved) {
    char *(*real)(const char *, char *) = dlsym(RTLD_NEXT, "realpath");
    char *result = real(path, resolved);
    if (result && !strcmp(result, getenv("ARGUS_REGISTRY_TEST_PART"))) unlink(result);
    return result;
}
#endif
#ifdef TEMP_FILE_DELETED_BEFORE_RENAME
/* Before our first commit another process deletes the document's lock file and, as litter, our temp
   file. */
int rename(const char *p1, const char *p2) {
    static int times = 0;
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    if (times++ == 0) {
#ifndef KEEPS_THE_LOCK_FILE
        char lock_file[4096];
        snprintf(lock_file, sizeof lock_file, "%s", getenv("ARGUS_REGISTRY_TEST_PART"));
        strcpy(strrchr(lock_file, '.'), ".lock");
        if (unlink(lock_file)) abort();
#endif
        unlink(p1);
    }
    return real(p1, p2);
}
#endif
#ifdef LOCK_REMOVED_AFTER_RENAME
/* A program that deletes lock files comes just after a commit. */
int rename(const char *p1, const char *p2) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    int result = real(p1, p2);
    char lockfile[4096], lock_file[4096];
    snprintf(lockfile, sizeof lockfile, "%s.lock", p2);
    snprintf(lock_file, sizeof lock_file, "%s", p2);
    strcpy(strrchr(lock_file, '.'), ".lock");
    unlink(lockfile);
    unlink(lock_file);
    return result;
}
#endif
#ifdef RENAME_TAKES_EFFECT_AND_FAILS
/* A network file system that loses the answer to a rename, and repeats the call. */
static int is_renamed = 0;
int rename(const char *p1, const char *p2) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    if (real(p1, p2)) abort();
    is_renamed = 1;
    errno = RENAME_TAKES_EFFECT_AND_FAILS;
    return -1;
}
#ifdef LOOKS_FAIL_AFTER_RENAME
int statx(int dir, const char *path, int flags, unsigned mask, struct statx *found) {
    int (*real)(int, const char *, int, unsigned, struct statx *) = dlsym(RTLD_NEXT, "statx");
    if (is_renamed && path && !strcmp(path, getenv("ARGUS_REGISTRY_TEST_PART"))) {
        errno = ESTALE;
        return -1;
    }
    return real(dir, path, flags, mask, found);
}
#endif
#endif
#ifdef ENTRY_IS_NOT_MOVED_AT_FIRST
/* An entry that another program has made immutable, for a moment. */
int rename(const char *p1, const char *p2) {
    static int times = 0;
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    if (strstr(p1, "/stuck.json") && times++ == 0) {
        errno = EPERM;
        return -1;
    }
    return real(p1, p2);
}
#endif
#ifdef ENTRY_IS_RENEWED_BEFORE_RENAME
/* A heartbeat that comes just before an update replaces the entry. */
int rename(const char *p1, const char *p2) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    if (strstr(p2, "/me.json") && utimensat(AT_FDCWD, p2, NULL, 0)) abort();
    return real(p1, p2);
}
#endif
#ifdef ENTRY_IS_RENEWED_AFTER_SECOND_READ
/* A heartbeat that comes when a process has read an entry for the second time, to judge it under the lock. */
ssize_t pread64(int fd, void *bytes, size_t length, off_t from) {
    static int times = 0;
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread64");
    ssize_t result = real(fd, bytes, length, from);
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t read = readlink(name, path, sizeof path - 1);
    path[read < 0 ? 0 : read] = 0;
    if (strstr(path, "/me.json") && ++times == 2 && utimensat(AT_FDCWD, path, NULL, 0)) abort();
    return result;
}
#endif
#ifdef FORKED_AFTER_RENAME
/* The process is forked between its commit and its release. The child goes on and ends; then the parent does. */
int rename(const char *p1, const char *p2) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    int result = real(p1, p2), status;
    char lockfile[4096];
    snprintf(lockfile, sizeof lockfile, "%s.lock", p2);
#ifdef INTO_A_PID_NAMESPACE
    if (unshare(CLONE_NEWPID)) abort();
#endif
    /* Longer than the kernel's unit of start times. */
    usleep(50000);
    pid_t child = fork();
    if (child == 0) return result;
    if (waitpid(child, &status, 0) != child || status != 0) abort();
    if (access(lockfile, F_OK)) abort();
    return result;
}
#endif
#ifdef FIRST_THREAD_ENDS
/* A program whose first thread ends where it would sleep, and whose other thread goes on. */
static void *go_on(void *unused) {
    pause();
    return unused;
}
static int end_first_thread(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, go_on, NULL);
    pthread_exit(NULL);
}
int nanosleep(const struct timespec *wanted, struct timespec *left) { return end_first_thread(); }
int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left) {
    return end_first_thread();
}
#endif
#ifdef LOCK_LOST_AND_TAKEN_AT_FSYNC
/* A network file system takes the kernel lock away while the new content goes to the disk, and another process gets the
   lock: its record is in the guard, whose second name the lockfile is. */
int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    char guard_name[4096], record[1024];
    snprintf(guard_name, sizeof guard_name, "%s.guard", getenv("ARGUS_REGISTRY_TEST_PART"));
    struct stat synced, guard;
    if (fstat(fd, &synced) == 0 && stat(guard_name, &guard) == 0 && synced.st_ino == guard.st_ino)
        return real(fd);
    int file = open(guard_name, O_RDWR);
    ssize_t length = pread(file, record, sizeof record, 0);
    char *nonce = memmem(record, length < 0 ? 0 : length, "\"nonce\":\"", 9);
    if (!nonce) abort();
    memset(nonce + 9, 'f', 32);
    if (pwrite(file, record, length, 0) != length) abort();
    close(file);
    return real(fd);
}
#endif
#ifdef FOLDER_IS_NOT_SYNCED_AFTER_RENAME
/* A disk that fails for a moment, just after the first rename of an entry. */
static int is_renamed = 0;
int rename(const char *p1, const char *p2) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    int result = real(p1, p2);
    if (strstr(p2, "/me.json")) is_renamed = 1;
    return result;
}
int fsync(int fd) {
    static int times = 0;
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    struct stat found;
    if (is_renamed && times == 0 && fstat(fd, &found) == 0 && S_ISDIR(found.st_mode)) {
        times++;
        errno = EIO;
        return -1;
    }
    return real(fd);
}
#endif
#ifdef FOLDERS_CANNOT_BE_OPENED
/* A process that has as many open files as it may have when it opens a folder. */
int open64(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    struct stat found;
    if (stat(path, &found) == 0 && S_ISDIR(found.st_mode)) {
        errno = EMFILE;
        return -1;
    }
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return real(path, flags, mode);
}
#endif
#ifdef FOLDERS_CANNOT_BE_CLOSED
/* A file system that reports a failure when a folder is closed, as a network file system may. */
#include <dirent.h>
int closedir(DIR *folder) {
    int (*real)(DIR *) = dlsym(RTLD_NEXT, "closedir");
    real(folder);
    errno = EIO;
    return -1;
}
#endif
#ifdef LINK_TAKES_EFFECT_AND_FAILS
/* A network file system that loses the answer to a hard link, and repeats the call, or gives up (EIO). */
int linkat(int d1, const char *p1, int d2, const char *p2, int flags) {
    int (*real)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
    if (real(d1, p1, d2, p2, flags) == 0) errno = LINK_TAKES_EFFECT_AND_FAILS;
    return -1;
}
#endif
#ifdef LOCKFILE_REPLACED_BEFORE_MOVE
/* An older argus that takes over the stale lockfile just before we move it aside. */
int rename(const char *p1, const char *p2) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    if (strstr(p1, ".lock")) {
        unlink(p1);
        close(open(p1, O_CREAT | O_EXCL | O_WRONLY, 0644));
    }
    return real(p1, p2);
}
#endif
#ifdef DESCRIPTORS_STAY_OPEN
/* Another process has a copy of every descriptor, as a child has until its exec. */
int close(int fd) { return 0; }
#endif
#ifdef SLOW_RENAMES
/* Widens the windows before and after a lockfile is moved, and the one between the last check of a
   commit and its rename: by milliseconds from the environment. */
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
#ifdef KILLED_AT_CALL
/* A crash just before the call, of those that change files, whose number the variable KILLED_AT_CALL
   says. Calls that make names durable count, too. */
static void count_call(void) {
    static int calls = 0;
    const char *number = getenv("KILLED_AT_CALL");
    if (number && __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == atoi(number)) {
        kill(getpid(), SIGKILL);
        pause();
    }
}
int rename(const char *p1, const char *p2) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    count_call();
    return real(p1, p2);
}
int linkat(int d1, const char *p1, int d2, const char *p2, int flags) {
    int (*real)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
    count_call();
    return real(d1, p1, d2, p2, flags);
}
int unlink(const char *path) {
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
    count_call();
    return real(path);
}
int mkdir(const char *path, mode_t mode) {
    int (*real)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");
    count_call();
    return real(path, mode);
}
int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    count_call();
    return real(fd);
}
int flock(int fd, int operation) {
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    count_call();
    return real(fd, operation);
}
int fchmod(int fd, mode_t mode) {
    int (*real)(int, mode_t) = dlsym(RTLD_NEXT, "fchmod");
    count_call();
    return real(fd, mode);
}
int open64(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    if (flags & O_CREAT) count_call();
    return real(path, flags, mode);
}
#endif
