//! Rewriting a JSON text so that what a document's type does not know stays: unknown members, the order of
//! members, and the spelling of numbers.

use std::collections::HashMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::document::match_elements::{self, match_elements};
use crate::error::FormatError;

/// `old`, with what differs between `before` and `after`. `before` is the printed form of the value in
/// `old`, `after` that of the value that replaces it.
pub(super) fn rewrite(old: &[u8], before: &[u8], after: &[u8]) -> Result<Vec<u8>, FormatError> {
    let parse = |text| OrderedJson::parse(serde_json::from_slice(text)?, 0);
    let (old, before, after) = (parse(old)?, parse(before)?, parse(after)?);
    Ok(serde_json::to_vec_pretty(&merge(old, &before, after))?)
}

/// Whether two printed texts are of equal values, in whatever order members are, and elements of lists that
/// have scalars only, as the lists of a `HashSet` are.
pub(super) fn equals(one: &[u8], other: &[u8]) -> Result<bool, FormatError> {
    let parse = |text| OrderedJson::parse(serde_json::from_slice(text)?, 0);
    let (mut one, mut other) = (parse(one)?, parse(other)?);
    one.sort_scalars();
    other.sort_scalars();
    Ok(one.equals(&other))
}

/// How deep values are taken apart. What is deeper is one piece, whose text stays or is replaced. Without a
/// bound, a member that the type ignores could be nested so deeply that this thread's stack overflows,
/// which ends the process.
const MAX_DEPTH: u32 = 100;

/// A JSON value that keeps the order of members and the spelling of numbers and strings.
#[derive(Clone)]
enum OrderedJson<'a> {
    Object(Vec<(String, OrderedJson<'a>)>),
    List(Vec<OrderedJson<'a>>),
    Scalar(&'a RawValue),
}

impl<'a> OrderedJson<'a> {
    fn parse(raw: &'a RawValue, depth: u32) -> Result<Self, FormatError> {
        match raw.get().as_bytes().first() {
            Some(b'{') if depth < MAX_DEPTH => {
                let Ok(RawMembers(members)) = serde_json::from_str(raw.get()) else {
                    // A name that is no text, such as JavaScript's "\ud800", in an object that the type
                    // ignores. As an error, it would cost all that the type does not know.
                    return Ok(OrderedJson::Scalar(raw));
                };
                let parsed = members
                    .into_iter()
                    .map(|(name, value)| Ok((name, OrderedJson::parse(value, depth + 1)?)));
                parsed.collect::<Result<_, FormatError>>().map(OrderedJson::Object)
            }
            Some(b'[') if depth < MAX_DEPTH => {
                let elements: Vec<&RawValue> = serde_json::from_str(raw.get())?;
                let parsed =
                    elements.into_iter().map(|element| OrderedJson::parse(element, depth + 1));
                parsed.collect::<Result<_, FormatError>>().map(OrderedJson::List)
            }
            _ => Ok(OrderedJson::Scalar(raw)),
        }
    }

    /// Whether two values are equal, in whatever order their members are.
    fn equals(&self, other: &OrderedJson<'_>) -> bool {
        match (self, other) {
            (OrderedJson::Object(one), OrderedJson::Object(two)) => {
                one.len() == two.len() && common_members(one, two) == one.len()
            }
            (OrderedJson::List(one), OrderedJson::List(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.equals(two))
            }
            (OrderedJson::Scalar(one), OrderedJson::Scalar(two)) => one.get() == two.get(),
            _ => false,
        }
    }

    /// Sorts the lists that have scalars only.
    fn sort_scalars(&mut self) {
        match self {
            OrderedJson::Object(members) => {
                members.iter_mut().for_each(|(_, value)| value.sort_scalars());
            }
            OrderedJson::List(elements) if elements.iter().all(|one| one.scalar().is_some()) => {
                elements.sort_by(|one, other| one.scalar().cmp(&other.scalar()));
            }
            OrderedJson::List(elements) => elements.iter_mut().for_each(Self::sort_scalars),
            OrderedJson::Scalar(_) => {}
        }
    }

    fn scalar(&self) -> Option<&str> {
        match self {
            OrderedJson::Scalar(raw) => Some(raw.get()),
            OrderedJson::Object(_) | OrderedJson::List(_) => None,
        }
    }

    /// How [alike](match_elements::likeness) two elements of a list are.
    fn likeness(&self, other: &OrderedJson<'_>) -> usize {
        let (OrderedJson::Object(one), OrderedJson::Object(other)) = (self, other) else {
            return 0;
        };
        let (ones, others) = (index(one), index(other));
        let names = one.iter().map(|(name, _)| name.as_str());
        match_elements::likeness(names, one.len().max(other.len()), |name| {
            let (one, other) = (&one[*ones.get(name)?].1, &other[*others.get(name)?].1);
            // A null is none: it identifies nothing.
            (!one.is_null() && !other.is_null()).then(|| one.equals(other))
        })
    }

    fn is_null(&self) -> bool {
        self.scalar() == Some("null")
    }
}

fn common_members(one: &Members<'_>, two: &Members<'_>) -> usize {
    let by_name = index(two);
    let is_common = |(name, value): &&(String, OrderedJson<'_>)| {
        by_name.get(name.as_str()).is_some_and(|at| value.equals(&two[*at].1))
    };
    one.iter().filter(is_common).count()
}

/// Where each member is. Of several with one name, the last one counts, as for serde's maps.
fn index<'m>(members: &'m Members<'_>) -> HashMap<&'m str, usize> {
    members.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect()
}

fn merge<'a>(
    old: OrderedJson<'a>,
    before: &OrderedJson<'a>,
    after: OrderedJson<'a>,
) -> OrderedJson<'a> {
    if before.equals(&after) {
        return old;
    }
    match (old, before, after) {
        (OrderedJson::Object(old), OrderedJson::Object(before), OrderedJson::Object(after)) => {
            OrderedJson::Object(merge_members(old, before, after))
        }
        (OrderedJson::List(old), OrderedJson::List(before), OrderedJson::List(after))
            if old.len() == before.len() =>
        {
            let matched =
                match_elements(before, &after, OrderedJson::equals, OrderedJson::likeness);
            let elements = after.into_iter().zip(matched).map(|(element, index)| match index {
                Some(index) => merge(old[index].clone(), &before[index], element),
                None => element,
            });
            OrderedJson::List(elements.collect())
        }
        (_, _, after) => after,
    }
}

type Members<'a> = Vec<(String, OrderedJson<'a>)>;

fn merge_members<'a>(old: Members<'a>, before: &Members<'a>, after: Members<'a>) -> Members<'a> {
    let before_by_name = index(before);
    let known = |name: &str| before_by_name.get(name).map(|at| &before[*at].1);
    let after_by_name: HashMap<String, usize> =
        after.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
    let mut after: Vec<_> = after.into_iter().map(Some).collect();
    let mut merged = Vec::new();
    let last: HashMap<String, usize> =
        old.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
    for (at, (name, old)) in old.into_iter().enumerate() {
        let is_known = known(&name).is_some() || after_by_name.contains_key(&name);
        if is_known && last[&name] != at {
            continue;
        }
        let next = after_by_name.get(&name).and_then(|at| after[*at].take());
        match (known(&name), next) {
            (Some(before), Some((_, after))) => merged.push((name, merge(old, before, after))),
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

/// The members of an object, in order, with the text of each value.
struct RawMembers<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for RawMembers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Self::Value = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(InOrder).map(RawMembers)
    }
}

impl Serialize for OrderedJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            OrderedJson::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            OrderedJson::List(elements) => elements.serialize(serializer),
            OrderedJson::Scalar(raw) => raw.serialize(serializer),
        }
    }
}
