//! Work off the JavaScript thread, and off libuv's four threads, which the process needs for its
//! own file operations.

use std::cell::Cell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::{Either, ToNapiValue};
use napi::{Env, Unknown};
use napi_derive::napi;
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

fn pool(most: usize) -> Runtime {
    // Only for its threads: they come with the work, go when idle, and keep no process alive.
    Builder::new_current_thread()
        .max_blocking_threads(most)
        .thread_name("argus-registry")
        .thread_keep_alive(Duration::from_secs(2))
        .thread_stack_size(256 * 1024)
        .build()
        .expect("a runtime without drivers needs nothing")
}

/// As many registries can be waited for at once by one process; more wait for their turn to wait.
const MOST_WAITS: usize = 8192;

/// As many commits and reads run at once.
const MOST_WORK: usize = 64;

static WAITS: LazyLock<Runtime> = LazyLock::new(|| pool(MOST_WAITS));
static WORK: LazyLock<Runtime> = LazyLock::new(|| pool(MOST_WORK));

thread_local! {
    static ASKS: Cell<bool> = const { Cell::new(false) };
}

/// From here on, work for this thread returns a [`Ticket`] instead of a promise. `lib/background.js`
/// says who needs that.
#[napi]
pub fn return_tickets() {
    ASKS.set(true);
}

type Convert = Box<dyn for<'a> FnOnce(&'a Env) -> napi::Result<Unknown<'a>> + Send>;

/// Work whose end has to be asked for.
#[napi]
pub struct Ticket {
    /// What came of the work, once it is over.
    outcome: Arc<Mutex<Option<Convert>>>,
}

#[napi]
impl Ticket {
    /// Whether the work is over.
    #[napi]
    pub fn is_over(&self) -> bool {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What came of it; to be asked for once, when it is over.
    #[napi]
    pub fn take<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        match outcome {
            Some(convert) => convert(env),
            None => {
                Failure::internal("a defect of argus-registry: asked too early").into_unknown(env)
            }
        }
    }
}

/// Runs `work` on a thread of a pool; the promise resolves with what it returns, and never
/// rejects. If the JavaScript thread has ended by then, the value is dropped.
pub(super) fn in_background<T>(
    env: &Env,
    pool: Pool,
    work: impl FnOnce() -> Either<T, Failure> + Send + 'static,
) -> napi::Result<Unknown<'_>>
where
    T: ToNapiValue + Send + 'static,
{
    if ASKS.get() {
        let outcome: Arc<Mutex<Option<Convert>>> = Arc::default();
        let ticket = Ticket { outcome: outcome.clone() };
        run(pool, work, move |value| {
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Box::new(move |env| value.into_unknown(env)));
        });
        return ticket.into_unknown(env);
    }
    let (deferred, promise) = env.create_deferred()?;
    run(pool, work, move |value| deferred.resolve(move |_| Ok(value)));
    promise.into_unknown(env)
}

/// Runs `work` on a thread of a pool, and tells what came of it, whatever happens.
fn run<T: Send + 'static>(
    pool: Pool,
    work: impl FnOnce() -> Either<T, Failure> + Send + 'static,
    tell: impl FnOnce(Either<T, Failure>) + Send + 'static,
) {
    let runtime = match pool {
        Pool::Waits => &WAITS,
        Pool::Work => &WORK,
    };
    // Shared, so that there is still somebody to tell if no thread is to be had.
    let task = Arc::new(Mutex::new(Some((work, tell))));
    let settle = move |refused: Option<Failure>| {
        let taken = task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((work, tell)) = taken else { return };
        tell(match refused {
            Some(failure) => Either::B(failure),
            // Nothing at all would be worse than an odd error.
            None => catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                Either::B(Failure::internal("a defect of argus-registry: its thread panicked"))
            }),
        });
    };
    let in_thread = settle.clone();
    // Tokio panics if the system refuses the first thread, and a panic here would end the process.
    let spawned =
        catch_unwind(AssertUnwindSafe(|| runtime.spawn_blocking(move || in_thread(None))));
    if spawned.is_err() {
        settle(Some(Failure::internal("the system refused another thread to this process")));
    }
}
