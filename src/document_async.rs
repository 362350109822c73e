//! Documents from async code: the same calls, on the threads that tokio has for what blocks.
//!
//! Dropping a future cancels what it stands for. As long as that waits for a lock, it leaves the
//! line; once it has the lock, it looks once more before it writes; and from there on it is
//! finished on its thread, lock released and all, so that no half of it stays.

use std::future::Future;
use std::path::PathBuf;
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde::Serialize;
use tokio::task;

use crate::cancel::CancelToken;
use crate::document::{Document, Loaded};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::wait::LockOptions;

/// Needs the feature `tokio`, and to be called within a tokio runtime. The futures borrow
/// nothing, so that they can be spawned, and do nothing until they are polled. None blocks the
/// runtime's workers; each occupies one thread of its pool for blocking tasks until it is over.
impl<T, F> Document<T, F>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    F: Format + Clone + Send + Sync + 'static,
{
    /// [`load`](Self::load), for async callers. Source: ours.
    ///
    /// # Errors
    ///
    /// Those of `load`; [`Error::Aborted`] if the runtime shuts down.
    pub fn load_async(&self) -> impl Future<Output = Result<Loaded<T>>> + Send + 'static {
        let document = self.clone();
        in_background(self.path().to_path_buf(), move || document.load())
    }

    /// [`save`](Self::save), for async callers. Once it has begun, dropping the future doesn't stop
    /// it: it never waits, so it is done or has failed soon. Source: ours.
    ///
    /// # Errors
    ///
    /// Those of `save`; [`Error::Aborted`] if the runtime shuts down.
    pub fn save_async(&self, value: &mut T) -> impl Future<Output = Result<()>> + Send + 'static {
        let (document, printed) = (self.clone(), self.print(value));
        in_background(self.path().to_path_buf(), move || document.save_bytes(&printed?))
    }

    /// [`update`](Self::update), for async callers. Dropping the future before the file is
    /// replaced leaves no lock and no change; after that the update is in the file, whole. `updater`
    /// runs on a thread for blocking tasks. Source: ours.
    ///
    /// # Errors
    ///
    /// Those of `update`; [`Error::Aborted`] if the runtime shuts down.
    pub fn update_async<R, E>(
        &self,
        options: &LockOptions,
        updater: impl FnMut(&mut T) -> Result<R, E> + Send + 'static,
    ) -> impl Future<Output = Result<R, E>> + Send + 'static
    where
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let token = options.cancel.as_ref().map_or_else(CancelToken::new, CancelToken::child);
        let dropped = CancelOnDrop(token.clone());
        // The wait for a thread counts.
        let since = Some(options.since.unwrap_or_else(Instant::now));
        let options = LockOptions { since, cancel: Some(token), ..options.clone() };
        let document = self.clone();
        let updated =
            in_background(self.path().to_path_buf(), move || document.update(&options, updater));
        async move {
            let _dropped = dropped;
            updated.await
        }
    }
}

async fn in_background<R, E>(
    path: PathBuf,
    work: impl FnOnce() -> Result<R, E> + Send + 'static,
) -> Result<R, E>
where
    R: Send + 'static,
    E: From<Error> + Send + 'static,
{
    match task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and has not begun it.
            Err(_) => Err(Error::Aborted { path }.into()),
        },
    }
}

/// Cancels when the future that owns it is dropped. One that is finished has nothing left to
/// cancel.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
