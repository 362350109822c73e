//! File systems that have no kernel locks, where the lockfile alone has to do.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use argus_registry::{
    inspect_lock, read_registry, try_lock_exclusive, update_registry, Error, Guarantee,
    LockOptions, LockState, RegistryLock,
};
use rustix::time::{clock_gettime, ClockId};

use crate::support::altered_calls::{durable_one_try, touch, AlteredCalls};
use crate::support::files::put;
use crate::support::processes::{this_test, PART};

#[test]
fn processes_count_exactly_without_kernel_locks() {
    AlteredCalls::new(&["NO_KERNEL_LOCKS"]).four_processes_count_exactly();
}

#[test]
fn processes_count_exactly_without_kernel_locks_and_hard_links() {
    AlteredCalls::new(&["NO_KERNEL_LOCKS", "NO_HARD_LINKS"]).four_processes_count_exactly();
}

/// Two processes judge a dead holder's lockfile at once. The slower process must not move away the
/// new lockfile of the faster one: a third process would get in while the faster one is about to
/// commit. An acknowledged update was lost that way.
#[test]
fn two_processes_that_judge_a_dead_holders_lockfile_lose_nothing_without_kernel_locks() {
    let altered = AlteredCalls::new(&["NO_KERNEL_LOCKS", "SLOW_RENAMES"]);
    altered.leave_a_dead_holders_lockfile();
    #[allow(clippy::disallowed_methods, reason = "the windows are made of pauses")]
    let pause = |ms| thread::sleep(Duration::from_millis(ms));
    let slower = altered.increment(&["1"], &[("BEFORE_MOVE", "300"), ("AFTER_MOVE", "900")]);
    pause(100);
    let faster = altered.increment(&["1"], &[("BEFORE_COMMIT", "1500")]);
    pause(400);
    let third = altered.increment(&["1"], &[]);
    for mut child in [slower, faster, third] {
        assert!(child.wait().unwrap().success());
    }
    let (registry, _) = read_registry(altered.path()).unwrap();
    assert_eq!(registry.watcher("counter").unwrap().port, 3);
}

/// Without kernel locks other processes may be at work. So a takeover removes the temp files that are
/// known to be the dead holder's, and no others.
#[test]
fn a_takeover_removes_the_dead_holders_litter_and_no_other_without_kernel_locks() {
    let Ok(path) = env::var(PART) else {
        let altered = AlteredCalls::new(&["NO_KERNEL_LOCKS"]);
        altered.leave_a_dead_holders_lockfile();
        return altered.again(this_test!());
    };
    let folder = Path::new(&path).parent().unwrap();
    let record = fs::read_to_string(format!("{path}.lock")).unwrap();
    let (_, nonce) = record.split_once("\"nonce\":\"").unwrap();
    let temp = |nonce: &str| folder.join(format!(".registry.json.{nonce}.tmp"));
    let (dead_holders, others) = (temp(&nonce[..32]), temp(&"0".repeat(32)));
    put(&dead_holders, "half");
    put(&others, "half");
    touch(path.as_ref()).unwrap();
    assert!(!dead_holders.exists());
    assert!(others.exists());
}

/// Leaves what a process leaves that was killed between claiming a dead holder's lockfile and dropping the
/// claim.
fn leave_a_claim(registry: &Path) -> PathBuf {
    let lockfile = registry.with_extension("json.lock");
    let found = fs::metadata(&lockfile).unwrap();
    let nanos = found.mtime() * 1_000_000_000 + found.mtime_nsec();
    let claim = format!(".registry.json.{:016x}{nanos:016x}.tmp", found.ino());
    let claim = lockfile.with_file_name(claim);
    #[allow(clippy::disallowed_methods, reason = "a crash's leftover is made by hand")]
    fs::hard_link(&lockfile, &claim).unwrap();
    claim
}

/// The model of the protocol found this one: a process that met the claim of a killed one tried again
/// without a pause, and kept a processor busy until its timeout.
#[test]
fn a_process_that_waits_for_the_claim_of_a_dead_one_burns_no_cpu() {
    let Ok(path) = env::var(PART) else {
        let altered = AlteredCalls::new(&["NO_KERNEL_LOCKS"]);
        altered.leave_a_dead_holders_lockfile();
        return altered.again(this_test!());
    };
    leave_a_claim(path.as_ref());
    let used = || {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
    };
    let before = used();
    let timeout = Duration::from_secs(1);
    let waited = RegistryLock::acquire(&path, &LockOptions::within(timeout)).unwrap_err();
    assert_eq!(waited.code(), "LOCK_TIMEOUT");
    let used = used() - before;
    assert!(used < timeout / 10, "{used:?}");
}

/// The model of the protocol found this one: a process was frozen for longer than the stale threshold
/// before it had linked its temp file to the lockfile's name. Another process removed that file as a dead
/// one's, and the update failed with `NOT_FOUND`. Here another thread removes all temp files.
#[test]
fn an_update_whose_temp_file_is_removed_tries_again() {
    let Ok(path) = env::var(PART) else {
        let altered = AlteredCalls::new(&["NO_KERNEL_LOCKS"]);
        return altered.again(this_test!());
    };
    touch(path.as_ref()).unwrap();
    let folder = Path::new(&path).parent().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for entry in fs::read_dir(folder).unwrap().flatten() {
                    if entry.path().extension().is_some_and(|end| end == "tmp") {
                        let _ = fs::remove_file(entry.path());
                    }
                }
            }
        });
        for _ in 0..500 {
            let lock = RegistryLock::acquire(&path, &LockOptions::default());
            let released = lock.and_then(RegistryLock::release);
            is_over.fetch_or(released.is_err(), Ordering::Relaxed);
            released.unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn the_claim_of_a_dead_process_keeps_others_off_until_it_is_stale_and_no_longer() {
    let Ok(path) = env::var(PART) else {
        let altered = AlteredCalls::new(&["NO_KERNEL_LOCKS"]);
        altered.leave_a_dead_holders_lockfile();
        return altered.again(this_test!());
    };
    let claim = leave_a_claim(path.as_ref());
    assert_eq!(touch(path.as_ref()).unwrap_err().code(), "LOCK_BUSY");
    let mut impatient = durable_one_try();
    impatient.lock.timeout = None;
    impatient.lock.stale_after = Duration::from_nanos(1);
    update_registry(&path, &impatient, |registry| {
        registry.set_updated_at(8);
        Ok::<_, Error>(())
    })
    .unwrap();
    assert!(!claim.exists());
}

#[test]
fn a_dead_holder_costs_no_waiting_without_kernel_locks() {
    let Ok(path) = env::var(PART) else {
        let altered = AlteredCalls::new(&["NO_KERNEL_LOCKS"]);
        altered.leave_a_dead_holders_lockfile();
        return altered.again(this_test!());
    };
    let status = inspect_lock(&path, Duration::from_secs(10)).unwrap();
    assert_eq!(status.guarantee, Guarantee::LockfileOnly);
    assert_eq!(status.state, LockState::Stale);
    assert_eq!(status.holder.unwrap().alive, Some(false));
    touch(path.as_ref()).unwrap();
}

#[test]
fn a_live_holder_does_not_lose_its_lock_by_age_without_kernel_locks() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["NO_KERNEL_LOCKS"]).again(this_test!());
    };
    let lock = RegistryLock::acquire(&path, &durable_one_try().lock).unwrap();
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

/// A takeover that could not look at its own claim left it. Until it was older than the stale threshold, no
/// process got the lock.
#[test]
fn a_takeover_that_fails_leaves_no_claim_without_kernel_locks() {
    let Ok(path) = env::var(PART) else {
        let altered = AlteredCalls::new(&["NO_KERNEL_LOCKS", "FIRST_LOOK_AT_A_TEMP_FILE_FAILS"]);
        altered.leave_a_dead_holders_lockfile();
        return altered.again(this_test!());
    };
    let failed = touch(path.as_ref()).unwrap_err();
    assert_eq!(failed.code(), "IO", "{failed}");
    touch(path.as_ref()).unwrap();
}
