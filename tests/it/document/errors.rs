//! What a document's errors say, and what they leave alone.

use std::io::ErrorKind;
use std::time::Duration;

use argus_registry::{try_lock_exclusive, Document, Error, LockFile, LockOptions};
use serde::{Deserialize, Serialize};

use crate::support::counter::patient;
use crate::support::files::{document_path, names_in, put, text};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Names {
    #[serde(default)]
    pub(super) version: u32,
    #[serde(default)]
    pub(super) names: Vec<String>,
}

#[test]
fn the_failures_are_told_apart() {
    let (_dir, path) = document_path();
    let document = Document::<Names>::json(&path).version(1).durable(false);
    let code = |error: Error| {
        assert!(error.to_string().contains("doc.json"), "{error}");
        error.code()
    };
    let change = |names: &mut Names| {
        names.names.push("new".into());
        Ok::<_, Error>(())
    };
    // Not found, and no file is made.
    assert_eq!(code(document.load().unwrap_err()), "NOT_FOUND");
    assert_eq!(names_in(path.parent().unwrap()), Vec::<String>::new());
    assert_eq!(code(document.update(&patient(), change).unwrap_err()), "NOT_FOUND");
    assert_eq!(names_in(path.parent().unwrap()), Vec::<String>::new());
    let nowhere = Document::<Names>::json(path.with_file_name("no").join("doc.json"));
    assert_eq!(code(nowhere.load().unwrap_err()), "NOT_FOUND");
    // Parse.
    put(&path, r#"{"version":1,"names":7}"#);
    let error = document.load().unwrap_err();
    assert!(error.to_string().contains("invalid type: integer `7`"), "{error}");
    assert!(std::error::Error::source(&error).unwrap().is::<serde_json::Error>());
    assert_eq!(code(error), "PARSE");
    assert_eq!(code(document.update(&patient(), change).unwrap_err()), "PARSE");
    // Another version, whatever else has changed with it.
    for (content, found, remedy) in [
        (r#"{"version":2,"names":{"other":"shape"}}"#, "2", "upgrade"),
        (r#"{"version":0}"#, "0", "convert"),
        (r#"{"version":"1"}"#, "\"1\"", "upgrade"),
    ] {
        put(&path, content);
        let error = document.load().unwrap_err();
        assert!(error.to_string().contains(remedy), "{error}");
        let Error::UnsupportedVersion { found: version, expected: 1, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(version, found);
        assert_eq!(error.found_version(), found.parse().ok());
        assert!(!error.to_string().contains("written"), "a load writes nothing: {error}");
        assert_eq!(code(document.update(&patient(), change).unwrap_err()), "UNSUPPORTED_VERSION");
        assert_eq!(text(&path), content);
        // A file of an older version may be replaced whole, one of a newer version may not.
        let saved = document.save(&mut Names { version: 1, ..Names::default() });
        assert_eq!(saved.is_ok(), found == "0", "{found}");
    }
    // Serialise: JSON has no keys that are lists.
    type Odd = std::collections::BTreeMap<Vec<u8>, u8>;
    let odd = Document::<Odd>::json(&path);
    let before = text(&path);
    assert_eq!(code(odd.save(&mut Odd::from([(vec![1], 1)])).unwrap_err()), "SERIALIZE");
    assert_eq!(text(&path), before);
    // Any other error of the operating system.
    let on_a_folder = Document::<Names>::json(path.parent().unwrap());
    assert_eq!(on_a_folder.load().unwrap_err().code(), "IO");
    let registry = path.with_file_name("registry.json");
    argus_registry::write_registry(&registry, &Default::default(), &Default::default()).unwrap();
    let registry = Document::<Names>::json(registry);
    assert_eq!(registry.load().unwrap_err().code(), "LOCK_MISMATCH");
    let own_name = Document::<Names>::json(path.with_extension("lock"));
    assert_eq!(own_name.save(&mut Names::default()).unwrap_err().code(), "INVALID_VALUE");
    let own_lock = Document::<Names>::json(&path).lock_file(LockFile::At(path.clone()));
    assert_eq!(code(own_lock.load().unwrap_err()), "INVALID_VALUE");
    assert_eq!(code(own_lock.save(&mut Names::default()).unwrap_err()), "INVALID_VALUE");
}

#[test]
fn an_io_error_keeps_the_kind_the_path_and_the_error() {
    let (_dir, path) = document_path();
    let document = Document::<Names>::json(&path);
    let load = || -> std::io::Result<()> { Ok(document.load().map(|_| ())?) };
    let missing = load().unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains(path.to_str().unwrap()), "{missing}");
    assert!(missing.to_string().ends_with("; check the path"), "{missing}");
    put(&path, "no JSON");
    assert_eq!(load().unwrap_err().kind(), ErrorKind::InvalidData);
    let held = try_lock_exclusive(path.with_extension("lock")).unwrap();
    let busy = load().unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::WouldBlock);
    let within = LockOptions::within(Duration::from_millis(1));
    let late = std::io::Error::from(document.load_with(&within).unwrap_err());
    assert_eq!(late.kind(), ErrorKind::TimedOut);
    drop(held);
    let busy = *busy.into_inner().unwrap().downcast::<Error>().unwrap();
    assert_eq!((busy.code(), busy.path()), ("LOCK_BUSY", &*path.with_extension("lock")));
    let hint = busy.hint().unwrap();
    assert!(hint.starts_with("`argus-registry status ") && hint.contains("doc.lock"), "{hint}");
}

/// With the default of a number, the first update wrote a version that no later update accepted.
#[test]
fn a_value_of_another_version_is_not_written() {
    let (_dir, path) = document_path();
    let document = Document::<Names>::json(&path).version(1).empty(Names::default);
    let add = |names: &mut Names| {
        names.names.push("a".into());
        Ok::<_, Error>(())
    };
    let error = document.update(&patient(), add).unwrap_err();
    assert_eq!(error.code(), "INVALID_VALUE");
    assert!(error.to_string().contains("version 0"), "{error}");
    assert_eq!(document.save(&mut Names::default()).unwrap_err().code(), "INVALID_VALUE");
    assert!(!path.exists());
    let list = Document::<Vec<u8>>::json(&path).version(1);
    assert_eq!(list.save(&mut vec![1]).unwrap_err().code(), "SERIALIZE");
    assert!(!path.exists());
}

/// JSON has no NaN: `null` was written, and no later call could read the file.
#[test]
fn a_value_that_could_not_be_read_again_is_not_written() {
    let (_dir, path) = document_path();
    let document = Document::<Ratio>::json(&path).empty(|| Ratio { ratio: 0.0 });
    let is_refused = |result: Result<(), Error>| {
        let error = result.unwrap_err();
        assert_eq!(error.code(), "SERIALIZE", "{error}");
        assert!(error.to_string().contains("read again: invalid type: null"), "{error}");
    };
    let update = |next: f64| {
        document.update(&LockOptions::default(), |value| {
            value.ratio = next;
            Ok::<_, Error>(())
        })
    };
    is_refused(document.save(&mut Ratio { ratio: f64::NAN }));
    is_refused(update(f64::INFINITY));
    assert!(!path.exists());
    update(0.5).unwrap();
    is_refused(update(f64::NAN));
    assert_eq!(document.load().unwrap().value.ratio, 0.5);
}

#[derive(Serialize, Deserialize)]
struct Ratio {
    ratio: f64,
}
