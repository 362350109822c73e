//! Comparing the values of TOML texts, and changing each value of one.

use std::mem;

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use crate::document::match_elements;
use crate::error::FormatError;

/// Whether two printed texts are of equal values, in whatever order entries are, and elements of lists that
/// have scalars only, as the lists of a `HashSet` are.
pub(super) fn texts_equal(one: &str, other: &str) -> Result<bool, FormatError> {
    let (mut one, mut other) = (one.parse::<DocumentMut>()?, other.parse::<DocumentMut>()?);
    sort_scalars(one.as_item_mut());
    sort_scalars(other.as_item_mut());
    Ok(items_equal(one.as_item(), other.as_item()))
}

/// Sorts the lists that have scalars only.
fn sort_scalars(item: &mut Item) {
    each_value(item, &|value| {
        let is_scalar = |value: &Value| !value.is_array() && !value.is_inline_table();
        if let Some(elements) = value.as_array_mut().filter(|list| list.iter().all(is_scalar)) {
            elements.sort_by_key(scalar_text);
        }
    });
}

pub(super) fn put_strings_in_one_line(item: &mut Item) {
    each_value(item, &|value| {
        let Value::String(string) = &*value else { return };
        if string.display_repr().contains('\n') {
            // A string of JSON is one of TOML, except that TOML has no DEL in strings.
            let json = serde_json::Value::from(string.value().as_str()).to_string();
            if let Ok(mut in_one_line) = json.replace('\u{7f}', "\\u007f").parse::<Value>() {
                *in_one_line.decor_mut() = mem::take(value.decor_mut());
                *value = in_one_line;
            }
        }
    });
}

/// Calls `change` with each value in an item.
fn each_value(item: &mut Item, change: &impl Fn(&mut Value)) {
    match item {
        Item::Table(table) => {
            table.iter_mut().for_each(|(_, item)| each_value(item, change));
        }
        Item::ArrayOfTables(tables) => {
            let items = tables.iter_mut().flat_map(Table::iter_mut);
            items.for_each(|(_, item)| each_value(item, change));
        }
        Item::Value(value) => each_part(value, change),
        Item::None => {}
    }
}

fn each_part(value: &mut Value, change: &impl Fn(&mut Value)) {
    match value {
        Value::InlineTable(table) => {
            table.iter_mut().for_each(|(_, part)| each_part(part, change));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|part| each_part(part, change)),
        _ => {}
    }
    change(value);
}

fn scalar_text(value: &Value) -> String {
    value.to_string().trim().to_owned()
}

/// Whether two items are equal, in whatever order their entries are. Both were printed by one printer, so
/// that equal values have one spelling.
pub(super) fn items_equal(one: &Item, other: &Item) -> bool {
    if let (Some(one), Some(other)) = (one.as_table_like(), other.as_table_like()) {
        return table_equals(one, other);
    }
    match (one, other) {
        (Item::ArrayOfTables(one), Item::ArrayOfTables(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| table_equals(one, other))
        }
        (Item::Value(one), Item::Value(other)) => value_equals(one, other),
        _ => false,
    }
}

pub(super) fn table_equals(one: &dyn TableLike, other: &dyn TableLike) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .all(|(key, item)| other.get(key).is_some_and(|other| items_equal(item, other)))
}

/// How [alike](match_elements::likeness) two elements of a list are.
pub(super) fn likeness(one: &dyn TableLike, other: &dyn TableLike) -> usize {
    let names = one.iter().map(|(name, _)| name);
    match_elements::likeness(names, one.len().max(other.len()), |name| {
        Some(items_equal(one.get(name)?, other.get(name)?))
    })
}

/// Whether an item may be that of a printed value, in which defaults and unknown entries differ.
pub(super) fn may_be(item: &Item, printed: &Item) -> bool {
    if let (Some(table), Some(printed)) = (item.as_table_like(), printed.as_table_like()) {
        let both = printed.iter().filter_map(|(key, printed)| Some((table.get(key)?, printed)));
        let mut both = both.peekable();
        return (both.peek().is_some() || printed.is_empty())
            && both.all(|(item, printed)| may_be(item, printed));
    }
    let inline = |item: &Item| item.clone().into_value().ok();
    let (Some(value), Some(printed)) = (inline(item), inline(printed)) else { return false };
    match (&value, &printed) {
        (Value::Array(one), Value::Array(printed)) => {
            let mut both = one.iter().zip(printed);
            let item = |value: &Value| Item::Value(value.clone());
            one.len() == printed.len()
                && both.all(|(one, printed)| may_be(&item(one), &item(printed)))
        }
        (Value::String(one), Value::String(printed)) => one.value() == printed.value(),
        (Value::Integer(one), Value::Integer(printed)) => one.value() == printed.value(),
        (Value::Float(one), Value::Float(printed)) => one.value() == printed.value(),
        _ => value_equals(&value, &printed),
    }
}

pub(super) fn value_equals(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::InlineTable(one), Value::InlineTable(other)) => table_equals(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| value_equals(one, other))
        }
        _ => scalar_text(one) == scalar_text(other),
    }
}
