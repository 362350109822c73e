//! What is expected to be otherwise, by name and with its reason. Each is counted, and one that no case
//! meets is reported by a full run: it is no exception any more.

use nix::errno::Errno;

use super::fault::Fault;
use super::operation::{Kind, Operation};

/// An expected exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exception {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
}

type Applies = fn(&Operation, Fault, &str, &str, &str) -> bool;

/// The exception, and whether it is met: by operation, fault, call, the call's file and the violation.
pub(crate) const EXCEPTIONS: &[(Exception, Applies)] = &[
    (
        Exception {
            name: "an empty lockfile without hard links",
            reason: "killed after the lockfile was made and before its record was in it, or not able to \
                     remove it: it looks like one of an older argus until it is stale",
        },
        |operation, fault, call, target, _| {
            operation.name.contains("no hard links")
                && (fault.kills() || matches!(fault, Fault::FromThenOn(_)))
                && call == "pwrite64"
                && target.ends_with(".lock")
        },
    ),
    (
        Exception {
            name: "a young temp file without kernel locks",
            reason: "without a kernel lock a live process may still be writing it, so it is removed when it \
                     is older than the stale threshold",
        },
        |operation, _, _, _, violation| {
            operation.name.contains("no kernel locks") && violation.starts_with("litter: {\".registry")
        },
    ),
    (
        Exception {
            name: "a claim that its maker could not remove, without kernel locks",
            reason: "killed, failing from then on, or told that the claim was not made: while it is young no \
                     other process removes it, because its maker can't be known to be dead",
        },
        |operation, fault, _, _, violation| {
            operation.name == "update: no kernel locks, lockfile of a dead holder"
                && violation.contains("LOCK_BUSY")
                && !matches!(fault, Fault::Once(_) | Fault::Short)
        },
    ),
    (
        Exception {
            name: "the doctor's folder without the record in it",
            reason: "killed between making the folder and writing the record, or between removing both, or not \
                     able to write or remove anything from then on: it is removed after an hour, because its \
                     maker is not known to be dead",
        },
        |_, fault, _, _, violation| {
            violation.starts_with("litter: {\".argus-registry-probe-")
                && (fault.kills() || matches!(fault, Fault::FromThenOn(_)))
        },
    ),
    (
        Exception {
            name: "an entry that the user may not read",
            reason: "like a damaged entry it is in no registry that is read, and no call on others is refused \
                     for it: a warning names it",
        },
        |operation, fault, call, target, violation| {
            let is_of_an_entry = ["openat", "statx"].contains(&call) && target.ends_with(".json");
            operation.kind == Kind::Folder
                && match fault {
                    Fault::Once(Errno::EACCES) => is_of_an_entry,
                    Fault::FromThenOn(Errno::EACCES) => true,
                    _ => false,
                }
                && ["and not there", "nor new", "pruned []", "pruned 0"].iter().any(|text| violation.contains(text))
        },
    ),
    (
        Exception {
            name: "a heartbeat that has dated its entry",
            reason: "it can't tell whether the entry was lost, and says that it has failed; that the watcher \
                     lived is true",
        },
        |operation, _, call, _, violation| {
            operation.name.contains("heartbeat")
                && operation.kind == Kind::Folder
                && call == "fstat"
                && violation.contains("renew an entry of")
        },
    ),
];

pub(crate) fn find(
    operation: &Operation,
    fault: Fault,
    call: &str,
    target: &str,
    violation: &str,
) -> Option<Exception> {
    let met =
        EXCEPTIONS.iter().find(|(_, applies)| applies(operation, fault, call, target, violation));
    met.map(|(exception, _)| *exception)
}
