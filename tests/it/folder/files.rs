//! The files of a registry in a folder: what is in them, and which of them are no entries.

#[cfg(unix)]
use std::env;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use argus_registry::{
    announce_watcher, claim_watcher, heartbeat_watcher, inspect_lock, open_store, read_registry,
    remove_watcher, update_registry, with_registry_lock, ClaimOptions, Error, FolderStore,
    LockOptions, LockState, PruneOptions, RegistryStore, RegistryV1,
};

use crate::support::files::{names_in, put, text};
#[cfg(unix)]
use crate::support::processes::{again, this_test, PART};
use crate::support::processes::{dead_pid, pause};
use crate::support::registries::{ids, of_process, patient, watcher};

fn claim(path: &Path, id: &str) -> argus_registry::WatcherRecord {
    claim_watcher(path, watcher(id), &ClaimOptions::default(), &patient()).unwrap()
}

/// Of the files of entries, without those that carry the locks of claims, which Windows has beside them.
fn names_of_entries(path: &Path) -> Vec<String> {
    let names = names_in(&path.join("watchers")).into_iter();
    names.filter(|name| !cfg!(windows) || !name.ends_with(".lock")).collect()
}

#[test]
fn an_entry_is_a_file_with_the_record_as_javascript_prints_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    let other = of_process(dead_pid(), watcher("App/1"));
    announce_watcher(&path, other, &patient()).unwrap();
    let own = claim(&path, "own");
    assert_eq!(names_of_entries(&path), ["%41pp%2f1.json", "own.json"]);
    let found = text(&path.join("watchers/own.json"));
    let start = format!(
        "{{\n  \"id\": \"own\",\n  \"host\": \"127.0.0.1\",\n  \"port\": 9222,\n  \"pid\": {},\n",
        own.pid
    );
    assert!(found.starts_with(&start) && found.ends_with('}'), "{found}");
    assert_eq!(names_in(&path), ["watchers"], "claims of free ids need no lock");
    assert!(heartbeat_watcher(&path, own.claim(), &patient()).unwrap());
    assert_eq!(text(&path.join("watchers/own.json")), found, "a heartbeat changes no content");
    assert!(remove_watcher(&path, "own", &patient()).unwrap());
    assert_eq!(names_in(&path), [".guard", "watchers"]);
    assert_eq!(names_in(&path.join("watchers")), ["%41pp%2f1.json"]);
}

#[test]
fn an_existing_folder_is_a_store_and_a_path_that_ends_in_a_separator_too() {
    let dir = tempfile::tempdir().unwrap();
    claim(dir.path(), "app");
    assert_eq!(ids(&dir.path().join("")), ["app"]);
    let file = dir.path().join("file.json");
    claim(&file, "other");
    assert!(file.is_file());
    assert_eq!(open_store(&file).read().unwrap().0.len(), 1);
    // A file with a separator behind its name is neither.
    let bad = claim_watcher(file.join(""), watcher("app"), &ClaimOptions::default(), &patient());
    assert!(bad.unwrap_err().to_string().contains("not a folder"));
    assert_eq!(read_registry("/").unwrap_err().code(), "INVALID_VALUE");
}

#[test]
fn what_a_folder_can_not_do_is_refused_with_what_to_do_instead() {
    let dir = tempfile::tempdir().unwrap();
    let locked = with_registry_lock(dir.path(), &LockOptions::default(), |_| Ok::<_, Error>(()));
    let locked = locked.unwrap_err();
    assert_eq!(locked.code(), "UNSUPPORTED");
    assert!(locked.to_string().contains("use a registry file"), "{locked}");
    let text = r#"{"version":1,"updatedAt":1,"watchers":{},"note":1}"#;
    let noted = RegistryV1::parse(Path::new("r"), text.as_bytes()).unwrap();
    let refused = update_registry(dir.path(), &patient(), |registry| {
        *registry = noted.clone();
        Ok::<_, Error>(())
    });
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), "UNSUPPORTED");
    assert!(refused.to_string().contains("'note'"), "{refused}");
    let status = inspect_lock(dir.path(), LockOptions::default().stale_after).unwrap();
    assert_eq!(status.state, LockState::Free);
    assert_eq!(fs::canonicalize(status.path).unwrap(), fs::canonicalize(dir.path()).unwrap());
}

#[test]
fn a_damaged_entry_is_a_warning_and_its_file_is_kept_by_every_call() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    claim(&path, "good");
    let entries = path.join("watchers");
    let damaged = [("torn.json", "{\"id\":"), ("empty.json", ""), ("Case.json", "{}")];
    for (name, content) in damaged {
        put(&entries.join(name), content);
    }
    put(&entries.join("notes.txt"), "no entry");
    let (registry, warnings) = read_registry(&path).unwrap();
    assert_eq!(registry.ids().collect::<Vec<_>>(), ["good"]);
    let codes: Vec<_> = warnings.iter().map(|warning| warning.code()).collect();
    assert_eq!(codes, ["DAMAGED_ENTRY"; 3]);
    assert!(warnings[2].to_string().contains("torn.json"), "{}", warnings[2]);
    assert_eq!(claim(&path, "torn").id, "torn-2");
    let announced = announce_watcher(&path, watcher("torn"), &patient()).unwrap_err();
    let removed = remove_watcher(&path, "torn", &patient()).unwrap_err();
    for several in [false, true] {
        let updated = update_registry(&path, &patient(), |registry| {
            registry.set_watcher(watcher("torn"));
            if several {
                registry.set_watcher(watcher("more"));
            }
            Ok::<_, Error>(())
        });
        assert_eq!(updated.unwrap_err().code(), "INVALID_VALUE");
    }
    for error in [announced, removed] {
        assert_eq!(error.code(), "INVALID_VALUE");
        assert!(error.to_string().contains("torn.json"), "{error}");
    }
    assert!(!heartbeat_watcher(&path, "torn", &patient()).unwrap());
    let prune = PruneOptions { ttl: Duration::ZERO, liveness: true, now: None };
    open_store(&path).prune(&prune, &patient()).unwrap();
    let none = update_registry(&path, &patient(), |registry| {
        *registry = RegistryV1::new();
        Ok::<_, Error>(())
    });
    none.unwrap();
    assert!(ids(&path).is_empty());
    let left = ["Case.json", "empty.json", "notes.txt", "torn.json"];
    assert_eq!(names_in(&entries), left);
    for (name, content) in damaged {
        assert_eq!(text(&entries.join(name)), content);
    }
}

/// The heartbeat said that the entry was lost, and a watcher that was told so entered itself a second time.
#[cfg(unix)]
#[test]
fn an_entry_that_can_not_be_read_now_is_an_error_of_its_heartbeat_and_is_not_lost() {
    use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
    let Ok(path) = env::var(PART) else {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry/");
        claim(&path, "other");
        let output = again(&env::current_exe().unwrap(), this_test!(), &path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    };
    let path = Path::new(&path);
    let mut changed = read_registry(path).unwrap().0.watcher("other").unwrap();
    changed.port = 7;
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before }).unwrap();
    let refused = [
        heartbeat_watcher(path, "other", &patient()),
        heartbeat_watcher(path, changed, &patient()),
        remove_watcher(path, "other", &patient()),
    ];
    setrlimit(Resource::Nofile, before).unwrap();
    for refused in refused {
        assert_eq!(refused.unwrap_err().code(), "IO");
    }
    assert!(heartbeat_watcher(path, "other", &patient()).unwrap());
}

/// A file that is renamed while the folder is listed can get another place in it.
#[test]
fn entries_that_are_there_throughout_are_always_read_while_others_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    let stable: Vec<_> = (0..60).map(|number| claim(&path, &format!("stable{number}"))).collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..2 {
            let (path, is_over) = (&path, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let others = [0, 1, 2].map(|n| claim(path, &format!("other{thread}{n}")));
                    for other in others {
                        assert!(remove_watcher(path, other.claim(), &patient()).unwrap());
                    }
                }
            });
        }
        scope.spawn(|| {
            let mut replaced = stable[30].clone();
            while !is_over.load(Ordering::Relaxed) {
                replaced.port = replaced.port.wrapping_add(1);
                assert!(heartbeat_watcher(&path, replaced.clone(), &patient()).unwrap());
            }
        });
        for _ in 0..300 {
            let (registry, warnings) = read_registry(&path).unwrap();
            assert!(warnings.is_empty(), "{warnings:?}");
            let found = registry.ids().filter(|id| id.starts_with("stable")).count();
            if found != stable.len() {
                is_over.store(true, Ordering::Relaxed);
            }
            assert_eq!(found, stable.len());
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn an_update_runs_again_if_a_watcher_claims_the_id_that_it_adds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    claim(&path, "other");
    for several in [false, true] {
        let mut seen = Vec::new();
        let id = format!("app{several}");
        update_registry(&path, &patient(), |registry| {
            // What the first try has added before it found the taken id is undone.
            seen.push([registry.watcher(&id).is_some(), registry.watcher("a").is_some()]);
            if several {
                registry.set_watcher(watcher("a"));
                registry.set_watcher(watcher("z"));
            }
            if seen.len() == 1 {
                assert_eq!(claim(&path, &id).id, id);
                registry.set_watcher(watcher(&id));
            }
            Ok::<_, Error>(())
        })
        .unwrap();
        assert_eq!(seen, [[false, false], [true, false]]);
    }
    assert_eq!(ids(&path), ["a", "appfalse", "apptrue", "other", "z"]);
    assert_eq!(names_of_entries(&path).len(), 5);
    let alive = FolderStore::new(&path).is_alive("apptrue", &watcher("apptrue"));
    assert_eq!(alive, Some(true));
}

/// A change within one tick of the file system's clock leaves no trace in a file's times and size.
#[test]
fn a_change_is_read_however_soon_it_comes_and_whatever_the_files_times_are() {
    read_each_change(tempfile::tempdir().unwrap().path());
}

/// Changes an entry many times, keeps its size and date, and reads it after each change.
pub(super) fn read_each_change(folder: &Path) {
    let path = folder.join("registry/");
    let entry = path.join("watchers/app.json");
    announce_watcher(&path, watcher("app"), &patient()).unwrap();
    let text = fs::read_to_string(&entry).unwrap();
    let dated = fs::metadata(&entry).unwrap().modified().unwrap();
    let port = || read_registry(&path).unwrap().0.watcher("app").unwrap().port;
    let next_to = path.join("next");
    for number in 0..400_u16 {
        let text = text.replace("9222", &(1_000 + number).to_string());
        let is_renamed = number % 2 == 0;
        // In place, by a program that knows no better, or by renaming.
        put(if is_renamed { &next_to } else { &entry }, &text);
        let file = if is_renamed { &next_to } else { &entry };
        fs::File::options().write(true).open(file).unwrap().set_modified(dated).unwrap();
        if is_renamed {
            #[allow(clippy::disallowed_methods, reason = "it stands for another program")]
            fs::rename(&next_to, &entry).unwrap();
        }
        assert_eq!((port(), port()), (1_000 + number, 1_000 + number));
        if number % 100 == 99 {
            // Its times are over: from now on the file is not read again until it changes.
            pause(150);
            assert_eq!((port(), port()), (1_000 + number, 1_000 + number));
        }
    }
}

#[test]
fn a_registry_that_is_read_again_is_as_it_is_by_then() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry/");
    for id in ["a", "b", "c"] {
        claim_watcher(&path, watcher(id), &ClaimOptions::default(), &patient()).unwrap();
    }
    for _ in 0..3 {
        assert_eq!(ids(&path), ["a", "b", "c"]);
        pause(150);
    }
    let date = || read_registry(&path).unwrap().0.watcher("b").unwrap().updated_at;
    let before = date();
    assert!(heartbeat_watcher(&path, "b", &patient()).unwrap());
    assert!(date() > before);
    assert!(remove_watcher(&path, "b", &patient()).unwrap());
    assert_eq!(ids(&path), ["a", "c"]);
    put(&path.join("watchers/a.json"), "{");
    let (found, warnings) = read_registry(&path).unwrap();
    assert_eq!((found.len(), warnings.len()), (1, 1));
    // Another folder of the path has nothing of this one.
    fs::remove_dir_all(&path).unwrap();
    assert!(ids(&path).is_empty());
    announce_watcher(&path, watcher("c"), &patient()).unwrap();
    assert_eq!(ids(&path), ["c"]);
}
