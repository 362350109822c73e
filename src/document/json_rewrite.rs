//! Rewriting a JSON text so that what a document's type does not know stays: unknown members, the order of
//! members, and the spelling of numbers.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::document::match_elements::match_elements;
use crate::error::FormatError;

/// `old`, with what differs between `before` and `after`. `before` is the printed form of the value in
/// `old`, `after` that of the value that replaces it.
pub(super) fn rewrite(old: &[u8], before: &[u8], after: &[u8]) -> Result<Vec<u8>, FormatError> {
    let parse = |text| -> Result<Json<'_>, FormatError> { Ok(serde_json::from_slice(text)?) };
    let (old, before, after) = (parse(old)?, parse(before)?, parse(after)?);
    Ok(serde_json::to_vec_pretty(&merge(old, &before, after))?)
}

/// A JSON value that keeps the order of members and the spelling of numbers and strings.
#[derive(Clone)]
enum Json<'a> {
    Object(Vec<(String, Json<'a>)>),
    List(Vec<Json<'a>>),
    Scalar(&'a RawValue),
}

impl<'a> Json<'a> {
    fn get(&self, name: &str) -> Option<&Json<'a>> {
        let Json::Object(members) = self else { return None };
        members.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// Whether two values are equal, in whatever order their members are.
    fn equals(&self, other: &Json<'_>) -> bool {
        match (self, other) {
            (Json::Object(one), Json::Object(two)) => {
                let is_in_other = |(name, value): &(String, Json<'_>)| {
                    other.get(name).is_some_and(|other| value.equals(other))
                };
                one.len() == two.len() && one.iter().all(is_in_other)
            }
            (Json::List(one), Json::List(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.equals(two))
            }
            (Json::Scalar(one), Json::Scalar(two)) => one.get() == two.get(),
            _ => false,
        }
    }
}

impl Json<'_> {
    /// How many members two objects have in common.
    fn common_members(&self, other: &Json<'_>) -> usize {
        let Json::Object(members) = self else { return 0 };
        let is_common = |(name, value): &&(String, Json<'_>)| {
            other.get(name).is_some_and(|other| value.equals(other))
        };
        members.iter().filter(is_common).count()
    }
}

fn merge<'a>(old: Json<'a>, before: &Json<'a>, after: Json<'a>) -> Json<'a> {
    if before.equals(&after) {
        return old;
    }
    match (old, before, after) {
        (Json::Object(old), Json::Object(_), Json::Object(after)) => {
            Json::Object(merge_members(old, before, after))
        }
        (Json::List(old), Json::List(before), Json::List(after)) if old.len() == before.len() => {
            let matched = match_elements(before, &after, Json::equals, Json::common_members);
            let elements = after.into_iter().zip(matched).map(|(element, index)| match index {
                Some(index) => merge(old[index].clone(), &before[index], element),
                None => element,
            });
            Json::List(elements.collect())
        }
        (_, _, after) => after,
    }
}

type Members<'a> = Vec<(String, Json<'a>)>;

fn merge_members<'a>(old: Members<'a>, before: &Json<'a>, after: Members<'a>) -> Members<'a> {
    let mut after: Vec<_> = after.into_iter().map(Some).collect();
    let mut take = |name: &str| {
        let found =
            after.iter_mut().find(|member| member.as_ref().is_some_and(|(other, _)| other == name));
        found.and_then(Option::take).map(|(_, value)| value)
    };
    let mut merged = Vec::new();
    for (name, old) in old {
        match (before.get(&name), take(&name)) {
            (Some(before), Some(after)) => merged.push((name, merge(old, before, after))),
            (None, Some(after)) => merged.push((name, after)),
            // The type does not know it.
            (None, None) => merged.push((name, old)),
            (Some(_), None) => {}
        }
    }
    // A member that the old text lacks and that has not changed is a default of the type.
    let is_new = |(name, value): &(String, Json<'a>)| {
        before.get(name).is_none_or(|before| !before.equals(value))
    };
    merged.extend(after.into_iter().flatten().filter(is_new));
    merged
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'a RawValue>::deserialize(deserializer)?;
        let parsed = match raw.get().as_bytes().first() {
            Some(b'{') => {
                serde_json::from_str(raw.get()).map(|Object(members)| Json::Object(members))
            }
            Some(b'[') => serde_json::from_str(raw.get()).map(Json::List),
            _ => Ok(Json::Scalar(raw)),
        };
        parsed.map_err(de::Error::custom)
    }
}

struct Object<'a>(Members<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Members<'de> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, _>()? {
                    if members.iter().any(|(other, _)| *other == name) {
                        return Err(de::Error::custom("a member occurs twice"));
                    }
                    members.push((name, value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(InOrder).map(Object)
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            Json::List(elements) => elements.serialize(serializer),
            Json::Scalar(raw) => raw.serialize(serializer),
        }
    }
}
