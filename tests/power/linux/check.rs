//! What has to hold in a state that a power failure has left.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use argus_registry::{
    clear_litter, read_registry, update_registry, Error, LockOptions, OnWarning, RegistryV1,
    UpdateOptions, WatcherRecord,
};
use tempfile::TempDir;

use super::recorder::{Inode, Recording};
use super::states::State;

const NAME: &str = "registry.json";
const GUARD: &str = "registry.json.guard";
const LOCKFILE: &str = "registry.json.lock";

/// Of the boot before this one.
const OTHER_BOOT: &str = "00000000-1111-4222-8333-444444444444";
const RECORD_BYTES: usize = 1024;

pub(crate) fn options() -> UpdateOptions {
    UpdateOptions {
        // No process has the lock after a boot.
        lock: LockOptions::one_try(),
        durable: false,
        on_warning: OnWarning::new(|_| {}),
        ..UpdateOptions::default()
    }
}

pub(crate) fn enter(path: &Path, id: &str) -> Result<(), Error> {
    update_registry(path, &options(), |registry| {
        registry.set_watcher(WatcherRecord::new(id, "127.0.0.1", 9222));
        Ok(())
    })
}

pub(crate) fn registry(path: &Path) {
    enter(path, "old").unwrap();
}

pub(crate) fn corrupt(path: &Path) {
    registry(path);
    fs::write(path, "{\"version\": 1, \"watch").unwrap();
}

pub(crate) fn with_lockfile(path: &Path) {
    registry(path);
    fs::hard_link(path.with_file_name(GUARD), path.with_file_name(LOCKFILE)).unwrap();
}

pub(crate) fn unused_guard(path: &Path) {
    fs::write(path.with_file_name(GUARD), "").unwrap();
}

/// A folder for what is read and written here: in memory, where there is such a folder.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    TempDir::with_prefix_in("argus-power-", parent).unwrap()
}

/// Puts the files of a state into a folder. The records in them name the files by their new inodes, and
/// another boot.
pub(crate) fn materialize(state: &State, folder: &Path) {
    let mut made: BTreeMap<Inode, PathBuf> = BTreeMap::new();
    for (name, inode) in &state.files.names {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match made.get(inode) {
            Some(first) => fs::hard_link(first, &path).unwrap(),
            None => {
                fs::write(&path, &state.files.data[inode]).unwrap();
                made.insert(*inode, path);
            }
        }
    }
    for path in made.values() {
        let Ok(mut text) = String::from_utf8(fs::read(path).unwrap()) else { continue };
        if !text.starts_with("{\"argusRegistryLock\":1,") || text.len() != RECORD_BYTES {
            continue;
        }
        for (recorded, other) in &made {
            let now = format!("\"inode\":{}}}", fs::metadata(other).unwrap().ino());
            text = text.replace(&format!("\"inode\":{recorded}}}"), &now);
        }
        if let Some(at) = text.find("\"boot\":\"") {
            let from = at + "\"boot\":\"".len();
            text.replace_range(from..from + OTHER_BOOT.len(), OTHER_BOOT);
        }
        let padded = format!("{:<width$}\n", text.trim_end(), width = RECORD_BYTES - 1);
        fs::write(path, padded).unwrap();
    }
}

/// The violations of a state.
pub(crate) fn check(recording: &Recording, state: &State) -> Vec<String> {
    let folder = folder();
    materialize(state, folder.path());
    let path = folder.path().canonicalize().unwrap().join(NAME);
    let mut violations = Vec::new();
    let after = recording.after();
    let [old, new] = [&recording.before, &after].map(|files| files.content(NAME));
    let found = state.files.content(NAME);
    if state.is_acknowledged && found != new {
        violations.push("acknowledged, and not there".to_owned());
    } else if !recording.has_been(NAME, found) {
        violations.push("torn".to_owned());
    }
    let was_corrupt = old.is_some_and(|old| RegistryV1::parse(&path, old).is_err());
    if was_corrupt && found != old {
        let kept = state.files.names.keys().filter(|name| name.contains(".corrupt-"));
        let kept = kept.filter(|name| state.files.content(name) == old).count();
        if kept == 0 {
            violations.push("replaced, and the bad content was not kept".to_owned());
        }
    }
    match read_registry(&path) {
        Ok((registry, warnings)) => {
            let is_missing = found.is_none() && old.is_none();
            if !warnings.is_empty() && !was_corrupt && !is_missing {
                violations.push(format!("read with {warnings:?}"));
            }
            if found == new && registry.watcher("new").is_none() {
                violations.push("the read does not find what is there".to_owned());
            }
        }
        Err(error) => violations.push(format!("it can't be read: {error}")),
    }
    violations.extend(go_on(&path, found.is_some_and(|found| Some(found) == new)));
    violations
}

/// The next update works at once, keeps what is there, and leaves no litter.
fn go_on(path: &Path, has_new: bool) -> Vec<String> {
    let mut violations = Vec::new();
    if let Err(error) = enter(path, "next") {
        violations.push(format!("the next update fails: {} {error}", error.code()));
        return violations;
    }
    let (registry, _) = read_registry(path).unwrap();
    if registry.watcher("next").is_none() || (has_new && registry.watcher("new").is_none()) {
        violations.push("the next update loses something".to_owned());
    }
    clear_litter(path, std::time::Duration::from_secs(10)).unwrap();
    let left = fs::read_dir(path.parent().unwrap()).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for name in names.filter(|name| ![NAME, GUARD].contains(&name.as_str())) {
        if !name.contains(".corrupt-") {
            violations.push(format!("litter: {name}"));
        }
    }
    violations
}

/// The reason why a violation is expected.
pub(crate) fn expected(operation: &str, state: &State, violation: &str) -> Option<&'static str> {
    if state.is_acknowledged {
        return None;
    }
    if operation == "update-fast-first" && (violation == "torn" || violation.contains("Corrupt")) {
        return Some(
            "an update that is not durable replaces the file before its content is on the disk; the durable \
             one after it was not acknowledged yet",
        );
    }
    None
}

/// A guard that a crash or another program has left in any shape, with and without its lockfile.
pub(crate) fn guards_after_a_reboot() -> (usize, Vec<String>) {
    let mut violations = Vec::new();
    let whole = {
        let folder = folder();
        let path = folder.path().join(NAME);
        registry(&path);
        fs::read(path.with_file_name(GUARD)).unwrap()
    };
    let text = String::from_utf8(whole.clone()).unwrap();
    let contents: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("zeros", vec![0; RECORD_BYTES]),
        ("a part of the first bytes", whole[..10].to_vec()),
        ("half a record", whole[..150].to_vec()),
        ("half a record, then zeros", {
            let mut bytes = whole[..150].to_vec();
            bytes.resize(RECORD_BYTES, 0);
            bytes
        }),
        ("an old record", text.replace("\"pid\":", "\"pid\":1").into_bytes()),
    ];
    let count = contents.len() * 2;
    for (what, bytes) in contents {
        for is_linked in [false, true] {
            let folder = folder();
            let path = folder.path().canonicalize().unwrap().join(NAME);
            fs::write(path.with_file_name(GUARD), &bytes).unwrap();
            if is_linked {
                fs::hard_link(path.with_file_name(GUARD), path.with_file_name(LOCKFILE)).unwrap();
            }
            for violation in go_on(&path, false) {
                violations.push(format!("a guard with {what}, linked: {is_linked}: {violation}"));
            }
        }
    }
    (count, violations)
}
