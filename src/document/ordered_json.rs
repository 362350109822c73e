//! A JSON value that keeps the order of members and the spelling of what is in it.

use std::collections::HashMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, Value};

use crate::document::match_elements;
use crate::error::FormatError;

/// Whether two printed texts are of equal values, in whatever order members are, and elements of lists that
/// have scalars only, as the lists of a `HashSet` are.
pub(super) fn texts_equal(one: &[u8], other: &[u8]) -> Result<bool, FormatError> {
    let (mut one, mut other) = (OrderedJson::from_text(one)?, OrderedJson::from_text(other)?);
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
pub(super) enum OrderedJson<'a> {
    Object(Vec<(String, OrderedJson<'a>)>),
    List(Vec<OrderedJson<'a>>),
    Scalar(&'a RawValue),
}

impl<'a> OrderedJson<'a> {
    pub(super) fn from_text(text: &'a [u8]) -> Result<Self, FormatError> {
        OrderedJson::parse(serde_json::from_slice(text)?, 0)
    }

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
    pub(super) fn equals(&self, other: &OrderedJson<'_>) -> bool {
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

    /// Whether this may be the text of a printed value, in which defaults and unknown members differ.
    pub(super) fn may_be(&self, printed: &OrderedJson<'_>) -> bool {
        match (self, printed) {
            (OrderedJson::Object(one), OrderedJson::Object(printed)) => {
                let by_name = index(one);
                let mut both = printed
                    .iter()
                    .filter_map(|(name, value)| Some((&one[*by_name.get(name.as_str())?].1, value)))
                    .peekable();
                (both.peek().is_some() || printed.is_empty())
                    && both.all(|(one, printed)| one.may_be(printed))
            }
            (OrderedJson::List(one), OrderedJson::List(printed)) => {
                let mut both = one.iter().zip(printed);
                one.len() == printed.len() && both.all(|(one, printed)| one.may_be(printed))
            }
            (OrderedJson::Scalar(one), OrderedJson::Scalar(printed)) => {
                let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
                let (Some(one), Some(printed)) = (value(one), value(printed)) else { return false };
                // 1 may have been read as a float, which is printed as 1.0.
                one == printed || one.is_number() && one.as_f64() == printed.as_f64()
            }
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
    pub(super) fn likeness(&self, other: &OrderedJson<'_>) -> usize {
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
pub(super) fn index<'m>(members: &'m Members<'_>) -> HashMap<&'m str, usize> {
    members.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect()
}

pub(super) type Members<'a> = Vec<(String, OrderedJson<'a>)>;

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
