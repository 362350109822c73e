//! What a document looks like in its file.

use argus_registry::{Document, Error, Toml};

use super::errors::Names;
use crate::support::counter::patient;
use crate::support::files::{document_path, put, text};

#[test]
fn the_order_is_canonical_and_the_spelling_that_of_the_format() {
    let (_dir, path) = document_path();
    let path = path.with_extension("toml");
    let document = Document::<Names, Toml>::toml(&path)
        .version(1)
        .durable(false)
        .empty(|| Names { version: 1, ..Names::default() })
        .canonical(|names: &mut Names| names.names.sort());
    let mut names = Names { version: 1, names: vec!["b".into(), "a".into()] };
    document.save(&mut names).unwrap();
    assert_eq!(names.names, ["a", "b"]);
    assert_eq!(text(&path), "version = 1\nnames = [\n    \"a\",\n    \"b\",\n]\n");
    let first = |names: &mut Names| {
        names.names.insert(0, "c".into());
        Ok::<_, Error>(())
    };
    document.update(&patient(), first).unwrap();
    assert_eq!(document.load().unwrap().value.names, ["a", "b", "c"]);
    put(&path, "version = 2\nother = true\n");
    assert_eq!(document.load().unwrap_err().code(), "UNSUPPORTED_VERSION");
    put(&path, "version = \n");
    assert_eq!(document.load().unwrap_err().code(), "PARSE");
}
