//! Litter, the files that crashed processes left: reports each, and with `--fix` deletes those that
//! are safe to delete.

use std::collections::BTreeSet;

use argus_registry::{clear_litter, find_litter, Error, Litter, LitterKind, LockOptions};

use super::report::{DoctorCheck, DoctorReport};
use super::target::DoctorTarget;
use crate::cli::exit::{hint, CommandError};

pub(super) fn check(
    target: &DoctorTarget,
    fix: bool,
    report: &mut DoctorReport,
) -> Result<(), CommandError> {
    let stale_after = LockOptions::default().stale_after;
    let find = || find_litter(target.path(), stale_after);
    let mut found = match find() {
        Ok(found) => found,
        Err(error) => return Ok(report.add(not_listed(&error))?),
    };
    let mut deleted_any = false;
    if fix && found.iter().any(|litter| litter.safe_to_delete) {
        let safe = found.iter().filter(|litter| litter.safe_to_delete);
        let beside: BTreeSet<_> = safe.map(|litter| litter.beside.clone()).collect();
        for file in beside {
            match clear_litter(&file, stale_after) {
                Ok(cleared) => {
                    for litter in cleared {
                        deleted_any = true;
                        report.add_litter(&litter, true);
                        let done = match litter.kind {
                            LitterKind::Journal => "finished or undone:",
                            _ => "deleted",
                        };
                        let message = format!("{done} {}", describe(&litter));
                        report.add(DoctorCheck::ok("litter", message))?;
                    }
                }
                Err(error) => report.add(not_deleted(&error))?,
            }
        }
        found = match find() {
            Ok(found) => found,
            Err(error) => return Ok(report.add(not_listed(&error))?),
        };
    }
    if found.is_empty() && !deleted_any {
        report.add(DoctorCheck::ok("litter", "none"))?;
    }
    for litter in found {
        let line = describe(&litter);
        let check = match (litter.kind, litter.safe_to_delete) {
            (LitterKind::InTheWay, _) => DoctorCheck::fail("litter", line)
                .next("look at it, and move it to where it belongs"),
            (LitterKind::Journal, true) => {
                DoctorCheck::warn("litter", line).next(hint(&["doctor", "--fix"], target.path()))
            }
            (_, true) => DoctorCheck::warn("litter", format!("{line}; safe to delete"))
                .next(hint(&["doctor", "--fix"], target.path())),
            (_, false) => DoctorCheck::warn("litter", format!("{line}; not to be deleted now")),
        };
        report.add_litter(&litter, false);
        report.add(check)?;
    }
    Ok(())
}

fn describe(litter: &Litter) -> String {
    let kind = match litter.kind {
        LitterKind::TempFile => "temp file",
        LitterKind::Lockfile => "lockfile",
        LitterKind::Guard => "guard",
        LitterKind::InTheWay => "unrelated file",
        LitterKind::KeptContent => "kept content",
        LitterKind::Journal => "journal",
        LitterKind::ProbeFolder => "doctor's probe folder",
    };
    format!("{} ({kind}): {}", litter.path.display(), litter.reason)
}

fn not_listed(error: &Error) -> DoctorCheck {
    let next = "give this user the right to list the folder";
    DoctorCheck::fail("litter", format!("could not be looked for: {error}")).next(next)
}

fn not_deleted(error: &Error) -> DoctorCheck {
    let next = match error {
        Error::LockBusy { path, .. } => {
            format!("{} shows which process holds it", hint(&["status"], path))
        }
        _ => "run this as a user who may delete it".to_owned(),
    };
    DoctorCheck::fail("litter", format!("could not be deleted: {error}")).next(next)
}
