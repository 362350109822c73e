use super::*;

fn name(id: &str) -> String {
    EntryId::from(id).file_name()
}

#[test]
fn names_are_as_documented() {
    for (id, expected) in [
        ("app-2_x.y", "app-2_x.y.json"),
        ("App", "%41pp.json"),
        ("..", "%2e..json"),
        (".hidden", "%2ehidden.json"),
        ("a/b\\c", "a%2fb%5cc.json"),
        ("con", "%63on.json"),
        ("com1.x", "%63om1.x.json"),
        ("com10", "com10.json"),
        ("CON", "%43%4f%4e.json"),
        ("a ", "a%20.json"),
        ("a.", "a..json"),
        ("100%", "100%25.json"),
        ("é", "%c3%a9.json"),
        ("\0", "%00.json"),
    ] {
        assert_eq!(name(id), expected);
    }
    assert_eq!(EntryId::of_json(r#""\ud800x""#).file_name(), "%ed%a0%80x.json");
}

#[test]
fn every_id_is_found_by_its_name_and_keeps_its_spelling() {
    let ids = ["a", "..", "con", "a/b", "A", "\u{1f600}", "\u{7f}\n\"\\", "%", "%41", "x\u{301}"];
    let json = ids.map(|id| serde_json::to_string(id).unwrap());
    let lone = [r#""\ud800""#, r#""a\udfffb""#, r#""\ud800\ud800""#, r#""\udc00\ud800\n\"""#];
    for json in json.iter().map(String::as_str).chain(lone) {
        let id = EntryId::of_json(json);
        assert_eq!(id.to_json().get(), json);
        let NamedId::Id(found) = EntryId::of_file_name(&id.file_name()) else { panic!("{json}") };
        assert_eq!(found, id, "{json}");
    }
    let pair = EntryId::of_json(r#""\ud83d\ude00\udc00""#);
    assert_eq!(pair.to_json().get(), "\"\u{1f600}\\udc00\"");
}

#[test]
fn a_name_that_stands_for_no_id_is_no_entry() {
    for name in [
        "app",
        ".json",
        "App.json",
        "%41PP.json",
        "%4F.json",
        "%61.json",
        "%6.json",
        "%zz.json",
        ".app.json",
        "%+1.json",
        "%ff.json",
        "app.json.tmp",
        ".0123456789abcdef0123456789abcdef.tmp",
        // A surrogate pair has the bytes of its character.
        "%ed%a0%bd%ed%b8%80.json",
    ] {
        assert_eq!(EntryId::of_file_name(name), NamedId::None, "{name}");
    }
}

#[test]
fn long_ids_have_names_of_255_bytes_at_most_that_differ() {
    let fits = "x".repeat(250);
    assert_eq!(name(&fits).len(), 255);
    assert!(matches!(EntryId::of_file_name(&name(&fits)), NamedId::Id(_)));
    let long =
        ["x".repeat(251), "x".repeat(252), "/".repeat(2000), format!("xx{}", "/".repeat(90))];
    for id in &long {
        let name = name(id);
        assert!(name.len() <= 255 && name.len() > 250, "{name}");
        assert_eq!(EntryId::of_file_name(&name), NamedId::Cut);
    }
    assert_ne!(name(&long[0]), name(&long[1]));
}
