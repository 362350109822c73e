//! Documents from async code: the same calls, each on a thread of its own for as long as it takes.
//!
//! Not on the threads that the runtime has for what blocks. Those are limited, so calls that wait
//! for one document's lock would keep all others waiting, past their timeouts, and for ever if
//! whoever holds that lock needs such a thread himself.
//!
//! Dropping a future cancels what it stands for. As long as that waits for a lock, it leaves the
//! line; once it has the lock, it looks once more before it writes; and from there on it is
//! finished on its thread, lock released and all, so that no half of it stays.

use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::thread;

use serde::de::DeserializeOwned;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::document::definition::{Document, Loaded};
use crate::document::format::Format;
use crate::error::{Error, Result};
use crate::lock::wait::LockOptions;
use crate::util::cancel::CancelToken;

/// Needs the feature `tokio`. The futures borrow nothing, so that they can be spawned; they begin
/// when they are first polled, and block no worker of the runtime. Dropping one before the file is
/// replaced leaves no lock and no change.
impl<T, F> Document<T, F>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    F: Format + Clone + Send + Sync + 'static,
{
    /// [`load_with`](Self::load_with), for async callers. Source: ours.
    ///
    /// # Errors
    ///
    /// Those of `load_with`; [`Error::Io`] if there is no thread to be had.
    pub fn load_async(
        &self,
        options: &LockOptions,
    ) -> impl Future<Output = Result<Loaded<T>>> + Send + 'static {
        self.in_background(options, |document, options| document.load_with(&options))
    }

    /// [`save_with`](Self::save_with), for async callers. The value is put in order and spelled at
    /// once. Source: ours.
    ///
    /// # Errors
    ///
    /// Those of `save_with`; [`Error::Io`] if there is no thread to be had.
    pub fn save_async(
        &self,
        options: &LockOptions,
        value: &mut T,
    ) -> impl Future<Output = Result<()>> + Send + 'static {
        let printed = self.print(value);
        self.in_background(options, |document, options| document.save_bytes(&options, &printed?))
    }

    /// [`update`](Self::update), for async callers. `updater` runs on the call's own thread. Source:
    /// ours.
    ///
    /// # Errors
    ///
    /// Those of `update`; [`Error::Io`] if there is no thread to be had.
    pub fn update_async<R, E>(
        &self,
        options: &LockOptions,
        updater: impl FnMut(&mut T) -> Result<R, E> + Send + 'static,
    ) -> impl Future<Output = Result<R, E>> + Send + 'static
    where
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.in_background(options, |document, options| document.update(&options, updater))
    }

    fn in_background<R, E>(
        &self,
        options: &LockOptions,
        work: impl FnOnce(Self, LockOptions) -> Result<R, E> + Send + 'static,
    ) -> impl Future<Output = Result<R, E>> + Send + 'static
    where
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let document = self.clone();
        let token = options.cancel.as_ref().map_or_else(CancelToken::new, CancelToken::child);
        let options = LockOptions { cancel: Some(token.clone()), ..options.clone() };
        async move {
            let _dropped = CancelOnDrop(token);
            let path = document.path().to_path_buf();
            on_a_thread(&path, move || work(document, options)).await
        }
    }
}

async fn on_a_thread<R, E>(
    path: &Path,
    work: impl FnOnce() -> Result<R, E> + Send + 'static,
) -> Result<R, E>
where
    R: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let (tell, told) = oneshot::channel();
    let spawned = thread::Builder::new().name("argus-document".into()).spawn(move || {
        // Nobody to tell it to: the future was dropped.
        let _ = tell.send(panic::catch_unwind(AssertUnwindSafe(work)));
    });
    if let Err(error) = spawned {
        return Err(Error::from_io(path, "start a thread for", error).into());
    }
    match told.await.expect("the thread tells, whatever happens") {
        Ok(result) => result,
        Err(panic) => panic::resume_unwind(panic),
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
