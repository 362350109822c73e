//! JSON objects whose members keep their bytes: key order, number spelling, escapes, lone
//! surrogates. A member that is not changed is printed as it was read, in the layout of
//! `JSON.stringify(value, null, 2)`.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::content::pretty_print::{equal_but_for_layout, new_line, pretty_into};

/// An object. Its members have the order that JavaScript gives them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawObject {
    members: Vec<Member>,
}

#[derive(Debug, Clone)]
struct Member {
    /// The key as written, with its quotes.
    key: Box<RawValue>,
    name: MemberName,
    value: Box<RawValue>,
}

/// The string that a key stands for.
#[derive(Debug, Clone)]
enum MemberName {
    /// The key without its quotes. Nearly all keys are of this kind, and need no copy.
    AsWritten,
    /// The key had escapes.
    Unescaped(String),
    /// The key has a lone surrogate, which a Rust string can't hold.
    NotUnicode,
}

impl Member {
    fn new(key: Box<RawValue>, value: Box<RawValue>) -> Self {
        let name = if !key.get().contains('\\') {
            MemberName::AsWritten
        } else {
            serde_json::from_str(key.get()).map_or(MemberName::NotUnicode, MemberName::Unescaped)
        };
        Member { key, name, value }
    }

    fn name(&self) -> Option<&str> {
        match &self.name {
            MemberName::AsWritten => Some(&self.key.get()[1..self.key.get().len() - 1]),
            MemberName::Unescaped(name) => Some(name),
            MemberName::NotUnicode => None,
        }
    }

    /// Equal for two members with equal keys. A key that a Rust string can't hold is compared by its
    /// spelling, and never equals a key that stands for that spelling.
    fn identity(&self) -> Result<&str, &str> {
        self.name().ok_or(self.key.get())
    }

    fn owned_identity(&self) -> Result<String, String> {
        self.identity().map(str::to_owned).map_err(str::to_owned)
    }
}

impl RawObject {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members().map(|(name, _)| name)
    }

    /// The members whose names a Rust string can hold.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        let members = self.members.iter();
        members.filter_map(|member| Some((member.name()?, &*member.value)))
    }

    /// All members, with their keys as they are written.
    pub(crate) fn raw_members(&self) -> impl Iterator<Item = (&RawValue, &RawValue)> {
        self.members.iter().map(|member| (&*member.key, &*member.value))
    }

    /// An object of these members, whose keys are JSON strings that all differ. They get the order that
    /// JavaScript gives them: the keys that are array indexes first, in ascending order.
    pub(crate) fn from_members(
        members: impl IntoIterator<Item = (Box<RawValue>, Box<RawValue>)>,
    ) -> Self {
        let members = members.into_iter().map(|(key, value)| Member::new(key, value));
        let mut members: Vec<_> = members.collect();
        // Cached, because whether a name is an index takes longer to find out than to compare.
        members.sort_by_cached_key(|member| {
            let index = member.name().and_then(array_index);
            (index.is_none(), index)
        });
        RawObject { members }
    }

    /// Sets members, whose keys are JSON strings that all differ.
    pub(crate) fn set_members(
        &mut self,
        members: impl IntoIterator<Item = (Box<RawValue>, Box<RawValue>)>,
    ) {
        let mut all = std::mem::take(&mut self.members);
        let at = all.iter().enumerate().map(|(at, member)| (member.owned_identity(), at));
        let at: HashMap<_, _> = at.collect();
        for (key, value) in members {
            let member = Member::new(key, value);
            match at.get(&member.owned_identity()) {
                Some(at) => all[*at].value = member.value,
                None => all.push(member),
            }
        }
        *self = RawObject::from_members(all.into_iter().map(|member| (member.key, member.value)));
    }

    /// Keeps the members for which `is_kept` returns true.
    pub(crate) fn retain(&mut self, mut is_kept: impl FnMut(&RawValue, &RawValue) -> bool) {
        self.members.retain(|member| is_kept(&member.key, &member.value));
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&RawValue> {
        self.position(name).map(|at| &*self.members[at].value)
    }

    /// A member's value as `T`; `None` if it is missing or has another shape.
    pub(crate) fn get_as<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Sets a member. If its present value already reads as `value`, it keeps its spelling.
    pub(crate) fn set<T>(&mut self, name: &str, value: &T) -> serde_json::Result<()>
    where
        T: Serialize + DeserializeOwned + PartialEq,
    {
        if self.get_as::<T>(name).as_ref() == Some(value) {
            return Ok(());
        }
        let new = serde_json::value::to_raw_value(value)?;
        let merged = match self.get(name) {
            Some(old) => merge(old, new)?,
            None => new,
        };
        self.set_raw(name, merged)
    }

    pub(crate) fn set_raw(&mut self, name: &str, value: Box<RawValue>) -> serde_json::Result<()> {
        match self.position(name) {
            Some(at) => self.members[at].value = value,
            None => {
                let key = serde_json::value::to_raw_value(name)?;
                let member = Member::new(key, value);
                // JavaScript lists the keys that are array indexes first, in ascending order.
                let at = match array_index(name) {
                    Some(index) => self.members.partition_point(|member| {
                        member.name().and_then(array_index).is_some_and(|i| i < index)
                    }),
                    None => self.members.len(),
                };
                self.members.insert(at, member);
            }
        }
        Ok(())
    }

    /// Sets a member, or removes it if `value` is `None`. A member of another shape, which reads as
    /// `None` already, stays.
    pub(crate) fn set_or_remove<T>(
        &mut self,
        name: &str,
        value: &Option<T>,
    ) -> serde_json::Result<()>
    where
        T: Serialize + DeserializeOwned + PartialEq,
    {
        match value {
            Some(value) => self.set(name, value)?,
            None if self.get_as::<T>(name).is_none() => {}
            None => {
                self.remove(name);
            }
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.position(name).map(|at| self.members.remove(at).value)
    }

    /// Removes the members for which `pick` returns a value. Returns each one's key and value, as
    /// written, with that value.
    pub(crate) fn remove_matching<R>(
        &mut self,
        mut pick: impl FnMut(&RawValue) -> Option<R>,
    ) -> Vec<(Box<RawValue>, Box<RawValue>, R)> {
        let mut removed = Vec::new();
        let mut remaining = Vec::with_capacity(self.members.len());
        for member in self.members.drain(..) {
            match pick(&member.value) {
                Some(picked) => removed.push((member.key, member.value, picked)),
                None => remaining.push(member),
            }
        }
        self.members = remaining;
        removed
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.name() == Some(name))
    }

    /// The object as one raw value, without spaces between its members.
    pub(crate) fn to_raw(&self) -> Box<RawValue> {
        let lengths = self.members.iter().map(|m| m.key.get().len() + m.value.get().len() + 2);
        let mut text = String::with_capacity(2 + lengths.sum::<usize>());
        text.push('{');
        for (index, member) in self.members.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(member.key.get());
            text.push(':');
            text.push_str(member.value.get());
        }
        text.push('}');
        RawValue::from_string(text).expect("members of valid JSON make a valid object")
    }

    /// Whether two objects differ at most in the layout of their members' values.
    pub(crate) fn equals_but_for_layout(&self, other: &RawObject) -> bool {
        let alike = |(one, other): (&Member, &Member)| {
            one.key.get() == other.key.get()
                && equal_but_for_layout(one.value.get(), other.value.get())
        };
        self.len() == other.len() && self.members.iter().zip(&other.members).all(alike)
    }

    /// Prints the object in the layout of `JSON.stringify(value, null, 2)`. Every string and number
    /// keeps its spelling. `inner` is printed as the value of the member `name`. Calls `on_value` for
    /// each value, with its depth, its name and its position in the text.
    pub(crate) fn print_with(
        &self,
        name: &str,
        inner: &RawObject,
        mut on_value: impl FnMut(usize, Option<&str>, Range<usize>),
    ) -> String {
        // About the right length for members that are in this layout already: a large text that grew
        // beyond its capacity would be copied.
        let lengths = inner.members.iter().map(|m| m.key.get().len() + m.value.get().len() + 8);
        let mut out = String::with_capacity(1024 + lengths.sum::<usize>());
        let mut print_value = |out: &mut String, depth, member: &Member| {
            let start = out.len();
            pretty_into(out, member.value.get(), depth);
            on_value(depth, member.name(), start..out.len());
        };
        self.print_members(&mut out, 0, |out, member| {
            if member.name() == Some(name) {
                inner.print_members(out, 1, |out, member| print_value(out, 2, member));
            } else {
                print_value(out, 1, member);
            }
        });
        out
    }

    fn print_members(
        &self,
        out: &mut String,
        depth: usize,
        mut print_value: impl FnMut(&mut String, &Member),
    ) {
        out.push('{');
        for (index, member) in self.members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            new_line(out, depth + 1);
            out.push_str(member.key.get());
            out.push_str(": ");
            print_value(out, member);
        }
        if !self.members.is_empty() {
            new_line(out, depth);
        }
        out.push('}');
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(RawObject::deserialize_with(deserializer, None)?.0)
    }
}

impl RawObject {
    /// Parses an object, and the value of its member `inner`, which must be an object, too, in one
    /// pass. The outer object has `null` as that member's value. Nearly all of a large registry's text
    /// is its entries, which are thus parsed only once.
    pub(crate) fn parse_with(bytes: &[u8], inner: &str) -> serde_json::Result<(Self, Self)> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let (outer, found) = Self::deserialize_with(&mut deserializer, Some(inner))?;
        deserializer.end()?;
        found
            .map(|inner| (outer, inner))
            .ok_or_else(|| serde_json::Error::custom(format!("it has no {inner}")))
    }

    fn deserialize_with<'de, D: Deserializer<'de>>(
        deserializer: D,
        inner: Option<&str>,
    ) -> Result<(Self, Option<Self>), D::Error> {
        struct ObjectVisitor<'a>(Option<&'a str>);
        impl<'de> Visitor<'de> for ObjectVisitor<'_> {
            type Value = (RawObject, Option<RawObject>);

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<Member> = Vec::new();
                let mut seen = SeenNames::default();
                let mut inner = None;
                while let Some(key) = map.next_key::<Box<RawValue>>()? {
                    let mut member = Member::new(key, RawValue::NULL.to_owned());
                    if self.0.is_some() && member.name() == self.0 {
                        inner = Some(map.next_value::<RawObject>()?);
                    } else {
                        member.value = map.next_value()?;
                    }
                    // As in JavaScript: of a repeated key the last value counts, at the position of the
                    // first.
                    match seen.position(&members, &member) {
                        Some(first) => members[first].value = member.value,
                        None => members.push(member),
                    }
                }
                Ok((RawObject { members }, inner))
            }
        }
        deserializer.deserialize_map(ObjectVisitor(inner))
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
    fn position(&mut self, members: &[Member], further: &Member) -> Option<usize> {
        if members.len() > Self::MAX_COMPARED {
            if self.hashes.is_empty() {
                let known = members.iter().map(|member| self.hasher.hash_one(member.identity()));
                self.hashes.extend(known);
            }
            if self.hashes.insert(self.hasher.hash_one(further.identity())) {
                return None;
            }
        }
        members.iter().position(|member| member.identity() == further.identity())
    }
}

/// The new value. If both values are objects, members whose values have not changed keep their old
/// positions and spelling.
fn merge(old: &RawValue, new: Box<RawValue>) -> serde_json::Result<Box<RawValue>> {
    // Asked first, because an error of serde's takes far longer to make than a number to compare.
    if !(old.get().starts_with('{') && new.get().starts_with('{')) {
        return Ok(new);
    }
    let objects = (serde_json::from_str(old.get()), serde_json::from_str(new.get()));
    let (Ok::<RawObject, _>(mut merged), Ok::<RawObject, _>(changed)) = objects else {
        return Ok(new);
    };
    merged.members.retain(|member| match member.name() {
        Some(name) => changed.get(name).is_some(),
        // The Rust value that was changed could not hold this member, so it did not remove it.
        None => true,
    });
    for member in changed.members {
        let Some(name) = member.name() else { continue };
        let value: serde_json::Value = serde_json::from_str(member.value.get())?;
        merged.set(name, &value)?;
    }
    Ok(merged.to_raw())
}

/// The key as an array index, by JavaScript's definition; `None` if it is not one.
fn array_index(name: &str) -> Option<u32> {
    let index: u32 = name.parse().ok()?;
    (index < u32::MAX && index.to_string() == name).then_some(index)
}

#[cfg(test)]
mod tests;
