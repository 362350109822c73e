//! Several processes that change one document.

use std::process::Stdio;

use argus_registry::try_lock_exclusive;

use crate::support::counter::{count_up, counter, Counter};
use crate::support::files::{document_path, names_in, put};
use crate::support::processes::example;

#[test]
fn eight_processes_count_to_1600() {
    let (_dir, path) = document_path();
    let children: Vec<_> = (0..8)
        .map(|_| {
            let mut command = example("counter");
            command.arg(&path).arg("200").stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "acknowledged 200, busy 0\n");
    }
    assert_eq!(counter(&path).load().unwrap().value.count, 1600);
    assert_eq!(names_in(path.parent().unwrap()), ["doc.json", "doc.lock"]);
}

/// What `update` is for. A program that loads, changes and saves is told that all went well, and has
/// undone what another did in between.
#[test]
fn load_then_save_loses_updates() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    document.save(&mut Counter::default()).unwrap();
    let mut mine = document.load().unwrap().value;
    let mut yours = document.load().unwrap().value;
    count_up(&mut mine).unwrap();
    count_up(&mut yours).unwrap();
    document.save(&mut mine).unwrap();
    document.save(&mut yours).unwrap();
    assert_eq!(document.load().unwrap().value.count, 1, "two were acknowledged, one is lost");
    // Eight processes at once: what was not acknowledged was refused as busy. Of what was acknowledged
    // there may be less in the file, but never more.
    let children: Vec<_> = (0..8)
        .map(|_| {
            let mut command = example("counter");
            command.arg(&path).args(["1000", "--load-save"]);
            command.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let (mut acknowledged, mut busy) = (0, 0);
    for child in children {
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let numbers: Vec<u64> = said
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let [count, refused] = numbers[..] else { panic!("{said}") };
        assert_eq!(count + refused, 1000);
        (acknowledged, busy) = (acknowledged + count, busy + refused);
    }
    let counted = document.load().unwrap().value.count - 1;
    assert!(counted <= acknowledged, "{counted} of {acknowledged}");
    assert!(counted < acknowledged || busy > 0, "no two met: {acknowledged} one after the other");
}

/// Whenever a writer is killed, its lock is free at once and the file is whole. The next process
/// removes what it left.
#[test]
fn a_killed_writer_leaves_a_whole_file_a_free_lock_and_in_the_end_no_litter() {
    let (_dir, path) = document_path();
    counter(&path).save(&mut Counter::default()).unwrap();
    for round in 0..20_u64 {
        let mut victim = example("counter").arg(&path).arg("1000000").spawn().unwrap();
        let so_far = counter(&path).load().map_or(0, |loaded| loaded.value.count);
        // The writer is at work when the number changes. A reader may find the lock busy, which shows
        // it just as well.
        while counter(&path).load().is_ok_and(|loaded| loaded.value.count <= so_far + round) {}
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert!(try_lock_exclusive(path.with_extension("lock")).is_ok());
        counter(&path).load().unwrap();
    }
    // In another process, because each process looks for litter once.
    let litter = path.with_file_name(format!(".doc.json.{}.tmp", "0".repeat(32)));
    put(&litter, "half");
    assert!(example("counter").arg(&path).arg("1").output().unwrap().status.success());
    assert_eq!(names_in(path.parent().unwrap()), ["doc.json", "doc.lock"]);
}
