//! Documents from async code. Each call of an async function runs the blocking call on a separate
//! thread, which ends with it.
//!
//! The runtime's threads for blocking calls would not do. Their number is limited, so calls that wait
//! for one document's lock would delay all other blocking calls past their timeouts. If the lock's
//! holder needs such a thread to finish, all of them would wait for ever.
//!
//! Dropping a future cancels its call. While the call waits for the lock, it leaves the queue. When it
//! has the lock, it checks once more before it writes. After that check the call completes on its
//! thread and releases the lock, so that it never stops halfway.

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
use crate::lock::reentry::UpdateScope;
use crate::lock::wait::LockOptions;
use crate::util::cancel::CancelToken;

/// Needs the feature `tokio`. The futures borrow nothing, so that they can be spawned. They begin when
/// they are first polled, and block no worker of the runtime. An updater that blocks on such a future of
/// its own document on its own thread gets [`Error::ReEntrant`], as from the blocking call. If a future is dropped before the file is
/// replaced, no lock and no change remains.
impl<T, F> Document<T, F>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    F: Format + Clone + Send + Sync + 'static,
{
    /// Like [`load_with`](Self::load_with), for async callers.
    ///
    /// # Errors
    ///
    /// Those of `load_with`; [`Error::Io`] if the system refuses a thread.
    pub fn load_async(
        &self,
        options: &LockOptions,
    ) -> impl Future<Output = Result<Loaded<T>>> + Send + 'static {
        let takes_lock = self.load_takes_lock();
        self.in_background(options, takes_lock, |document, options| document.load_with(&options))
    }

    /// Like [`save_with`](Self::save_with), for async callers. The value is put in its canonical order
    /// and printed before this function returns the future.
    ///
    /// # Errors
    ///
    /// Those of `save_with`; [`Error::Io`] if the system refuses a thread.
    pub fn save_async(
        &self,
        options: &LockOptions,
        value: &mut T,
    ) -> impl Future<Output = Result<()>> + Send + 'static {
        let printed = self.print_to_save(value);
        self.in_background(options, true, |document, options| {
            document.save_bytes(&options, &printed?)
        })
    }

    /// Like [`update`](Self::update), for async callers. `updater` runs on the call's separate thread.
    ///
    /// # Errors
    ///
    /// Those of `update`; [`Error::Io`] if the system refuses a thread.
    pub fn update_async<R, E>(
        &self,
        options: &LockOptions,
        updater: impl FnMut(&mut T) -> Result<R, E> + Send + 'static,
    ) -> impl Future<Output = Result<R, E>> + Send + 'static
    where
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.in_background(options, true, |document, options| document.update(&options, updater))
    }

    fn in_background<R, E>(
        &self,
        options: &LockOptions,
        takes_lock: bool,
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
            if takes_lock && UpdateScope::is_inside_any() {
                document.refuse_inside_updater()?;
            }
            run_on_new_thread(&path, move || work(document, options)).await
        }
    }
}

impl<T, F> Document<T, F> {
    /// Fails on a thread that runs an updater under this document's lock. A future is polled there if
    /// the updater blocks on it. The updater would then wait for the call, which waits for the lock.
    fn refuse_inside_updater(&self) -> Result<()> {
        let paths = self.paths()?;
        let lock = self.lock.resolve(&paths)?;
        UpdateScope::refuse_inside(lock.identity(&paths), &self.path)
    }
}

async fn run_on_new_thread<R, E>(
    path: &Path,
    work: impl FnOnce() -> Result<R, E> + Send + 'static,
) -> Result<R, E>
where
    R: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let spawned = thread::Builder::new().name("argus-document".into()).spawn(move || {
        // Sending fails if the future was dropped, which then needs no result.
        let _ = sender.send(panic::catch_unwind(AssertUnwindSafe(work)));
    });
    if let Err(error) = spawned {
        return Err(Error::from_io(path, "start a thread for", error).into());
    }
    match receiver.await.expect("the thread sends a result, also after a panic") {
        Ok(result) => result,
        Err(panic) => panic::resume_unwind(panic),
    }
}

/// Cancels the token when the future that owns this value is dropped. After the call has completed, the
/// token cancels nothing.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
