//! POSIX access control lists in the form in which Linux stores them: a version, then entries of a
//! tag, permissions and an id, all little-endian.

const VERSION: u32 = 2;
const VERSION_BYTES: usize = 4;
const ENTRY_BYTES: usize = 8;

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

const WRITE: u16 = 0o2;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    tag: u16,
    permissions: u16,
    id: u32,
}

/// The list for a file that has another owner or group than the file which has this one: the lost
/// owner and group get entries of their own, so that they keep their access. No other user gets more
/// than before. `None` if nothing has to be changed, or for a list that is not understood.
pub(super) fn keeping(
    acl: &[u8],
    lost_owner: Option<u32>,
    lost_group: Option<u32>,
) -> Option<Vec<u8>> {
    if lost_owner.is_none() && lost_group.is_none() {
        return None;
    }
    let mut entries = masked(acl)?;
    let permissions =
        |tag| entries.iter().find(|entry: &&Entry| entry.tag == tag).map(|entry| entry.permissions);
    let (owner, group, others) =
        (permissions(USER_OBJ)?, permissions(GROUP_OBJ)?, permissions(OTHER)?);
    if let Some(id) = lost_owner {
        add(&mut entries, USER, id, owner);
    }
    if let Some(id) = lost_group {
        add(&mut entries, GROUP, id, group);
        // The file's group is one for which the list was not meant.
        for entry in entries.iter_mut().filter(|entry| entry.tag == GROUP_OBJ) {
            entry.permissions &= others;
        }
    }
    Some(encoded(entries))
}

/// A file's list with the users and groups whom `acl` lets write. `None` if it lets them write already, or for lists
/// that are not understood.
pub(super) fn adding_writers(own: &[u8], acl: &[u8]) -> Option<Vec<u8>> {
    let mut entries = masked(own)?;
    let before = entries.clone();
    for writer in masked(acl)? {
        let has = |entry: &Entry| {
            (entry.tag, entry.id) == (writer.tag, writer.id) && entry.permissions & WRITE != 0
        };
        let is_writer = matches!(writer.tag, USER | GROUP) && writer.permissions & WRITE != 0;
        if is_writer && !before.iter().any(has) {
            add(&mut entries, writer.tag, writer.id, writer.permissions);
        }
    }
    (entries != before).then(|| encoded(entries))
}

/// The list that a file without one has by its mode.
pub(super) fn of_mode(mode: u32) -> Vec<u8> {
    let entry = |tag, shift: u32| {
        let permissions = u16::try_from(mode >> shift & 0o7).unwrap_or_default();
        Entry { tag, permissions, id: u32::MAX }.encode()
    };
    let mut bytes = VERSION.to_le_bytes().to_vec();
    bytes.extend([entry(USER_OBJ, 6), entry(GROUP_OBJ, 3), entry(OTHER, 0)].concat());
    bytes
}

/// The entries of a list, each with what the list's mask leaves it. With a wider mask they keep just that. `None` for a
/// list that is not understood.
fn masked(acl: &[u8]) -> Option<Vec<Entry>> {
    let (version, entries) = acl.split_at_checked(VERSION_BYTES)?;
    if version != VERSION.to_le_bytes() {
        return None;
    }
    let mut entries: Vec<_> = entries.chunks_exact(ENTRY_BYTES).map(Entry::decode).collect();
    let mask = entries.iter().find(|entry| entry.tag == MASK).map_or(0o7, |mask| mask.permissions);
    for entry in entries.iter_mut().filter(|entry| matches!(entry.tag, USER | GROUP | GROUP_OBJ)) {
        entry.permissions &= mask;
    }
    Some(entries)
}

/// A list of these entries, with a mask that takes nothing from them.
fn encoded(mut entries: Vec<Entry>) -> Vec<u8> {
    let needed = entries
        .iter()
        .filter(|entry| matches!(entry.tag, USER | GROUP | GROUP_OBJ))
        .fold(0, |mask, entry| mask | entry.permissions);
    entries.retain(|entry| entry.tag != MASK);
    entries.push(Entry { tag: MASK, permissions: needed, id: u32::MAX });
    // The kernel wants them in this order.
    entries.sort_by_key(|entry| (entry.tag, entry.id));
    let mut bytes = VERSION.to_le_bytes().to_vec();
    bytes.extend(entries.into_iter().flat_map(Entry::encode));
    bytes
}

/// Gives a user or group at least these permissions.
fn add(entries: &mut Vec<Entry>, tag: u16, id: u32, permissions: u16) {
    match entries.iter_mut().find(|entry| entry.tag == tag && entry.id == id) {
        Some(entry) => entry.permissions |= permissions,
        None => entries.push(Entry { tag, permissions, id }),
    }
}

impl Entry {
    fn decode(bytes: &[u8]) -> Self {
        Entry {
            tag: u16::from_le_bytes([bytes[0], bytes[1]]),
            permissions: u16::from_le_bytes([bytes[2], bytes[3]]),
            id: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        }
    }

    fn encode(self) -> [u8; ENTRY_BYTES] {
        let (tag, permissions) = (self.tag.to_le_bytes(), self.permissions.to_le_bytes());
        let id = self.id.to_le_bytes();
        [tag[0], tag[1], permissions[0], permissions[1], id[0], id[1], id[2], id[3]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        let entry = |&(tag, permissions, id)| Entry { tag, permissions, id }.encode();
        bytes.extend(entries.iter().flat_map(entry));
        bytes
    }

    #[test]
    fn a_lost_owner_and_a_lost_group_keep_their_access_and_others_get_no_more() {
        let none = u32::MAX;
        let old = list(&[
            (USER_OBJ, 6, none),
            (USER, 7, 20),
            (GROUP_OBJ, 6, none),
            (MASK, 4, none),
            (OTHER, 0, none),
        ]);
        assert_eq!(keeping(&old, None, None), None);
        let kept = keeping(&old, Some(10), Some(30)).unwrap();
        let expected = list(&[
            (USER_OBJ, 6, none),
            (USER, 6, 10),
            (USER, 4, 20),
            (GROUP_OBJ, 0, none),
            (GROUP, 4, 30),
            (MASK, 6, none),
            (OTHER, 0, none),
        ]);
        assert_eq!(kept, expected);
    }

    #[test]
    fn writers_are_added_once_and_no_other_user_gets_more() {
        let none = u32::MAX;
        let like = list(&[
            (USER_OBJ, 6, none),
            (USER, 4, 19),
            (USER, 7, 20),
            (GROUP_OBJ, 6, none),
            (GROUP, 6, 30),
            (MASK, 6, none),
            (OTHER, 0, none),
        ]);
        let added = adding_writers(&of_mode(0o640), &like).unwrap();
        let expected = list(&[
            (USER_OBJ, 6, none),
            (USER, 6, 20),
            (GROUP_OBJ, 4, none),
            (GROUP, 6, 30),
            (MASK, 6, none),
            (OTHER, 0, none),
        ]);
        assert_eq!(added, expected);
        assert_eq!(adding_writers(&added, &like), None);
        assert_eq!(adding_writers(&of_mode(0o640), &of_mode(0o660)), None);
        assert_eq!(adding_writers(&of_mode(0o640), b"ab"), None);
    }

    #[test]
    fn a_list_that_is_not_understood_is_left_alone() {
        for unknown in [&b""[..], b"ab", &[0; 4], &[9; 13]] {
            assert_eq!(keeping(unknown, Some(1), Some(1)), None);
        }
    }
}
