//! The text of registries, and what is done to their entries.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::inputs::texts;
use crate::content::cached_registry;
use crate::content::entry_operation::{EntryOutcome, Operation, WatcherRef};
use crate::content::pid_scope::PidScope;
use crate::content::record::{WatcherClaim, WatcherRecord};
use crate::content::registry_v1::RegistryV1;
use crate::content::stale_entry::{CallingProcess, WatcherState};
use crate::error::Error;

/// A registry's bytes: parsed and printed, beside serde's own reading. Returns the printed text, for
/// whatever else is to be compared with it.
pub fn registries(data: &[u8]) -> Option<String> {
    let by_serde: Option<Value> =
        serde_json::from_slice(data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data)).ok();
    let registry = match RegistryV1::parse(Path::new(""), data) {
        Ok(registry) => registry,
        Err(error) => {
            let version = by_serde.as_ref().and_then(|value| value.get("version")?.as_f64());
            match error {
                Error::Corrupt { .. } => {
                    assert!(!by_serde.is_some_and(|value| is_registry(&value)))
                }
                Error::UnsupportedVersion { .. } => {
                    assert!(version.is_none_or(|found| found > 1.0))
                }
                other => panic!("{other:?}"),
            }
            return None;
        }
    };
    let printed = registry.to_json();
    let again =
        RegistryV1::parse(Path::new(""), printed.as_bytes()).expect("a printed registry parses");
    assert_eq!(again.to_json(), printed, "printing what was printed changes nothing");
    assert_eq!(registry.printed().to_json(), printed, "what was printed reads as it prints");
    // Serde refuses lone surrogates, numbers such as 1e999 and deep nesting, which JavaScript reads.
    if let Some(value) = by_serde {
        let of_printed =
            serde_json::from_str::<Value>(&printed).expect("serde reads what was printed");
        assert_eq!(of_printed, value);
    }
    operate_on_whole(&registry);
    Some(printed)
}

/// Whether serde's reading has the shape of a registry of this schema.
fn is_registry(value: &Value) -> bool {
    value["version"].as_f64() == Some(1.0)
        && value["updatedAt"].is_number()
        && value["watchers"].is_object()
}

/// Entry operations change the entry that they are about, and no other.
fn operate_on_whole(registry: &RegistryV1) {
    let ids: Vec<String> = registry.ids().take(3).map(str::to_owned).collect();
    for id in ids.iter().map(String::as_str).chain(["missing"]) {
        let mut record = Box::new(WatcherRecord::new(id, "host", 80));
        record.pid = 1;
        for operation in [
            Operation::Announce(record.clone()),
            Operation::Claim { record, suffix: true, replace_after: Some(Duration::ZERO) },
            Operation::Heartbeat(id.into()),
            Operation::Remove(id.into()),
            Operation::Prune { ttl: Duration::from_secs(1), liveness: true },
        ] {
            let mut changed = registry.clone();
            let outcome = operate(&mut changed, std::slice::from_ref(&operation)).0;
            let text = changed.to_json();
            let read =
                RegistryV1::parse(Path::new(""), text.as_bytes()).expect("what was written parses");
            assert_eq!(entries(&read), entries(&changed));
            if matches!(operation, Operation::Prune { .. }) {
                let before = entries(registry);
                assert!(entries(&read).iter().all(|(key, value)| before.get(key) == Some(value)));
                continue;
            }
            let touched = match &outcome[..] {
                [EntryOutcome::Claimed(record)] => record.id.as_str(),
                _ => id,
            };
            let key = |id: &str| serde_json::to_string(id).unwrap();
            let others = |registry: &RegistryV1| {
                let mut others = entries(registry);
                others.retain(|spelled, _| unescaped(spelled) != unescaped(&key(touched)));
                others
            };
            assert_eq!(others(&read), others(registry), "{operation:?}");
        }
    }
}

/// A key as a value, so that two spellings of one key are equal. One that no string can hold stays.
fn unescaped(key: &str) -> String {
    serde_json::from_str(key).unwrap_or_else(|_| key.to_owned())
}

/// The entries by key, without the white space that printing changes.
fn entries(registry: &RegistryV1) -> BTreeMap<String, String> {
    let compact = |text: &str| {
        let mut is_string = false;
        let mut is_escaped = false;
        let kept = text.chars().filter(|char| {
            let keeps = is_string || !char.is_ascii_whitespace();
            match char {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => is_string = !is_string,
                _ => {}
            }
            keeps
        });
        kept.collect::<String>()
    };
    let pairs = registry.raw_entries();
    pairs.map(|(key, value)| (key.to_owned(), compact(value))).collect()
}

/// Three texts: what is done, the registry that an operation wrote last, and the one that the next
/// operation reads. Reading by the differences from the former has the result of parsing all.
pub fn rereading(data: &[u8]) {
    let [steps, before, content] = texts(data);
    let parse = |bytes: &[u8]| RegistryV1::parse(Path::new(""), bytes).ok();
    let Some(before) = parse(before) else { return };
    // A content in another layout is never taken: printed, more inputs come through.
    let content = match steps.first() {
        Some(first) if first & 0x80 == 0 => match parse(content) {
            Some(registry) => registry.to_json().into_bytes(),
            None => content.to_vec(),
        },
        _ => content.to_vec(),
    };
    let ids: Vec<String> = before.ids().map(str::to_owned).chain(["missing".into()]).collect();
    let operations: Vec<_> = steps.iter().take(4).map(|step| operation(*step, &ids)).collect();
    cached_registry::cache(before.printed());
    let mut taken = content.clone();
    let Some(mut reread) = cached_registry::read(&mut taken) else {
        assert_eq!(taken, content, "a content that is not taken stays");
        return;
    };
    let mut whole = parse(&content).expect("what was taken is a registry");
    let expected = operate(&mut whole, &operations);
    assert_eq!(reread.text().as_bytes(), content);
    let found = operate(&mut reread, &operations);
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    assert_eq!(reread.to_json(), whole.to_json());
    assert_eq!(reread.printed().to_json(), whole.to_json());
}

fn operation(step: u8, ids: &[String]) -> Operation {
    let id = ids[usize::from(step >> 3 & 0xf) % ids.len()].as_str();
    let mut record = WatcherRecord::new(id, "host", 80);
    (record.pid, record.started_at) = (1 + u32::from(step & 1), 5);
    let claim = WatcherClaim { id: id.to_owned(), pid: record.pid, started_at: 5 };
    match step & 7 {
        0 | 1 => Operation::Heartbeat(id.into()),
        2 => Operation::Remove(id.into()),
        3 => Operation::Heartbeat(WatcherRef::Claim(claim)),
        4 => Operation::Claim { record: Box::new(record), suffix: true, replace_after: None },
        5 => Operation::Heartbeat(WatcherRef::Record(Box::new(record))),
        6 => Operation::Prune { ttl: Duration::from_secs(1), liveness: true },
        _ => Operation::Announce(Box::new(record)),
    }
}

/// The outcomes of operations, and whether they change anything.
fn operate(registry: &mut RegistryV1, operations: &[Operation]) -> (Vec<EntryOutcome>, bool) {
    // One of the two pids that the operations name is the process's own.
    let scope = PidScope { pid: 1, boot: Some("b".into()), namespace: Some(7), machine: None };
    let caller = CallingProcess { scope: &scope, state_of: &|_| WatcherState::Dead };
    let now = 1_769_000_000_000;
    let outcomes: Vec<_> =
        operations.iter().map(|operation| operation.apply(registry, now, &caller)).collect();
    let has_changed = outcomes.iter().any(EntryOutcome::has_changed);
    (outcomes, has_changed)
}
