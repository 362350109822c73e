//! The guard: made, looked at by other processes, deleted, and let go of.

use std::env;
use std::fs;
use std::path::Path;
use std::thread;

use argus_registry::{try_lock_exclusive, LockOptions, RegistryLock};

use crate::support::altered_calls::{touch, AlteredCalls};
use crate::support::files::{names_in, put, put_bytes, registry_path};
use crate::support::processes::{this_test, PART};

/// A crash that leaves a temp file and no lockfile leaves nothing to take over, and the temp file
/// stayed for good.
#[test]
fn the_temp_file_of_a_guard_that_was_never_named_goes_with_the_next_process() {
    let altered = AlteredCalls::new(&["KILLED_AT_LINK"]);
    // With a registry to copy the mode of, the guard is made under another name first.
    put(&altered.path(), r#"{"version":1,"updatedAt":0,"watchers":{}}"#);
    let mut victim = altered.increment(&["1"], &[("KILLED_AT", ".guard")]);
    assert!(!victim.wait().unwrap().success());
    let names = altered.names();
    assert!(names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");
    let mut next = altered.increment(&["1"], &[]);
    assert!(next.wait().unwrap().success());
    assert_eq!(altered.names(), ["registry.json", "registry.json.guard"]);
}

/// A process that inspects a lock takes the kernel lock for a moment. That is not what busy means.
#[test]
fn one_try_succeeds_while_another_process_inspects_the_lock() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["GUARD_BUSY_THREE_TIMES"]).again(this_test!());
    };
    touch(path.as_ref()).unwrap();
}

/// Without hard links, nothing but the guard itself shows that it was deleted. A process that got the
/// lock of the deleted guard would lose its lockfile to another as soon as the lockfile looks old.
#[test]
fn a_guard_that_is_deleted_while_a_process_waits_for_it_is_made_anew_without_hard_links() {
    use std::os::unix::fs::MetadataExt;
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["NO_HARD_LINKS"]).again(this_test!());
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
fn a_copy_of_the_descriptor_does_not_keep_a_lock_that_was_released() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["DESCRIPTORS_STAY_OPEN"]).again(this_test!());
    };
    for _ in 0..3 {
        touch(path.as_ref()).unwrap();
        drop(try_lock_exclusive(format!("{path}.x")).unwrap());
    }
}

const RECORD_START: &[u8] = b"{\"argusRegistryLock\":1,\"pid\":1";

/// A guard of which a part had been written was refused for ever as another program's file.
#[test]
fn a_guard_that_was_written_in_part_is_a_guard() {
    let (_dir, path) = registry_path();
    let guard = path.with_extension("json.guard");
    let zeros = [0; 30];
    for length in 0..RECORD_START.len() {
        for zeros in [&zeros[..0], &zeros[length..]] {
            put_bytes(&guard, &[&RECORD_START[..length], zeros].concat());
            touch(&path).unwrap();
            fs::remove_file(&path).unwrap();
        }
    }
    put(&guard, "{\"argus\": \"another program's\"}");
    let refused = touch(&path).unwrap_err().to_string();
    assert!(refused.contains("another program's file"), "{refused}");
}

/// A process may write no file beyond this size. The system ends it unless it ignores the signal, as
/// `sh` is told to do here.
#[test]
fn a_file_size_limit_leaves_no_lockfile_and_no_guard_that_is_refused() {
    use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
    let Ok(part) = env::var(PART) else {
        let (_dir, path) = registry_path();
        for changes in [&[][..], &["NO_HARD_LINKS"], &["NO_KERNEL_LOCKS", "NO_HARD_LINKS"]] {
            let altered = AlteredCalls::new(changes);
            let mut command = std::process::Command::new("sh");
            command
                .args(["-c", "trap '' XFSZ; exec \"$0\" --exact \"$1\" --nocapture"])
                .args([env::current_exe().unwrap().as_os_str(), this_test!().as_ref()])
                .env(PART, &path);
            altered.load_into(&mut command);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{changes:?} {output:?}");
            for name in ["registry.json", "registry.json.guard"] {
                fs::remove_file(path.with_file_name(name)).unwrap();
            }
        }
        return;
    };
    let path = Path::new(&part);
    let before = getrlimit(Resource::Fsize);
    for limit in [0, 1, 10, 30, 1000] {
        setrlimit(Resource::Fsize, Rlimit { current: Some(limit), ..before }).unwrap();
        let failed = touch(path).unwrap_err();
        setrlimit(Resource::Fsize, before).unwrap();
        assert_eq!(failed.code(), "IO", "{failed}");
        let names = names_in(path.parent().unwrap());
        let is_left = |name: &String| name != "registry.json.guard";
        assert!(!names.iter().any(is_left), "{limit}: {names:?}");
    }
    touch(path).unwrap();
}

/// An update writes a record into the guard, which need not survive a power failure. The first one
/// does, so that the guard is known as one.
#[test]
fn a_guard_is_synced_once_when_it_is_made() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["RECORDS_CALLS"]).again(this_test!());
    };
    for _ in 0..3 {
        drop(RegistryLock::acquire(&path, &LockOptions::default()).unwrap());
    }
    let calls = fs::read_to_string(format!("{path}.calls")).unwrap();
    // The guard is the one file that was made. It was made under another name, which is shown.
    let synced: Vec<_> = calls.lines().filter(|call| call.starts_with("sync ")).collect();
    assert_eq!(synced.len(), 1, "{calls}");
}
