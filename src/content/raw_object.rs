//! JSON objects whose members keep their bytes: key order, number spelling, escapes, lone
//! surrogates. What isn't changed is printed as it was read, in the layout of
//! `JSON.stringify(value, null, 2)`.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::content::pretty_print::{new_line, pretty_into};

/// An object with its members in the order that JavaScript gives them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawObject {
    members: Vec<Member>,
}

#[derive(Debug, Clone)]
struct Member {
    /// As written, with its quotes.
    key: Box<RawValue>,
    name: Name,
    value: Box<RawValue>,
}

/// A key as it is meant.
#[derive(Debug, Clone)]
enum Name {
    /// As it is written, like nearly all: there is no need for a copy.
    Plain,
    Escaped(String),
    /// It has a lone surrogate, which no Rust string can have.
    Unspeakable,
}

impl Member {
    fn new(key: Box<RawValue>, value: Box<RawValue>) -> Self {
        let name = if !key.get().contains('\\') {
            Name::Plain
        } else {
            serde_json::from_str(key.get()).map_or(Name::Unspeakable, Name::Escaped)
        };
        Member { key, name, value }
    }

    fn name(&self) -> Option<&str> {
        match &self.name {
            Name::Plain => Some(&self.key.get()[1..self.key.get().len() - 1]),
            Name::Escaped(name) => Some(name),
            Name::Unspeakable => None,
        }
    }

    /// What makes two keys the same. What no Rust string can hold is known by its spelling, and is
    /// no name of that spelling.
    fn identity(&self) -> Result<&str, &str> {
        self.name().ok_or(self.key.get())
    }
}

impl RawObject {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members().map(|(name, _)| name)
    }

    /// Those whose names a Rust string can hold.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        let members = self.members.iter();
        members.filter_map(|member| Some((member.name()?, &*member.value)))
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&RawValue> {
        self.position(name).map(|at| &*self.members[at].value)
    }

    /// A member's value as a type; `None` if it is missing or of another shape.
    pub(crate) fn get_as<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Sets a member. One that already means the same keeps its spelling.
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
                // JavaScript lists array indexes first, in order, whenever they were added.
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

    /// Sets a member, or removes it if there is no value. What already reads as no value, being
    /// of another shape, stays.
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

    /// Removes the members that `pick` has something to say of, and returns them: key and value as
    /// written, and what was said.
    pub(crate) fn take_out<R>(
        &mut self,
        mut pick: impl FnMut(&RawValue) -> Option<R>,
    ) -> Vec<(Box<RawValue>, Box<RawValue>, R)> {
        let mut taken = Vec::new();
        let mut left = Vec::with_capacity(self.members.len());
        for member in self.members.drain(..) {
            match pick(&member.value) {
                Some(said) => taken.push((member.key, member.value, said)),
                None => left.push(member),
            }
        }
        self.members = left;
        taken
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.name() == Some(name))
    }

    /// The object as one raw value, in whatever layout: printing gives it its own.
    pub(crate) fn to_raw(&self) -> Box<RawValue> {
        let mut text = String::from("{");
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

    /// Lays the object out as `JSON.stringify(value, null, 2)` does, leaving every string and
    /// number as it is spelled. The value of `name` is `inner`. `told` is where each value stands in
    /// the text: at which depth, under which name, from where to where.
    pub(crate) fn print_with(
        &self,
        name: &str,
        inner: &RawObject,
        mut told: impl FnMut(usize, Option<&str>, Range<usize>),
    ) -> String {
        // About right for what is in this layout already, so that a large one is not copied as it
        // grows.
        let lengths = inner.members.iter().map(|m| m.key.get().len() + m.value.get().len() + 8);
        let mut out = String::with_capacity(1024 + lengths.sum::<usize>());
        let mut print_value = |out: &mut String, depth, member: &Member| {
            let start = out.len();
            pretty_into(out, member.value.get(), depth);
            told(depth, member.name(), start..out.len());
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
    /// An object, and the value of its member `inner`, which is an object, too: read in one go,
    /// with `null` left in its place. A large registry's entries are nearly all of it.
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
        struct Members<'a>(Option<&'a str>);
        impl<'de> Visitor<'de> for Members<'_> {
            type Value = (RawObject, Option<RawObject>);

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<Member> = Vec::new();
                let hashes = RandomState::new();
                let mut seen = HashSet::new();
                let mut inner = None;
                while let Some(key) = map.next_key::<Box<RawValue>>()? {
                    let mut member = Member::new(key, RawValue::NULL.to_owned());
                    if self.0.is_some() && member.name() == self.0 {
                        inner = Some(map.next_value::<RawObject>()?);
                    } else {
                        member.value = map.next_value()?;
                    }
                    // As in JavaScript, a key's last value counts, in its first place.
                    let is_new = seen.insert(hashes.hash_one(member.identity()));
                    let same = |other: &&mut Member| other.identity() == member.identity();
                    let first = if is_new { None } else { members.iter_mut().find(same) };
                    match first {
                        Some(first) => first.value = member.value,
                        None => members.push(member),
                    }
                }
                Ok((RawObject { members }, inner))
            }
        }
        deserializer.deserialize_map(Members(inner))
    }
}

/// The new value, with the members of an object that mean the same as before in their old places
/// and spelling.
fn merge(old: &RawValue, new: Box<RawValue>) -> serde_json::Result<Box<RawValue>> {
    let objects = (serde_json::from_str(old.get()), serde_json::from_str(new.get()));
    let (Ok::<RawObject, _>(mut merged), Ok::<RawObject, _>(changed)) = objects else {
        return Ok(new);
    };
    merged.members.retain(|member| match member.name() {
        Some(name) => changed.get(name).is_some(),
        // No Rust value can have held it, so none can have dropped it.
        None => true,
    });
    for member in changed.members {
        let Some(name) = member.name() else { continue };
        let value: serde_json::Value = serde_json::from_str(member.value.get())?;
        merged.set(name, &value)?;
    }
    Ok(merged.to_raw())
}

/// The key as an array index, as JavaScript understands that.
fn array_index(name: &str) -> Option<u32> {
    let index: u32 = name.parse().ok()?;
    (index < u32::MAX && index.to_string() == name).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RawObject {
        serde_json::from_str(text).unwrap()
    }

    fn pretty(text: &str) -> String {
        let mut out = String::new();
        pretty_into(&mut out, text, 0);
        out
    }

    #[test]
    fn every_spelling_survives() {
        let text = r#"{
  "zebra": 1e21,
  "__proto__": {
    "\ud800": "\udfff and é and é \/",
    "empty": {},
    "list": [
      1.0,
      -0,
      [],
      "a\"b\\"
    ]
  },
  "\udc00": null
}"#;
        assert_eq!(pretty(parse(text).to_raw().get()), text);
        let compact: String = text.lines().map(str::trim_start).collect();
        assert_eq!(pretty(&compact.replace("\": ", "\":")), text);
    }

    #[test]
    fn a_key_that_no_string_can_hold_is_no_key_of_its_spelling() {
        let text = r#"{"\ud800":1,"\"\\ud800\"":2,"\ud800":3}"#;
        assert_eq!(parse(text).to_raw().get(), r#"{"\ud800":3,"\"\\ud800\"":2}"#);
    }

    #[test]
    fn setting_the_same_value_keeps_its_spelling() {
        let mut object = parse(r#"{"a":1e3,"b":"\u0062"}"#);
        object.set("a", &1000.0).unwrap();
        object.set("b", &"b".to_owned()).unwrap();
        assert_eq!(object.to_raw().get(), r#"{"a":1e3,"b":"\u0062"}"#);
        object.set("a", &2).unwrap();
        assert_eq!(object.to_raw().get(), r#"{"a":2,"b":"\u0062"}"#);
    }

    #[test]
    fn a_changed_object_keeps_what_is_not_changed() {
        let mut object = parse(r#"{"m":{"url":"a","n":1e3,"\ud800":0,"in":{"z":1,"a":2.0}}}"#);
        let new: serde_json::Value =
            serde_json::from_str(r#"{"in":{"a":2.0,"z":3},"n":1000.0,"url":"b","x":0}"#).unwrap();
        object.set("m", &new).unwrap();
        assert_eq!(
            object.to_raw().get(),
            r#"{"m":{"url":"b","n":1e3,"\ud800":0,"in":{"z":3,"a":2.0},"x":0}}"#
        );
        object.set("m", &serde_json::json!({ "n": 1000.0 })).unwrap();
        assert_eq!(object.to_raw().get(), r#"{"m":{"n":1e3,"\ud800":0}}"#);
    }

    #[test]
    fn members_come_in_the_order_of_javascript() {
        let mut object = parse(r#"{"2":0,"b":0}"#);
        for name in ["10", "a", "01", "0", "4294967295"] {
            object.set(name, &0).unwrap();
        }
        let names: Vec<_> = object.names().collect();
        assert_eq!(names, ["0", "2", "10", "b", "a", "01", "4294967295"]);
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert_eq!(parse(r#"{"a":1,"b":2,"\u0061":3}"#).to_raw().get(), r#"{"a":3,"b":2}"#);
    }
}
