//! `status`: which processes hold a lock.

use std::fs;

use crate::fixtures::{busy, plain_fs2};
use crate::support::Folder;

#[test]
fn the_status_of_a_lock_file_is_the_kernels_and_the_inspection_creates_nothing() {
    let folder = Folder::new();
    let status = |arguments: &str| folder.run(&format!("status --json {arguments}")).json();
    assert_eq!(status("e.toml")["state"], "free");
    assert_eq!(fs::read_dir(&folder.path).unwrap().count(), 0);
    for (exclusive, state) in [(false, "shared"), (true, "exclusive")] {
        let held = plain_fs2(&folder.path("e.lock"), exclusive).unwrap();
        for arguments in ["e.toml", "e.lock", "--lock-file e.lock"] {
            let status = status(arguments);
            assert_eq!((&status["state"], &status["kind"]), (&state.into(), &"lock-file".into()));
            let holders: Vec<_> = status["holders"].as_array().unwrap().iter().collect();
            match holders.as_slice() {
                [] => eprintln!("SKIPPED: this system does not tell the holders of {arguments}"),
                [holder] => assert_eq!(holder["pid"], std::process::id()),
                more => panic!("{more:?}"),
            }
        }
        drop(held);
    }
    // The lockfile and the guard of a registry stand for the registry.
    let held = busy(&folder);
    for name in ["r.json.lock", "r.json.guard"] {
        let status = status(name);
        assert_eq!((&status["state"], &status["kind"]), (&"held".into(), &"registry".into()));
    }
    drop(held);
}
