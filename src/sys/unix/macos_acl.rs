//! Access control lists of macOS as texts of the crate `exacl`: an entry each line, of `allow` or `deny`, flags, kind,
//! name and permissions. Here so that it is tested on each system.

use std::io;

const READING: &str = "read,readattr,readextattr,readsecurity";
const WRITING: &str = "write,append,writeattr,writeextattr";

/// The list for a file that has another owner or group than the file which has this one and this mode: the
/// lost owner and group get entries of their own, so that they keep the access that the mode gave them. These are
/// the last ones, because the mode counts after all entries: what the list denies stays denied.
pub(super) fn keeping(
    list: &str,
    mode: u32,
    lost_owner: Option<u32>,
    lost_group: Option<u32>,
) -> String {
    let mut kept = list.to_owned();
    for (kind, id, bits) in [("user", lost_owner, mode >> 6), ("group", lost_group, mode >> 3)] {
        let rights = [(0o4, READING), (0o2, WRITING)];
        let rights = rights.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, names)| *names);
        let rights = rights.collect::<Vec<_>>().join(",");
        if let (Some(id), false) = (id, rights.is_empty()) {
            kept.push_str(&format!("allow::{kind}:{id}:{rights}\n"));
        }
    }
    kept
}

/// The number of a system's error of which a library has kept the text.
fn number_in(error: &io::Error) -> Option<i32> {
    let text = error.to_string();
    let (_, number) = text.rsplit_once("(os error ")?;
    number.strip_suffix(')')?.parse().ok()
}

/// Whether the file system has no access control lists: `ENOTSUP` or `EOPNOTSUPP` of macOS.
pub(super) fn is_unsupported_text(error: &io::Error) -> bool {
    matches!(error.raw_os_error().or_else(|| number_in(error)), Some(45 | 102))
}

/// Whether the file has no path any more.
pub(super) fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_owner_and_a_lost_group_keep_what_the_mode_gave_them() {
        let list = "deny::user:ann:write\nallow:inherited:group:staff:read\n";
        assert_eq!(keeping(list, 0o777, None, None), list);
        assert_eq!(keeping(list, 0o007, Some(501), Some(20)), list);
        assert_eq!(
            keeping(list, 0o640, Some(501), Some(20)),
            format!(
                "{list}allow::user:501:{READING},{WRITING}\n\
                 allow::group:20:{READING}\n"
            )
        );
    }

    #[test]
    fn the_number_of_an_error_is_found_in_the_text_that_a_library_made_of_it() {
        let wrapped = |number| {
            let error = io::Error::from_raw_os_error(number);
            io::Error::new(error.kind(), format!("File \"/a\": {error}"))
        };
        for number in [45, 102] {
            assert!(is_unsupported_text(&wrapped(number)), "{number}");
            assert!(is_unsupported_text(&io::Error::from_raw_os_error(number)), "{number}");
        }
        for error in
            [wrapped(13), io::Error::other("unknown tag"), io::Error::other("(os error x)")]
        {
            assert!(!is_unsupported_text(&error), "{error}");
        }
    }
}
