//! Updates and saves within one process: what is written, kept and left alone.

use std::sync::mpsc;
use std::thread;

use argus_registry::{
    CancelToken, Document, Error, Format, FormatError, Json, LockOptions, OnWarning, Warning,
};
use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::support::counter::{count_up, counter, patient, Counter};
use crate::support::files::{document_path, put, text};

#[test]
fn an_updater_that_fails_or_changes_nothing_leaves_the_file_alone() {
    let (_dir, path) = document_path();
    // Spelled as no program would.
    put(&path, "{ \"count\" :3 }");
    let document = counter(&path);
    let failed = document.update(&patient(), |counter| {
        counter.count = 100;
        Err::<(), Box<dyn std::error::Error>>("no".into())
    });
    assert_eq!(failed.unwrap_err().to_string(), "no");
    document.update(&patient(), |_| Ok::<_, Error>(())).unwrap();
    assert_eq!(text(&path), "{ \"count\" :3 }");
    let nested = document.update(&patient(), |_| {
        assert_eq!(document.load().unwrap_err().code(), "RE_ENTRANT");
        document.update(&patient(), count_up)
    });
    assert_eq!(nested.unwrap_err().code(), "RE_ENTRANT");
    // Another document with this document's lock file.
    let sibling = counter(&path.with_extension("data"));
    let nested = document.update(&patient(), |_| sibling.update(&patient(), count_up));
    assert_eq!(nested.unwrap_err().code(), "RE_ENTRANT");
    // An update of another document in between does not make the thread forget this one.
    let other = counter(&path.with_file_name("other.json"));
    let nested = document.update(&patient(), |_| {
        other.update(&patient(), count_up)?;
        document.update(&patient(), count_up)
    });
    assert_eq!(nested.unwrap_err().code(), "RE_ENTRANT");
    // The lock is free again, whatever happened.
    assert_eq!(document.update(&LockOptions::one_try(), count_up).unwrap(), 4);
}

#[test]
fn a_panic_in_an_updater_frees_the_lock() {
    let (_dir, path) = document_path();
    let document = counter(&path);
    let other = document.clone();
    let panicked =
        thread::spawn(move || other.update::<(), Error>(&patient(), |_| panic!("on purpose")));
    assert!(panicked.join().is_err());
    assert_eq!(document.update(&LockOptions::one_try(), count_up).unwrap(), 1);
}

#[test]
fn content_that_can_not_be_parsed_is_kept_when_it_is_saved_over() {
    let (_dir, path) = document_path();
    put(&path, "precious {");
    let (warn, warnings) = mpsc::channel();
    let warn = OnWarning::new(move |warning: &Warning| warn.send(warning.clone()).unwrap());
    let document = counter(&path).on_warning(warn);
    document.save(&mut Counter { count: 1 }).unwrap();
    let Warning::Corrupt { kept: Some(kept), .. } = warnings.recv().unwrap() else { panic!() };
    assert_eq!(text(&kept), "precious {");
    assert_eq!(document.load().unwrap().value.count, 1);
    document.save(&mut Counter { count: 2 }).unwrap();
    assert!(warnings.try_recv().is_err());
}

/// JSON whose parser cancels. A save parses what it replaces just before it replaces it.
#[derive(Clone)]
struct CancelsWhenParsed(CancelToken);

impl Format for CancelsWhenParsed {
    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, FormatError> {
        self.0.cancel();
        Json.parse(bytes)
    }

    fn print<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, FormatError> {
        Json.print(value)
    }
}

#[test]
fn a_save_that_is_cancelled_before_it_writes_writes_nothing() {
    let (_dir, path) = document_path();
    put(&path, "7");
    let token = CancelToken::new();
    let document = Document::<u32, _>::new(&path, CancelsWhenParsed(token.clone()));
    let options = LockOptions { cancel: Some(token), ..patient() };
    assert_eq!(document.save_with(&options, &mut 8).unwrap_err().code(), "ABORTED");
    assert_eq!(text(&path), "7");
}
