//! `doctor`: what the file system of a folder can do, proved with real processes, and what dead
//! ones left in it.

mod checks;
mod helper;
mod litter;
mod probe;
mod report;
mod target;

use std::path::Path;

use argus_registry::{Error, ProbeFolder};

use crate::exit::{hint, Exit, Failure};
use checks::Locks;
use report::{Check, Report};
use target::Target;

pub(crate) use probe::probe;

pub(crate) fn run(path: &Path, fix: bool, json: bool) -> Result<Exit, Failure> {
    let mut report = Report::new(json);
    match Target::find(path) {
        Ok(target) => {
            report.about(&target);
            examine(&target, fix, &mut report)?;
        }
        Err(check) => report.add(check)?,
    }
    Ok(report.end()?)
}

fn examine(target: &Target, fix: bool, report: &mut Report) -> Result<(), Failure> {
    let folder = target.folder.display();
    let (check, probe) = match ProbeFolder::create(&target.folder) {
        Ok(probe) => {
            let check = Check::ok("folder", format!("{folder} can be written by this user"));
            (check, Some(probe))
        }
        Err(error) => (not_writable(target, &error), None),
    };
    report.add(check)?;
    for check in target.access() {
        report.add(check)?;
    }
    let locks = match &probe {
        Some(probe) => {
            let locks = checks::locks(probe, report)?;
            checks::rename(probe, report)?;
            checks::fsync(probe, report)?;
            checks::links(probe, report)?;
            locks
        }
        None => {
            let locks = checks::locks_by_looking(&target.folder, report)?;
            let message = "not tried: rename, fsync and links need a folder that can be written";
            report.add(Check::warn("rename", message))?;
            locks
        }
    };
    if let Some(Err(error)) = probe.map(ProbeFolder::remove) {
        let next = "delete it yourself when no doctor runs";
        report.add(Check::warn("folder", error.to_string()).next(next))?;
    }
    match locks {
        Locks::Work | Locks::Unsupported => litter::look(target, fix, report),
        Locks::Broken => {
            let message = "not looked for: without locks that can be relied on, nobody can tell \
                           what is still in use";
            Ok(report.add(Check::warn("litter", message))?)
        }
    }
}

fn not_writable(target: &Target, error: &Error) -> Check {
    let folder = target.folder.display();
    match error {
        Error::PermissionDenied { source, .. } => {
            let message = format!(
                "{folder} can't be written by this user ({source}): readers work, since they take \
                 no lock and make no file; updates fail with PERMISSION_DENIED"
            );
            Check::fail("folder", message).next(
                "if this user is to update, give it the right to write into the folder, or mount \
                 the file system for writing; if it only reads, nothing has to be done",
            )
        }
        _ => {
            let next = format!("repair that, then {} again", hint(&["doctor"], &target.folder));
            Check::fail("folder", format!("no file can be made in {folder}: {error}")).next(next)
        }
    }
}
