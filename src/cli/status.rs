//! `status`: which processes hold a lock.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use argus_registry::{
    age_in_words, inspect_lock, inspect_lock_file, read_registry, Guarantee, Holder, LockFileState,
    LockOptions, LockState, Warning,
};
use serde::Serialize;

use crate::cli::exit::{CommandError, Exit};
use crate::cli::lock_target::{add_extension, describe_holder, is_etcd, is_folder, LockTarget};
use crate::cli::output;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusReport {
    /// `registry` or `lock-file`.
    kind: &'static str,
    path: String,
    exists: bool,
    /// `free`, `held` or `stale`; of a lock file `free`, `shared` or `exclusive`.
    state: &'static str,
    holders: Vec<HolderReport>,
    /// `kernel-lock`, `lockfile-only`, `lease`, `none` or `unknown`.
    guarantee: &'static str,
    /// The paths of the files that carry the lock.
    lock_files: Vec<String>,
    /// What tells whether the watchers of a registry in a folder live: `kernel-lock`, `age` or
    /// `unknown`; of a registry in etcd `lease`.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HolderReport {
    pid: Option<u32>,
    host: Option<String>,
    alive: Option<bool>,
    /// Since when the process holds the lock. No system tells that for a lock file.
    since: Option<String>,
    running_since: Option<String>,
    #[serde(skip)]
    text: String,
}

pub(crate) fn status(target: &LockTarget, json: bool) -> Result<Exit, CommandError> {
    let report = match target {
        LockTarget::Registry(path) if is_etcd(path) => etcd_status(path)?,
        LockTarget::Registry(path) => registry_status(path)?,
        LockTarget::LockFile { lock_file, document } => {
            lock_file_status(lock_file, document.as_deref())?
        }
    };
    match json {
        true => output::json(&report)?,
        false => output::table(report.rows())?,
    }
    Ok(Exit::Success)
}

/// Of a registry in etcd: it has no files, and which process holds the lock is known by a key of the holder's.
fn etcd_status(path: &Path) -> Result<StatusReport, CommandError> {
    let status = inspect_lock(path, LockOptions::default().stale_after)?;
    let (_, warnings) = read_registry(path)?;
    Ok(StatusReport {
        kind: "registry",
        exists: !warnings.iter().any(|warning| matches!(warning, Warning::Missing { .. })),
        state: if status.state == LockState::Held { "held" } else { "free" },
        holders: status.holder.iter().map(HolderReport::of_registry).collect(),
        guarantee: "lease",
        lock_files: Vec::new(),
        claims: Some("lease"),
        path: status.path.display().to_string(),
    })
}

fn registry_status(path: &Path) -> Result<StatusReport, CommandError> {
    let status = inspect_lock(path, LockOptions::default().stale_after)?;
    let in_folder = is_folder(path);
    let lock_files = ["guard", "lock"].map(|extension| match in_folder {
        true => status.path.join(format!(".{extension}")),
        false => add_extension(&status.path, extension),
    });
    Ok(StatusReport {
        kind: "registry",
        exists: exists(&status.path),
        state: match status.state {
            LockState::Free => "free",
            LockState::Held => "held",
            LockState::Stale => "stale",
        },
        holders: status
            .holder
            .iter()
            .map(|holder| match is_unreadable(&lock_files[1]) {
                true => HolderReport::of_unreadable_lockfile(holder),
                false => HolderReport::of_registry(holder),
            })
            .collect(),
        guarantee: match status.guarantee {
            Guarantee::KernelLock => "kernel-lock",
            Guarantee::LockfileOnly => "lockfile-only",
            _ => "unknown",
        },
        lock_files: lock_files.map(|path| path.display().to_string()).to_vec(),
        claims: in_folder.then_some(match status.guarantee {
            Guarantee::KernelLock => "kernel-lock",
            Guarantee::LockfileOnly => "age",
            _ => "unknown",
        }),
        path: status.path.display().to_string(),
    })
}

fn lock_file_status(
    lock_file: &Path,
    document: Option<&Path>,
) -> Result<StatusReport, CommandError> {
    let status = inspect_lock_file(lock_file)?;
    let path = document.unwrap_or(lock_file);
    Ok(StatusReport {
        kind: "lock-file",
        path: path.display().to_string(),
        exists: exists(path),
        state: match status.state {
            LockFileState::Free => "free",
            LockFileState::Shared => "shared",
            LockFileState::Exclusive => "exclusive",
        },
        holders: status
            .holders
            .iter()
            .map(|holder| HolderReport {
                pid: Some(holder.pid),
                host: None,
                alive: Some(true),
                since: None,
                running_since: holder.running_since.and_then(output::instant),
                text: describe_holder(holder),
            })
            .collect(),
        guarantee: match status.kernel_locks {
            Some(true) => "kernel-lock",
            Some(false) => "none",
            None => "unknown",
        },
        lock_files: vec![lock_file.display().to_string()],
        claims: None,
    })
}

/// Whether there is a file. One that this user may not look for counts as there: `status` must not
/// report a file as missing that is not.
fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

/// Whether this user may not read a lockfile, which names the holder.
fn is_unreadable(lockfile: &Path) -> bool {
    File::open(lockfile).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

impl HolderReport {
    fn of_unreadable_lockfile(holder: &Holder) -> Self {
        HolderReport {
            pid: None,
            host: None,
            alive: holder.alive,
            since: None,
            running_since: None,
            text: "unknown: this user may not read the lockfile, which names it".to_owned(),
        }
    }

    fn of_registry(holder: &Holder) -> Self {
        let since = holder.since.and_then(output::instant);
        let held_for = holder.since.and_then(|since| SystemTime::now().duration_since(since).ok());
        let mut text = match holder.pid {
            Some(pid) => format!("process {pid}"),
            None => "unknown: the lockfile of an older argus version names no process".to_owned(),
        };
        if let Some(host) = &holder.host {
            text.push_str(&format!(" on {}", output::printable(host)));
        }
        text.push_str(match holder.alive {
            Some(true) => ", alive",
            Some(false) => ", dead",
            None => ", alive or not can't be told from here",
        });
        if let (Some(since), Some(held_for)) = (&since, held_for) {
            text.push_str(&format!(", since {since} ({})", age_in_words(held_for)));
        }
        HolderReport {
            pid: holder.pid,
            host: holder.host.clone(),
            alive: holder.alive,
            since,
            running_since: None,
            text,
        }
    }
}

impl StatusReport {
    fn rows(&self) -> Vec<[String; 2]> {
        let mut rows = Vec::new();
        let mut row = |name: &str, text: &str| rows.push([name.to_owned(), text.to_owned()]);
        let kind = if self.kind == "registry" { "registry" } else { "file" };
        row(kind, &format!("{}{}", self.path, if self.exists { "" } else { " (missing)" }));
        row(
            "lock",
            match self.state {
                "free" => "free",
                "held" => "held",
                "stale" => "stale: its holder is gone, and the next update takes it over",
                "shared" => "shared: one or more readers hold it",
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
            row("since", "unknown: a kernel lock does not record it");
        }
        row(
            "guarantee",
            match self.guarantee {
                "kernel-lock" => "kernel lock: exact, and free as soon as its holder is gone",
                "lockfile-only" => {
                    "lockfile only: this file system has no kernel locks, so whether a holder is \
                     dead is judged by its process or by the lockfile's age"
                }
                "lease" => {
                    "lease: the lock of a holder that is gone or frozen is free when its lease ends, and \
                     what the holder still writes then is refused"
                }
                "none" => "none: this file system has no kernel locks; use a local disk",
                _ => "unknown: neither the file nor its folder exists to test it with",
            },
        );
        if let Some(claims) = self.claims {
            let text = match claims {
                "kernel-lock" => {
                    "kernel locks: a watcher lives as long as its process has its entry locked"
                }
                "age" => {
                    "pid and age: this file system has no kernel locks, so a watcher that can't be judged \
                     by its pid lives until its entry is too old"
                }
                "lease" => "leases: a watcher lives as long as it renews that of its entry",
                _ => "unknown: the folder does not exist to test it with",
            };
            row("watchers", text);
        }
        for lock_file in &self.lock_files {
            row("lock file", lock_file);
        }
        rows
    }
}
