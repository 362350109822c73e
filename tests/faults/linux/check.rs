//! What has to hold after each case.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use argus_registry::{
    clear_litter, read_registry, update_registry, Document, Error, LockOptions, OnWarning,
    UpdateOptions, WatcherRecord,
};
use serde::{Deserialize, Serialize};

use super::case::Case;
use super::fault::Fault;
use super::folder;
use super::operation::{has_acknowledged, Kind, Operation, Program};
use super::tracer::Ended;

#[derive(Default, Serialize, Deserialize)]
struct Count {
    count: u32,
}

/// What the process has said of its operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Failed {
        code: String,
        message: String,
    },
    /// It was killed before it could say anything.
    None,
}

impl Answer {
    pub(crate) fn of(ended: &Ended, operation: &Operation) -> Self {
        if let Program::Cli(_) = operation.program {
            return match ended.how {
                Ok(0) => Answer::Done,
                Ok(code) => {
                    Answer::Failed { code: code.to_string(), message: ended.errors.clone() }
                }
                Err(_) => Answer::None,
            };
        }
        match ended.lines.first().map(|line| line.splitn(3, ' ').collect::<Vec<_>>()).as_deref() {
            Some(["ok"]) => Answer::Done,
            Some(["failed", code, message]) => {
                Answer::Failed { code: (*code).to_owned(), message: (*message).to_owned() }
            }
            _ => Answer::None,
        }
    }
}

/// How an error says that what was asked for is there nevertheless, or may be.
const IS_TOLD: [&str; 4] = [
    "though it already has its new content",
    "though it has changed",
    "is not known",
    "which the next call under its lock does",
];

pub(crate) struct Checks {
    operation: &'static Operation,
    path: PathBuf,
    before: Option<String>,
    /// The names that were in the folder before and have to stay.
    kept: BTreeSet<String>,
    /// What the file had when the operation was over.
    after: Option<Option<String>>,
    was_asked_for_more: bool,
    pub(crate) violations: Vec<String>,
}

fn read(kind: Kind, path: &Path) -> Result<Option<String>, String> {
    if kind == Kind::Folder {
        return folder::content(path);
    }
    match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|error| error.to_string()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeSet::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

impl Checks {
    pub(crate) fn new(operation: &'static Operation, path: &Path) -> Self {
        let folder = path.parent().unwrap();
        let mut kept = names_in(folder);
        // What is to be cleaned up.
        kept.retain(|name| !name.ends_with(".tmp") && name != "registry.json.lock");
        Checks {
            operation,
            path: path.to_path_buf(),
            before: read(operation.kind, path).unwrap(),
            kept,
            after: None,
            was_asked_for_more: false,
            violations: Vec::new(),
        }
    }

    fn require(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(otherwise());
        }
    }

    fn is_corrupt_before(&self) -> bool {
        self.operation.kind == Kind::Registry
            && self
                .before
                .as_ref()
                .is_some_and(|text| serde_json::from_str::<serde_json::Value>(text).is_err())
    }

    /// The file is old or new. Notes which.
    fn look(&mut self, case: &Case) {
        let read = || read(self.operation.kind, &self.path);
        let mut found = read();
        // Of a folder, a reader may see a part of an update: each entry is whole.
        if self.operation.kind == Kind::Folder && found.is_ok() {
            found = self.settle(case).and_then(|()| read());
        }
        let after = match found {
            Ok(after) => after,
            Err(error) => return self.violations.push(format!("torn: {error}")),
        };
        let is_old = after == self.before;
        let is_whole = match (self.operation.kind, &after) {
            (_, None) => self.before.is_none(),
            (Kind::Toml, Some(text)) => text.parse::<toml::Table>().is_ok(),
            (_, Some(text)) => serde_json::from_str::<serde_json::Value>(text).is_ok(),
        };
        let is_done = (self.operation.is_done)(self.before.as_deref(), after.as_deref());
        let may_be = (self.operation.may_be)(self.before.as_deref(), after.as_deref());
        self.require(is_old || (is_whole && (is_done || may_be)), || {
            format!("neither old nor new: {after:?}")
        });
        if self.is_corrupt_before() && !is_old {
            let kept = self.kept_copies();
            self.require(kept == 1, || format!("{kept} copies of what was corrupt"));
        }
        self.after = Some(after);
    }

    /// Has the update of a folder finished that the operation may have left in its middle.
    fn settle(&self, case: &Case) -> Result<(), String> {
        if self.operation.without.is_empty() {
            return folder::settle(&self.path).map_err(|error| error.to_string());
        }
        let ended = case.next_process("settle", &self.path).map_err(|error| error.to_string())?;
        match ended.lines.first().map(String::as_str) {
            Some("ok") => Ok(()),
            said => Err(format!("it can't be settled: {said:?} {}", ended.errors)),
        }
    }

    fn kept_copies(&self) -> usize {
        let names = names_in(self.path.parent().unwrap());
        names.iter().filter(|name| name.contains(".corrupt-")).count()
    }

    /// What is checked while the process that failed is there. Returns what it is to do next.
    pub(crate) fn while_it_lives(&mut self, case: &Case) -> &'static str {
        self.look(case);
        if self.operation.kind == Kind::Folder {
            let is_alive = folder::own_is_alive(&self.path);
            self.require(is_alive != Some(false), || "it counts as dead, and lives".to_owned());
        }
        self.next_update();
        self.was_asked_for_more = true;
        match self.operation.kind {
            Kind::Registry => "again registry\n",
            Kind::Document => "again document\n",
            Kind::Toml => "again toml\n",
            Kind::DocumentUnderRegistryLock => "again registry-lock\n",
            Kind::Folder => "again folder\n",
        }
    }

    /// What is checked when the process has ended.
    pub(crate) fn after_its_end(
        &mut self,
        case: &Case,
        ended: &Ended,
        answer: &Answer,
        hit: Option<&str>,
    ) {
        let was_hit = hit.is_some();
        self.require(!ended.hung, || "it hangs".to_owned());
        if ended.errors.contains("panicked") {
            return self.violations.push(format!("it panics: {}", ended.errors.replace('\n', " ")));
        }
        let may_be_killed = was_hit && case.fault.kills();
        let is_fine = ended.how.is_ok() || may_be_killed || ended.hung;
        self.require(is_fine, || format!("it ends by {:?}: {}", ended.how, ended.errors));
        if !may_be_killed && !ended.hung {
            self.require(*answer != Answer::None, || format!("it says nothing: {ended:?}"));
        }
        if self.operation.kind == Kind::Folder && !ended.hung {
            let is_alive = folder::own_is_alive(&self.path);
            self.require(is_alive != Some(true), || "it counts as alive, and is dead".to_owned());
        }
        if self.after.is_none() {
            self.look(case);
            if self.operation.without.is_empty() {
                self.next_update();
            } else {
                self.next_update_without_calls(case);
            }
        }
        if self.was_asked_for_more {
            let again = ended.lines.get(1).map(String::as_str);
            self.require(again == Some("ok"), || format!("it can't go on: {again:?}"));
        }
        self.judge(answer, case.fault, hit);
        self.look_for_litter();
    }

    fn judge(&mut self, answer: &Answer, fault: Fault, hit: Option<&str>) {
        let was_hit = hit.is_some();
        let Some(after) = self.after.clone() else { return };
        let is_done = (self.operation.is_done)(self.before.as_deref(), after.as_deref());
        match answer {
            Answer::Done => self.require(is_done, || "acknowledged, and not there".to_owned()),
            Answer::Failed { code, message } => {
                self.require(was_hit, || format!("failed without a fault: {code} {message}"));
                // Without a thread no lock was waited for.
                let is_misnamed = code == "LOCK_TIMEOUT" && hit == Some("clone3");
                self.require(!is_misnamed, || format!("the wrong error: {code} {message}"));
                self.require(code != "UNTYPED", || format!("untyped: {message}"));
                // Of updates that were asked for at once, some may be done: those that were acknowledged.
                let is_old = has_acknowledged(after.as_deref(), message)
                    .unwrap_or_else(|| after == self.before);
                // An error that says so.
                let is_told = IS_TOLD.iter().any(|told| message.contains(told));
                self.require(is_old || is_told, || {
                    format!("failed, and is there: {code} {message}")
                });
            }
            Answer::None => self.require(fault.kills() || !was_hit, || "no answer".to_owned()),
        }
    }

    /// Another process updates the file, in one try.
    fn next_update(&mut self) {
        if let Err(error) = self.update() {
            self.violations.push(format!("the next update fails: {} {error}", error.code()));
            return;
        }
        if !matches!(self.operation.kind, Kind::Registry | Kind::Folder) {
            return;
        }
        match read_registry(&self.path) {
            Ok((registry, _)) => {
                self.require(registry.watcher("next").is_some(), || {
                    "the next update is lost".to_owned()
                });
                let was_new = has_watcher(self.after.as_ref().and_then(Option::as_ref), "new");
                let is_new = registry.watcher("new").is_some();
                self.require(was_new == is_new, || "the next update has changed more".to_owned());
            }
            Err(error) => self.violations.push(format!("the next read fails: {error}")),
        }
    }

    fn update(&self) -> Result<(), Error> {
        let folder = self.path.parent().unwrap();
        // Where the folder is missing, each update makes it.
        let at_once = LockOptions::one_try();
        let count_up = |value: &mut Count| {
            value.count += 1;
            Ok::<_, Error>(())
        };
        debug_assert!(folder.is_absolute());
        match self.operation.kind {
            Kind::Registry | Kind::Folder => {
                let options = UpdateOptions {
                    lock: at_once,
                    durable: false,
                    on_warning: OnWarning::new(|_| {}),
                    ..UpdateOptions::default()
                };
                update_registry(&self.path, &options, |registry| {
                    registry.set_watcher(WatcherRecord::new("next", "127.0.0.1", 9222));
                    Ok(())
                })
            }
            Kind::Document => {
                Document::json(&self.path).empty(Count::default).update(&at_once, count_up)
            }
            Kind::Toml => {
                Document::toml(&self.path).empty(Count::default).update(&at_once, count_up)
            }
            Kind::DocumentUnderRegistryLock => Document::json(&self.path)
                .empty(Count::default)
                .registry_lock()
                .update(&at_once, count_up),
        }
    }

    fn next_update_without_calls(&mut self, case: &Case) {
        match case.next_process("next", &self.path) {
            Ok(ended) => {
                let said = ended.lines.first().cloned().unwrap_or_default();
                self.require(said == "ok", || {
                    format!("the next update fails: {said} {}", ended.errors)
                });
            }
            Err(error) => self.violations.push(format!("the next update can't be run: {error}")),
        }
    }

    fn look_for_litter(&mut self) {
        // What a killed doctor leaves, the next one removes: by this call. So is what may be another process's entry on
        // its way into a folder, when it is old enough.
        let is_of_folder = self.operation.kind == Kind::Folder;
        let is_left_for = match self.operation.program {
            _ if is_of_folder => Some(Duration::ZERO),
            Program::Cli(_) => Some(Duration::from_secs(10)),
            _ => None,
        };
        if let Some(stale_after) = is_left_for {
            if let Err(error) = clear_litter(&self.path, stale_after) {
                self.violations.push(format!("litter can't be cleared: {error}"));
            }
        }
        let mut left = names_in(self.path.parent().unwrap());
        left.remove(self.operation.kind.file_name().trim_end_matches('/'));
        if is_of_folder {
            left.extend(folder::litter(&self.path));
        }
        for name in self.operation.kind.lock_names() {
            left.remove(*name);
        }
        for name in &self.kept {
            left.remove(name);
        }
        // Bad content is kept once, however often it is found.
        if self.is_corrupt_before() {
            let kept = self.kept_copies();
            self.require(kept == 1, || format!("{kept} copies of what was corrupt in the end"));
            left.retain(|name| !name.contains(".corrupt-"));
        }
        self.require(left.is_empty(), || format!("litter: {left:?}"));
    }
}

fn has_watcher(text: Option<&String>, id: &str) -> bool {
    text.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
        .is_some_and(|value| value["watchers"].get(id).is_some())
}
