//! Users who share a folder. The test programs are real users' processes.

use std::env;
use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use argus_registry::{
    announce_watcher, update_registry, Document, Error, LockOptions, ProbeFolder, WatcherRecord,
};

use crate::support::files::{names_in, put};
use crate::support::processes::{print_skipped, this_test, PART};
use crate::support::registries::one_try;
use crate::support::users::{access, set_acl, set_mode, AclEntry, Users, ALICE, BOB, TEAM};

const EMPTY: &str = r#"{"version":1,"updatedAt":0,"watchers":{}}"#;

/// Does what a part of a test says, and prints what came of it.
fn take_part() -> bool {
    let Ok(part) = env::var(PART) else { return false };
    let (what, path) = part.split_once(' ').unwrap();
    let path = Path::new(path);
    let outcome = match what {
        "update" => update_registry(path, &one_try(), |registry| {
            registry.set_updated_at(registry.updated_at() + 1);
            Ok::<_, Error>(())
        }),
        "document" => {
            Document::<u32>::json(path).empty(|| 0).update(&LockOptions::one_try(), |number| {
                *number += 1;
                Ok(())
            })
        }
        "several" => update_registry(path, &one_try(), |registry| {
            registry.remove_watcher("bobs");
            for id in ["new1", "new2"] {
                registry.set_watcher(WatcherRecord::new(id, "127.0.0.1", 1));
            }
            Ok::<_, Error>(())
        }),
        "announce" => {
            announce_watcher(path, WatcherRecord::new("bobs", "127.0.0.1", 1), &one_try())
        }
        "read" => argus_registry::read_registry(path).map(drop),
        "probe" => ProbeFolder::create(path.parent().unwrap()).map(|probe| {
            let found = access(&probe.path().join("owner"));
            println!("\nprobe: {:?} {:?}", access(probe.path()), found);
        }),
        other => panic!("{other}"),
    };
    match outcome {
        Ok(()) => println!("\n{what}: done"),
        Err(error) => println!("\n{what}: {} {error}", error.code()),
    }
    true
}

/// A user's lockfile is a link to the guard. In a sticky folder the user could not remove the link to
/// another user's guard: a refused update left its lockfile behind.
#[test]
fn a_refused_update_in_a_sticky_folder_leaves_no_trace() {
    if take_part() {
        return;
    }
    let Some(users) = Users::of_test(this_test!()) else { return };
    let path = users.folder("sticky", 0, 0, 0o1777).join("registry.json");
    put(&path, EMPTY);
    chown(&path, Some(ALICE), Some(ALICE)).unwrap();
    set_mode(&path, 0o666);
    let names = || names_in(path.parent().unwrap());
    let refused = users.run(BOB, "update", &path);
    assert!(refused.contains("PERMISSION_DENIED") && refused.contains("sticky"), "{refused}");
    assert_eq!(names(), ["registry.json"], "no guard that is the refused user's");
    let refused = users.run(BOB, "document", &path);
    assert!(refused.contains("PERMISSION_DENIED"), "{refused}");
    assert_eq!(names(), ["registry.json"]);
    assert!(users.run(ALICE, "update", &path).contains("done"));
    let before = names();
    assert_eq!(before, ["registry.json", "registry.json.guard"]);
    let refused = users.run(BOB, "update", &path);
    assert!(refused.contains("PERMISSION_DENIED") && refused.contains("sticky"), "{refused}");
    assert_eq!(names(), before);
    assert!(users.run(ALICE, "update", &path).contains("done"));
    assert!(users.run(0, "update", &path).contains("done"));
    // The guard is another user's, the registry is the updating user's own.
    chown(&path, Some(BOB), Some(BOB)).unwrap();
    assert!(users.run(BOB, "update", &path).contains("done"));
    assert_eq!(names(), before);
}

/// Some entries were changed, others not, and no user could finish the update: each may not rename the other's files.
#[test]
fn an_update_of_several_entries_that_a_sticky_folder_refuses_changes_none() {
    if take_part() {
        return;
    }
    let Some(users) = Users::of_test(this_test!()) else { return };
    let path = users.folder("registry", 0, 0, 0o777);
    let entries = path.join("watchers");
    fs::create_dir(&entries).unwrap();
    set_mode(&entries, 0o1777);
    assert!(users.run(BOB, "announce", &path).contains("done"));
    let before = (names_in(&path), names_in(&entries));
    let refused = users.run(ALICE, "several", &path);
    assert!(refused.contains("PERMISSION_DENIED") && refused.contains("bobs.json"), "{refused}");
    assert!(refused.contains("sticky"), "{refused}");
    assert_eq!(names_in(&entries), before.1);
    assert!(!names_in(&path).iter().any(|name| name.contains("journal")), "{:?}", names_in(&path));
    assert!(users.run(BOB, "several", &path).contains("done"));
    assert_eq!(names_in(&entries), ["new1.json", "new2.json"]);
}

/// What root made in a user's folder was root's: the user's own updates were refused from then on.
#[test]
fn what_root_makes_in_the_folder_of_a_user_is_that_users() {
    if take_part() {
        return;
    }
    let Some(users) = Users::of_test(this_test!()) else { return };
    let home = users.folder("home", ALICE, ALICE, 0o755);
    let path = home.join(".argus").join("registry.json");
    assert!(users.run(0, "update", &path).contains("done"));
    assert_eq!(access(path.parent().unwrap()), (ALICE, ALICE, 0o755));
    assert_eq!(access(&path), (ALICE, ALICE, 0o644));
    let guard = path.with_extension("json.guard");
    assert_eq!(access(&guard).0, ALICE);
    assert!(users.run(ALICE, "update", &path).contains("done"));
    // The next guard and the next kept content are made beside a registry.
    fs::remove_file(&guard).unwrap();
    put(&path, "not a registry");
    assert!(users.run(0, "update", &path).contains("done"));
    for name in names_in(path.parent().unwrap()) {
        assert_eq!(access(&path.with_file_name(&name)).0, ALICE, "{name}");
    }
    assert!(users.run(ALICE, "update", &path).contains("done"));
    let probe = users.run(0, "probe", &path);
    assert!(
        probe.contains(&format!("probe: ({ALICE}, {ALICE}, 493) ({ALICE}, {ALICE}, 420)")),
        "{probe}"
    );

    let document = home.join("state").join("doc.json");
    assert!(users.run(0, "document", &document).contains("done"));
    for path in [document.as_path(), &document.with_extension("lock"), document.parent().unwrap()] {
        assert_eq!(access(path).0, ALICE, "{}", path.display());
    }
    assert!(users.run(ALICE, "document", &document).contains("done"));
    // Another folder is not taken for the new one.
    assert_eq!(access(&home), (ALICE, ALICE, 0o755));
}

/// The umask made the guard the first user's alone, in a folder that a group shares.
#[test]
fn in_the_folder_of_a_group_new_files_are_the_groups() {
    if take_part() {
        return;
    }
    let Some(users) = Users::of_test(this_test!()) else { return };
    let path = users.folder("team", 0, TEAM, 0o2775).join("registry.json");
    assert!(users.run(ALICE, "update", &path).contains("done"));
    assert_eq!(access(&path), (ALICE, TEAM, 0o664));
    assert_eq!(access(&path.with_extension("json.guard")), (ALICE, TEAM, 0o664));
    assert!(users.run(BOB, "update", &path).contains("done"));
    assert!(users.run(ALICE, "update", &path).contains("done"));
    let folder = path.with_file_name("new");
    assert!(users.run(ALICE, "document", &folder.join("doc.json")).contains("done"));
    assert_eq!(access(&folder), (ALICE, TEAM, 0o2775));
    assert!(users.run(BOB, "document", &folder.join("doc.json")).contains("done"));

    // What its owner has closed stays closed.
    let private = path.with_file_name("private.json");
    put(&private, EMPTY);
    chown(&private, Some(ALICE), Some(TEAM)).unwrap();
    set_mode(&private, 0o600);
    assert!(users.run(ALICE, "update", &private).contains("done"));
    assert_eq!(access(&private).2, 0o600);
    assert_eq!(access(&private.with_extension("json.guard")).2, 0o600);
}

/// The guard has the access rights that the registry had when the guard was made.
#[test]
fn a_registry_that_was_opened_to_its_group_later_names_the_step_that_opens_its_guard() {
    if take_part() {
        return;
    }
    let Some(users) = Users::of_test(this_test!()) else { return };
    let folder = users.folder("folder", ALICE, TEAM, 0o755);
    let path = folder.join("registry.json");
    assert!(users.run(ALICE, "update", &path).contains("done"));
    chown(&path, None, Some(TEAM)).unwrap();
    set_mode(&path, 0o664);
    let guard = path.with_extension("json.guard");
    let refused = users.run(BOB, "update", &path);
    let step = format!("chmod g+w {}", guard.display());
    assert!(refused.contains("PERMISSION_DENIED") && refused.contains(&step), "{refused}");
    assert!(users.run(ALICE, "update", &path).contains("done"));
    assert_eq!(access(&guard), (ALICE, TEAM, 0o664), "its owner's next update has opened it");
}

/// The modes were equal, so the guard stayed as it was, whatever its owner did: the group's users could never update.
#[test]
fn a_registry_that_is_given_to_another_group_is_opened_to_it_by_its_owners_next_update() {
    if take_part() {
        return;
    }
    let Some(users) = Users::of_test(this_test!()) else { return };
    let path = users.folder("folder", ALICE, ALICE, 0o777).join("registry.json");
    put(&path, EMPTY);
    chown(&path, Some(ALICE), Some(ALICE)).unwrap();
    set_mode(&path, 0o660);
    assert!(users.run(ALICE, "update", &path).contains("done"));
    let guard = path.with_extension("json.guard");
    assert_eq!(access(&guard), (ALICE, ALICE, 0o660));
    chown(&path, None, Some(TEAM)).unwrap();
    let refused = users.run(BOB, "update", &path);
    assert!(refused.contains("PERMISSION_DENIED"), "{refused}");
    assert!(refused.contains("the registry's group and access control list"), "{refused}");
    assert!(users.run(ALICE, "update", &path).contains("done"));
    assert_eq!(access(&guard), (ALICE, TEAM, 0o660));
    assert!(users.run(BOB, "update", &path).contains("done"));
}

/// A guard has the group of its folder, whose users may replace the registry, though the registry has another one.
#[test]
fn a_guard_that_is_the_folders_groups_stays_that_groups() {
    if take_part() {
        return;
    }
    let Some(users) = Users::of_test(this_test!()) else { return };
    let path = users.folder("folder", ALICE, TEAM, 0o775).join("registry.json");
    put(&path, EMPTY);
    chown(&path, Some(ALICE), Some(ALICE)).unwrap();
    set_mode(&path, 0o664);
    for user in [ALICE, BOB, ALICE] {
        assert!(users.run(user, "update", &path).contains("done"));
        assert_eq!(access(&path.with_extension("json.guard")), (ALICE, TEAM, 0o664));
    }
}

/// A new entry of the registry's list does not change the mode where the group may write already: the guard did not get
/// the entry, whatever its owner did.
#[test]
fn a_user_who_is_added_to_the_acl_of_a_registry_is_let_in_by_its_owners_next_update() {
    use AclEntry::{Group, Mask, Others, Owner, User};
    if take_part() {
        return;
    }
    let Some(users) = Users::of_test(this_test!()) else { return };
    let path = users.folder("folder", ALICE, ALICE, 0o777).join("registry.json");
    put(&path, EMPTY);
    chown(&path, Some(ALICE), Some(ALICE)).unwrap();
    set_mode(&path, 0o660);
    assert!(users.run(ALICE, "update", &path).contains("done"));
    let entries = [Owner(6), User(BOB, 6), Group(6), Mask(6), Others(0)];
    if !set_acl(&path, false, &entries) {
        return;
    }
    let refused = users.run(BOB, "update", &path);
    assert!(refused.contains("PERMISSION_DENIED"), "{refused}");
    for user in [ALICE, BOB, ALICE] {
        let said = users.run(user, "update", &path);
        assert!(said.contains("done"), "{user}: {said}");
    }
    let guard = path.with_extension("json.guard");
    assert_eq!(access(&guard), (ALICE, ALICE, 0o660));
    assert!(users.run(BOB + 1, "read", &path).contains("PERMISSION_DENIED"));
}

/// The second user's update left the file so that the first could not read it: the group bits of the
/// mode were cleared, which are the mask of the list.
#[test]
fn two_users_whom_a_folders_default_acl_lets_in_update_in_turns() {
    use AclEntry::{Group, Mask, Others, Owner, User};
    if take_part() {
        return;
    }
    let Some(users) = Users::of_test(this_test!()) else { return };
    let folder = users.folder("acl", 0, 0, 0o700);
    let entries = [Owner(7), User(ALICE, 7), User(BOB, 7), Group(0), Mask(7), Others(0)];
    if !(set_acl(&folder, false, &entries) && set_acl(&folder, true, &entries)) {
        return;
    }
    let path = folder.join("registry.json");
    let document = folder.join("doc.json");
    for user in [ALICE, BOB, ALICE, BOB, BOB, ALICE] {
        for part in ["update", "document"] {
            let path = if part == "update" { &path } else { &document };
            let said = users.run(user, part, path);
            assert!(said.contains("done"), "{user}: {said}");
        }
        assert!(users.run(ALICE, "read", &path).contains("done"));
        assert!(users.run(BOB, "read", &path).contains("done"));
    }
}

/// They were lost with the file that was replaced.
#[test]
fn the_acl_and_the_attributes_of_a_replaced_file_stay() {
    use rustix::fs::{getxattr, setxattr, XattrFlags};
    use AclEntry::{Group, Mask, Others, Owner, User};
    if take_part() {
        return;
    }
    let Some(users) = Users::of_test(this_test!()) else { return };
    let path = users.folder("folder", ALICE, ALICE, 0o755).join("registry.json");
    put(&path, EMPTY);
    chown(&path, Some(ALICE), Some(ALICE)).unwrap();
    let entries = [Owner(6), User(BOB, 4), Group(0), Mask(4), Others(0)];
    if !set_acl(&path, false, &entries) {
        return;
    }
    setxattr(&path, "user.comment", b"mine", XattrFlags::empty()).unwrap();
    let attribute = |name: &str| {
        let mut value = [0; 256];
        let length = getxattr(&path, name, &mut value).unwrap();
        value[..length].to_vec()
    };
    let acl = attribute("system.posix_acl_access");
    for user in [ALICE, 0, ALICE] {
        assert!(users.run(user, "update", &path).contains("done"));
        assert_eq!(access(&path), (ALICE, ALICE, 0o640));
        assert_eq!(attribute("system.posix_acl_access"), acl);
        assert_eq!(attribute("user.comment"), b"mine");
        assert!(users.run(BOB, "read", &path).contains("done"));
    }
}

/// The mode was set before the attributes, which a process may not give to a read-only file: the update was refused.
#[test]
fn the_owner_of_a_read_only_file_with_attributes_updates_it() {
    use rustix::fs::{getxattr, setxattr, XattrFlags};
    if take_part() {
        return;
    }
    let Some(users) = Users::of_test(this_test!()) else { return };
    let path = users.folder("folder", ALICE, ALICE, 0o755).join("registry.json");
    put(&path, EMPTY);
    chown(&path, Some(ALICE), Some(ALICE)).unwrap();
    if setxattr(&path, "user.comment", b"mine", XattrFlags::empty()).is_err() {
        return print_skipped(this_test!(), "this file system has no attributes");
    }
    set_mode(&path, 0o444);
    let said = users.run(ALICE, "update", &path);
    assert!(said.contains("done"), "{said}");
    assert_eq!(access(&path), (ALICE, ALICE, 0o444));
    let mut value = [0; 16];
    let length = getxattr(&path, "user.comment", &mut value).unwrap();
    assert_eq!(&value[..length], b"mine");
}

/// The new file can't be the old owner's. The owner keeps its access by an entry of its own.
#[test]
fn the_owner_of_a_file_with_an_acl_keeps_its_access_when_another_user_replaces_it() {
    use AclEntry::{Group, Mask, Others, Owner, User};
    if take_part() {
        return;
    }
    let Some(users) = Users::of_test(this_test!()) else { return };
    let path = users.folder("folder", 0, 0, 0o777).join("registry.json");
    put(&path, EMPTY);
    chown(&path, Some(ALICE), Some(ALICE)).unwrap();
    let entries = [Owner(6), User(BOB, 6), Group(0), Mask(6), Others(0)];
    if !set_acl(&path, false, &entries) {
        return;
    }
    for user in [BOB, ALICE, BOB, ALICE] {
        let said = users.run(user, "update", &path);
        assert!(said.contains("done"), "{user}: {said}");
        assert_eq!(access(&path).0, user);
    }
    assert_eq!(access(&path).2, 0o660);
    assert!(users.run(BOB + 1, "read", &path).contains("PERMISSION_DENIED"));
}
