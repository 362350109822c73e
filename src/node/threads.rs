//! Work off the JavaScript thread, and off libuv's four threads, which the process needs for its
//! own file operations.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::LazyLock;

use napi::bindgen_prelude::{Either, Object, ToNapiValue};
use napi::Env;
use tokio::runtime::{Builder, Runtime};

use super::convert::Failure;

/// Which threads do it. Two pools, or calls that wait for locks could fill all threads, and the
/// commit that would end their wait would find none.
#[derive(Clone, Copy)]
pub(super) enum Pool {
    /// Calls that may wait for a lock.
    Waits,
    /// Calls that only do what they have to.
    Work,
}

fn pool() -> Runtime {
    // Only for its threads: they come with the work, go when idle, and keep no process alive.
    Builder::new_current_thread().build().expect("a runtime without drivers needs nothing")
}

static WAITS: LazyLock<Runtime> = LazyLock::new(pool);
static WORK: LazyLock<Runtime> = LazyLock::new(pool);

/// Runs `work` on a thread of a pool; the promise resolves with what it returns, and never
/// rejects. If the JavaScript thread has ended by then, the value is dropped.
pub(super) fn in_background<T>(
    env: &Env,
    pool: Pool,
    work: impl FnOnce() -> Either<T, Failure> + Send + 'static,
) -> napi::Result<Object<'_>>
where
    T: ToNapiValue + Send + 'static,
{
    let (deferred, promise) = env.create_deferred()?;
    let runtime = match pool {
        Pool::Waits => &WAITS,
        Pool::Work => &WORK,
    };
    runtime.spawn_blocking(move || {
        // A promise that never settles would be worse than an odd error.
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Either::B(Failure::internal("a defect of argus-registry: its thread panicked"))
        });
        deferred.resolve(move |_| Ok(outcome));
    });
    Ok(promise)
}
