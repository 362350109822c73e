//! Which elements of a changed list are elements of the list before the change.

/// For each element of `after`, the index of the element of `before` that it is: an equal one, or one that
/// was changed. Each element of `before` is found at most once.
///
/// An element that equals none is the rest's one that is most [alike](likeness) to it, and a new one if none
/// is alike.
pub(super) fn match_elements<T>(
    before: &[T],
    after: &[T],
    is_equal: impl Fn(&T, &T) -> bool,
    likeness: impl Fn(&T, &T) -> usize,
) -> Vec<Option<usize>> {
    let mut is_found = vec![false; before.len()];
    let mut matched = vec![None; after.len()];
    for (element, matched) in after.iter().zip(&mut matched) {
        let mut free = (0..before.len()).filter(|index| !is_found[*index]);
        *matched = free.find(|index| is_equal(&before[*index], element));
        matched.iter().for_each(|index| is_found[*index] = true);
    }
    for (element, matched) in after.iter().zip(&mut matched).filter(|(_, found)| found.is_none()) {
        let free = (0..before.len()).filter(|index| !is_found[*index]);
        let counted = free.map(|index| (likeness(&before[index], element), index));
        // Of several that are as alike, the first one.
        let closest = counted.filter(|(count, _)| *count > 0).rev().max_by_key(|(count, _)| *count);
        *matched = closest.map(|(_, index)| index);
        matched.iter().for_each(|index| is_found[*index] = true);
    }
    matched
}

/// How alike two elements with named members are: how many members they have in common, or 0 if they are not
/// one element before and after a change. What the type does not know goes with an element, such as who
/// approved it, and must not go from a removed element to a new one.
///
/// One element keeps the members that identify it: `id`; without it, `key`; without that, `name`; without
/// these, all whose names end in `Id`, `_id` or `-id`. Without any of these it keeps at least half of its
/// members.
///
/// `names` are those of one element, and `size` is the number of members of the larger one. `is_equal` says
/// whether a member of both is equal, and is `None` if the other element lacks it.
pub(super) fn likeness<'n>(
    names: impl Iterator<Item = &'n str>,
    size: usize,
    is_equal: impl Fn(&str) -> Option<bool>,
) -> usize {
    let mut common = 0;
    let mut first_rank: Option<(u8, bool)> = None;
    for name in names {
        let Some(is_equal) = is_equal(name) else { continue };
        common += usize::from(is_equal);
        let Some(rank) = rank_of_identity(name) else { continue };
        first_rank = match first_rank {
            Some((first, all_equal)) if first == rank => Some((first, all_equal && is_equal)),
            Some((first, all_equal)) if first < rank => Some((first, all_equal)),
            _ => Some((rank, is_equal)),
        };
    }
    let is_one = first_rank.map_or(common * 2 >= size, |(_, all_equal)| all_equal);
    if is_one {
        common
    } else {
        0
    }
}

fn rank_of_identity(name: &str) -> Option<u8> {
    match name {
        "id" => Some(0),
        "key" => Some(1),
        "name" => Some(2),
        _ => ["Id", "_id", "-id"].iter().any(|end| name.ends_with(end)).then_some(3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_after_they_were_moved_changed_added_or_removed() {
        let matched = |before: &[[u8; 2]], after: &[[u8; 2]]| {
            let common = |one: &[u8; 2], other: &[u8; 2]| {
                one.iter().zip(other).filter(|(one, other)| one == other).count()
            };
            match_elements(before, after, |one, other| one == other, common)
        };
        let (a, b, c) = ([1, 1], [2, 2], [3, 3]);
        assert_eq!(matched(&[a, b, c], &[a, b, c]), [Some(0), Some(1), Some(2)]);
        assert_eq!(matched(&[a, b, c], &[c, a]), [Some(2), Some(0)]);
        assert_eq!(matched(&[a, b, c], &[[3, 9], b, a]), [Some(2), Some(1), Some(0)]);
        assert_eq!(matched(&[a, b], &[a, b, c]), [Some(0), Some(1), None]);
        assert_eq!(matched(&[a, b], &[c, b]), [None, Some(1)]);
        assert_eq!(matched(&[a, a], &[a, a, a]), [Some(0), Some(1), None]);
        assert_eq!(matched(&[[1, 5], [1, 6]], &[[1, 7], [1, 8]]), [Some(0), Some(1)]);
    }
    #[test]
    fn an_element_keeps_what_identifies_it_or_half_of_its_members() {
        let alike = |one: &[(&str, u8)], other: &[(&str, u8)]| {
            let value = |name: &str| other.iter().find(|(other, _)| *other == name);
            let of_one = |name: &str| one.iter().find(|(other, _)| *other == name);
            let is_equal = |name: &str| Some(value(name)? == of_one(name)?);
            likeness(one.iter().map(|(name, _)| *name), one.len().max(other.len()), is_equal)
        };
        assert_eq!(alike(&[("id", 1), ("a", 1)], &[("id", 1), ("a", 2)]), 1);
        assert_eq!(alike(&[("a", 1), ("id", 1), ("b", 1)], &[("a", 1), ("id", 2), ("b", 1)]), 0);
        assert_eq!(alike(&[("name", 1), ("id", 1)], &[("name", 2), ("id", 1)]), 1);
        assert_eq!(alike(&[("id", 1), ("name", 1)], &[("id", 2), ("name", 1)]), 0);
        // An id that was only added identifies nothing.
        assert_eq!(alike(&[("name", 1)], &[("id", 2), ("name", 1)]), 1);
        assert_eq!(alike(&[("userId", 1), ("job_id", 1)], &[("userId", 1), ("job_id", 2)]), 0);
        assert_eq!(alike(&[("path", 1), ("n", 1)], &[("path", 1), ("n", 2)]), 1);
        let three = [("path", 1), ("n", 1), ("kind", 1)];
        assert_eq!(alike(&three, &[("path", 2), ("n", 2), ("kind", 1)]), 0);
        assert_eq!(alike(&[("a", 1)], &[("a", 2)]), 0);
    }
}
