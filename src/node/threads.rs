//! Work off the JavaScript thread, and off libuv's four threads, which the process needs for its
//! own file operations.

use std::cell::Cell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::{Either, ToNapiValue};
use napi::{Env, JsValue, Unknown};
use napi_derive::napi;

use super::convert::Failure;
use crate::util::thread_pool::{Dispatch, ThreadPool};

/// Which threads do it. Two pools, or calls that wait for locks could fill all threads, and the
/// commit that would end their wait would find none.
#[derive(Clone, Copy)]
pub(super) enum Pool {
    /// Calls that may wait for a lock.
    Waits,
    /// Calls that only do what they have to.
    Work,
}

/// As many registries can be waited for at once by one process; more wait for their turn to wait.
const MOST_WAITS: usize = 8192;

/// As many commits and reads run at once.
const MOST_WORK: usize = 64;

/// Enough for what is done here, where thousands of threads may wait for locks at once.
pub(super) const STACK_BYTES: usize = 256 * 1024;

static WAITS: ThreadPool = ThreadPool::new(MOST_WAITS, STACK_BYTES);
static WORK: ThreadPool = ThreadPool::new(MOST_WORK, STACK_BYTES);

thread_local! {
    static ASKS: Cell<bool> = const { Cell::new(false) };
}

/// From here on, work for this thread returns a [`Ticket`] instead of a promise. `lib/addon/background.js`
/// says who needs that.
#[napi]
pub fn return_tickets() {
    ASKS.set(true);
}

pub(super) type Convert = Box<dyn for<'a> FnOnce(&'a Env) -> napi::Result<Unknown<'a>> + Send>;

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
    // From here on nothing depends on the kind of value, or all of it would be compiled for each.
    begin(env, pool, Box::new(|| conversion(work())))
}

pub(super) fn conversion(value: impl ToNapiValue + Send + 'static) -> Convert {
    Box::new(move |env| value.into_unknown(env))
}

/// Settles a promise, from any thread.
pub(super) type Settle = Box<dyn FnOnce(Convert) + Send>;

/// A promise, or what this thread uses in its place, and how to settle it.
pub(super) fn promise(env: &Env) -> napi::Result<(Settle, Unknown<'_>)> {
    if ASKS.get() {
        let outcome: Arc<Mutex<Option<Convert>>> = Arc::default();
        let ticket = Ticket { outcome: outcome.clone() };
        let settle = move |value| {
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        };
        return Ok((Box::new(settle), ticket.into_unknown(env)?));
    }
    let (deferred, promise) = env.create_deferred()?;
    let settle = move |convert: Convert| deferred.resolve(move |env| Ok(convert(&env)?.raw()));
    Ok((Box::new(settle), promise.into_unknown(env)?))
}

fn begin(
    env: &Env,
    pool: Pool,
    work: Box<dyn FnOnce() -> Convert + Send>,
) -> napi::Result<Unknown<'_>> {
    let (settle, promise) = promise(env)?;
    run(pool, work, settle);
    Ok(promise)
}

/// Runs `work` on a thread of a pool, and tells what came of it, whatever happens.
pub(super) fn run(pool: Pool, work: Box<dyn FnOnce() -> Convert + Send>, tell: Settle) {
    let pool = match pool {
        Pool::Waits => &WAITS,
        Pool::Work => &WORK,
    };
    pool.run(Box::new(move |dispatch| {
        tell(match dispatch {
            Dispatch::Refused => {
                conversion(Failure::internal("the system refused another thread to this process"))
            }
            // Nothing at all would be worse than an odd error.
            Dispatch::PoolThread => catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                conversion(Failure::internal("a defect of argus-registry: its thread panicked"))
            }),
        });
    }));
}
