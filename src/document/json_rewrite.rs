//! Rewriting a JSON text so that what a document's type does not know stays: unknown members, the order of
//! members, and the spelling of numbers.

use std::collections::HashMap;

use crate::document::match_elements::match_elements;
use crate::document::names::Names;
use crate::document::ordered_json::{index, Members, OrderedJson};
use crate::error::FormatError;

/// `old`, with what differs between `before` and `after`. `before` is the printed form of the value in
/// `old`, `after` that of the value that replaces it.
pub(super) fn rewrite(
    old: &[u8],
    before: &[u8],
    after: &[u8],
    names: Names,
) -> Result<Vec<u8>, FormatError> {
    let parse = OrderedJson::from_text;
    let (old, before, after) = (parse(old)?, parse(before)?, parse(after)?);
    Ok(serde_json::to_vec_pretty(&merge(old, &before, after, names))?)
}

fn merge<'a>(
    old: OrderedJson<'a>,
    before: &OrderedJson<'a>,
    after: OrderedJson<'a>,
    names: Names,
) -> OrderedJson<'a> {
    if before.equals(&after) {
        return old;
    }
    match (old, before, after) {
        (OrderedJson::Object(old), OrderedJson::Object(before), OrderedJson::Object(after)) => {
            OrderedJson::Object(merge_members(old, before, after, names))
        }
        (OrderedJson::List(old), OrderedJson::List(before), OrderedJson::List(after))
            if old.len() == before.len() =>
        {
            let matched =
                match_elements(before, &after, OrderedJson::equals, OrderedJson::likeness);
            let elements = after.into_iter().zip(matched).map(|(element, index)| match index {
                Some(index) => merge(old[index].clone(), &before[index], element, names),
                None => element,
            });
            OrderedJson::List(elements.collect())
        }
        (_, _, after) => after,
    }
}

fn merge_members<'a>(
    old: Members<'a>,
    before: &Members<'a>,
    after: Members<'a>,
    names: Names,
) -> Members<'a> {
    let before_by_name = index(before);
    let known = |name: &str| before_by_name.get(name).map(|at| &before[*at].1);
    let after_by_name: HashMap<String, usize> =
        after.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
    let renamed = match names {
        Names::Printed => HashMap::new(),
        Names::Others => other_names(&old, before, &after),
    };
    let mut after: Vec<_> = after.into_iter().map(Some).collect();
    let mut merged = Vec::new();
    let last: HashMap<String, usize> =
        old.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
    for (at, (name, old)) in old.into_iter().enumerate() {
        let printed = renamed.get(&name).unwrap_or(&name);
        let place = after_by_name.get(printed);
        if (known(printed).is_some() || place.is_some()) && last[&name] != at {
            continue;
        }
        match (known(printed), place.and_then(|place| after[*place].take())) {
            (Some(before), Some((_, after))) => {
                merged.push((name, merge(old, before, after, names)));
            }
            (None, Some((_, after))) => merged.push((name, after)),
            // The type does not know it.
            (None, None) => merged.push((name, old)),
            (Some(_), None) => {}
        }
    }
    // A member that the old text lacks and that has not changed is a default of the type.
    let is_new = |(name, value): &(String, OrderedJson<'a>)| {
        known(name).is_none_or(|before| !before.equals(value))
    };
    merged.extend(after.into_iter().flatten().filter(is_new));
    merged
}

/// Of the members that were changed and that the old text lacks: the names by which it may have them, and
/// their printed names.
fn other_names(
    old: &Members<'_>,
    before: &Members<'_>,
    after: &Members<'_>,
) -> HashMap<String, String> {
    let (old_by_name, before_by_name, after_by_name) = (index(old), index(before), index(after));
    let mut found = HashMap::new();
    for (printed, value) in before {
        let next = after_by_name.get(printed.as_str()).map(|at| &after[*at].1);
        let is_changed = next.is_none_or(|next| !next.equals(value));
        if !is_changed || old_by_name.contains_key(printed.as_str()) {
            continue;
        }
        let other = old.iter().find(|(name, old)| {
            let is_printed = |names: &HashMap<&str, usize>| names.contains_key(name.as_str());
            !is_printed(&before_by_name)
                && !is_printed(&after_by_name)
                && !found.contains_key(name)
                && old.may_be(value)
        });
        if let Some((name, _)) = other {
            found.insert(name.clone(), printed.clone());
        }
    }
    found
}
