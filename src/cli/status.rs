//! `status`: who holds a lock.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use argus_registry::{
    inspect_lock, inspect_lock_file, Guarantee, Holder, LockFileState, LockOptions, LockState,
};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::output;
use crate::target::{beside, describe, Target};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    /// `registry` or `lock-file`.
    kind: &'static str,
    path: String,
    exists: bool,
    /// `free`, `held`, `stale`; of a lock file `free`, `shared`, `exclusive`.
    state: &'static str,
    holders: Vec<Process>,
    /// `kernel-lock`, `lockfile-only`, `none`, `unknown`.
    guarantee: &'static str,
    /// The files that carry the lock.
    lock_files: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    pid: Option<u32>,
    host: Option<String>,
    alive: Option<bool>,
    /// Since when it holds the lock. No system tells that of a lock file.
    since: Option<String>,
    running_since: Option<String>,
    #[serde(skip)]
    text: String,
}

pub(crate) fn status(target: &Target, json: bool) -> Result<Exit, Failure> {
    let status = match target {
        Target::Registry(path) => of_registry(path)?,
        Target::LockFile { lock_file, document } => of_lock_file(lock_file, document.as_deref())?,
    };
    match json {
        true => output::json(&status)?,
        false => output::text(&status.text())?,
    }
    Ok(Exit::Fine)
}

fn of_registry(path: &Path) -> Result<Status, Failure> {
    let status = inspect_lock(path, LockOptions::default().stale_after)?;
    let lock_files = ["guard", "lock"].map(|ending| beside(&status.path, ending));
    Ok(Status {
        kind: "registry",
        exists: exists(&status.path),
        state: match status.state {
            LockState::Free => "free",
            LockState::Held => "held",
            LockState::Stale => "stale",
            _ => "unknown",
        },
        holders: status
            .holder
            .iter()
            .map(|holder| match is_closed(&lock_files[1]) {
                true => Process::unreadable(holder),
                false => Process::of_registry(holder),
            })
            .collect(),
        guarantee: match status.guarantee {
            Guarantee::KernelLock => "kernel-lock",
            Guarantee::LockfileOnly => "lockfile-only",
            _ => "unknown",
        },
        lock_files: lock_files.map(|path| path.display().to_string()).to_vec(),
        path: status.path.display().to_string(),
    })
}

fn of_lock_file(lock_file: &Path, document: Option<&Path>) -> Result<Status, Failure> {
    let status = inspect_lock_file(lock_file)?;
    let path = document.unwrap_or(lock_file);
    Ok(Status {
        kind: "lock-file",
        path: path.display().to_string(),
        exists: exists(path),
        state: match status.state {
            LockFileState::Free => "free",
            LockFileState::Shared => "shared",
            LockFileState::Exclusive => "exclusive",
            _ => "unknown",
        },
        holders: status
            .holders
            .iter()
            .map(|holder| Process {
                pid: Some(holder.pid),
                host: None,
                alive: Some(true),
                since: None,
                running_since: holder.running_since.and_then(output::instant),
                text: describe(holder),
            })
            .collect(),
        guarantee: match status.kernel_locks {
            Some(true) => "kernel-lock",
            Some(false) => "none",
            None => "unknown",
        },
        lock_files: vec![lock_file.display().to_string()],
    })
}

/// Nothing is called missing that only can't be looked at.
fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

/// Whether this user may not read who holds a lock.
fn is_closed(lockfile: &Path) -> bool {
    File::open(lockfile).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

impl Process {
    fn unreadable(holder: &Holder) -> Self {
        Process {
            pid: None,
            host: None,
            alive: holder.alive,
            since: None,
            running_since: None,
            text: "unknown: this user may not read the lockfile, which says it".to_owned(),
        }
    }

    fn of_registry(holder: &Holder) -> Self {
        let since = holder.since.and_then(output::instant);
        let for_so_long =
            holder.since.and_then(|since| SystemTime::now().duration_since(since).ok());
        let mut text = match holder.pid {
            Some(pid) => format!("process {pid}"),
            None => "unknown: an older program's lockfile names none".to_owned(),
        };
        if let Some(host) = &holder.host {
            text.push_str(&format!(" on {}", output::printable(host)));
        }
        text.push_str(match holder.alive {
            Some(true) => ", alive",
            Some(false) => ", dead",
            None => ", alive or not can't be told from here",
        });
        if let (Some(since), Some(long)) = (&since, for_so_long) {
            text.push_str(&format!(", since {since} ({})", output::age(long)));
        }
        Process {
            pid: holder.pid,
            host: holder.host.clone(),
            alive: holder.alive,
            since,
            running_since: None,
            text,
        }
    }
}

impl Status {
    fn text(&self) -> String {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut row = |name: &str, text: &str| rows.push(vec![name.to_owned(), text.to_owned()]);
        let what = if self.kind == "registry" { "registry" } else { "file" };
        row(what, &format!("{}{}", self.path, if self.exists { "" } else { " (missing)" }));
        row(
            "lock",
            match self.state {
                "free" => "free",
                "held" => "held",
                "stale" => "stale: its holder is gone, and the next update takes it over",
                "shared" => "shared: readers hold it",
                "exclusive" => "exclusive: one writer holds it",
                other => other,
            },
        );
        for holder in &self.holders {
            row("holder", &holder.text);
        }
        if self.kind == "lock-file" && self.state != "free" {
            if self.holders.is_empty() {
                row("holder", "unknown: the system does not tell");
            }
            row("since", "unknown: a kernel lock has no date");
        }
        row(
            "guarantee",
            match self.guarantee {
                "kernel-lock" => "kernel lock: exact, and free as soon as its holder is gone",
                "lockfile-only" => {
                    "lockfile only: this file system has no kernel locks, so a dead holder is \
                     judged by its process or by age"
                }
                "none" => "none: this file system has no kernel locks; use a local disk",
                _ => "unknown: there is no file and no folder that could be asked",
            },
        );
        for lock_file in &self.lock_files {
            row("lock file", lock_file);
        }
        output::table(&rows)
    }
}
