//! What the queue of waiters knows of a caller's wait.

use std::time::Instant;

use crate::util::cancel::CancelToken;

pub(crate) struct Wait {
    pub(crate) deadline: Option<Instant>,
    pub(crate) token: CancelToken,
    pub(crate) policy: WaitPolicy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitPolicy {
    Block,
    BlockInKernel,
}

impl Wait {
    pub(crate) fn may_block(&self) -> bool {
        true
    }
}
