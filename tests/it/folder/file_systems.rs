//! File systems without kernel locks or without hard links.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use argus_registry::{
    claim_watcher, heartbeat_watcher, inspect_lock, prune_stale_watchers, read_registry,
    update_registry, ClaimOptions, Error, Guarantee, LockOptions, PruneOptions,
};

use crate::support::altered_calls::AlteredCalls;
use crate::support::processes::{example, print_skipped, this_test, PART};
use crate::support::registries::{ids, patient, watcher};

fn processes_claim_and_count(changes: &[&str]) {
    let altered = AlteredCalls::new(changes);
    let path = altered.folder().join("registry/");
    let mut claimants: Vec<_> = (0..10)
        .map(|_| {
            let mut command = example("claim");
            altered.load_into(command.arg(&path).arg("app"));
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for claimant in &mut claimants {
        claimant.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
    let mut claimed: Vec<String> = claimants
        .iter_mut()
        .map(|claimant| {
            let lines = BufReader::new(claimant.stdout.as_mut().unwrap()).lines();
            lines.map(Result::unwrap).find(|line| line != "ready").unwrap()
        })
        .collect();
    claimed.sort();
    claimed.dedup();
    assert_eq!(claimed.len(), 10, "{claimed:?}");
    let counting: Vec<_> = (0..4)
        .map(|_| {
            let mut command = example("increment");
            altered.load_into(command.arg(&path).arg("25"));
            command.spawn().unwrap()
        })
        .collect();
    for mut child in counting.into_iter().chain(claimants) {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
    let (registry, _) = read_registry(&path).unwrap();
    assert_eq!((registry.len(), registry.watcher("counter").unwrap().port), (11, 100));
}

#[test]
fn claims_and_updates_are_exact_without_hard_links() {
    processes_claim_and_count(&["NO_HARD_LINKS"]);
}

#[test]
fn claims_and_updates_are_exact_without_kernel_locks() {
    processes_claim_and_count(&["NO_KERNEL_LOCKS"]);
}

#[test]
fn without_kernel_locks_age_decides_and_the_status_says_so() {
    let Ok(path) = env::var(PART) else {
        let altered = AlteredCalls::new(&["NO_KERNEL_LOCKS"]);
        return altered.again(this_test!());
    };
    let path = Path::new(&path).with_file_name("registry/");
    let own = claim_watcher(&path, watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    update_registry(&path, &patient(), |_| Ok::<_, Error>(())).unwrap();
    let status = inspect_lock(&path, LockOptions::default().stale_after).unwrap();
    assert_eq!(status.guarantee, Guarantee::LockfileOnly);
    assert!(heartbeat_watcher(&path, own.claim(), &patient()).unwrap());
    let mut elsewhere = watcher("elsewhere");
    elsewhere.host = "elsewhere.example.org".to_owned();
    claim_watcher(&path, elsewhere, &ClaimOptions::default(), &patient()).unwrap();
    let prune = |now| {
        let prune = PruneOptions { liveness: true, now: Some(now), ..PruneOptions::default() };
        prune_stale_watchers(&path, &prune, &patient()).unwrap().len()
    };
    assert_eq!(prune(SystemTime::now()), 0);
    assert_eq!(prune(SystemTime::now() + Duration::from_secs(61)), 2);
    assert!(ids(&path).is_empty());
}

/// Newer systems give a file that was looked at another time with its next change, but not on all file systems.
#[test]
fn a_change_is_read_where_times_move_in_ticks() {
    if let Ok(folder) = env::var(PART) {
        return super::files::read_each_change(Path::new(&folder));
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t ramfs none \"$1\" || exit 99; shift; exec \"$@\"";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(dir.path())
        .arg(env::current_exe().unwrap())
        .args(["--exact", this_test!(), "--nocapture"])
        .env(PART, dir.path())
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("running 1 test") => {
            panic!("{output:?}")
        }
        other => print_skipped(this_test!(), &format!("{other:?}")),
    }
}
