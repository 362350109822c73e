//! The attributes and the access control list that a file gets from the one that it replaces, on Linux and macOS.

use std::fs::{File, Metadata};
use std::io;

use rustix::fs::{fsetxattr, XattrFlags};

use super::access::copy_mode_and_owner;
use super::access_list::copy_list;
use super::attributes::{each_name, has_attribute, names, value};

/// What becomes of an attribute of a file that is replaced.
#[derive(Debug, PartialEq, Eq)]
enum Copying {
    /// It is copied, and the replacement fails if that can't be done.
    Required,
    /// It is copied if the system permits it. Otherwise the new file has what the system's policy gives to
    /// new files.
    IfPermitted,
    /// It belongs to the old content, as capabilities and checksums do.
    Never,
}

impl Copying {
    #[cfg(any(test, target_os = "linux"))]
    fn on_linux(name: &str) -> Self {
        match name {
            "security.selinux" | "security.SMACK64" => Copying::IfPermitted,
            _ if name.starts_with("user.") => Copying::Required,
            _ => Copying::Never,
        }
    }

    /// Users choose any name there; Apple's programs and its kernel begin theirs with `com.apple.`, and the
    /// kernel keeps some of those, such as `com.apple.provenance`, to itself.
    #[cfg(any(test, target_os = "macos"))]
    fn on_macos(name: &str) -> Self {
        match name {
            "com.apple.ResourceFork" | "com.apple.decmpfs" => Copying::Never,
            _ if name.starts_with("com.apple.") => Copying::IfPermitted,
            _ => Copying::Required,
        }
    }

    fn of(name: &str) -> Self {
        #[cfg(target_os = "linux")]
        return Copying::on_linux(name);
        #[cfg(target_os = "macos")]
        return Copying::on_macos(name);
    }
}

/// Gives a new file of this process the extended attributes, the labels, the owner, the mode and the access
/// control list of the file that it replaces. Fails if a mode, a list or an attribute of users can't be set: the
/// access rights would change, and no error would tell.
pub(crate) fn copy_attributes_and_access(
    old: &File,
    like: &Metadata,
    new: &File,
) -> io::Result<()> {
    let (old_names, new_names) = (names(old)?, names(new)?);
    for name in each_name(&old_names).filter_map(|name| std::str::from_utf8(name).ok()) {
        let copying = Copying::of(name);
        if copying == Copying::Never {
            continue;
        }
        let copied = value(old, name).and_then(|wanted| {
            if has_attribute(&new_names, name) && value(new, name).is_ok_and(|has| has == wanted) {
                return Ok(());
            }
            Ok(fsetxattr(new, name, &wanted, XattrFlags::empty())?)
        });
        if copying == Copying::Required {
            copied?;
        }
    }
    // After the attributes: a process may set none of a read-only file, or of one that it has given away.
    copy_mode_and_owner(new, like)?;
    // Last: a list may deny this process what the calls above need, and setting the mode changes a list's mask.
    copy_list((old, &old_names), like, (new, &new_names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_users_have_to_be_copied_and_those_of_the_system_may_be() {
        for (name, linux, macos) in [
            ("user.note", Copying::Required, Copying::Required),
            ("note", Copying::Never, Copying::Required),
            ("security.selinux", Copying::IfPermitted, Copying::Required),
            ("security.capability", Copying::Never, Copying::Required),
            ("com.apple.quarantine", Copying::Never, Copying::IfPermitted),
            ("com.apple.ResourceFork", Copying::Never, Copying::Never),
        ] {
            assert_eq!(Copying::on_linux(name), linux, "{name}");
            assert_eq!(Copying::on_macos(name), macos, "{name}");
        }
    }
}
