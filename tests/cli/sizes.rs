//! A file that is too large.

use std::fs::File;

use argus_registry::MAX_CONTENT_BYTES;

use crate::support::Folder;

#[test]
fn a_registry_that_is_too_large_is_an_error_of_every_command_that_reads_it() {
    let folder = Folder::new();
    let size = MAX_CONTENT_BYTES + 1;
    // Sparse: it takes no space.
    File::create(folder.path("r.json")).unwrap().set_len(size).unwrap();
    for arguments in [
        "list --registry r.json",
        "prune --registry r.json",
        "remove --registry r.json app",
        "check r.json",
        "doctor r.json",
    ] {
        let outcome = folder.run(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments}: {outcome:?}");
        let text = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(text.contains(&size.to_string()), "{arguments}: {outcome:?}");
    }
    assert_eq!(folder.names(), ["r.json"]);
}
