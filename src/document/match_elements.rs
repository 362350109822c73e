//! Which elements of a changed list are elements of the list before the change.

/// For each element of `after`, the index of the element of `before` that it is: an equal one, or one that
/// was changed. Each element of `before` is found at most once.
///
/// `common` counts the members that two elements have in common. An element that equals none is the rest's
/// one with which it has the most in common, and a new one if it has nothing in common with any.
pub(super) fn match_elements<T>(
    before: &[T],
    after: &[T],
    is_equal: impl Fn(&T, &T) -> bool,
    common: impl Fn(&T, &T) -> usize,
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
        let counted = free.map(|index| (common(&before[index], element), index));
        // Of several with as much in common, the first one.
        let closest = counted.filter(|(count, _)| *count > 0).rev().max_by_key(|(count, _)| *count);
        *matched = closest.map(|(_, index)| index);
        matched.iter().for_each(|index| is_found[*index] = true);
    }
    matched
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
}
