//! Members keep their bytes, and their order is that of JavaScript.

use super::*;
use crate::content::pretty_print::pretty_into;

fn parse(text: &str) -> RawObject {
    RawObject::parse(text).unwrap()
}

fn pretty(text: &str) -> String {
    let mut out = String::new();
    pretty_into(&mut out, text, 0);
    out
}

#[test]
fn every_spelling_is_kept() {
    let text = r#"{
  "zebra": 1e21,
  "__proto__": {
    "\ud800": "\udfff and é and é \/",
    "empty": {},
    "list": [
      1.0,
      -0,
      [],
      "a\"b\\"
    ]
  },
  "\udc00": null
}"#;
    assert_eq!(pretty(&parse(text).to_json()), text);
    let compact: String = text.lines().map(str::trim_start).collect();
    assert_eq!(pretty(&compact.replace("\": ", "\":")), text);
}

#[test]
fn a_key_with_a_lone_surrogate_differs_from_the_key_of_its_spelling() {
    let text = r#"{"\ud800":1,"\"\\ud800\"":2,"\ud800":3}"#;
    assert_eq!(parse(text).to_json(), r#"{"\ud800":3,"\"\\ud800\"":2}"#);
}

#[test]
fn setting_an_equal_value_keeps_its_spelling() {
    let mut object = parse(r#"{"a":1e3,"b":"\u0062"}"#);
    object.set("a", &1000.0).unwrap();
    object.set("b", &"b".to_owned()).unwrap();
    assert_eq!(object.to_json(), r#"{"a":1e3,"b":"\u0062"}"#);
    object.set("a", &2).unwrap();
    assert_eq!(object.to_json(), r#"{"a":2,"b":"\u0062"}"#);
}

#[test]
fn a_changed_object_keeps_its_unchanged_members() {
    let mut object = parse(r#"{"m":{"url":"a","n":1e3,"\ud800":0,"in":{"z":1,"a":2.0}}}"#);
    let new: serde_json::Value =
        serde_json::from_str(r#"{"in":{"a":2.0,"z":3},"n":1000.0,"url":"b","x":0}"#).unwrap();
    object.set("m", &new).unwrap();
    assert_eq!(
        object.to_json(),
        r#"{"m":{"url":"b","n":1e3,"\ud800":0,"in":{"z":3,"a":2.0},"x":0}}"#
    );
    object.set("m", &serde_json::json!({ "n": 1000.0 })).unwrap();
    assert_eq!(object.to_json(), r#"{"m":{"n":1e3,"\ud800":0}}"#);
}

#[test]
fn members_are_in_the_order_of_javascript() {
    let mut object = parse(r#"{"2":0,"b":0}"#);
    for name in ["10", "a", "01", "0", "4294967295"] {
        object.set(name, &0).unwrap();
    }
    let names: Vec<_> = object.names().collect();
    assert_eq!(names, ["0", "2", "10", "b", "a", "01", "4294967295"]);
}

#[test]
fn the_last_of_two_equal_keys_counts() {
    assert_eq!(parse(r#"{"a":1,"b":2,"\u0061":3}"#).to_json(), r#"{"a":3,"b":2}"#);
}

/// Names are compared one by one up to a number of members, and hashed beyond it.
#[test]
fn the_last_of_two_equal_keys_counts_among_many_members() {
    for repeated in [0, 3, 15, 16, 17, 18, 39] {
        let members = (0..40).map(|number| format!(r#""m{number}":{number}"#));
        let text = members.collect::<Vec<_>>().join(",");
        let object = parse(&format!(r#"{{{text},"m{repeated}":true,"m{repeated}":false}}"#));
        let pair = format!(r#""m{repeated}":{repeated}"#);
        let expected = format!("{{{text}}}").replace(&pair, &format!(r#""m{repeated}":false"#));
        assert_eq!(object.to_json(), expected);
    }
}
