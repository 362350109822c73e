//! Processes of other users, which only root can start.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::processes::{again, print_skipped};

/// Users that own no files outside a test. Each one's group has its number.
pub(crate) const ALICE: u32 = 12_345;
pub(crate) const BOB: u32 = 12_346;

/// A group that users of a test share.
pub(crate) const TEAM: u32 = 12_350;

/// Runs parts of a test as several users.
pub(crate) struct Users {
    dir: TempDir,
    program: PathBuf,
    test: &'static str,
}

impl Users {
    /// `None`, with a printed reason, for a test program that is not root's.
    pub(crate) fn of_test(test: &'static str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        if fs::metadata(dir.path()).unwrap().uid() != 0 {
            print_skipped(test, "only root can be several users");
            return None;
        }
        set_mode(dir.path(), 0o755);
        let program = dir.path().join("test");
        // Another process copies it: if this program had the copy open for writing, a child of another
        // test could have inherited that descriptor for a moment ("text file busy").
        let copied = Command::new("cp").arg(env::current_exe().unwrap()).arg(&program).status();
        assert!(copied.unwrap().success());
        Some(Users { dir, program, test })
    }

    /// A new folder with this owner, group and mode, in one that all users may enter.
    pub(crate) fn folder(&self, name: &str, user: u32, group: u32, mode: u32) -> PathBuf {
        let folder = fs::canonicalize(self.dir.path()).unwrap().join(name);
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::chown(&folder, Some(user), Some(group)).unwrap();
        set_mode(&folder, mode);
        folder
    }

    /// Runs the test again as this user, who is also of the group [`TEAM`]; returns what it prints.
    pub(crate) fn run(&self, user: u32, part: &str, path: &Path) -> String {
        said_by(self.command(user, part, path))
    }

    /// The test again as this user, who is also of the group [`TEAM`].
    pub(crate) fn command(&self, user: u32, part: &str, path: &Path) -> Command {
        let mut command = Command::new("setpriv");
        let ids = [format!("--reuid={user}"), format!("--regid={user}")];
        command.args(ids).arg(if user == 0 {
            "--clear-groups".to_owned()
        } else {
            format!("--groups={TEAM}")
        });
        let of_test = again(&self.program, self.test, format!("{part} {}", path.display()));
        command.arg(&self.program).args(of_test.get_args());
        command.envs(of_test.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }
}

/// What a command prints, which must succeed.
pub(crate) fn said_by(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The owner, the group and the mode of a file or folder.
pub(crate) fn access(path: &Path) -> (u32, u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid(), found.mode() & 0o7777)
}

/// An entry of an access control list: the permissions of a user, by its number, or of one of the
/// classes that every list has.
pub(crate) enum AclEntry {
    Owner(u16),
    User(u32, u16),
    Group(u16),
    Mask(u16),
    Others(u16),
}

/// Gives a file this list, or a folder this one for the files in it (`default`). Returns whether the
/// file system has such lists.
pub(crate) fn set_acl(path: &Path, default: bool, entries: &[AclEntry]) -> bool {
    let mut list = 2_u32.to_le_bytes().to_vec();
    for entry in entries {
        let (tag, permissions, id) = match *entry {
            AclEntry::Owner(permissions) => (0x01_u16, permissions, u32::MAX),
            AclEntry::User(id, permissions) => (0x02, permissions, id),
            AclEntry::Group(permissions) => (0x04, permissions, u32::MAX),
            AclEntry::Mask(permissions) => (0x10, permissions, u32::MAX),
            AclEntry::Others(permissions) => (0x20, permissions, u32::MAX),
        };
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    let name = if default { "system.posix_acl_default" } else { "system.posix_acl_access" };
    match rustix::fs::setxattr(path, name, &list, rustix::fs::XattrFlags::empty()) {
        Err(rustix::io::Errno::OPNOTSUPP) => {
            print_skipped("ACLs", "this file system has none");
            false
        }
        set => set.map(|()| true).unwrap(),
    }
}
