//! The registries that are open in this process, each by its path.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use argus_registry::{Error, Result};
use argus_registry_etcd::addon_parts::{self as parts};
use argus_registry_etcd::{EtcdOptions, EtcdStore};
use napi_derive::napi;

use crate::convert::{addon_result, lock, AddonResult};
use crate::options;

/// An open registry, and the options that it was opened with, as JSON.
struct Opened {
    store: EtcdStore,
    options: String,
}

static OPENED: Mutex<Option<HashMap<String, Opened>>> = Mutex::new(None);

/// The options of a registry that was not configured.
const NO_OPTIONS: &str = "{}";

/// The one name of a registry.
pub(crate) fn resolved(path: &str) -> Result<String> {
    Ok(parts::resolve(Path::new(path))?.to_string_lossy().into_owned())
}

/// The registry at a path. All calls of the process have the same connections.
pub(crate) fn store(path: &str) -> Result<EtcdStore> {
    let name = resolved(path)?;
    let mut opened = lock(&OPENED);
    let opened = opened.get_or_insert_default();
    if let Some(known) = opened.get(&name) {
        return Ok(known.store.clone());
    }
    let store = parts::open(EtcdOptions::of_path(&name)?, None)?;
    opened.insert(name, Opened { store: store.clone(), options: NO_OPTIONS.to_owned() });
    Ok(store)
}

/// Opens a registry with options, of which the package's `index.d.ts` tells, as JSON. To be called before its first
/// other call: what is known of its claims would be forgotten otherwise.
#[napi(catch_unwind)]
pub fn configure(path: String, options: String) -> AddonResult<()> {
    addon_result(configured(&path, options), |()| ())
}

fn configured(path: &str, options: String) -> Result<()> {
    let name = resolved(path)?;
    let mut opened = lock(&OPENED);
    let opened = opened.get_or_insert_default();
    match opened.get(&name) {
        Some(known) if known.options == options => return Ok(()),
        Some(_) => {
            let reason =
                "it is in use already with other options; configure it once, before its first call";
            return Err(Error::InvalidValue { path: name.into(), reason: reason.to_owned() });
        }
        None => {}
    }
    let store = options::open(&name, &options)?;
    opened.insert(name, Opened { store, options });
    Ok(())
}

/// The one name of a registry: the servers and the prefix, without what has no meaning.
#[napi(catch_unwind)]
pub fn resolve(path: String) -> AddonResult<String> {
    addon_result(resolved(&path), |name| name)
}
