//! What an update keeps of a text that a person or another program wrote.

use std::sync::{Arc, Mutex};

use argus_registry::{Document, Error, Format, FormatError, Json, LockOptions, OnWarning, Warning};
use serde::{de::DeserializeOwned, Deserialize, Serialize};

use crate::support::files::{document_path, put, text};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    id: String,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Exceptions {
    version: u32,
    #[serde(default)]
    exceptions: Vec<Entry>,
}

fn entry(id: &str) -> Entry {
    Entry { id: id.to_owned(), reason: "new".to_owned(), expires_at: None }
}

fn update<F: Format>(document: &Document<Exceptions, F>, change: impl Fn(&mut Vec<Entry>)) {
    let changed = document.update(&LockOptions::default(), |value| {
        change(&mut value.exceptions);
        Ok::<_, Error>(())
    });
    changed.unwrap();
}

const JSON: &str = r#"{
  "$schema": "x.json",
  "exceptions": [
    {
      "note": "unknown",
      "reason": "é",
      "id": "b"
    },
    {
      "id": "a",
      "reason": "r",
      "big": 12345678901234567890123.50
    }
  ],
  "version": 1,
  "other": {
    "z": [],
    "a": {}
  }
}"#;

#[test]
fn an_update_of_json_keeps_unknown_members_and_the_order() {
    let (_dir, path) = document_path();
    let document = Document::<Exceptions>::json(&path).version(1).durable(false);
    put(&path, JSON);
    update(&document, |entries| entries[1].expires_at = Some("2026".to_owned()));
    let with_expiry = JSON.replace("123.50\n", "123.50,\n      \"expires_at\": \"2026\"\n");
    assert_eq!(text(&path), with_expiry);
    update(&document, |entries| entries[1].expires_at = None);
    assert_eq!(text(&path), JSON);
    update(&document, |entries| entries.push(entry("c")));
    update(&document, |entries| entries.swap(0, 2));
    assert!(text(&path).contains("\"note\": \"unknown\""));
    update(&document, |entries| entries.retain(|entry| entry.id != "b"));
    let kept = text(&path);
    assert!(!kept.contains("unknown") && kept.contains("123.50"), "{kept}");
    assert!(kept.ends_with("\"other\": {\n    \"z\": [],\n    \"a\": {}\n  }\n}"), "{kept}");
    let ids: Vec<_> = document.load().unwrap().value.exceptions;
    assert_eq!(ids.iter().map(|entry| &*entry.id).collect::<Vec<_>>(), ["c", "a"]);
}

/// The canonical order is that of the written text. An element that it moves keeps its members.
#[test]
fn an_update_that_sorts_a_list_keeps_each_elements_members() {
    let (_dir, path) = document_path();
    put(&path, JSON);
    let document = Document::<Exceptions>::json(&path).canonical(|value: &mut Exceptions| {
        value.exceptions.sort_by(|one, other| one.id.cmp(&other.id));
    });
    update(&document, |entries| entries[0].reason = "changed".to_owned());
    let value: serde_json::Value = serde_json::from_str(&text(&path)).unwrap();
    let entries = &value["exceptions"];
    assert_eq!((&entries[0]["id"], &entries[0]["reason"]), (&"a".into(), &"changed".into()));
    assert!(entries[0]["big"].is_number(), "{value}");
    assert_eq!(entries[1]["note"], "unknown");
}

#[test]
fn a_byte_order_mark_is_no_defect_and_stays() {
    let (_dir, path) = document_path();
    put(&path, &format!("\u{feff}{JSON}"));
    let document = Document::<Exceptions>::json(&path).version(1);
    assert_eq!(document.load().unwrap().value.exceptions.len(), 2);
    update(&document, |entries| entries[0].reason = "é".to_owned());
    update(&document, |entries| entries[1].reason = "s".to_owned());
    assert_eq!(text(&path), format!("\u{feff}{JSON}").replace("\"r\"", "\"s\""));
}

/// The type ignores such a member without taking it apart, so its depth is not bounded by the parser.
#[test]
fn a_member_that_the_type_does_not_know_may_be_nested_to_any_depth() {
    let (_dir, path) = document_path();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 200_000;
        let deep = format!("{}0{}", open.repeat(depth), close.repeat(depth));
        put(&path, &JSON.replacen('{', &format!("{{\n  \"deep\": {deep},"), 1));
        update(&Document::<Exceptions>::json(&path), |entries| entries[0].reason = "s".to_owned());
        let kept = text(&path);
        assert!(kept.contains("\"reason\": \"s\""));
        let kept: String = kept.chars().filter(|c| !c.is_whitespace()).collect();
        assert!(kept.contains(&deep));
    }
}

/// A format whose texts can't be changed in place, and one that returns another value's text.
#[derive(Clone)]
struct Wrong;

impl Format for Wrong {
    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, FormatError> {
        Json.parse(bytes)
    }

    fn print<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, FormatError> {
        Json.print(value)
    }

    fn rewrite(&self, old: &[u8], _: &[u8], _: &[u8]) -> Result<Vec<u8>, FormatError> {
        Ok(old.to_vec())
    }
}

#[test]
fn an_acknowledged_change_is_in_the_file_whatever_the_format_makes_of_it() {
    let (_dir, path) = document_path();
    put(&path, JSON);
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&warnings);
    let document = Document::new(&path, Wrong)
        .on_warning(OnWarning::new(move |warning| seen.lock().unwrap().push(warning.clone())));
    update(&document, |entries| entries.clear());
    assert_eq!(text(&path), "{\n  \"version\": 1,\n  \"exceptions\": []\n}");
    assert_eq!(*warnings.lock().unwrap(), [Warning::UnknownLost { path: path.clone() }]);
    // In a text that the format has printed is nothing that it does not know.
    update(&document, |entries| entries.push(entry("a")));
    assert!(text(&path).contains("\"a\"") && warnings.lock().unwrap().len() == 1);
}

#[cfg(feature = "toml")]
mod toml {
    use super::*;

    const TOML: &str = "\
# Accepted findings. Ask security first.

version = 1 # of the schema
owner = 'sec' # unknown

[[exceptions]]
id = 'b' # by ada
reason = \"\"\"
two
lines\"\"\"

# The second one.
[[exceptions]]
reason = 'r'
id     = 'a'
tags   = [1,2] # unknown
[exceptions.meta]
by = 'x'

[tool]
# Nothing here.
";

    fn document(path: &std::path::Path) -> Document<Exceptions, argus_registry::Toml> {
        Document::toml(path).version(1).durable(false)
    }

    #[test]
    fn an_update_of_toml_keeps_comments_order_and_unknown_entries() {
        let (_dir, path) = document_path();
        let document = document(&path);
        put(&path, TOML);
        update(&document, |entries| entries[0].reason = "c".to_owned());
        let lines = TOML.replace("\"\"\"\ntwo\nlines\"\"\"", "\"c\"");
        assert_eq!(text(&path), lines);
        put(&path, TOML);
        update(&document, |entries| entries[1].expires_at = Some("2026".to_owned()));
        let added = TOML.replace("# unknown\n[exc", "# unknown\nexpires_at = \"2026\"\n[exc");
        assert_eq!(text(&path), added);
        update(&document, |entries| entries[1].expires_at = None);
        assert_eq!(text(&path), TOML);
        // A new one comes after the last one, and one that is gone takes its own comments along.
        update(&document, |entries| entries.push(entry("n")));
        let new = "[[exceptions]]\nid = \"n\"\nreason = \"new\"\n";
        let added = text(&path);
        assert!(added.contains(&format!("by = 'x'\n\n{new}")), "{added}");
        assert!(added.ends_with("[tool]\n# Nothing here.\n"), "{added}");
        update(&document, |entries| entries.truncate(2));
        assert_eq!(text(&path), TOML);
        update(&document, |entries| _ = entries.remove(0));
        let start = TOML.find("[[exceptions]]").unwrap();
        let end = TOML.find("\n# The second").unwrap();
        assert_eq!(text(&path), [&TOML[..start - 1], &TOML[end..]].concat());
        update(&document, Vec::clear);
        assert_eq!(document.load().unwrap().value.exceptions, []);
        assert!(text(&path).contains("# of the schema"));
    }

    #[test]
    fn an_element_that_moves_takes_its_subtables_along() {
        let (_dir, path) = document_path();
        put(&path, TOML);
        update(&document(&path), |entries| entries.swap(0, 1));
        let moved = text(&path);
        let place = |part: &str| moved.find(part).unwrap_or_else(|| panic!("{part}: {moved}"));
        assert!(place("id     = 'a'") < place("[exceptions.meta]"), "{moved}");
        assert!(place("[exceptions.meta]") < place("id = 'b' # by ada"), "{moved}");
    }

    #[test]
    fn line_ends_and_a_byte_order_mark_stay() {
        let (_dir, path) = document_path();
        let windows = format!("\u{feff}{}", TOML.replace('\n', "\r\n"));
        put(&path, &windows);
        update(&document(&path), |entries| entries[1].reason = "s".to_owned());
        assert_eq!(text(&path), windows.replace("'r'", "\"s\""));
        // Mixed ends are nothing to keep.
        put(&path, "version = 1\r\n# x\n[[exceptions]]\nid = 'a'\nreason = 'r'\n");
        update(&document(&path), |entries| entries[0].reason = "s".to_owned());
        assert!(text(&path).contains("# x\n") && text(&path).contains("\"s\""));
    }

    #[test]
    fn a_new_element_of_a_list_repeats_no_comment() {
        let (_dir, path) = document_path();
        put(&path, "names = [\n  # The first.\n  'a',\n]\nplain = [1,2]\n");
        #[derive(Serialize, Deserialize)]
        struct Lists {
            names: Vec<String>,
            plain: Vec<u8>,
        }
        let change = |lists: &mut Lists| {
            lists.names.push("b".to_owned());
            lists.plain.push(3);
            Ok::<_, Error>(())
        };
        Document::toml(&path).update(&LockOptions::default(), change).unwrap();
        assert_eq!(
            text(&path),
            "names = [\n  # The first.\n  'a',\n  \"b\",\n]\nplain = [1,2, 3]\n"
        );
    }

    #[test]
    fn inline_lists_and_tables_keep_their_layout() {
        #[derive(Serialize, Deserialize)]
        struct Names {
            names: Vec<String>,
            at: std::collections::BTreeMap<String, u8>,
        }
        let (_dir, path) = document_path();
        put(&path, "names = [\n  'a', # first\n  'b',\n]\nat = { z = 1, a = 2 } # here\n");
        let document = Document::<Names, _>::toml(&path);
        let change = |names: &mut Names| {
            names.names.push("c".to_owned());
            names.at.insert("z".to_owned(), 7);
            Ok::<_, Error>(())
        };
        document.update(&LockOptions::default(), change).unwrap();
        assert_eq!(
            text(&path),
            "names = [\n  'a', # first\n  'b',\n  \"c\",\n]\nat = { z = 7, a = 2 } # here\n"
        );
    }
}

/// This number's text was read as the double beside it. So the rewritten text seemed to have another value
/// than the new one, and the value's own text was written, without the unknown members.
#[test]
fn an_update_of_json_that_sets_any_double_keeps_unknown_members_and_that_double() {
    #[derive(Serialize, Deserialize)]
    struct Ratio {
        ratio: f64,
    }
    let (_dir, path) = document_path();
    let document = Document::<Ratio>::json(&path).durable(false);
    put(&path, r#"{"note":"unknown","ratio":1}"#);
    let next = 0.9073038322028689;
    let set = |value: &mut Ratio| {
        value.ratio = next;
        Ok::<_, Error>(())
    };
    document.update(&LockOptions::default(), set).unwrap();
    assert!(text(&path).contains("\"note\": \"unknown\""), "{}", text(&path));
    assert_eq!(document.load().unwrap().value.ratio, next);
}
