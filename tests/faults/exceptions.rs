//! What is expected to be otherwise, by name and with its reason. Each is counted, and one that no case
//! meets is reported by a full run: it is no exception any more.

use crate::fault::Fault;
use crate::operation::Operation;

/// An expected exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exception {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
}

type Applies = fn(&Operation, Fault, &str, &str, &str) -> bool;

/// The exception, and whether it is met: by operation, fault, call, the call's file and the violation.
pub(crate) const EXCEPTIONS: &[(Exception, Applies)] = &[];

pub(crate) fn find(
    operation: &Operation,
    fault: Fault,
    call: &str,
    target: &str,
    violation: &str,
) -> Option<Exception> {
    let met = EXCEPTIONS.iter().find(|(_, applies)| applies(operation, fault, call, target, violation));
    met.map(|(exception, _)| *exception)
}
