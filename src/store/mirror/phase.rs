//! What a mirror's thread shares with those that have started it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::util::cancel::CancelToken;

/// What a mirror is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Another mirror works on the file, or the first round is not done.
    Waiting,
    Working,
    Ended,
}

/// What the mirror's thread shares with the value that stands for the mirror.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) stopped: CancelToken,
    phase: Mutex<Phase>,
}

impl Shared {
    pub(super) fn new(stopped: CancelToken) -> Self {
        Shared { stopped, phase: Mutex::new(Phase::Waiting) }
    }

    pub(super) fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, phase: Phase) {
        *self.phase() = phase;
        self.stopped.wake();
    }
}

/// What a mirror is doing, for a thread that has to wait for it.
#[derive(Debug, Clone)]
pub(crate) struct MirrorPhase(Arc<Shared>);

impl MirrorPhase {
    pub(super) fn of(shared: Arc<Shared>) -> Self {
        MirrorPhase(shared)
    }

    pub(crate) fn is_working(&self) -> bool {
        *self.0.phase() == Phase::Working
    }

    /// Waits until `is_ready` returns true, which is told whether the mirror works, or until it has ended.
    pub(crate) fn wait_until(&self, is_ready: impl Fn(bool) -> bool) {
        self.0.stopped.wait_until(None, || {
            let phase = *self.0.phase();
            phase == Phase::Ended || is_ready(phase == Phase::Working)
        });
    }

    pub(crate) fn cancel_token(&self) -> CancelToken {
        self.0.stopped.clone()
    }
}
