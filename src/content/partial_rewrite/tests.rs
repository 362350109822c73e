//! A splice beside parsing and printing all.

use std::path::Path;

use super::*;
use crate::content::entry_operation::{Operation, Outcome, WatcherRef};
use crate::content::record::{WatcherClaim, WatcherRecord};

/// The same numbers in every run: a failure can be looked at again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len())]
    }
}

const KEYS: [&str; 9] =
    ["app", "app-2", "7", "__proto__", "a\\\"b", "\\u0061bc", "\\ud800", "é", ""];
const IDS: [&str; 8] = ["app", "app-2", "7", "__proto__", "a\"b", "abc", "é", "nobody"];
const NUMBERS: [&str; 8] = ["0", "7", "10", "-0", "1e3", "1.50", "1e21", "1769000000000"];
const ODD: [&str; 9] = [
    "null",
    "3",
    "\"\\udc00 \\/ é\"",
    "[]",
    "{}",
    "[{},[1]]",
    r#"{"updatedAt":"no"}"#,
    r#"{"pid":1,"pid":2,"updatedAt":5}"#,
    r#"{"in":{"a":[1,{"b":[]}]},"updatedAt":{"x":1}}"#,
];

fn entry(dice: &mut Dice) -> String {
    match dice.below(500) {
        0 => format!("{}{}", "[".repeat(600), "]".repeat(600)),
        1..=125 => dice.pick(&ODD).to_owned(),
        _ => format!(
            r#"{{"id":"app","host":"h","port":1,"pid":{},"startedAt":{},"updatedAt":{},"beats":{}}}"#,
            1 + dice.below(2),
            5 + dice.below(2),
            dice.pick(&NUMBERS),
            dice.pick(&NUMBERS),
        ),
    }
}

fn parse(text: &[u8]) -> Option<RegistryV1> {
    RegistryV1::parse(Path::new(""), text).ok()
}

/// What a registry is made of.
struct Made {
    order: usize,
    date: &'static str,
    entries: Vec<(&'static str, String)>,
}

impl Made {
    fn new(dice: &mut Dice) -> Self {
        let keys: Vec<_> = KEYS.into_iter().filter(|_| dice.below(3) > 0).collect();
        let entries = keys.into_iter().map(|key| (key, entry(dice))).collect();
        Made { order: dice.below(3), date: dice.pick(&NUMBERS), entries }
    }

    /// As another process may change it.
    fn change(&mut self, dice: &mut Dice) {
        self.date = dice.pick(&NUMBERS);
        for (_, value) in &mut self.entries {
            if dice.below(3) == 0 {
                *value = entry(dice);
            }
        }
        if dice.below(8) == 0 {
            self.entries.pop();
        }
    }

    fn text(&self) -> Vec<u8> {
        let entries = self.entries.iter().map(|(key, value)| format!("\"{key}\":{value}"));
        let entries = entries.collect::<Vec<_>>().join(",");
        let date = self.date;
        let text = match self.order {
            0 => format!(
                r#"{{"watchers":{{{entries}}},"updatedAt":{date},"note":["x"],"version":1}}"#
            ),
            _ => format!(r#"{{"version":1,"updatedAt":{date},"watchers":{{{entries}}}}}"#),
        };
        parse(text.as_bytes()).unwrap().to_json().into_bytes()
    }
}

/// What may befall a file.
fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..1 + dice.below(2) {
        let at = dice.below(bytes.len());
        let byte = dice.pick(&["0", "9", "\"", "\\", "{", "}", ",", " ", "e"]).as_bytes()[0];
        match dice.below(4) {
            0 => _ = bytes.remove(at),
            1 => bytes.insert(at, byte),
            2 => bytes[at] = 0xff,
            _ => bytes[at] = byte,
        }
    }
}

fn operation(dice: &mut Dice) -> Operation {
    let id = dice.pick(&IDS);
    let (pid, started_at) = (1 + dice.below(2) as u32, 5 + dice.below(2) as u64);
    let claim = WatcherClaim { id: id.to_owned(), pid, started_at };
    let mut record = WatcherRecord::new(id, "host", 80);
    (record.pid, record.started_at) = (pid, started_at);
    match dice.below(5) {
        0 | 1 => Operation::Heartbeat(id.into()),
        2 => Operation::Heartbeat(WatcherRef::Claim(claim)),
        3 => Operation::Heartbeat(WatcherRef::Record(Box::new(record))),
        _ => Operation::Announce(Box::new(record)),
    }
}

/// What comes of operations, and whether they change anything.
fn operate(registry: &mut RegistryV1, operations: &[Operation], now: u64) -> (String, bool) {
    let outcomes: Vec<_> =
        operations.iter().map(|one| one.apply(registry, now, &|_| false)).collect();
    (format!("{outcomes:?}"), outcomes.iter().any(Outcome::has_changed))
}

/// Compares a splice with parsing and printing all; says whether there was one.
fn agrees(kept: IndexedText, content: &[u8], dice: &mut Dice) -> Option<IndexedText> {
    let operations: Vec<_> = (0..1 + dice.below(3)).map(|_| operation(dice)).collect();
    let now = [7, 1_000, 1_769_000_000_000][dice.below(3)];
    let only: Vec<_> = operations.iter().map(|one| one.only_entry().unwrap()).collect();
    let mut taken = content.to_vec();
    let Some(mut part) = PartialRegistry::of(kept, &mut taken, &only) else {
        assert_eq!(taken, content, "what was not taken is still there");
        return None;
    };
    let shown = String::from_utf8_lossy(content);
    let mut whole = parse(content).unwrap_or_else(|| panic!("taken for a registry: {shown}"));
    let expected = operate(&mut whole, &operations, now);
    assert_eq!(operate(&mut part.registry, &operations, now), expected, "{shown}");
    let text = part.into_text();
    let printed = if expected.1 { whole.to_json().into_bytes() } else { content.to_vec() };
    assert!(text.bytes == printed, "{operations:?} on {shown}");
    let anew = IndexedText::print(&parse(&printed).unwrap());
    assert_eq!(text.bytes, anew.bytes);
    assert_eq!(text.values, anew.values);
    assert_eq!((text.updated_at, &text.entries), (anew.updated_at, &anew.entries));
    Some(text)
}

#[test]
fn a_splice_is_what_parsing_and_printing_all_would_give() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut spliced, mut damaged, mut left) = (0, 0, 0);
    for _ in 0..4_000 {
        let mut made = Made::new(&mut dice);
        let mut kept = IndexedText::print(&parse(&made.text()).unwrap());
        made.change(&mut dice);
        let mut content = made.text();
        // One after the other on what the last one wrote.
        for _ in 0..3 {
            let is_damaged = dice.below(3) == 0;
            if is_damaged {
                damage(&mut dice, &mut content);
            }
            match agrees(kept, &content, &mut dice) {
                Some(text) => kept = text,
                None => {
                    left += 1;
                    break;
                }
            }
            spliced += 1;
            damaged += usize::from(is_damaged);
            content = kept.bytes.clone();
        }
    }
    // Or nothing was tried.
    assert!(spliced > 2_000 && damaged > 100 && left > 1_000, "{spliced} {damaged} {left}");
}

#[test]
fn only_values_may_differ() {
    let text = r#"{"version":1,"updatedAt":5,"watchers":{"a":1,"b":{"updatedAt":1}}}"#;
    let registry = parse(text.as_bytes()).unwrap();
    let text = registry.to_json();
    let is_taken = |content: &str| {
        let kept = IndexedText::print(&registry);
        PartialRegistry::of(kept, &mut content.as_bytes().to_vec(), &[]).is_some()
    };
    assert!(is_taken(&text));
    for (was, is, taken) in [
        ("\"a\": 1", "\"a\": 12", true),
        ("\"a\": 1", "\"a\": {}", true),
        (": 5", ": 60", true),
        (": 5", ": true", false),
        (": 5", ": 1e999", false),
        ("\"version\": 1", "\"version\": 2", false),
        ("\"a\"", "\"b\"", false),
        ("\"a\": 1", "\"a\":  1", false),
        ("\"a\": 1", "\"a\": 1 ", false),
        ("\"a\": 1", "\"a\": 01", false),
        ("\"a\": 1", "\"a\": ", false),
        ("\"a\": 1", "\"a\": [ ]", false),
        ("\"a\": 1", "\"a\": 1,\n    \"c\": 1", false),
        ("\n  }\n}", "\n  }\n}\n", false),
        ("\n  }\n}", "\n  }\n", false),
    ] {
        assert!(text.contains(was));
        assert_eq!(is_taken(&text.replacen(was, is, 1)), taken, "{was} {is}");
    }
}
