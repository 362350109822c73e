//! The threads on which this crate talks to servers.
//!
//! The callers' functions block. They may be called on a thread of any runtime of the caller's own, on which
//! `Runtime::block_on` would panic, so the caller's thread waits for a channel instead.

use std::future::Future;
use std::sync::{mpsc, OnceLock};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("argus-etcd").enable_all();
        // Each watch of JavaScript has one while it waits, and one that gets none would wait for ever.
        builder.max_blocking_threads(8192);
        builder.build().expect("the system has a thread for the client of etcd")
    })
}

/// Runs a future on the crate's threads, and waits for it.
pub fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (done, result) = mpsc::sync_channel(1);
    let task = runtime().spawn(async move {
        let _ = done.send(future.await);
    });
    match result.recv() {
        Ok(value) => value,
        // The task has ended without a value, so it has panicked.
        Err(_) => match runtime().block_on(task) {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => unreachable!("a task that ends without a value has panicked"),
        },
    }
}

/// Runs a future on the crate's threads, and waits for nothing.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    runtime().spawn(future)
}

/// Runs a function that blocks on a thread of its own, and waits for nothing.
pub fn spawn_blocking<T: Send + 'static>(
    function: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    runtime().spawn_blocking(function)
}
