//! In which order a file is written, made durable and given its mode.

use std::env;
use std::fs;
use std::os::unix::fs::{chown, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use argus_registry::{
    clear_litter, remove_watcher, update_registry, Error, LockOptions, RegistryLock, RegistryV1,
    UpdateOptions,
};

use crate::support::altered_calls::{durable_one_try, touch, AlteredCalls};
use crate::support::counter::{count_up, counter, patient};
use crate::support::files::{names_in, put};
use crate::support::processes::{print_skipped, this_test, PART};
use crate::support::registries::one_try;
use crate::support::users::{access, TEAM};

/// No test here can cut the power; what is asked of the disk, and when, can be seen.
#[test]
fn a_durable_update_syncs_the_file_before_the_rename_and_the_folder_after_it() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["RECORDS_CALLS"]).again(this_test!());
    };
    // The guard, which is made durable, too, is there already.
    drop(RegistryLock::acquire(&path, &LockOptions::default()).unwrap());
    fs::remove_file(format!("{path}.calls")).unwrap();
    touch(path.as_ref()).unwrap();
    let calls = fs::read_to_string(format!("{path}.calls")).unwrap();
    let calls: Vec<_> = calls.lines().filter_map(|line| line.split_once(' ')).collect();
    let [("sync", file), ("rename", target), ("sync", folder)] = calls[..] else {
        panic!("{calls:?}")
    };
    assert!(file.ends_with(".tmp"), "{file}");
    assert_eq!(target, path);
    assert_eq!(Path::new(folder), Path::new(&path).parent().unwrap());
}

/// The change was in the file already, but no process had made it durable: a durable update returned
/// without an fsync.
#[test]
fn a_durable_update_that_changes_nothing_makes_durable_what_it_found() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["RECORDS_CALLS"]).again(this_test!());
    };
    let calls_file = format!("{path}.calls");
    let take_calls = || {
        let calls = fs::read_to_string(&calls_file).unwrap_or_default();
        let _ = fs::remove_file(&calls_file);
        calls
    };
    let folder = Path::new(&path).parent().unwrap();
    let synced = |name: &Path| format!("sync {}\nsync {}\n", name.display(), folder.display());
    let registry = Path::new(&path);
    let fast = one_try();
    let durable = durable_one_try();
    let set_date = |options: &UpdateOptions| {
        let set = |registry: &mut RegistryV1| {
            registry.set_updated_at(7);
            Ok::<_, Error>(())
        };
        update_registry(&path, options, set).unwrap();
        take_calls()
    };
    set_date(&fast);
    assert_eq!(set_date(&fast), "");
    assert_eq!(set_date(&durable), synced(registry));

    assert!(!remove_watcher(&path, "gone", &fast).unwrap());
    assert_eq!(take_calls(), "");
    assert!(!remove_watcher(&path, "gone", &durable).unwrap());
    assert_eq!(take_calls(), synced(registry));

    let document = folder.join("doc.json");
    let unchanged = |durable| {
        let document = counter(&document).durable(durable);
        document.update(&patient(), |_| Ok::<_, Error>(())).unwrap();
        take_calls()
    };
    counter(&document).update(&patient(), count_up).unwrap();
    take_calls();
    assert_eq!(unchanged(false), "");
    assert_eq!(unchanged(true), synced(&document));
}

/// The folder was opened after the rename. With no descriptor free, the update failed though its
/// change was in the file.
#[test]
fn a_folder_that_cannot_be_opened_fails_a_durable_update_before_anything_is_written() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["FOLDERS_CANNOT_BE_OPENED"]).again(this_test!());
    };
    put(path.as_ref(), "precious {");
    let failed = touch(path.as_ref()).unwrap_err();
    assert_eq!(failed.code(), "IO");
    assert!(failed.to_string().contains("open the folder"), "{failed}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious {");
    let names = names_in(Path::new(&path).parent().unwrap());
    assert!(!names.iter().any(|name| name.contains("corrupt") || name.ends_with(".tmp")));
}

/// The standard library's listing of a folder panics when it can't close that folder. Each process lists the
/// folder when it first has the lock.
#[test]
fn a_folder_that_cannot_be_closed_fails_no_update() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["FOLDERS_CANNOT_BE_CLOSED"]).again(this_test!());
    };
    touch(path.as_ref()).unwrap();
    assert!(Path::new(&path).exists());
    clear_litter(Path::new(&path).parent().unwrap(), Duration::from_secs(10)).unwrap();
}

#[test]
fn a_folder_is_created_durably() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["RECORDS_CALLS"]).again(this_test!());
    };
    let parent = Path::new(&path).parent().unwrap();
    touch(&parent.join("not").join("yet").join("registry.json")).unwrap();
    let calls = fs::read_to_string(format!("{path}.calls")).unwrap();
    for holds_a_new_name in [parent, &parent.join("not")] {
        let line = format!("sync {}", holds_a_new_name.display());
        assert!(calls.lines().any(|call| call == line), "{line} in {calls}");
    }
}

/// The new file had the group of its writer and the mode of the old file at first: the writer's group could open
/// it, though the old file was another group's.
#[test]
fn the_new_content_of_a_groups_registry_is_not_open_to_the_group_of_its_writer() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["RECORDS_CALLS"]).again(this_test!());
    };
    put(path.as_ref(), r#"{"version":1,"updatedAt":0,"watchers":{}}"#);
    if chown(&path, None, Some(TEAM)).is_err() {
        return print_skipped(this_test!(), "only root can give a file to any group");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    touch(path.as_ref()).unwrap();
    assert_eq!(access(path.as_ref()), (0, TEAM, 0o640));
    let calls = fs::read_to_string(format!("{path}.calls")).unwrap();
    let chowns: Vec<_> = calls.lines().filter(|call| call.starts_with("chown-of-")).collect();
    assert!(chowns.iter().any(|call| !call.contains(".guard")), "{calls}");
    assert!(chowns.iter().all(|call| call.starts_with("chown-of-600 ")), "{calls}");
}

/// Until it has its own, its group is that of the process that writes it.
#[test]
fn the_new_content_of_a_groups_registry_is_not_open_to_another_group_at_first() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["RECORDS_CALLS"]).again(this_test!());
    };
    // The first update makes the guard, which gets a mode, too.
    for (mode, is_set_later) in [(0o666, true), (0o640, true), (0o644, false)] {
        put(path.as_ref(), r#"{"version":1,"updatedAt":0,"watchers":{}}"#);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let recorded = format!("{path}.calls");
        put(recorded.as_ref(), "");
        touch(path.as_ref()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        let calls = fs::read_to_string(&recorded).unwrap();
        let is_set = |line: &str| line.starts_with("chmod ") && line.ends_with(".tmp");
        assert_eq!(calls.lines().any(is_set), is_set_later, "{mode:o} {calls}");
    }
}

/// If the mode were set after the content was written, every user could open the file in between.
#[test]
fn the_new_content_of_a_private_registry_is_private_from_the_beginning() {
    let Ok(path) = env::var(PART) else {
        return AlteredCalls::new(&["RECORDS_CALLS"]).again(this_test!());
    };
    put(path.as_ref(), r#"{"version":1,"updatedAt":0,"watchers":{}}"#);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    touch(path.as_ref()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let calls = fs::read_to_string(format!("{path}.calls")).unwrap();
    let synced = calls.lines().filter_map(|line| line.strip_prefix("sync "));
    let new_content = { synced }.find(|name| name.ends_with(".tmp")).unwrap();
    let later = format!("chmod {new_content}");
    assert!(!calls.contains(&later), "its mode was set afterwards: {calls}");
}
