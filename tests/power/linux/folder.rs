//! What has to hold of a registry in a folder in a state that a power failure has left.

use std::fs;
use std::path::Path;
use std::time::Duration;

use argus_registry::{
    clear_litter, read_registry, update_registry, Error, RegistryV1, Warning, WatcherRecord,
};
use serde_json::Value;

use super::check::{enter, folder, materialize, options, registry};
use super::recorder::{Files, Recording};
use super::states::State;

const NAME: &str = "registry/";
const ENTRIES: &str = "registry/watchers/";

pub(crate) fn with_several_entries(path: &Path) {
    registry(path);
    update_registry(path, &options(), |registry| {
        for id in ["changed", "removed", "removed-too"] {
            registry.set_watcher(WatcherRecord::new(id, "127.0.0.1", 9222));
        }
        Ok::<_, Error>(())
    })
    .unwrap();
}

/// The operation that finishes or undoes an update.
pub(crate) const SETTLE: &str = "settle";

/// An update that was killed in this phase, when it had done what is done before the next one.
pub(crate) fn with_update(path: &Path, phase: &str) {
    with_several_entries(path);
    let entries = path.join("watchers");
    let step = |number: u32, entry: &str| {
        let temp = format!(".{number:032}.tmp");
        serde_json::json!({ "temp": temp, "entry": format!("{entry}.json") })
    };
    let write = |number: u32, id: &str| {
        let text = serde_json::json!({ "id": id, "host": "127.0.0.1", "port": 9333, "pid": 1 });
        fs::write(entries.join(format!(".{number:032}.tmp")), text.to_string()).unwrap();
    };
    write(1, "new");
    write(2, "changed");
    fs::hard_link(entries.join(format!(".{:032}.tmp", 1)), entries.join("new.json")).unwrap();
    let journal = serde_json::json!({
        "argusRegistryUpdate": 1,
        "phase": phase,
        "added": [step(1, "new")],
        "replaced": [step(2, "changed")],
        "removed": [step(3, "removed")],
    });
    fs::write(path.join(".update"), journal.to_string()).unwrap();
}

/// The entries without their dates, which the states lack.
fn undated(registry: &RegistryV1, except: &str) -> Value {
    let mut value: Value = serde_json::from_str(&registry.to_json()).unwrap();
    let mut watchers = value["watchers"].take();
    let entries = watchers.as_object_mut().unwrap();
    entries.remove(except);
    for entry in entries.values_mut() {
        entry.as_object_mut().unwrap().remove("updatedAt");
    }
    watchers
}

fn entries_of(files: &Files) -> Value {
    let mut watchers = serde_json::Map::new();
    for (name, inode) in &files.names {
        let Some(id) = name.strip_prefix(ENTRIES).and_then(|name| name.strip_suffix(".json"))
        else {
            continue;
        };
        let mut entry: Value = serde_json::from_slice(&files.data[inode]).unwrap();
        entry.as_object_mut().unwrap().remove("updatedAt");
        watchers.insert(id.to_owned(), entry);
    }
    Value::Object(watchers)
}

/// The violations of a state.
pub(crate) fn check(operation: &str, recording: &Recording, state: &State) -> Vec<String> {
    let dir = folder();
    materialize(state, dir.path());
    let path = dir.path().canonicalize().unwrap().join(NAME);
    let mut violations = Vec::new();
    let read = |violations: &mut Vec<String>| match read_registry(&path) {
        Ok((registry, warnings)) => {
            let is_missing = |warning: &Warning| matches!(warning, Warning::Missing { .. });
            if !warnings.iter().all(is_missing) {
                violations.push(format!("read with {warnings:?}"));
            }
            registry
        }
        Err(error) => {
            violations.push(format!("it can't be read: {error}"));
            RegistryV1::new()
        }
    };
    // Each entry is whole, also before the next call under the lock.
    read(&mut violations);
    if let Err(error) = enter(&path, "next") {
        violations.push(format!("the next update fails: {} {error}", error.code()));
        return violations;
    }
    let registry = read(&mut violations);
    if registry.watcher("next").is_none() {
        violations.push("the next update is lost".to_owned());
    }
    let found = undated(&registry, "next");
    let [old, new] = [&recording.before, &recording.after()].map(entries_of);
    if state.is_acknowledged && found != new {
        violations.push("acknowledged, and not there".to_owned());
    } else if operation == SETTLE && found != new {
        violations.push("neither finished nor undone".to_owned());
    } else if found != old && found != new {
        let ids: Vec<_> = found.as_object().unwrap().keys().collect();
        violations.push(format!("a part of it is there: {ids:?}"));
    }
    clear_litter(&path, Duration::ZERO).unwrap();
    let names = |folder: &Path| fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
    for name in names(&path).chain(names(&path.join("watchers"))) {
        let name = name.into_string().unwrap();
        if name != ".guard" && name != "watchers" && !name.ends_with(".json") {
            violations.push(format!("litter: {name}"));
        }
    }
    violations
}
