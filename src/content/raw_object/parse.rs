//! Reading an object from a text.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::Deserializer;
use serde_json::value::RawValue;

use super::members::{Json, Member, MemberName};
use super::RawObject;

impl RawObject {
    pub(crate) fn parse(text: &str) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let (members, _) = ObjectIn { source: text, inner: None }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(RawObject { source: Arc::new(text.to_owned()), members })
    }

    /// Parses an object, and the value of its member `inner`, which must be an object, too, in one
    /// pass. The outer object has `null` as that member's value. Nearly all of a large registry's text
    /// is its entries, which are thus parsed only once.
    pub(crate) fn parse_with(text: &str, inner: &str) -> serde_json::Result<(Self, Self)> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let object = ObjectIn { source: text, inner: Some(inner) };
        let (outer, found) = object.deserialize(&mut deserializer)?;
        deserializer.end()?;
        let found = found.ok_or_else(|| serde_json::Error::custom(format!("it has no {inner}")))?;
        let source = Arc::new(text.to_owned());
        let object = |members| RawObject { source: source.clone(), members };
        Ok((object(outer), object(found)))
    }
}

/// An object that is a part of `source`. Its members become parts of that text.
struct ObjectIn<'a> {
    source: &'a str,
    /// The member whose value is read as an object by itself.
    inner: Option<&'a str>,
}

impl ObjectIn<'_> {
    /// The position of a part of the source.
    fn part(&self, part: &RawValue) -> Json {
        let start = part.get().as_ptr() as usize - self.source.as_ptr() as usize;
        Json::Source { start, end: start + part.get().len() }
    }
}

/// An object's members, and those of its inner object, if it has one.
type ObjectMembers = (Vec<Member>, Option<Vec<Member>>);

impl<'de> DeserializeSeed<'de> for ObjectIn<'_> {
    type Value = ObjectMembers;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ObjectMembers, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectIn<'_> {
    type Value = ObjectMembers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectMembers, A::Error> {
        let source = self.source;
        let mut members: Vec<Member> = Vec::new();
        let mut seen = SeenNames::default();
        let mut inner = None;
        while let Some(key) = map.next_key::<&RawValue>()? {
            let name = MemberName::of(key.get());
            let value = if self.inner.is_some() && name.text(key.get()) == self.inner {
                inner = Some(map.next_value_seed(ObjectIn { source, inner: None })?.0);
                Json::own("null")
            } else {
                self.part(map.next_value::<&RawValue>()?)
            };
            let member = Member::named(self.part(key), name, value);
            // As in JavaScript: of a repeated key the last value counts, at the position of the first.
            match seen.position(&members, &member, source) {
                Some(first) => members[first].set_value(member.value, false),
                None => members.push(member),
            }
        }
        Ok((members, inner))
    }
}

/// Finds a repeated name among an object's members. Few members are compared one by one, which takes less time
/// than to hash a name; a hash shows of most of many that they are new.
#[derive(Default)]
struct SeenNames {
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl SeenNames {
    const MAX_COMPARED: usize = 16;

    /// The position of the member that has the name of a further one.
    fn position(&mut self, members: &[Member], further: &Member, source: &str) -> Option<usize> {
        let identity = further.identity(source);
        if members.len() > Self::MAX_COMPARED {
            if self.hashes.is_empty() {
                let known =
                    members.iter().map(|member| self.hasher.hash_one(member.identity(source)));
                self.hashes.extend(known);
            }
            if self.hashes.insert(self.hasher.hash_one(identity)) {
                return None;
            }
        }
        members.iter().position(|member| member.identity(source) == identity)
    }
}
