//! Files and values that are too large.

use std::fs::{self, File};

use argus_registry::{
    announce_watcher, read_registry, Document, Error, Format, FormatError, LockOptions,
    MAX_CONTENT_BYTES,
};
use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::support::files::{document_path, names_in, registry_path};
use crate::support::registries::{add, one_try, watcher};

#[test]
fn a_file_that_is_too_large_is_not_read_and_stays() {
    let (dir, path) = registry_path();
    // Sparse: it takes no space.
    File::create(&path).unwrap().set_len(MAX_CONTENT_BYTES + 1).unwrap();
    let document = Document::<Vec<u32>>::json(&path).registry_lock().empty(Vec::new);
    for (call, failed) in [
        ("read", read_registry(&path).map(|_| ())),
        ("update", add(&path, "a", &one_try())),
        ("announce", announce_watcher(&path, watcher("a"), &one_try())),
        ("load", document.load().map(|_| ())),
        ("document's update", document.update(&LockOptions::one_try(), |_| Ok::<_, Error>(()))),
        ("save", document.save(&mut vec![1])),
    ] {
        let error = failed.unwrap_err();
        assert_eq!((error.code(), error.path()), ("TOO_LARGE", &*path), "{call}: {error}");
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), MAX_CONTENT_BYTES + 1);
    assert_eq!(names_in(dir.path()), ["registry.json", "registry.json.guard"]);
}

/// Prints a number as so many bytes. (A build for tests takes minutes to print 64 MiB of JSON.)
#[derive(Clone)]
struct Repeated;

impl Format for Repeated {
    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, FormatError> {
        Ok(serde_json::from_str(&bytes.len().to_string())?)
    }

    fn print<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, FormatError> {
        Ok(vec![b'x'; serde_json::to_string(value)?.parse()?])
    }

    fn version(&self, _: &[u8]) -> Result<Option<String>, FormatError> {
        Ok(None)
    }
}

#[test]
fn a_value_that_is_too_large_is_not_written() {
    let (dir, path) = document_path();
    let document = Document::<u64, Repeated>::new(&path, Repeated).durable(false);
    let lock = LockOptions::one_try();
    document.save(&mut 5).unwrap();
    for size in [MAX_CONTENT_BYTES + 1, MAX_CONTENT_BYTES * 2] {
        assert_eq!(document.save(&mut { size }).unwrap_err().code(), "TOO_LARGE");
        let updated = document.update(&lock, |value| {
            *value = size;
            Ok::<_, Error>(())
        });
        assert_eq!(updated.unwrap_err().code(), "TOO_LARGE");
        assert_eq!(document.load().unwrap().value, 5);
        assert_eq!(names_in(dir.path()), ["doc.json", "doc.lock"]);
    }
    document.save(&mut { MAX_CONTENT_BYTES }).unwrap();
    assert_eq!(document.load().unwrap().value, MAX_CONTENT_BYTES);
}
