//! What is read by its differences from a cached registry is what parsing the whole content gives.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::content::entry_operation::{EntryOutcome, Operation, WatcherRef};
use crate::content::pid_scope::PidScope;
use crate::content::record::{WatcherClaim, WatcherRecord};
use crate::content::stale_entry::{CallingProcess, WatcherState};

/// Pseudorandom numbers that repeat in every run, so that a failure can be reproduced.
struct SeededRandom(u64);

impl SeededRandom {
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
const IDS: [&str; 8] = ["app", "app-2", "7", "__proto__", "a\"b", "abc", "é", "missing"];
const NUMBERS: [&str; 8] = ["0", "7", "10", "-0", "1e3", "1.50", "1e21", "1769000000000"];
const UNUSUAL_ENTRIES: [&str; 9] = [
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

fn entry(random: &mut SeededRandom) -> String {
    match random.below(500) {
        0 => format!("{}{}", "[".repeat(600), "]".repeat(600)),
        1..=125 => random.pick(&UNUSUAL_ENTRIES).to_owned(),
        _ => format!(
            r#"{{"id":"app","host":"h","port":1,"pid":{},"startedAt":{},"updatedAt":{},"beats":{}}}"#,
            1 + random.below(2),
            5 + random.below(2),
            random.pick(&NUMBERS),
            random.pick(&NUMBERS),
        ),
    }
}

fn parse(text: &[u8]) -> Option<RegistryV1> {
    RegistryV1::parse(Path::new(""), text).ok()
}

/// A generated registry.
struct GeneratedRegistry {
    order: usize,
    date: &'static str,
    entries: Vec<(&'static str, String)>,
}

impl GeneratedRegistry {
    fn new(random: &mut SeededRandom) -> Self {
        let keys: Vec<_> = KEYS.into_iter().filter(|_| random.below(3) > 0).collect();
        let entries = keys.into_iter().map(|key| (key, entry(random))).collect();
        GeneratedRegistry { order: random.below(3), date: random.pick(&NUMBERS), entries }
    }

    /// Changes the registry as another process may do.
    fn change(&mut self, random: &mut SeededRandom) {
        self.date = random.pick(&NUMBERS);
        for (_, value) in &mut self.entries {
            if random.below(3) == 0 {
                *value = entry(random);
            }
        }
        if random.below(8) == 0 {
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

/// Damages a file's bytes.
fn damage(random: &mut SeededRandom, bytes: &mut Vec<u8>) {
    for _ in 0..1 + random.below(2) {
        let at = random.below(bytes.len());
        let byte = random.pick(&["0", "9", "\"", "\\", "{", "}", ",", " ", "e"]).as_bytes()[0];
        match random.below(4) {
            0 => _ = bytes.remove(at),
            1 => bytes.insert(at, byte),
            2 => bytes[at] = 0xff,
            _ => bytes[at] = byte,
        }
    }
}

fn operation(random: &mut SeededRandom) -> Operation {
    let id = random.pick(&IDS);
    let (pid, started_at) = (1 + random.below(2) as u32, 5 + random.below(2) as u64);
    let claim = WatcherClaim { id: id.to_owned(), pid, started_at };
    let mut record = WatcherRecord::new(id, "host", 80);
    (record.pid, record.started_at) = (pid, started_at);
    match random.below(8) {
        0 | 1 => Operation::Heartbeat(id.into()),
        2 => Operation::Heartbeat(WatcherRef::Claim(claim)),
        3 => Operation::Heartbeat(WatcherRef::Record(Box::new(record))),
        4 => Operation::Remove(id.into()),
        5 => Operation::Claim { record: Box::new(record), suffix: true, replace_after: None },
        6 => Operation::Prune { ttl: Duration::from_millis(500), liveness: true },
        _ => Operation::Announce(Box::new(record)),
    }
}

/// The outcomes of operations, and whether the operations change anything.
fn operate(registry: &mut RegistryV1, operations: &[Operation], now: u64) -> (String, bool) {
    // One of the two pids that the operations name is the process's own.
    let scope = PidScope { pid: 1, boot: Some("b".into()), namespace: Some(7), machine: None };
    let caller = CallingProcess { scope: &scope, state_of: &|_| WatcherState::Alive };
    let outcomes: Vec<_> =
        operations.iter().map(|operation| operation.apply(registry, now, &caller)).collect();
    (format!("{outcomes:?}"), outcomes.iter().any(EntryOutcome::has_changed))
}

/// Compares a content that is read by its differences with parsing it, and what operations make of both. Returns
/// what they left, printed; `None` if the content has to be parsed.
fn read_and_compare(
    cached: RegistryV1,
    content: &[u8],
    random: &mut SeededRandom,
) -> Option<RegistryV1> {
    let operations: Vec<_> = (0..1 + random.below(3)).map(|_| operation(random)).collect();
    let now = [7, 1_000, 1_769_000_000_000][random.below(3)];
    let mut taken = content.to_vec();
    let Some(mut read) = cached.reread(&mut taken) else {
        assert_eq!(taken, content, "a content that is not taken stays");
        return None;
    };
    let shown = String::from_utf8_lossy(content);
    assert_eq!(read.text().as_bytes(), content);
    let mut whole = parse(content).unwrap_or_else(|| panic!("taken for a registry: {shown}"));
    assert_eq!(parts(&read), parts(&whole));
    let expected = operate(&mut whole, &operations, now);
    assert_eq!(operate(&mut read, &operations, now), expected, "{shown}");
    let printed = read.printed();
    let text = if expected.1 { whole.to_json() } else { shown.into_owned() };
    assert!(printed.text() == text, "{operations:?} on {text}");
    assert_eq!(parts(&printed), parts(&parse(text.as_bytes()).unwrap()));
    Some(printed)
}

/// All that a registry has, as it is spelled.
fn parts(registry: &RegistryV1) -> (u64, Vec<(String, String)>, Vec<String>) {
    let entries = registry.raw_entries().map(|(key, value)| (key.to_owned(), value.to_owned()));
    let others = registry.other_members().map(str::to_owned);
    (registry.updated_at(), entries.collect(), others.collect())
}

#[test]
fn a_content_read_by_its_differences_equals_the_whole_content_parsed() {
    let mut random = SeededRandom(0x9e37_79b9_7f4a_7c15);
    let (mut read, mut damaged, mut refused) = (0, 0, 0);
    for _ in 0..4_000 {
        let mut generated = GeneratedRegistry::new(&mut random);
        let mut cached = parse(&generated.text()).unwrap().printed();
        generated.change(&mut random);
        let mut content = generated.text();
        // Each content after the first is what the operations before it left.
        for _ in 0..3 {
            let is_damaged = random.below(3) == 0;
            if is_damaged {
                damage(&mut random, &mut content);
            }
            match read_and_compare(cached, &content, &mut random) {
                Some(printed) => cached = printed,
                None => {
                    refused += 1;
                    break;
                }
            }
            read += 1;
            damaged += usize::from(is_damaged);
            content = cached.text().as_bytes().to_vec();
        }
    }
    // With fewer of each kind, the test would have tried too little.
    assert!(read > 2_000 && damaged > 100 && refused > 1_000, "{read} {damaged} {refused}");
}

#[test]
fn a_content_that_differs_in_more_than_values_is_not_taken() {
    let text = r#"{"version":1,"updatedAt":5,"watchers":{"a":1,"b":{"updatedAt":1}}}"#;
    let registry = parse(text.as_bytes()).unwrap();
    let text = registry.to_json();
    let is_taken =
        |content: &str| registry.printed().reread(&mut content.as_bytes().to_vec()).is_some();
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
