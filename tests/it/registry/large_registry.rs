//! A registry so large that a process keeps its last text, so that a heartbeat rewrites one entry of it.

use std::fs;
use std::path::Path;

use argus_registry::{announce_watcher, heartbeat_watcher, read_registry, RegistryV1};

use crate::support::files::{put, registry_path, text};
use crate::support::registries::{ids, patient, watcher};

/// Makes such a registry, as JavaScript writes it.
fn put_large_registry(path: &Path) -> String {
    let mut registry = RegistryV1::new();
    for n in 0..200 {
        let mut record = watcher(&format!("app-{n}"));
        // Long ago, in as many digits as now.
        record.updated_at = 1_000_000_000_000;
        registry.set_watcher(record);
    }
    let content =
        registry.to_json().replace("\"app-7\",", "\"app-7\",\n      \"x\": \"\\ud800 1e3\",");
    put(path, &content);
    content
}

#[test]
fn a_heartbeat_changes_nothing_else_in_a_large_registry() {
    let (_dir, path) = registry_path();
    let content = put_large_registry(&path);
    let undated = |text: &str| {
        let dated = text.lines().map(|line| match line.split_once("\"updatedAt\": ") {
            Some((indent, _)) => indent,
            None => line,
        });
        dated.collect::<Vec<_>>().join("\n")
    };
    for id in ["app-0", "app-7", "app-199"] {
        let before = read_registry(&path).unwrap().0;
        assert!(heartbeat_watcher(&path, id, &patient()).unwrap());
        let after = read_registry(&path).unwrap().0;
        for other in before.ids() {
            let [was, is] = [&before, &after].map(|one| one.watcher(other).unwrap().updated_at);
            assert_eq!(is > was, other == id, "{id} {other}");
        }
        assert_eq!(after.updated_at(), after.watcher(id).unwrap().updated_at);
        assert_eq!(undated(&text(&path)), undated(&content));
    }
    // An entry that gets longer, and one that another process has changed.
    let mut record = watcher("app-3");
    record.cwd = Some("/".into());
    announce_watcher(&path, record, &patient()).unwrap();
    let changed = text(&path).replace("1e3", "1e30");
    put(&path, &changed);
    assert!(heartbeat_watcher(&path, "app-9", &patient()).unwrap());
    let now = text(&path);
    assert_eq!(undated(&now), undated(&changed));
    assert!(now.contains("\"cwd\": \"/\""));
    assert!(!heartbeat_watcher(&path, "app-200", &patient()).unwrap());
    assert_eq!(text(&path), now);
}

#[test]
fn damage_to_a_large_registry_is_found() {
    let (dir, path) = registry_path();
    put_large_registry(&path);
    assert!(heartbeat_watcher(&path, "app-1", &patient()).unwrap());
    let good = text(&path);
    let newer = good.replace("\"version\": 1", "\"version\": 2");
    put(&path, &newer);
    let refused = heartbeat_watcher(&path, "app-1", &patient()).unwrap_err();
    assert_eq!(refused.code(), "UNSUPPORTED_VERSION");
    assert_eq!(text(&path), newer);

    for (was, is) in [
        ("\"port\": 9222", "\"port\": 922x"),
        ("\"app-150\": {", "\"app-150\": ["),
        ("\\ud800", "\\uq800"),
        ("\n  }\n}", "\n  }\n "),
    ] {
        put(&path, &good);
        assert!(heartbeat_watcher(&path, "app-1", &patient()).unwrap());
        let content = text(&path);
        assert!(content.contains(was), "{was}");
        let bad = content.replacen(was, is, 1);
        put(&path, &bad);
        announce_watcher(&path, watcher("app-1"), &patient()).unwrap();
        assert_eq!(ids(&path), ["app-1"], "{is}");
        let kept = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let kept: Vec<_> = kept.filter(|path| path.to_string_lossy().contains("corrupt")).collect();
        assert_eq!(kept.len(), 1, "{is}");
        assert_eq!(text(&kept[0]), bad);
        fs::remove_file(&kept[0]).unwrap();
    }
}
