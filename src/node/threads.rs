//! Work off the JavaScript thread, and off libuv's four threads, which the process needs for its
//! own file operations.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::ToNapiValue;
use napi::{sys, Env, JsValue, Unknown};
use napi_derive::napi;

use super::convert::{AddonFailure, AddonResult};
use super::panics::contain;
use crate::util::thread_pool::{Dispatch, ThreadPool};

/// The threads that do a piece of work. Two pools: if calls that wait for locks filled all threads,
/// the commit that would end their wait would find none.
#[derive(Clone, Copy)]
pub(super) enum WorkerPool {
    /// For calls that may wait for a lock.
    LockWaits,
    /// For calls that only read or write files.
    FileWork,
}

/// The number of registries that one process can wait for at once; further waits start when one of
/// them ends.
const LOCK_WAIT_THREADS: usize = 8192;

/// The number of commits and reads that run at once.
const FILE_WORK_THREADS: usize = 64;

/// The stack of a thread: enough for the calls of this library, where thousands of threads may wait
/// for locks at once.
const STACK_BYTES: usize = 256 * 1024;

static LOCK_WAITS: ThreadPool = ThreadPool::new(LOCK_WAIT_THREADS, STACK_BYTES);
static FILE_WORK: ThreadPool = ThreadPool::new(FILE_WORK_THREADS, STACK_BYTES);

thread_local! {
    static POLLS: Cell<bool> = const { Cell::new(false) };
}

/// From here on, calls of this thread that work in the background return a [`PolledWork`] in place
/// of a promise. `lib/addon/background.js` says which threads need that.
#[napi(catch_unwind)]
pub fn return_polled_work() {
    POLLS.set(true);
}

/// Makes the JavaScript value of a result, on the thread that JavaScript runs on.
pub(super) type MakeValue = Box<dyn for<'a> FnOnce(&'a Env) -> napi::Result<Unknown<'a>> + Send>;

/// Work in the background that JavaScript asks whether it is over.
#[napi]
pub struct PolledWork {
    /// The result, once the work is over.
    result: Arc<Mutex<Option<MakeValue>>>,
}

#[napi]
impl PolledWork {
    /// Whether the work is over.
    #[napi(catch_unwind)]
    pub fn is_over(&self) -> bool {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The result. To be called once, when the work is over.
    #[napi(catch_unwind)]
    pub fn take<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        match result {
            Some(make_value) => make_value(env),
            None => AddonFailure::defect("asked too early").into_unknown(env),
        }
    }
}

/// What a call that works in the background returns: a promise of its result, which never rejects,
/// or a [`PolledWork`] for a thread that has asked for that; or the result itself, if a call has it
/// already.
pub struct Background<'env, T> {
    value: Unknown<'env>,
    result: PhantomData<T>,
}

impl<'env, T> Background<'env, T> {
    fn new(value: Unknown<'env>) -> Self {
        Background { value, result: PhantomData }
    }

    /// A result that a call has already.
    pub(super) fn ready(env: &'env Env, result: T) -> napi::Result<Self>
    where
        T: ToNapiValue,
    {
        Ok(Background::new(result.into_unknown(env)?))
    }
}

impl<T> ToNapiValue for Background<'_, T> {
    #[allow(unsafe_code, reason = "the trait declares it unsafe; nothing in it is")]
    unsafe fn to_napi_value(_: sys::napi_env, this: Self) -> napi::Result<sys::napi_value> {
        Ok(this.value.raw())
    }
}

/// Runs `work` on a thread of a pool. If the JavaScript thread has ended when the work is over, the
/// result is dropped.
pub(super) fn in_background<T>(
    env: &Env,
    pool: WorkerPool,
    work: impl FnOnce() -> AddonResult<T> + Send + 'static,
) -> napi::Result<Background<'_, AddonResult<T>>>
where
    T: ToNapiValue + Send + 'static,
{
    // From here on nothing depends on the kind of value, or all of it would be compiled for each.
    start_work(env, pool, Box::new(|| value_of(work()))).map(Background::new)
}

pub(super) fn value_of(value: impl ToNapiValue + Send + 'static) -> MakeValue {
    Box::new(move |env| value.into_unknown(env))
}

/// Settles a promise, from any thread.
pub(super) type SettlePromise = Box<dyn FnOnce(MakeValue) + Send>;

/// A promise, or what this thread uses in its place, and how to settle it.
pub(super) fn promise<T>(env: &Env) -> napi::Result<(SettlePromise, Background<'_, T>)> {
    let (settle, value) = untyped_promise(env)?;
    Ok((settle, Background::new(value)))
}

fn untyped_promise(env: &Env) -> napi::Result<(SettlePromise, Unknown<'_>)> {
    if POLLS.get() {
        let result: Arc<Mutex<Option<MakeValue>>> = Arc::default();
        let work = PolledWork { result: result.clone() };
        let settle = move |value| {
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        };
        return Ok((Box::new(settle), work.into_unknown(env)?));
    }
    let (deferred, promise) = env.create_deferred()?;
    let settle =
        move |make_value: MakeValue| deferred.resolve(move |env| Ok(make_value(&env)?.raw()));
    Ok((Box::new(settle), promise.into_unknown(env)?))
}

fn start_work(
    env: &Env,
    pool: WorkerPool,
    work: Box<dyn FnOnce() -> MakeValue + Send>,
) -> napi::Result<Unknown<'_>> {
    let (settle, promise) = untyped_promise(env)?;
    run(pool, work, settle);
    Ok(promise)
}

/// Runs `work` on a thread of a pool and settles the promise with its result, even if the work
/// panics or no thread can be started.
pub(super) fn run(
    pool: WorkerPool,
    work: Box<dyn FnOnce() -> MakeValue + Send>,
    settle: SettlePromise,
) {
    let pool = match pool {
        WorkerPool::LockWaits => &LOCK_WAITS,
        WorkerPool::FileWork => &FILE_WORK,
    };
    pool.run(Box::new(move |called| {
        settle(match called {
            Dispatch::Refused => {
                value_of(AddonFailure::refused("the system refused another thread to this process"))
            }
            // Without a result the caller would wait for ever.
            Dispatch::PoolThread => contain(work).unwrap_or_else(|failure| value_of(*failure)),
        });
    }));
}
