//! Updates that lost the members that the type does not know, or gave them to another element of a list.

use std::collections::{BTreeMap, HashMap, HashSet};

use argus_registry::{Document, Error, Format, Json, LockOptions};
use serde::{de::DeserializeOwned, Deserialize, Serialize};

use crate::support::files::{document_path, put, text};

/// The text that an update makes of `old`.
fn updated<T: Serialize + DeserializeOwned, F: Format>(
    format: F,
    old: &str,
    change: impl Fn(&mut T),
) -> String {
    let (_dir, path) = document_path();
    put(&path, old);
    let document = Document::<T, F>::new(&path, format).durable(false);
    let changed = document.update(&LockOptions::default(), |value| {
        change(value);
        Ok::<_, Error>(())
    });
    changed.unwrap();
    text(&path)
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Each parsed `HashMap` has its members in another order. The rewritten text seemed to have another value
/// than the new one, and the value's own text was written.
#[test]
fn a_type_with_hash_maps_and_sets_keeps_unknown_members() {
    #[derive(Serialize, Deserialize)]
    struct Hashed {
        n: u32,
        m: HashMap<String, u32>,
        s: HashSet<String>,
    }
    #[derive(Serialize, Deserialize)]
    struct Flat {
        n: u32,
        list: Vec<Known>,
        #[serde(flatten)]
        rest: HashMap<String, serde_json::Value>,
    }
    #[derive(Serialize, Deserialize)]
    struct Known {
        a: u32,
    }
    let old = r#"{"note":"unknown","n":0,"m":{"a":1,"b":2,"c":3,"d":4},"s":["p","q","r","t"]}"#;
    let flat = r#"{"p":1,"n":0,"q":2,"list":[{"note":"unknown","a":1}],"r":3,"s":4}"#;
    for _ in 0..10 {
        let counted = updated(Json, old, |value: &mut Hashed| value.n += 1);
        assert_eq!(without_spaces(&counted), old.replace("\"n\":0", "\"n\":1"));
        let more = updated(Json, old, |value: &mut Hashed| {
            value.m.insert("e".to_owned(), 5);
            value.s.insert("u".to_owned());
        });
        assert!(more.contains("unknown") && more.contains("\"e\": 5"), "{more}");
        let counted = updated(Json, flat, |value: &mut Flat| value.n += 1);
        assert_eq!(without_spaces(&counted), flat.replace("\"n\":0", "\"n\":1"));
    }
}

/// The value that was read from the rewritten text is never printed as the new value is.
#[test]
fn a_type_that_reads_less_than_it_prints_keeps_unknown_members() {
    #[derive(Serialize, Deserialize)]
    struct Lossy {
        n: u32,
        #[serde(skip_deserializing)]
        computed: u32,
    }
    let set = |value: &mut Lossy| (value.n, value.computed) = (1, 7);
    let changed = updated(Json, r#"{"note":"unknown","n":0,"computed":3}"#, set);
    assert_eq!(without_spaces(&changed), r#"{"note":"unknown","n":1,"computed":7}"#);
}

/// A new order of a list is a change, also of a list of names.
#[test]
fn a_list_that_was_put_in_another_order_is_written_in_that_order() {
    let reverse = |names: &mut Vec<String>| names.reverse();
    assert_eq!(without_spaces(&updated(Json, r#"["a","b"]"#, reverse)), r#"["b","a"]"#);
}

/// A text with the member's former name got the present one beside it, which serde refuses.
#[test]
fn a_member_that_the_text_has_by_an_alias_keeps_that_name() {
    #[derive(Serialize, Deserialize)]
    struct Renamed {
        #[serde(alias = "old_name")]
        name: BTreeMap<String, u32>,
        #[serde(default)]
        n: u32,
    }
    let old = r#"{"note":0,"old_name":{"b":1.0e0,"a":2},"x":{"name":[]}}"#.replace("1.0e0", "1");
    let set = |value: &mut Renamed| _ = value.name.insert("a".to_owned(), 3);
    let changed = updated(Json, &old, set);
    assert_eq!(without_spaces(&changed), old.replace(":2}", ":3}"));
    let counted = updated(Json, &old, |value: &mut Renamed| value.n += 1);
    assert_eq!(without_spaces(&counted), old.replace("[]}}", "[]},\"n\":1}"));
}

/// JavaScript writes and reads such an object, so another program may have left it there.
#[test]
fn an_unknown_object_that_cannot_be_taken_apart_stays() {
    #[derive(Serialize, Deserialize)]
    struct Counter {
        n: u32,
    }
    for unknown in [r#""js":{"\ud800":1}"#, r#""js":[{"a":1,"a":2}]"#, r#""js":1,"js":2"#] {
        let old = format!("{{{unknown},\"n\":0}}");
        let counted = updated(Json, &old, |value: &mut Counter| value.n += 1);
        assert_eq!(without_spaces(&counted), old.replace("\"n\":0", "\"n\":1"));
    }
    // Of a name that occurs twice in a map, serde takes the last value.
    let add = |value: &mut BTreeMap<String, u32>| _ = value.insert("c".to_owned(), 4);
    let added = updated(Json, r#"{"a":1,"b":2,"a":3}"#, add);
    assert_eq!(without_spaces(&added), r#"{"b":2,"a":3,"c":4}"#);
}

/// The approval of a removed element went to a new one of the same kind.
#[test]
fn a_new_element_takes_over_nothing_from_a_removed_one() {
    #[derive(Serialize, Deserialize)]
    struct Element {
        id: String,
        kind: String,
    }
    #[derive(Serialize, Deserialize)]
    struct List {
        es: Vec<Element>,
    }
    let old = r#"{"es":[{"id":"a","kind":"t","approvedBy":"alice"},{"id":"z","kind":"u"}]}"#;
    let replaced = updated(Json, old, |list: &mut List| {
        list.es.remove(0);
        list.es.push(Element { id: "b".to_owned(), kind: "t".to_owned() });
    });
    assert_eq!(
        without_spaces(&replaced),
        r#"{"es":[{"id":"z","kind":"u"},{"id":"b","kind":"t"}]}"#
    );
    let changed = updated(Json, old, |list: &mut List| list.es[0].kind = "w".to_owned());
    assert!(changed.contains("alice"), "{changed}");
}

#[cfg(feature = "toml")]
mod toml {
    use argus_registry::Toml;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Exceptions {
        version: u32,
        exceptions: Vec<Exception>,
    }

    #[derive(Serialize, Deserialize)]
    struct Exception {
        id: String,
        #[serde(default)]
        days: u32,
    }

    fn push(value: &mut Exceptions) {
        value.exceptions.push(Exception { id: "b".to_owned(), days: 1 });
    }

    /// The list became tables, whose heads had the line before the list's name inside their brackets.
    #[test]
    fn the_first_element_of_an_inline_list_leaves_the_rest_of_the_text() {
        let old = "version = 1\n\n# None yet.\nexceptions = []\n\n[settings] # ours\nkeep = true\n";
        let pushed = updated(Toml, old, push);
        let list = "exceptions = [{ id = \"b\", days = 1 }]";
        assert_eq!(pushed, old.replace("exceptions = []", list));
    }

    #[test]
    fn the_elements_of_an_inline_list_keep_unknown_entries() {
        let old = "version = 1\n\nexceptions = [\n  # first\n  { id = 'a', by = \"alice\" },\n]\n";
        let pushed = updated(Toml, old, push);
        let list = "exceptions = [\n  # first\n  { id = 'a', by = \"alice\" },\n";
        let pushed_list = format!("{list}  {{ id = \"b\", days = 1 }},\n]\n");
        assert_eq!(pushed, format!("version = 1\n\n{pushed_list}"));
        let changed = updated(Toml, old, |value: &mut Exceptions| value.exceptions[0].days = 2);
        assert_eq!(changed, old.replace("\"alice\" }", "\"alice\" , days = 2 }"));
    }

    /// The line ends inside the string became CRLF, too: another value.
    #[test]
    fn a_text_with_crlf_takes_a_string_of_several_lines() {
        #[derive(Serialize, Deserialize)]
        struct Reason {
            reason: String,
            lists: Option<Vec<BTreeMap<String, Vec<String>>>>,
        }
        let old = "# note\r\nreason = \"x\" # why\r\nother = '''1\r\n2'''\r\n";
        let lines = "l1\n\"l2\"\r\n\u{7f}\n";
        let set = |value: &mut Reason| value.reason = lines.to_owned();
        let new = "\"l1\\n\\\"l2\\\"\\r\\n\\u007f\\n\"";
        assert_eq!(updated(Toml, old, set), old.replace("\"x\"", new));
        let nested = updated(Toml, old, |value: &mut Reason| {
            let list = vec![lines.to_owned(), "b".to_owned()];
            value.lists = Some(vec![BTreeMap::from([("k".to_owned(), list)])]);
        });
        assert!(nested.contains(new) && nested.contains("# why\r\n"), "{nested:?}");
        assert!(!nested.replace("\r\n", "").contains('\n'), "{nested:?}");
    }

    #[test]
    fn a_type_with_hash_maps_keeps_comments() {
        #[derive(Serialize, Deserialize)]
        struct Hashed {
            n: u32,
            m: HashMap<String, u32>,
            s: HashSet<String>,
        }
        let old = "n = 0 # note\ns = ['p','q','r','t']\n[m]\na = 1 # one\nb = 2\nc = 3\nd = 4\n";
        for _ in 0..10 {
            let counted = updated(Toml, old, |value: &mut Hashed| value.n += 1);
            assert_eq!(counted, old.replace("n = 0", "n = 1"));
        }
    }

    #[test]
    fn an_entry_that_the_text_has_by_an_alias_keeps_that_name() {
        #[derive(Serialize, Deserialize)]
        struct Renamed {
            #[serde(alias = "old_name")]
            name: String,
        }
        let old = "note = 'n'\nold_name = 'x' # why\n";
        let changed = updated(Toml, old, |value: &mut Renamed| value.name = "y".to_owned());
        assert_eq!(changed, old.replace("'x'", "\"y\""));
    }
}
