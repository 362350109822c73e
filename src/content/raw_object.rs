//! JSON objects whose members keep their bytes: key order, number spelling, escapes, lone
//! surrogates. A member that is not changed is printed as it was read, in the layout of
//! `JSON.stringify(value, null, 2)`.

mod members;
mod parse;
mod print;
mod reread;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::content::pretty_print::equal_but_for_layout;
use members::{array_index, Json, Member};

/// An object. Its members have the order that JavaScript gives them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawObject {
    /// What the object was read from, or printed as: most members are parts of it.
    source: Arc<String>,
    members: Vec<Member>,
}

impl RawObject {
    fn key<'a>(&'a self, member: &'a Member) -> &'a str {
        member.key.text(&self.source)
    }

    fn value<'a>(&'a self, member: &'a Member) -> &'a str {
        member.value.text(&self.source)
    }

    fn name<'a>(&'a self, member: &'a Member) -> Option<&'a str> {
        member.name(&self.source)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().filter_map(|member| self.name(member))
    }

    /// The members whose names a Rust string can hold, with their values as JSON.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().filter_map(|member| Some((self.name(member)?, self.value(member))))
    }

    /// All members, with their keys as they are written.
    pub(crate) fn raw_members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|member| (self.key(member), self.value(member)))
    }

    /// An object of these members, whose keys are JSON strings that all differ. They get the order that
    /// JavaScript gives them: the keys that are array indexes first, in ascending order.
    pub(crate) fn from_members(
        members: impl IntoIterator<Item = (Box<RawValue>, Box<RawValue>)>,
    ) -> Self {
        let members = members.into_iter().map(|(key, value)| Member::new(key.into(), value.into()));
        let mut object = RawObject { members: members.collect(), ..RawObject::default() };
        object.sort();
        object
    }

    fn sort(&mut self) {
        let source = &self.source;
        // Cached, because whether a name is an index takes longer to find out than to compare.
        self.members.sort_by_cached_key(|member| {
            let index = member.name(source).and_then(array_index);
            (index.is_none(), index)
        });
    }

    /// Sets members, whose keys are JSON strings that all differ.
    pub(crate) fn set_members(
        &mut self,
        members: impl IntoIterator<Item = (Box<RawValue>, Box<RawValue>)>,
    ) {
        let owned =
            |identity: Result<&str, &str>| identity.map(str::to_owned).map_err(str::to_owned);
        let at = self.members.iter().enumerate();
        let at: HashMap<_, _> =
            at.map(|(at, member)| (owned(member.identity(&self.source)), at)).collect();
        for (key, value) in members {
            let member = Member::new(key.into(), value.into());
            match at.get(&owned(member.identity(""))) {
                Some(at) => self.members[*at].set_value(member.value, false),
                None => self.members.push(member),
            }
        }
        self.sort();
    }

    /// Keeps the members for which `is_kept` returns true, by key and value.
    pub(crate) fn retain(&mut self, mut is_kept: impl FnMut(&str, &str) -> bool) {
        let source = &self.source;
        self.members.retain(|member| is_kept(member.key.text(source), member.value.text(source)));
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// A member's value as JSON.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.position(name).map(|at| self.value(&self.members[at]))
    }

    /// A member's value as `T`; `None` if it is missing or has another shape.
    pub(crate) fn get_as<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// Sets a member. If its present value already reads as `value`, it keeps its spelling.
    pub(crate) fn set<T>(&mut self, name: &str, value: &T) -> serde_json::Result<()>
    where
        T: Serialize + DeserializeOwned + PartialEq,
    {
        let old = self.get(name);
        if old.is_some_and(|old| serde_json::from_str::<T>(old).is_ok_and(|old| old == *value)) {
            return Ok(());
        }
        let new = serde_json::to_string(value)?;
        let merged = match old {
            Some(old) => merge(old, new)?,
            None => new,
        };
        self.set_json(name, merged)
    }

    /// Replaces a part of a member's value by another number. All else keeps its bytes and its layout.
    pub(crate) fn set_number_in(&mut self, name: &str, part: Range<usize>, number: u64) {
        let Some(at) = self.position(name) else { return };
        let value = self.value(&self.members[at]);
        let text = [&value[..part.start], &number.to_string(), &value[part.end..]].concat();
        let is_printed = self.members[at].is_printed;
        self.members[at].set_value(Json::own(text), is_printed);
    }

    /// Sets a member to a value that is valid JSON.
    pub(crate) fn set_json(&mut self, name: &str, value: String) -> serde_json::Result<()> {
        match self.position(name) {
            Some(at) => self.members[at].set_value(Json::own(value), false),
            None => {
                let member = Member::new(serde_json::to_string(name)?.into(), value.into());
                // JavaScript lists the keys that are array indexes first, in ascending order.
                let at = match array_index(name) {
                    Some(index) => self.members.partition_point(|member| {
                        self.name(member).and_then(array_index).is_some_and(|i| i < index)
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

    /// Removes a member. Returns whether there was one of that name.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.position(name).map(|at| self.members.remove(at)).is_some()
    }

    /// Removes the members for which `pick` returns a value. Returns each one's key and value, as
    /// written, with that value.
    pub(crate) fn remove_matching<R>(
        &mut self,
        mut pick: impl FnMut(&str) -> Option<R>,
    ) -> Vec<(Box<RawValue>, Box<RawValue>, R)> {
        let mut removed = Vec::new();
        let source = &self.source;
        self.members.retain(|member| match pick(member.value.text(source)) {
            Some(picked) => {
                let raw = |json: &Json| to_raw(json.text(source));
                removed.push((raw(&member.key), raw(&member.value), picked));
                false
            }
            None => true,
        });
        removed
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| self.name(member) == Some(name))
    }

    /// The object as JSON, without spaces between its members.
    pub(crate) fn to_json(&self) -> String {
        let lengths = self.raw_members().map(|(key, value)| key.len() + value.len() + 2);
        let mut text = String::with_capacity(2 + lengths.sum::<usize>());
        text.push('{');
        for (index, (key, value)) in self.raw_members().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(key);
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        text
    }

    /// Whether two objects differ at most in the layout of their members' values.
    pub(crate) fn equals_but_for_layout(&self, other: &RawObject) -> bool {
        let mut pairs = self.raw_members().zip(other.raw_members());
        self.len() == other.len()
            && pairs.all(|((key, value), (other_key, other))| {
                key == other_key && equal_but_for_layout(value, other)
            })
    }
}

/// Valid JSON as a value of its own.
pub(crate) fn to_raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("it is valid JSON")
}

/// The new value. If both values are objects, members whose values have not changed keep their old
/// positions and spelling.
fn merge(old: &str, new: String) -> serde_json::Result<String> {
    // Asked first, because an error of serde's takes far longer to make than a number to compare.
    if !(old.starts_with('{') && new.starts_with('{')) {
        return Ok(new);
    }
    let (Ok(mut merged), Ok(changed)) = (RawObject::parse(old), RawObject::parse(&new)) else {
        return Ok(new);
    };
    let source = &merged.source;
    merged.members.retain(|member| match member.name(source) {
        Some(name) => changed.get(name).is_some(),
        // The Rust value that was changed could not hold this member, so it did not remove it.
        None => true,
    });
    for (name, value) in changed.members() {
        let value: serde_json::Value = serde_json::from_str(value)?;
        merged.set(name, &value)?;
    }
    Ok(merged.to_json())
}

#[cfg(test)]
mod tests;
