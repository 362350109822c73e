//! POSIX access control lists in the form in which Linux stores them: a version, then entries of a
//! tag, permissions and an id, all little-endian.

const VERSION_BYTES: usize = 4;
const ENTRY_BYTES: usize = 8;

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

#[derive(Clone, Copy)]
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
    let (version, entries) = acl.split_at_checked(VERSION_BYTES)?;
    let mut entries: Vec<_> = entries.chunks_exact(ENTRY_BYTES).map(Entry::decode).collect();
    let permissions =
        |tag| entries.iter().find(|entry: &&Entry| entry.tag == tag).map(|entry| entry.permissions);
    let (owner, group, others) =
        (permissions(USER_OBJ)?, permissions(GROUP_OBJ)?, permissions(OTHER)?);
    let old_mask = permissions(MASK).unwrap_or(0o7);
    // With a wider mask the others have to keep what the old mask left them.
    for entry in entries.iter_mut().filter(|entry| matches!(entry.tag, USER | GROUP | GROUP_OBJ)) {
        entry.permissions &= old_mask;
    }
    if let Some(id) = lost_owner {
        add(&mut entries, USER, id, owner);
    }
    if let Some(id) = lost_group {
        add(&mut entries, GROUP, id, group & old_mask);
        // The file's group is one for which the list was not meant.
        for entry in entries.iter_mut().filter(|entry| entry.tag == GROUP_OBJ) {
            entry.permissions &= others;
        }
    }
    let needed = entries
        .iter()
        .filter(|entry| matches!(entry.tag, USER | GROUP | GROUP_OBJ))
        .fold(0, |mask, entry| mask | entry.permissions);
    entries.retain(|entry| entry.tag != MASK);
    entries.push(Entry { tag: MASK, permissions: needed, id: u32::MAX });
    // The kernel wants them in this order.
    entries.sort_by_key(|entry| (entry.tag, entry.id));
    let mut bytes = version.to_vec();
    bytes.extend(entries.into_iter().flat_map(Entry::encode));
    Some(bytes)
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
    fn a_list_that_is_not_understood_is_left_alone() {
        for unknown in [&b""[..], b"ab", &[0; 4], &[9; 13]] {
            assert_eq!(keeping(unknown, Some(1), Some(1)), None);
        }
    }
}
