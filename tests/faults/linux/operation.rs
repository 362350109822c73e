//! The operations whose calls are killed and failed: what is there before, and what is there after.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use argus_registry::{update_registry, Error, UpdateOptions, WatcherRecord};
use nix::errno::Errno;

/// What runs the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// tests/fixtures/one_operation.rs
    Rust,
    /// programs/one_operation.mjs
    Node,
    /// The program `argus-registry` itself, with this argument before the path.
    Cli(&'static [&'static str]),
}

/// What the file is, and so how another process updates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Registry,
    Document,
    Toml,
    DocumentUnderRegistryLock,
    /// A registry in a folder.
    Folder,
}

impl Kind {
    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Kind::Registry => "registry.json",
            Kind::Document | Kind::DocumentUnderRegistryLock => "document.json",
            Kind::Toml => "document.toml",
            // With the separator that makes it a folder's path where there is none yet.
            Kind::Folder => "registry/",
        }
    }

    /// What lies beside the file, whatever happened.
    pub(crate) fn lock_names(self) -> &'static [&'static str] {
        match self {
            Kind::Registry => &["registry.json.guard"],
            Kind::DocumentUnderRegistryLock => &["document.json.guard"],
            Kind::Document | Kind::Toml => &["document.lock"],
            Kind::Folder => &[],
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) kind: Kind,
    /// What is in the folder before.
    pub(crate) prepare: fn(&Path),
    /// Whether the operation has done to the file what it is to do, given what was there before.
    pub(crate) is_done: fn(Option<&str>, Option<&str>) -> bool,
    /// Whether the file may be so if the operation did not end.
    pub(crate) may_be: fn(Option<&str>, Option<&str>) -> bool,
    /// Calls that always fail, as on a file system that lacks them.
    pub(crate) without: &'static [(&'static str, Errno)],
    /// Whether the operation is in the short choice.
    pub(crate) is_short: bool,
}

pub(crate) const NO_KERNEL_LOCKS: &[(&str, Errno)] = &[("flock", Errno::ENOLCK)];
pub(crate) const NO_HARD_LINKS: &[(&str, Errno)] = &[("linkat", Errno::EPERM)];

pub(crate) fn nothing(_: &Path) {}

pub(crate) fn registry(path: &Path) {
    let options = UpdateOptions { durable: false, ..UpdateOptions::default() };
    update_registry(path, &options, |registry| {
        registry.set_watcher(WatcherRecord::new("old", "127.0.0.1", 9001));
        Ok::<_, Error>(())
    })
    .unwrap();
}

/// Of a size at which a heartbeat rewrites a part of the text.
fn large_registry(path: &Path) {
    registry(path);
    let options = UpdateOptions { durable: false, ..UpdateOptions::default() };
    update_registry(path, &options, |registry| {
        for number in 0..100 {
            registry.set_watcher(WatcherRecord::new(format!("app-{number}"), "127.0.0.1", 9222));
        }
        Ok::<_, Error>(())
    })
    .unwrap();
}

fn with_stale_entry(path: &Path) {
    registry(path);
    let text = fs::read_to_string(path).unwrap();
    let stale = text.replacen(
        "\"watchers\": {",
        "\"watchers\": {\n    \"stale\": {\n      \"id\": \"stale\",\n      \"host\": \"127.0.0.1\",\n      \
         \"port\": 1,\n      \"pid\": 1,\n      \"startedAt\": 1,\n      \"updatedAt\": 1\n    },",
        1,
    );
    fs::write(path, stale).unwrap();
}

fn corrupt(path: &Path) {
    registry(path);
    fs::write(path, "{\"version\": 1, \"watch").unwrap();
}

pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The lockfile of a holder that was killed.
fn with_lockfile_of_the_dead(path: &Path) {
    registry(path);
    fs::hard_link(beside(path, ".guard"), beside(path, ".lock")).unwrap();
}

/// That of a holder whose guard was deleted.
fn with_lockfile_without_its_guard(path: &Path) {
    with_lockfile_of_the_dead(path);
    fs::remove_file(beside(path, ".guard")).unwrap();
}

/// A lockfile that is a file of its own, with the record of a process that is gone: of a file system
/// without hard links.
fn with_copied_lockfile(path: &Path) {
    registry(path);
    let mut record = fs::read_to_string(beside(path, ".guard")).unwrap();
    let pid = format!("\"pid\":{}", std::process::id());
    assert!(record.contains(&pid), "{record}");
    // No process has the greatest id that Linux gives, and the record keeps its length.
    record = record.replace(&pid, &format!("\"pid\":{}", 4_194_304));
    fs::write(beside(path, ".lock"), record.trim_end_matches('\0')).unwrap();
}

/// An older argus that was killed an hour ago.
fn with_abandoned_lockfile(path: &Path) {
    registry(path);
    let lockfile = fs::File::create(beside(path, ".lock")).unwrap();
    lockfile.set_modified(SystemTime::now() - Duration::from_secs(3_600)).unwrap();
}

fn with_leftover_temp_file(path: &Path) {
    registry(path);
    let name = format!(".registry.json.{}.tmp", "0".repeat(32));
    fs::write(path.with_file_name(name), "{\"version\": 1").unwrap();
}

fn with_unused_guard(path: &Path) {
    fs::write(beside(path, ".guard"), "").unwrap();
}

fn with_link(path: &Path) {
    let elsewhere = path.with_file_name("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let target = elsewhere.join("registry.json");
    registry(&target);
    std::os::unix::fs::symlink("elsewhere/registry.json", path).unwrap();
}

fn without_folder(path: &Path) {
    fs::remove_dir(path.parent().unwrap()).unwrap();
}

fn json(path: &Path) {
    fs::write(path, "{\"count\": 1}").unwrap();
}

fn json_with_lock_file(path: &Path) {
    json(path);
    fs::write(path.with_extension("lock"), "").unwrap();
}

fn toml(path: &Path) {
    fs::write(path, "# A comment.\ncount = 1\n").unwrap();
}

pub(crate) fn watchers(text: Option<&str>) -> serde_json::Value {
    let parsed = text.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    parsed.map_or(serde_json::Value::Null, |value| value["watchers"].clone())
}

pub(crate) fn has(text: Option<&str>, id: &str) -> bool {
    watchers(text).get(id).is_some()
}

fn has_new(_: Option<&str>, after: Option<&str>) -> bool {
    has(after, "new")
}

/// The entries of three updates that share a commit, or have one each.
const BATCH: [&str; 3] = ["new-1", "new-2", "new"];

fn has_some_new(_: Option<&str>, after: Option<&str>) -> bool {
    BATCH.iter().any(|id| has(after, id))
}

/// Whether a file has those entries of the batch that a failure names as acknowledged, and no other. `None` if the
/// failure is that of one update.
pub(crate) fn has_acknowledged(after: Option<&str>, failure: &str) -> Option<bool> {
    let (acknowledged, _) = failure.strip_prefix("acknowledged ")?.split_once(';')?;
    let acknowledged: Vec<_> = acknowledged.split_whitespace().collect();
    Some(BATCH.iter().all(|id| has(after, id) == acknowledged.contains(id)))
}

pub(crate) fn is_renewed(before: Option<&str>, after: Option<&str>) -> bool {
    let date = |text| watchers(text)["old"]["updatedAt"].as_u64();
    date(after) > date(before)
}

pub(crate) fn is_unchanged(before: Option<&str>, after: Option<&str>) -> bool {
    before == after
}

fn is_counted(before: Option<&str>, after: Option<&str>) -> bool {
    let count = |text: Option<&str>| -> u64 {
        let digits = text.unwrap_or("0").split("count").last().unwrap();
        let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    };
    count(after) == count(before) + 1
}

/// The template of the list below.
const fn rust(name: &'static str, prepare: fn(&Path)) -> Operation {
    Operation {
        name,
        program: Program::Rust,
        kind: Kind::Registry,
        prepare,
        is_done: has_new,
        may_be: |_, _| false,
        without: &[],
        is_short: false,
    }
}

const fn node(name: &'static str, prepare: fn(&Path)) -> Operation {
    Operation { program: Program::Node, ..rust(name, prepare) }
}

const fn document(name: &'static str, prepare: fn(&Path)) -> Operation {
    Operation { kind: Kind::Document, is_done: is_counted, ..rust(name, prepare) }
}

const fn short(operation: Operation) -> Operation {
    Operation { is_short: true, ..operation }
}

const fn doing(is_done: fn(Option<&str>, Option<&str>) -> bool, operation: Operation) -> Operation {
    Operation { is_done, ..operation }
}

/// What this library is there to prevent. If its cases show nothing, no case does.
pub(crate) const BROKEN: Operation = rust("write-in-place", registry);

/// A name before a colon is that of the program's operation; what follows tells apart what is prepared.
pub(crate) const OPERATIONS: &[Operation] = &[
    short(rust("update", registry)),
    short(rust("update: first, in an empty folder", nothing)),
    rust("update: first, without the folder", without_folder),
    rust("update: an unused guard", with_unused_guard),
    short(rust("update: corrupt content", corrupt)),
    short(rust("update: lockfile of a dead holder", with_lockfile_of_the_dead)),
    rust("update: lockfile whose guard was deleted", with_lockfile_without_its_guard),
    rust("update: lockfile of a dead holder, a file of its own", with_copied_lockfile),
    short(rust("update: lockfile that an older argus abandoned", with_abandoned_lockfile)),
    rust("update: leftover temp file", with_leftover_temp_file),
    rust("update: through a link", with_link),
    rust("update-fast", registry),
    short(rust("update-warm", registry)),
    Operation { without: NO_HARD_LINKS, ..rust("update: no hard links", registry) },
    Operation { without: NO_HARD_LINKS, ..rust("update: no hard links, first", nothing) },
    Operation {
        without: NO_HARD_LINKS,
        ..rust("update: no hard links, lockfile of a dead holder", with_copied_lockfile)
    },
    Operation { without: NO_KERNEL_LOCKS, ..rust("update: no kernel locks", registry) },
    Operation { without: NO_KERNEL_LOCKS, ..rust("update: no kernel locks, first", nothing) },
    Operation {
        without: NO_KERNEL_LOCKS,
        ..rust("update: no kernel locks, lockfile of a dead holder", with_copied_lockfile)
    },
    short(rust("announce", registry)),
    doing(|_, after| has(after, "old-2"), rust("claim", registry)),
    doing(is_renewed, rust("heartbeat", registry)),
    doing(is_renewed, rust("heartbeat-warm", registry)),
    doing(is_renewed, rust("heartbeat-warm: large registry", large_registry)),
    doing(|_, after| !has(after, "old"), rust("remove", registry)),
    short(doing(|_, after| !has(after, "stale"), rust("prune", with_stale_entry))),
    rust("write", registry),
    doing(is_unchanged, rust("read", registry)),
    doing(is_unchanged, rust("inspect", with_lockfile_of_the_dead)),
    doing(is_unchanged, rust("release", registry)),
    doing(is_unchanged, rust("with-lock", registry)),
    short(doing(is_unchanged, rust("clear-litter", with_leftover_temp_file))),
    doing(is_unchanged, rust("watch", registry)),
    doing(is_unchanged, document("load", json)),
    doing(is_unchanged, document("load: with its lock file", json_with_lock_file)),
    document("save", json),
    short(document("document", json)),
    document("document: first", nothing),
    document("document: with its lock file", json_with_lock_file),
    Operation { kind: Kind::Toml, ..document("document-toml", toml) },
    Operation { kind: Kind::DocumentUnderRegistryLock, ..document("document-registry-lock", json) },
    doing(is_unchanged, document("lock-file", json)),
    Operation {
        program: Program::Cli(&["doctor", "--fix"]),
        ..doing(is_unchanged, rust("doctor --fix", with_leftover_temp_file))
    },
    Operation {
        program: Program::Cli(&["prune", "--registry"]),
        ..doing(|_, after| !has(after, "stale"), rust("prune, by the program", with_stale_entry))
    },
    short(node("updateRegistry", registry)),
    node("updateRegistry: first, in an empty folder", nothing),
    node("updateRegistry: corrupt content", corrupt),
    node("updateRegistry: lockfile of a dead holder", with_lockfile_of_the_dead),
    node("updateRegistry-warm", registry),
    node("updateRegistry-fast", registry),
    node("updateRegistry-async-updater", registry),
    Operation { may_be: has_some_new, ..node("updateRegistry-batch", registry) },
    node("updateRegistrySync", registry),
    node("updateRegistrySync-warm", registry),
    node("announceWatcher", registry),
    node("announceWatcher-warm", registry),
    doing(|_, after| has(after, "old-2"), node("claimWatcher", registry)),
    doing(is_renewed, node("heartbeatWatcher", registry)),
    doing(|_, after| !has(after, "old"), node("removeWatcher", registry)),
    doing(|_, after| !has(after, "stale"), node("pruneStaleWatchers", with_stale_entry)),
    node("writeRegistry", registry),
    doing(is_unchanged, node("readRegistry", registry)),
    doing(is_unchanged, node("inspectLock", with_lockfile_of_the_dead)),
    doing(is_unchanged, node("withRegistryLock", registry)),
    doing(is_unchanged, node("watchRegistry", registry)),
    Operation { kind: Kind::Document, is_done: is_unchanged, ..node("Document.load", json) },
    Operation { kind: Kind::Document, is_done: is_counted, ..node("Document.save", json) },
    Operation { kind: Kind::Document, is_done: is_counted, ..node("Document.update", json) },
    Operation {
        kind: Kind::Document,
        is_done: is_counted,
        ..node("Document.update: first", nothing)
    },
];
