//! Reading a registry.

use argus_registry::{LockState, RegistryV1, Result, Warning};
use argus_registry_etcd::addon_parts::{self as parts, wait};
use argus_registry_etcd::EtcdStore;
use napi::Env;
use napi_derive::napi;

use crate::background::{in_background, Background};
use crate::convert::{addon_result, AddonResult, HolderInfo};
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

impl From<&Warning> for CoreWarning {
    fn from(warning: &Warning) -> Self {
        CoreWarning {
            code: warning.code(),
            path: warning.path().to_string_lossy().into_owned(),
            message: warning.to_string(),
        }
    }
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
        let damaged = others.map(CoreWarning::from).collect();
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

/// What `inspectLock` returns.
#[napi(object, object_from_js = false)]
pub struct LockReport {
    /// The registry.
    pub path: String,
    /// What was found.
    #[napi(ts_type = "'free' | 'held'")]
    pub state: &'static str,
    /// The holder.
    pub holder: Option<HolderInfo>,
    /// What excludes two holders.
    #[napi(ts_type = "'lease'")]
    pub guarantee: &'static str,
}

/// Looks at a registry's lock. No age makes it stale: the servers remove it when its lease ends.
#[napi(catch_unwind)]
pub fn inspect(
    env: &Env,
    path: String,
    _stale_ms: f64,
) -> napi::Result<Background<'_, AddonResult<LockReport>>> {
    let status = async move { parts::inspect_lock(store(&path)?).await };
    in_background(env, async {
        addon_result(status.await, |status| LockReport {
            path: status.path.to_string_lossy().into_owned(),
            state: match status.state {
                LockState::Held => "held",
                // Without its lease a lock is gone: none is stale.
                _ => "free",
            },
            holder: status.holder.as_ref().map(HolderInfo::from),
            guarantee: "lease",
        })
    })
}
