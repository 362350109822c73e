//! Updates of a whole registry, reading and replacing it.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use argus_registry::{
    heartbeat_watcher, read_registry, update_registry, with_registry_lock, write_registry, Error,
    LockOptions, OnWarning, RegistryLock, RegistryV1, UpdateOptions, Warning, WatcherRecord,
};

use crate::support::files::{names_in, put, registry_path, take_away, text};
use crate::support::processes::{again, this_test, PART};
use crate::support::registries::{add, ids, one_try, options, patient, watcher};

#[test]
fn what_was_updated_is_read() {
    let (dir, path) = registry_path();
    let (empty, warnings) = read_registry(&path).unwrap();
    assert!(empty.is_empty());
    assert_eq!(warnings, [Warning::Missing { path: path.clone() }]);
    add(&path, "a", &UpdateOptions::default()).unwrap();
    let (registry, warnings) = read_registry(&path).unwrap();
    assert_eq!(registry.ids().collect::<Vec<_>>(), ["a"]);
    assert!(warnings.is_empty());
    assert_eq!(names_in(dir.path()), ["registry.json", "registry.json.guard"]);
}

/// The files of a folder that were deleted and that this process still has open.
#[cfg(target_os = "linux")]
fn deleted_and_open(folder: &Path) -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = descriptors.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
    targets.filter(|target| target.starts_with(folder) && !target.exists()).count()
}

#[test]
#[cfg(target_os = "linux")]
fn the_files_that_updates_replace_are_closed_by_another_thread_and_never_are_many() {
    let (dir, path) = registry_path();
    add(&path, "a", &patient()).unwrap();
    let counts: Vec<_> = (0..100)
        .map(|number| {
            let update = update_registry(&path, &patient(), |registry| {
                registry.set_updated_at(number);
                Ok::<_, Error>(())
            });
            update.unwrap();
            deleted_and_open(dir.path())
        })
        .collect();
    assert!(counts.iter().any(|count| *count > 0), "{counts:?}");
    // 32 wait for the thread, which may have taken as many.
    assert!(counts.iter().all(|count| *count <= 64), "{counts:?}");
    let begun = Instant::now();
    while deleted_and_open(dir.path()) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "they stay open");
        thread::yield_now();
    }
}

#[test]
fn an_updater_that_changes_nothing_or_fails_writes_nothing() {
    let (_dir, path) = registry_path();
    update_registry(&path, &one_try(), |_| Ok::<_, Error>(())).unwrap();
    assert!(!path.exists());
    let failed = update_registry(&path, &one_try(), |registry| {
        registry.set_updated_at(7);
        Err::<(), Box<dyn std::error::Error>>("mine".into())
    });
    assert_eq!(failed.unwrap_err().to_string(), "mine");
    assert!(!path.exists());
    add(&path, "a", &one_try()).unwrap();
}

#[test]
fn an_updater_that_sets_what_is_there_leaves_the_file_as_it_is_laid_out() {
    let (_dir, path) = registry_path();
    let compact = r#"{"version":1,"updatedAt":7,"watchers":{"a":{"id": "a","host":"h","port":1,"pid":1,"startedAt":1,"updatedAt":1,"more":[ ]},"b":[1]}}"#;
    put(&path, compact);
    let set_again = |host: &str| {
        let set = |registry: &mut RegistryV1| {
            let mut record = registry.watcher("a").unwrap();
            record.host = host.to_owned();
            registry.set_watcher(record);
            registry.set_updated_at(7);
            Ok::<_, Error>(())
        };
        update_registry(&path, &one_try(), set).unwrap();
        text(&path)
    };
    assert_eq!(set_again("h"), compact);
    let changed = set_again("other");
    assert!(
        changed.contains("\n      \"host\": \"other\"") && changed.contains("\n    \"b\": [\n")
    );
}

#[test]
fn an_empty_registry_is_written_too() {
    let (_dir, path) = registry_path();
    write_registry(&path, &RegistryV1::new(), &one_try()).unwrap();
    assert!(read_registry(&path).unwrap().1.is_empty());
}

#[test]
fn a_nested_update_fails_at_once() {
    let (dir, path) = registry_path();
    let other_name = dir.path().join("link.json");
    #[cfg(unix)]
    std::os::unix::fs::symlink("registry.json", &other_name).unwrap();
    let names = if cfg!(unix) { vec![path.clone(), other_name] } else { vec![path.clone()] };
    for name in names {
        let nested = update_registry(&path, &patient(), |_| add(&name, "a", &patient()));
        assert_eq!(nested.unwrap_err().code(), "RE_ENTRANT");
        let nested =
            with_registry_lock(&path, &LockOptions::default(), |_| add(&name, "a", &patient()));
        assert_eq!(nested.unwrap_err().code(), "RE_ENTRANT");
    }
    add(&path, "a", &one_try()).unwrap();
}

#[test]
fn corrupt_bytes_are_kept_and_a_newer_version_is_refused() {
    let (dir, path) = registry_path();
    put(&path, "precious {");
    let mut quiet = one_try();
    let (tell, warnings) = mpsc::channel();
    quiet.on_warning = OnWarning::new(move |warning| tell.send(warning.code()).unwrap());
    add(&path, "a", &quiet).unwrap();
    assert_eq!(warnings.try_iter().collect::<Vec<_>>(), ["CORRUPT"]);
    let kept = names_in(dir.path()).into_iter().find(|name| name.contains(".corrupt-")).unwrap();
    assert_eq!(text(&dir.path().join(kept)), "precious {");

    let newer = r#"{"version":2}"#;
    put(&path, newer);
    for refused in
        [add(&path, "a", &one_try()), write_registry(&path, &RegistryV1::new(), &one_try())]
    {
        assert_eq!(refused.unwrap_err().code(), "UNSUPPORTED_VERSION");
    }
    assert_eq!(text(&path), newer);
    let (_, warnings) = read_registry(&path).unwrap();
    assert_eq!(warnings[0].code(), "UNSUPPORTED_VERSION");
}

#[test]
fn a_held_lock_writes() {
    let (_dir, path) = registry_path();
    let mut registry = RegistryV1::new();
    registry.set_watcher(WatcherRecord::new("a", "127.0.0.1", 1));
    with_registry_lock(&path, &LockOptions::default(), |lock| lock.write(&registry, &one_try()))
        .unwrap();
    assert_eq!(read_registry(&path).unwrap().0.len(), 1);
    put(&path, r#"{"version":2}"#);
    let refused = with_registry_lock(&path, &LockOptions::default(), |lock| {
        lock.write(&registry, &one_try())
    });
    assert_eq!(refused.unwrap_err().code(), "UNSUPPORTED_VERSION");
}

#[test]
fn threads_count_exactly() {
    let (_dir, path) = registry_path();
    thread::scope(|scope| {
        for thread in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for round in 0..50 {
                    add(path, &format!("{thread} {round}"), &patient()).unwrap();
                }
            });
        }
    });
    assert_eq!(read_registry(&path).unwrap().0.len(), 400);
}

#[test]
fn a_panic_in_an_updater_frees_the_lock() {
    let (_dir, path) = registry_path();
    let panicked = thread::scope(|scope| {
        scope
            .spawn(|| {
                update_registry(&path, &patient(), |_| -> Result<(), Error> { panic!("mine") })
            })
            .join()
    });
    assert!(panicked.is_err());
    add(&path, "a", &one_try()).unwrap();
}

#[test]
fn an_update_of_one_try_that_lost_its_lock_fails_and_does_not_run_again() {
    let (_dir, path) = registry_path();
    let mut runs = 0;
    let lost = update_registry(&path, &one_try(), |registry| {
        runs += 1;
        if runs == 1 {
            take_away(&path.with_extension("json.lock"));
        }
        registry.set_updated_at(runs);
        Ok::<_, Error>(())
    });
    assert_eq!(lost.unwrap_err().code(), "LOCK_LOST");
    assert_eq!(runs, 1);
    assert!(!path.exists());
}

#[test]
fn time_that_a_caller_has_waited_elsewhere_counts_and_does_not_make_the_wait_one_try() {
    let (_dir, path) = registry_path();
    let minute = Duration::from_secs(60);
    let mut late = options(minute);
    late.lock.since = Some(Instant::now().checked_sub(minute).unwrap());
    let _lock = RegistryLock::acquire(&path, &LockOptions::default()).unwrap();
    let error = add(&path, "a", &late).unwrap_err();
    assert!(matches!(error, Error::LockTimeout { waited, .. } if waited >= minute), "{error}");
}

/// The update panicked over a warning that it could not print, after its work and inside its lock.
#[test]
fn a_warning_that_can_not_be_printed_is_no_failure() {
    use std::io::{BufRead, Write};
    if let Ok(path) = std::env::var(PART) {
        std::io::stdin().lock().read_line(&mut String::new()).unwrap();
        add(Path::new(&path), "app", &patient()).unwrap();
        return;
    }
    let (_dir, path) = registry_path();
    put(&path, "precious {");
    let mut child = again(&std::env::current_exe().unwrap(), this_test!(), &path)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(read_registry(&path).unwrap().0.watcher("app").is_some());
}

/// Editors on Windows write one. The registry was taken for corrupt, and replaced by an empty one.
#[test]
fn a_byte_order_mark_before_a_registry_is_no_corruption_and_stays() {
    let (_dir, path) = registry_path();
    add(&path, "a", &patient()).unwrap();
    put(&path, &format!("\u{feff}{}", text(&path)));
    let (registry, warnings) = read_registry(&path).unwrap();
    assert_eq!((registry.ids().collect::<Vec<_>>(), warnings), (vec!["a"], vec![]));
    add(&path, "b", &patient()).unwrap();
    heartbeat_watcher(&path, "a", &patient()).unwrap();
    assert_eq!(ids(&path), ["a", "b"]);
    assert!(text(&path).starts_with("\u{feff}{\n"), "{}", text(&path));
    assert_eq!(names_in(path.parent().unwrap()), ["registry.json", "registry.json.guard"]);
    // A large registry, whose text is cached between two updates.
    update_registry(&path, &patient(), |registry| {
        (0..5_000).for_each(|index| registry.set_watcher(watcher(&format!("w{index}"))));
        Ok::<_, Error>(())
    })
    .unwrap();
    for _ in 0..3 {
        assert!(heartbeat_watcher(&path, "w7", &patient()).unwrap());
        assert!(text(&path).starts_with("\u{feff}{\n"));
    }
    assert_eq!(ids(&path).len(), 5_002);
    // Before what is no registry it is no part of the new one.
    put(&path, "\u{feff}{");
    add(&path, "a", &UpdateOptions { on_warning: OnWarning::new(|_| ()), ..patient() }).unwrap();
    assert!(text(&path).starts_with("{\n"));
}
