//! `doctor`: tests with real processes what the file system of a folder can do, and finds the files
//! that dead processes left in it.

mod checks;
mod litter;
mod probe_process;
mod probe_worker;
mod report;
mod target;

use std::path::Path;

use argus_registry::{Error, ProbeFolder};

use crate::cli::exit::{hint, CommandError, Exit};
use crate::cli::lock_target::is_etcd;
use checks::LockSupport;
use report::{DoctorCheck, DoctorReport};
use target::DoctorTarget;

pub(crate) use probe_worker::probe;

pub(crate) fn run(path: &Path, fix: bool, json: bool) -> Result<Exit, CommandError> {
    if is_etcd(path) {
        return Err(no_doctor_for_etcd(path));
    }
    let mut report = DoctorReport::new(json);
    match DoctorTarget::find(path) {
        Ok(target) => {
            report.set_target(&target.folder, target.file.as_deref());
            examine(&target, fix, &mut report)?;
        }
        Err(check) => report.add(check)?,
    }
    Ok(report.end()?)
}

fn examine(
    target: &DoctorTarget,
    fix: bool,
    report: &mut DoctorReport,
) -> Result<(), CommandError> {
    let (check, probe) = match ProbeFolder::create(&target.folder) {
        Ok(probe) => {
            let message = format!("{} can be written by this user", target.folder.display());
            (DoctorCheck::ok("folder", message), Some(probe))
        }
        Err(error) => (not_writable(&target.folder, &error), None),
    };
    report.add(check)?;
    for check in target.check_access() {
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
            let locks = checks::locks_without_writing(&target.folder, report)?;
            let message =
                "not tried: rename, fsync and links need a folder that this user can write";
            report.add(DoctorCheck::warn("rename", message))?;
            locks
        }
    };
    if let Some(Err(error)) = probe.map(ProbeFolder::remove) {
        let next = "delete it yourself when no doctor runs";
        report.add(DoctorCheck::warn("folder", error.to_string()).next(next))?;
    }
    match locks {
        LockSupport::Reliable | LockSupport::Unsupported => litter::check(target, fix, report),
        LockSupport::Unreliable => {
            let message =
                "not looked for: without reliable locks the doctor can't tell which files \
                           are still in use";
            Ok(report.add(DoctorCheck::warn("litter", message))?)
        }
    }
}

fn no_doctor_for_etcd(path: &Path) -> CommandError {
    let reason = "the doctor tests file systems, and this registry is on none".to_owned();
    let error = Error::Unsupported { path: path.to_path_buf(), reason };
    CommandError::new(Exit::Registry, error.to_string()).next(format!(
        "{} tells what is wrong with the registry, and `etcdctl endpoint health` and `etcdctl alarm list` \
         what is wrong with its servers",
        hint(&["check"], path)
    ))
}

fn not_writable(folder: &Path, error: &Error) -> DoctorCheck {
    let shown = folder.display();
    match error {
        Error::PermissionDenied { source, .. } => {
            let message = format!(
                "{shown} can't be written by this user ({source}): readers work, since they take \
                 no lock and create no file; updates fail with PERMISSION_DENIED"
            );
            DoctorCheck::fail("folder", message).next(
                "if this user is to update, give it the right to write into the folder, or mount \
                 the file system for writing; if it only reads, nothing has to be done",
            )
        }
        _ => {
            let message = format!("no file can be created in {shown}: {error}");
            let next = format!("repair that, then {} again", hint(&["doctor"], folder));
            DoctorCheck::fail("folder", message).next(next)
        }
    }
}
