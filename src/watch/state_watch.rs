//! [`RegistryWatch`]: the states of a registry, whichever store keeps it.

use std::fmt;
use std::iter::FusedIterator;

use crate::content::registry_v1::RegistryV1;
use crate::error::Result;
use crate::util::cancel::CancelToken;
use crate::warning::Warning;
use crate::watch::registry_watch::FileWatch;

/// One state of a registry, as [`read_registry`](crate::read_registry) returns it.
type State = Result<(RegistryV1, Vec<Warning>)>;

/// A watch of a registry, made by [`watch_registry`](crate::watch_registry). Dropping it closes everything that it opened.
///
/// The iteration ends after a failure, and when its [`cancel_token`](Self::cancel_token) is
/// cancelled.
#[derive(Debug)]
#[must_use = "nothing is watched once this value is dropped"]
pub struct RegistryWatch {
    source: Source,
    token: CancelToken,
    ended: bool,
}

enum Source {
    File(Box<FileWatch>),
    Store(Box<dyn FnMut() -> Option<State> + Send>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(watch) => watch.fmt(f),
            Source::Store(_) => f.write_str("Store"),
        }
    }
}

impl From<FileWatch> for RegistryWatch {
    fn from(watch: FileWatch) -> Self {
        let token = watch.cancel_token();
        RegistryWatch { source: Source::File(Box::new(watch)), token, ended: false }
    }
}

impl RegistryWatch {
    /// The watch of a store of another crate. `next` waits for the next state, and returns `None` once the
    /// token is cancelled. It is not called again after `None` or an error.
    #[doc(hidden)]
    pub fn of_states(
        token: CancelToken,
        next: impl FnMut() -> Option<State> + Send + 'static,
    ) -> Self {
        RegistryWatch { source: Source::Store(Box::new(next)), token, ended: false }
    }

    /// A token that ends the iteration from another thread: a [`next`](Iterator::next) that waits
    /// returns `None`, and so do all later calls.
    #[must_use]
    pub fn cancel_token(&self) -> CancelToken {
        self.token.clone()
    }
}

impl Iterator for RegistryWatch {
    type Item = State;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || self.token.is_cancelled() {
            return None;
        }
        let next = match &mut self.source {
            Source::File(watch) => watch.next(),
            Source::Store(next) => next(),
        };
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl FusedIterator for RegistryWatch {}
