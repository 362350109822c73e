//! Reading the registry at a path, a file or a folder.

use std::path::Path;

use napi::Env;
use napi_derive::napi;

use super::convert::{addon_result, AddonResult};
use super::threads::{in_background, Background, WorkerPool};
use super::FileText;
use crate::error::Result;
use crate::files::paths::is_folder;
use crate::files::shared_file;
use crate::folder::layout::FolderPaths;
use crate::folder::listing;
use crate::warning::Warning;

/// A warning of the core.
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
    /// Missing if there is no registry, or if a file's bytes are not UTF-8.
    pub text: Option<String>,
    /// Whether there is a registry.
    pub exists: bool,
    /// The entries of a folder that can't be read.
    pub damaged: Vec<CoreWarning>,
}

impl RegistryText {
    /// What a content is to JavaScript, which finds out by itself what a text or its absence means.
    pub(super) fn of(content: Option<&[u8]>, warnings: &[Warning]) -> Self {
        let FileText { text, exists } = FileText::of_bytes(content);
        let damaged = warnings.iter().filter_map(|warning| match warning {
            Warning::DamagedEntry { .. } => Some(warning.into()),
            _ => None,
        });
        RegistryText { text, exists, damaged: damaged.collect() }
    }
}

fn read_text(path: &Path) -> Result<RegistryText> {
    if is_folder(path) {
        let (text, warnings) = listing::read_text(&FolderPaths::resolve(path)?)?;
        return Ok(RegistryText::of(text.as_deref().map(str::as_bytes), &warnings));
    }
    let content = shared_file::read(path)?;
    Ok(RegistryText::of(content.as_ref().map(|content| &*content.bytes), &[]))
}

/// Reads a registry without a lock, on the calling thread.
#[napi(catch_unwind)]
pub fn read_registry_sync(path: String) -> AddonResult<RegistryText> {
    addon_result(read_text(path.as_ref()), |text| text)
}

/// Reads a registry without a lock, off the calling thread.
#[napi(catch_unwind)]
pub fn read_registry(
    env: &Env,
    path: String,
) -> napi::Result<Background<'_, AddonResult<RegistryText>>> {
    in_background(env, WorkerPool::FileWork, move || {
        addon_result(read_text(path.as_ref()), |text| text)
    })
}
