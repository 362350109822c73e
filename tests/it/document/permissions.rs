//! Documents and lock files of several users, and their modes.

use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use argus_registry::UnlockedReason;

use crate::support::counter::{count_up, counter, patient, Counter};
use crate::support::files::{document_path, names_in, put};
use crate::support::processes::{again, this_test, PART};

/// The user that owns no files.
const UNPRIVILEGED_USER: u32 = 65_534;

/// This test program, where another user can run it. Another process copies it: if this program had
/// the copy open for writing, a child of another test could have inherited that descriptor for a
/// moment, and the copy could not be run then ("text file busy").
fn copy_of_this_program(folder: &Path) -> PathBuf {
    let program = folder.join("test");
    let copied = Command::new("cp").arg(env::current_exe().unwrap()).arg(&program).status();
    assert!(copied.unwrap().success());
    program
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_user_that_may_only_read_reads_without_a_lock_and_is_told() {
    if let Ok(path) = env::var(PART) {
        let document = counter(Path::new(&path));
        let loaded = document.load().unwrap();
        println!("\nread {} locked: {}", loaded.value.count, loaded.locked);
        assert_eq!(loaded.locked, loaded.unlocked.is_none());
        let required = document.clone().require_lock().load();
        match &loaded.unlocked {
            Some(UnlockedReason::PermissionDenied { message }) => {
                let error = required.unwrap_err();
                assert_eq!((error.code(), &error.to_string()), ("PERMISSION_DENIED", message));
                assert_eq!(error.path(), Path::new(&path).with_extension("lock"));
            }
            other => assert_eq!((other, required.unwrap().locked), (&None, true)),
        }
        let refused = document.save(&mut Counter::default()).unwrap_err();
        println!("save: {} {}", refused.code(), refused.path().display());
        return;
    }
    let (dir, path) = document_path();
    let owner = fs::metadata(dir.path()).unwrap().uid();
    put(&path, r#"{"count":7}"#);
    let program = copy_of_this_program(dir.path());
    set_mode(dir.path(), 0o555);
    let test = this_test!();
    let run = || {
        let mut command = again(&program, test, &path);
        if owner == 0 {
            command.uid(UNPRIVILEGED_USER).gid(UNPRIVILEGED_USER);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let lock_file = path.with_extension("lock");
    let said = run();
    assert!(said.contains("read 7 locked: false"), "{said}");
    assert!(said.contains(&format!("save: PERMISSION_DENIED {}", lock_file.display())), "{said}");
    assert_eq!(names_in(dir.path()), ["doc.json", "test"], "no lock file was made");
    // With a lock file that it may read, the process joins the readers. With one that it may not
    // read, it reads without a lock again.
    set_mode(dir.path(), 0o755);
    put(&lock_file, "");
    set_mode(&lock_file, 0o444);
    set_mode(dir.path(), 0o555);
    let said = run();
    assert!(said.contains("read 7 locked: true"), "{said}");
    set_mode(&lock_file, 0o000);
    let said = run();
    assert!(said.contains("read 7 locked: false"), "{said}");
    set_mode(dir.path(), 0o755);
}

/// The first process to look was root's, or that of a user that may only read the document. The
/// document's owner was locked out of it from then on.
#[test]
fn a_first_look_by_another_user_does_not_lock_the_owner_out() {
    let test = this_test!();
    if let Ok(part) = env::var(PART) {
        let (what, path) = part.split_once(' ').unwrap();
        let document = counter(Path::new(path));
        match what {
            "load" => println!("\nlocked: {}", document.load().unwrap().locked),
            _ => println!("\ncount: {}", document.update(&patient(), count_up).unwrap()),
        }
        return;
    }
    let (dir, path) = document_path();
    if fs::metadata(dir.path()).unwrap().uid() != 0 {
        // The test harness keeps to itself what println prints.
        writeln!(std::io::stderr(), "{test} SKIPPED: only root can be several users").unwrap();
        return;
    }
    let program = copy_of_this_program(dir.path());
    // Every user may make files here, and none may delete those of others.
    set_mode(dir.path(), 0o1777);
    let run = |what: &str, user: u32, begins: &str| {
        let mut command = again(&program, test, format!("{what} {}", path.display()));
        let output = command.uid(user).gid(user).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(begins), "{said}");
    };
    let (owner, reader, root) = (12_345, 12_346, 0);
    let lock_file = path.with_extension("lock");
    for mode in [0o644, 0o600] {
        put(&path, r#"{"count":0}"#);
        chown(&path, Some(owner), Some(owner)).unwrap();
        set_mode(&path, mode);
        if mode == 0o644 {
            run("load", reader, "locked: false");
            assert!(!lock_file.exists(), "a lock file of the reader's would lock the owner out");
        }
        run("load", root, "locked: true");
        let made = fs::metadata(&lock_file).unwrap();
        assert_eq!((made.uid(), made.mode() & 0o777), (owner, mode));
        run("update", owner, "count: 1");
        run("update", root, "count: 2");
        run("update", owner, "count: 3");
        fs::remove_file(&lock_file).unwrap();
    }
}

/// A lock file has the name that its user chose, and may be any file. One of root's that had been
/// moved there was given to the document's owner.
#[test]
fn a_file_of_another_program_at_the_lock_path_keeps_its_owner_and_mode() {
    let (_dir, path) = document_path();
    let lock_file = path.with_extension("lock");
    let access = |path: &Path| (fs::metadata(path).unwrap().uid(), mode(path) & 0o777);
    put(&path, r#"{"count":0}"#);
    set_mode(&path, 0o666);
    let me = fs::metadata(&path).unwrap().uid();
    for (content, other_name, owner) in
        [("secret", false, me), ("", true, me), ("", false, if me == 0 { 12_345 } else { me })]
    {
        put(&lock_file, content);
        set_mode(&lock_file, 0o600);
        let second = path.with_file_name("second");
        if other_name {
            #[allow(clippy::disallowed_methods, reason = "another program makes it")]
            fs::hard_link(&lock_file, &second).unwrap();
        }
        if owner != me {
            chown(&path, Some(owner), None).unwrap();
        }
        counter(&path).update(&patient(), count_up).unwrap();
        let expected = if (content, other_name, owner) == ("", false, me) { 0o666 } else { 0o600 };
        assert_eq!(access(&lock_file), (me, expected), "{content:?} {other_name} {owner}");
        fs::remove_file(&lock_file).unwrap();
    }
}

#[test]
fn modes_are_kept_and_new_files_have_the_mode_that_was_asked_for() {
    if let Ok(path) = env::var(PART) {
        let path = Path::new(&path);
        for (name, asked, gets) in [
            ("a.json", None, 0o640),
            ("b.json", Some(0o600), 0o600),
            ("c.json", Some(0o666), 0o640),
        ] {
            let path = path.with_file_name(name);
            let document = counter(&path);
            let document = match asked {
                Some(asked) => document.new_file_mode(asked),
                None => document,
            };
            document.save(&mut Counter::default()).unwrap();
            // A user that may not read a document may not hold up those that do.
            let lock_file = path.with_extension("lock");
            assert_eq!((mode(&path), mode(&lock_file)), (gets, gets), "{name}");
            // A user that may write it has to be able to lock it, whatever the umask says.
            set_mode(&path, 0o660);
            document.update(&patient(), count_up).unwrap();
            assert_eq!((mode(&path), mode(&lock_file)), (0o660, 0o660));
            set_mode(&path, 0o666);
            fs::remove_file(&lock_file).unwrap();
            document.load().unwrap();
            assert_eq!((mode(&path), mode(&lock_file)), (0o666, 0o666));
        }
        return;
    }
    let (_dir, path) = document_path();
    // A umask is that of a process, so this runs in a process of its own.
    let program = env::current_exe().unwrap();
    let status = Command::new("sh")
        .args(["-c", "umask 027 && exec \"$0\" --exact \"$1\" --nocapture"])
        .args([program.as_os_str(), this_test!().as_ref()])
        .env(PART, &path)
        .status();
    assert!(status.unwrap().success());
}
