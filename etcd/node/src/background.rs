//! Work on the threads that talk to the servers, as a promise of its result.

use std::future::Future;
use std::marker::PhantomData;

use argus_registry_etcd::addon_parts::{spawn, spawn_blocking};
use napi::bindgen_prelude::{Either, ToNapiValue};
use napi::{sys, Env, JsValue, Unknown};

use crate::convert::{AddonFailure, AddonResult};

/// What a call that works in the background returns: a promise of its result, which never rejects.
pub struct Background<'env, T> {
    value: Unknown<'env>,
    result: PhantomData<T>,
}

impl<T> ToNapiValue for Background<'_, T> {
    #[allow(unsafe_code, reason = "the trait declares it unsafe; nothing in it is")]
    unsafe fn to_napi_value(_: sys::napi_env, this: Self) -> napi::Result<sys::napi_value> {
        Ok(this.value.raw())
    }
}

/// Runs a future on the store's threads. A panic becomes a failure: without a result the caller would wait for ever.
/// If the JavaScript thread has ended when the work is over, the result is dropped.
pub(crate) fn in_background<T>(
    env: &Env,
    work: impl Future<Output = AddonResult<T>> + Send + 'static,
) -> napi::Result<Background<'_, AddonResult<T>>>
where
    T: ToNapiValue + Send + 'static,
{
    let (deferred, promise) = env.create_deferred()?;
    let work = spawn(work);
    spawn(async move {
        let result = match work.await {
            Ok(result) => result,
            Err(error) => Either::B(AddonFailure::defect(&error.to_string())),
        };
        deferred.resolve(move |env| Ok(result.into_unknown(&env)?.raw()));
    });
    Ok(Background { value: promise.into_unknown(env)?, result: PhantomData })
}

/// Runs work that waits for another thread of this process: the threads that talk to the servers must not wait.
pub(crate) async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> AddonResult<T> + Send + 'static,
) -> AddonResult<T> {
    let ended = spawn_blocking(work).await;
    ended.unwrap_or_else(|error| Either::B(AddonFailure::defect(&error.to_string())))
}
