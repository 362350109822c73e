//! What an update does about a document that can't be parsed.

use std::sync::{Arc, Mutex};

use argus_registry::{Document, Error, LockOptions, OnCorrupt, OnWarning, Warning};

use crate::support::files::{document_path, names_in, put, text};

const MISTYPED: &str = "[1,,]";

fn push(document: &Document<Vec<u32>>, item: u32) -> Result<(), Error> {
    document.update(&LockOptions::default(), |list| {
        list.push(item);
        Ok(())
    })
}

#[test]
fn a_document_that_can_not_be_parsed_stays_unless_its_user_says_otherwise() {
    let (dir, path) = document_path();
    put(&path, MISTYPED);
    let list = Document::<Vec<u32>>::json(&path).empty(Vec::new);
    for refusing in [&list, &list.clone().on_corrupt(OnCorrupt::Fail)] {
        assert_eq!(push(refusing, 1).unwrap_err().code(), "PARSE");
        assert_eq!(text(&path), MISTYPED);
        assert_eq!(names_in(dir.path()), ["doc.json", "doc.lock"]);
    }
}

#[test]
fn with_keep_the_bytes_are_kept_and_the_update_starts_from_the_empty_value() {
    let (_dir, path) = document_path();
    put(&path, MISTYPED);
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let seen = warnings.clone();
    let list = Document::<Vec<u32>>::json(&path)
        .empty(|| vec![0])
        .on_corrupt(OnCorrupt::Keep)
        .on_warning(OnWarning::new(move |warning| seen.lock().unwrap().push(warning.clone())));
    push(&list, 1).unwrap();
    push(&list, 2).unwrap();
    assert_eq!(list.load().unwrap().value, [0, 1, 2]);
    let warnings = warnings.lock().unwrap();
    let [Warning::Corrupt { path: about, kept: Some(kept), .. }] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert_eq!((about, &*text(kept)), (&path, MISTYPED));
}

#[test]
fn without_an_empty_value_there_is_nothing_to_start_from() {
    let (_dir, path) = document_path();
    put(&path, MISTYPED);
    let list = Document::<Vec<u32>>::json(&path).on_corrupt(OnCorrupt::Keep);
    assert_eq!(push(&list, 1).unwrap_err().code(), "PARSE");
    assert_eq!(text(&path), MISTYPED);
}
