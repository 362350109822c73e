//! The sources keep to the order of the folders.
//!
//! A folder that used one above it could no longer be understood, tested or changed without it. The
//! compiler lets that happen, so these tests read `src/`.

mod rules;
mod source;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use rules::{Sources, ORDER};

/// The library's sources, which are read once.
static LIBRARY: LazyLock<Sources> = LazyLock::new(|| Sources::of_library(borrowed(&files())));
/// The program's sources, which are read once.
static PROGRAM: LazyLock<Sources> = LazyLock::new(|| Sources::of_program(borrowed(&files())));

/// Every file in `src/`: its path from the crate's folder, and its text.
fn files() -> Vec<(String, String)> {
    fn read(folder: &Path, path: &str, files: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{path}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                read(&entry.path(), &path, files);
            } else if path.ends_with(".rs") {
                files.push((path, fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    let mut files = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "src", &mut files);
    files
}

fn borrowed(files: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
}

#[test]
fn no_folder_imports_one_above_it() {
    let defects = LIBRARY.forbidden_imports();
    assert!(defects.is_empty(), "{}", defects.join("\n"));
}

#[test]
fn no_modules_import_one_another() {
    let cycles = [LIBRARY.cycles(), PROGRAM.cycles()].concat();
    let (names, described): (Vec<_>, Vec<_>) = cycles.into_iter().unzip();
    assert_eq!(names, [""; 0], "found:\n{}", described.join("\n"));
}

#[test]
fn the_program_uses_public_names_only() {
    assert_eq!(PROGRAM.private_names(&LIBRARY), [""; 0]);
}

#[test]
fn a_private_name_in_the_program_is_found_however_it_is_written() {
    let library = [("src/lib.rs", "mod lock;"), ("src/lock/guard.rs", ""), ("src/lock/mod.rs", "")];
    let text = "use crate::cli::args;\nuse crate::lock::guard;\nuse argus_registry::{Error, lock::guard as g};\n\
                use super::lock;\nuse argus_registry::store_parts;";
    let program = [("src/cli/mod.rs", text), ("src/cli/args.rs", "")];
    let found = Sources::of_program(program).private_names(&Sources::of_library(library));
    assert_eq!(
        found,
        [
            "src/cli/mod.rs:2: `crate::lock::guard`",
            "src/cli/mod.rs:4: `crate::lock`",
            "src/cli/mod.rs:3: `argus_registry::lock`"
        ]
    );
}

/// No rule sees a module of the library that is taken into the program.
#[test]
fn every_module_is_in_its_own_folder() {
    assert_eq!([LIBRARY.moved_modules(), PROGRAM.moved_modules()].concat(), Vec::<String>::new());
}

#[test]
fn only_the_front_end_for_node_knows_of_its_feature() {
    let found = LIBRARY.node_feature();
    let names: Vec<_> = found.keys().copied().collect();
    assert_eq!(names, [""; 0], "found in these lines: {found:?}");
}

/// What is reported of one file beside a few others that it may import from.
fn reported(file: &str, text: &str) -> Vec<String> {
    let others = [
        ("src/lib.rs", "mod error; pub use error::Error; pub use document::format::FormatError;"),
        ("src/error.rs", ""),
        ("src/util/cancel.rs", ""),
        ("src/sys/mod.rs", "mod unix; mod types;"),
        ("src/sys/unix.rs", ""),
        ("src/sys/types.rs", ""),
        ("src/files/paths.rs", ""),
        ("src/lock/mod.rs", "pub(crate) mod guard; pub(crate) mod owner_record;"),
        ("src/lock/guard.rs", ""),
        ("src/lock/owner_record.rs", ""),
        ("src/content/record.rs", ""),
        ("src/document/format.rs", ""),
        ("src/registry/update.rs", ""),
        ("src/folder/journal.rs", ""),
        ("src/store/calls.rs", ""),
        ("src/litter/survey.rs", ""),
        ("src/watch/route.rs", ""),
        ("src/node/hold.rs", ""),
    ];
    let others = others.into_iter().filter(|(other, _)| *other != file);
    Sources::of_library(others.chain([(file, text)])).forbidden_imports()
}

#[test]
fn an_import_from_a_folder_above_is_reported_with_file_line_edge_and_order() {
    for (file, text, edge) in [
        (
            "src/error.rs",
            "//! Errors.\nuse crate::document::format::FormatError;\n",
            "`error`, in vocabulary, imports `document::format::FormatError`, in document",
        ),
        (
            "src/error.rs",
            "//! Errors.\nuse crate::lock::owner_record::Holder;\n",
            "`error`, in vocabulary, imports `lock::owner_record::Holder`, in lock",
        ),
        (
            "src/sys/unix.rs",
            "//! Unix.\nuse crate::lock::owner_record::{ProcessState, Place};\n",
            "`sys::unix`, in sys, imports `lock::owner_record::ProcessState`, in lock",
        ),
    ] {
        let reported = reported(file, text);
        let first = reported.first().unwrap_or_else(|| panic!("{text} was not reported"));
        for part in [format!("{file}:2: "), edge.to_owned(), ORDER.to_owned()] {
            assert!(first.contains(&part), "no {part:?} in {first:?}");
        }
    }
}

#[test]
fn every_pair_of_folders_is_judged_by_the_order() {
    let folders = [
        ("util", "src/util/cancel.rs", "util::cancel"),
        ("sys", "src/sys/unix.rs", "sys::unix"),
        ("vocabulary", "src/error.rs", "error"),
        ("files", "src/files/paths.rs", "files::paths"),
        ("lock", "src/lock/guard.rs", "lock::guard"),
        ("registry", "src/registry/update.rs", "registry::update"),
        ("document", "src/document/format.rs", "document::format"),
        ("litter", "src/litter/survey.rs", "litter::survey"),
        ("watch", "src/watch/route.rs", "watch::route"),
        ("node", "src/node/hold.rs", "node::hold"),
        ("content", "src/content/record.rs", "content::record"),
        ("folder", "src/folder/journal.rs", "folder::journal"),
        ("store", "src/store/calls.rs", "store::calls"),
    ];
    let mut may_use = Vec::new();
    for (folder, file, _) in folders {
        let used = folders.iter().filter(|(other, _, module)| {
            *other != folder && reported(file, &format!("use crate::{module}::X;")).is_empty()
        });
        let used: Vec<_> = used.map(|(other, ..)| *other).collect();
        may_use.push(format!("{folder}: {}", used.join(" ")));
    }
    assert_eq!(
        may_use,
        [
            "util: ",
            "sys: util",
            "vocabulary: util sys",
            "files: util sys vocabulary",
            "lock: util sys vocabulary files",
            "registry: util sys vocabulary files lock content",
            "document: util sys vocabulary files lock",
            "litter: util sys vocabulary files lock content folder",
            "watch: util sys vocabulary files lock registry document litter content folder",
            "node: util sys vocabulary files lock registry document litter watch content folder store",
            "content: vocabulary",
            "folder: util sys vocabulary files lock registry content",
            "store: util sys vocabulary files lock registry litter watch content folder",
        ]
    );
}

#[test]
fn an_import_is_found_however_it_is_written() {
    for text in [
        "use crate::lock::guard::Guard;",
        "use crate::{error::Error, lock::{guard::{self, Guard}, owner_record}};",
        "use crate::lock::*;",
        "use crate::lock as below;",
        "use super::super::lock::guard::Guard;",
        "pub(crate) use crate::lock::guard::Guard;",
        "fn f() { let _ = crate::lock::guard::look(); }",
        "fn f() -> Vec<crate::lock::guard::Guard> { Vec::new() }",
        "fn f() { assert!(crate::lock::guard::look()); }",
        "fn f() { use crate::lock::guard::look; look(); }",
        "mod inner { fn f() { super::super::super::lock::guard::look(); } }",
        "impl From<crate::lock::guard::Guard> for u8 {}",
        "#[cfg(not(test))] use crate::lock::guard::Guard;",
        "#[cfg(any(test, unix))] use crate::lock::guard::Guard;",
    ] {
        let reported = reported("src/files/paths.rs", text);
        assert!(!reported.is_empty(), "{text}");
        assert!(reported.iter().all(|defect| defect.contains("in lock")), "{text}: {reported:?}");
    }
}

#[test]
fn what_is_no_import_of_another_folder_is_not_reported() {
    for text in [
        "//! See [`crate::lock::guard`].\n/// And `crate::lock`.\nfn f() {}",
        "const TEXT: &str = \"use crate::lock::guard::Guard;\";",
        "use crate::util::cancel::CancelToken; use crate::error::{Error, Result};",
        "use std::{fs, io::Read}; use serde_json::Value;",
        "mod lock { pub(super) fn f() {} } fn g() { self::lock::f() }",
    ] {
        assert_eq!(reported("src/files/paths.rs", text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn tests_within_a_module_may_import_from_every_folder() {
    for text in [
        "#[cfg(test)] mod tests { use crate::registry::update::f; use crate::Error; }",
        "#[cfg(all(test, unix))] #[allow(unused)] mod tests { use crate::lock::guard::f; }",
        "#[cfg(test)] use crate::{registry::update, lock}; use crate::sys::FileId;",
        "#[cfg(test)] fn f() { crate::lock::guard::f() } fn g() { crate::sys::f() }",
    ] {
        assert_eq!(reported("src/files/paths.rs", text), Vec::<String>::new(), "{text}");
    }
    let files = [
        ("src/files/paths.rs", "#[cfg(test)]\nmod tests;"),
        ("src/files/paths/tests.rs", "use crate::registry::update::f;"),
        ("src/registry/update.rs", ""),
    ];
    assert_eq!(Sources::of_library(files).forbidden_imports(), Vec::<String>::new());
}

#[test]
fn an_import_from_the_root_of_the_crate_is_reported() {
    for text in
        ["use crate::Error;", "fn f() -> crate::Error { todo!() }", "use super::super::Error;"]
    {
        let reported = reported("src/files/paths.rs", text);
        assert_eq!(reported.len(), 1, "{text}");
        assert!(reported[0].contains("src/files/paths.rs:1: "), "{}", reported[0]);
        assert!(reported[0].contains("`crate::Error` from lib.rs"), "{}", reported[0]);
    }
}

#[test]
fn a_folder_without_a_place_in_the_order_is_reported() {
    let reported = reported("src/cloud/client.rs", "");
    assert_eq!(reported.len(), 1);
    assert!(reported[0].contains("src/cloud/client.rs: `cloud` has no place"), "{}", reported[0]);
}

#[test]
fn modules_that_import_one_another_are_reported_with_each_line() {
    let files = [
        ("src/lock/mod.rs", "mod guard; mod wait; mod record; mod stale; use stale::f;"),
        ("src/lock/guard.rs", "use crate::lock::wait::Wait;"),
        ("src/lock/wait.rs", "\nfn f() { super::record::f() }"),
        ("src/lock/record.rs", "\n\nuse super::guard; fn f() { guard::f() }"),
        // A visibility names a module and imports nothing from it.
        ("src/lock/stale.rs", "use crate::lock::wait::Wait; pub(in crate::lock) fn f() {}"),
    ];
    let cycles = Sources::of_library(files).cycles();
    assert_eq!(
        cycles,
        [(
            "lock::guard -> lock::wait -> lock::record -> lock::guard".to_owned(),
            "lock::guard -> lock::wait -> lock::record -> lock::guard, by src/lock/guard.rs:1, \
             src/lock/wait.rs:2, src/lock/record.rs:3"
                .to_owned()
        )]
    );
    let files = [
        ("src/cli/mod.rs", "mod check; mod exceptions; use crate::cli::check::run;"),
        ("src/cli/check.rs", "use crate::cli::exceptions;"),
        ("src/cli/exceptions.rs", "use crate::cli::check::Report; use argus_registry::Error;"),
    ];
    let [(cycle, _)] = &Sources::of_program(files).cycles()[..] else { panic!("not one cycle") };
    assert_eq!(cycle, "cli::check -> cli::exceptions -> cli::check");
}

#[test]
fn a_module_that_names_another_by_its_parent_is_part_of_a_cycle() {
    let files = [
        ("src/lock/guard.rs", "use crate::lock; fn f() { lock::wait::f() }"),
        ("src/lock/wait.rs", "use crate::lock::guard::f;"),
        ("src/lock/mod.rs", "mod guard; mod wait;"),
    ];
    let [(cycle, _)] = &Sources::of_library(files).cycles()[..] else { panic!("not one cycle") };
    assert_eq!(cycle, "lock::guard -> lock::wait -> lock::guard");
}

#[test]
fn the_feature_for_node_is_found_in_attributes_and_expressions() {
    let text = "fn f() {\n    #[cfg(all(unix, feature = \"node\"))]\n    g();\n    \
                if cfg!(feature = \"node\") {}\n    let _ = \"feature = node\";\n}";
    let files = [("src/lock/guard.rs", text), ("src/node/mod.rs", text), ("src/lib.rs", text)];
    let library = Sources::of_library(files);
    let found: Vec<_> = library.node_feature().into_iter().collect();
    assert_eq!(found, [("src/lock/guard.rs", &[2, 4][..])]);
}

#[test]
fn a_module_from_another_folder_is_found() {
    let files = [("src/cli/mod.rs", "\n#[path = \"../lock/guard.rs\"]\nmod guard;")];
    let found = Sources::of_program(files).moved_modules();
    assert_eq!(found, ["src/cli/mod.rs:2: #[path]"]);
}
