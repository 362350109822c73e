//! Reading a registry.

use argus_registry::{RegistryV1, Result, Warning};
use argus_registry_etcd::addon_parts::{self as parts, wait};
use argus_registry_etcd::EtcdStore;
use napi::Env;
use napi_derive::napi;

use crate::background::{in_background, Background};
use crate::convert::{addon_result, AddonResult};
use crate::stores::store;

/// A warning of the store.
#[napi(object, object_from_js = false)]
pub struct CoreWarning {
    /// The stable code.
    #[napi(ts_type = "RegistryWarning['code']")]
    pub code: &'static str,
    /// What it is about.
    pub path: String,
    /// The whole message.
    pub message: String,
}

/// A registry as JavaScript reads it.
#[napi(object, object_from_js = false)]
pub struct RegistryText {
    /// Missing if there is no registry.
    pub text: Option<String>,
    /// Whether there is a registry.
    pub exists: bool,
    /// What can't be read of it.
    pub damaged: Vec<CoreWarning>,
}

impl RegistryText {
    /// A registry, and the warnings of its reading.
    pub(crate) fn of((registry, warnings): (RegistryV1, Vec<Warning>)) -> Self {
        let is_missing = |warning: &Warning| matches!(warning, Warning::Missing { .. });
        let exists = !warnings.iter().any(is_missing);
        let others = warnings.iter().filter(|warning| !is_missing(warning));
        let damaged = others.map(|warning| CoreWarning {
            code: warning.code(),
            path: warning.path().to_string_lossy().into_owned(),
            message: warning.to_string(),
        });
        let damaged = damaged.collect();
        RegistryText { text: exists.then(|| registry.to_json()), exists, damaged }
    }
}

async fn read_text(store: Result<EtcdStore>) -> AddonResult<RegistryText> {
    let read = async { parts::read(store?).await };
    addon_result(read.await, RegistryText::of)
}

/// Reads a registry, on the calling thread.
#[napi(catch_unwind)]
pub fn read_registry_sync(path: String) -> AddonResult<RegistryText> {
    wait(read_text(store(&path)))
}

/// Reads a registry, off the calling thread.
#[napi(catch_unwind)]
pub fn read_registry(
    env: &Env,
    path: String,
) -> napi::Result<Background<'_, AddonResult<RegistryText>>> {
    in_background(env, read_text(store(&path)))
}
