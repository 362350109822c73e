//! Litter: what it is, whether it is safe to delete, and deleting what is.

use std::collections::BTreeSet;

use argus_registry::{clear_litter, find_litter, Error, Litter, LitterKind, LockOptions};

use super::report::{Check, Report};
use super::target::Target;
use crate::exit::{hint, Failure};

pub(super) fn look(target: &Target, fix: bool, report: &mut Report) -> Result<(), Failure> {
    let stale_after = LockOptions::default().stale_after;
    let find = || find_litter(target.path(), stale_after);
    let mut found = match find() {
        Ok(found) => found,
        Err(error) => return Ok(report.add(not_looked(&error))?),
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
                        report.found(&litter, true);
                        report
                            .add(Check::ok("litter", format!("deleted {}", in_words(&litter))))?;
                    }
                }
                Err(error) => report.add(not_cleared(&error))?,
            }
        }
        found = match find() {
            Ok(found) => found,
            Err(error) => return Ok(report.add(not_looked(&error))?),
        };
    }
    if found.is_empty() && !deleted_any {
        report.add(Check::ok("litter", "none"))?;
    }
    for litter in found {
        let line = in_words(&litter);
        let check = match (litter.kind, litter.safe_to_delete) {
            (LitterKind::InTheWay, _) => {
                Check::fail("litter", line).next("look at it, and move it to where it belongs")
            }
            (_, true) => Check::warn("litter", format!("{line}; safe to delete"))
                .next(hint(&["doctor", "--fix"], target.path())),
            (_, false) => Check::warn("litter", format!("{line}; not to be deleted now")),
        };
        report.found(&litter, false);
        report.add(check)?;
    }
    Ok(())
}

fn in_words(litter: &Litter) -> String {
    let kind = match litter.kind {
        LitterKind::TempFile => "temp file",
        LitterKind::Lockfile => "lockfile",
        LitterKind::Guard => "guard",
        LitterKind::InTheWay => "something in the way",
        LitterKind::KeptContent => "kept content",
        LitterKind::ProbeFolder => "doctor's probe folder",
        _ => litter.kind.code(),
    };
    format!("{} ({kind}): {}", litter.path.display(), litter.reason)
}

fn not_looked(error: &Error) -> Check {
    let next = "give this user the right to list the folder";
    Check::fail("litter", format!("could not be looked for: {error}")).next(next)
}

fn not_cleared(error: &Error) -> Check {
    let next = match error {
        Error::LockBusy { path, .. } => format!("{} shows who holds it", hint(&["status"], path)),
        _ => "run this as somebody who may delete it".to_owned(),
    };
    Check::fail("litter", format!("could not be cleared away: {error}")).next(next)
}
