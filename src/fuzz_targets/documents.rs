//! Rewriting the text of a document, beside printing its value.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::inputs::texts;
use crate::document::format::{Format, Json, Toml};

/// A type that knows some members only.
#[derive(Debug, Serialize, Deserialize)]
struct Known<V> {
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    version: Option<V>,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    names: Option<Vec<V>>,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    exceptions: Option<Vec<BTreeMap<String, V>>>,
}

/// Two texts in JSON: that of a file, and one whose value replaces the file's.
pub fn json_documents(data: &[u8]) {
    let [old, new] = texts(data);
    rewrite::<_, serde_json::Value>(&Json, old, new);
    if let Some(text) = rewrite::<_, Known<serde_json::Value>>(&Json, old, new) {
        keeps_unknown_members(old, &text, |text| {
            // Serde reads no number such as 1e999 as a value, though the type may skip it.
            let map: serde_json::Map<_, _> = Json.parse(text).ok()?;
            Some(map.into_iter().map(|(name, value)| (name, value.to_string())).collect())
        });
    }
}

/// Two texts in TOML: that of a file, and one whose value replaces the file's.
pub fn toml_documents(data: &[u8]) {
    let [old, new] = texts(data);
    rewrite::<_, toml::Table>(&Toml, old, new);
    if let Some(text) = rewrite::<_, Known<toml::Value>>(&Toml, old, new) {
        keeps_unknown_members(old, &text, |text| {
            let table: toml::Table = Toml.parse(text).ok()?;
            Some(table.into_iter().map(|(name, value)| (name, value.to_string())).collect())
        });
    }
}

/// Rewrites `old`, which then has the value of `new`. Returns the rewritten text, if both texts have a value.
fn rewrite<F: Format, T: DeserializeOwned + Serialize>(
    format: &F,
    old: &[u8],
    new: &[u8],
) -> Option<Vec<u8>> {
    let print = |text: &[u8]| format.print(&format.parse::<T>(text).ok()?).ok();
    let (before, after) = (print(old)?, print(new)?);
    let unchanged = format.rewrite(old, &before, &before).ok()?;
    assert_eq!(print(&unchanged).as_ref(), Some(&before), "no change leaves the value");
    let rewritten = format.rewrite(old, &before, &after).ok()?;
    let shown = String::from_utf8_lossy(&rewritten);
    let printed = print(&rewritten).unwrap_or_else(|| panic!("it does not parse: {shown}"));
    assert_eq!(String::from_utf8_lossy(&printed), String::from_utf8_lossy(&after), "of {shown}");
    Some(rewritten)
}

/// What the type does not know is in the rewritten text as it was.
fn keeps_unknown_members(
    old: &[u8],
    rewritten: &[u8],
    members: impl Fn(&[u8]) -> Option<BTreeMap<String, String>>,
) {
    let unknown = |text| {
        let mut members = members(text)?;
        members.retain(|name, _| !["version", "names", "exceptions"].contains(&name.as_str()));
        Some(members)
    };
    if let Some(unknown_before) = unknown(old) {
        assert_eq!(unknown(rewritten), Some(unknown_before));
    }
}
