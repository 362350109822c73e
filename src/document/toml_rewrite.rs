//! Rewriting a TOML text so that what a value does not say stays: comments, the order and spelling of
//! entries, and entries that a document's type does not know.

use std::collections::HashMap;
use std::mem;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value};

use crate::document::match_elements::match_elements;
use crate::document::names::Names;
use crate::document::toml_values::{
    items_equal, likeness, may_be, put_strings_in_one_line, table_equals, value_equals,
};
use crate::error::FormatError;

/// `old`, with what differs between `before` and `after`. `before` is the printed form of the value in
/// `old`, `after` that of the value that replaces it. A text whose lines all end in CRLF keeps that.
pub(super) fn rewrite(
    old: &str,
    before: &str,
    after: &str,
    names: Names,
) -> Result<String, FormatError> {
    let has_crlf = old.contains("\r\n") && !old.replace("\r\n", "").contains('\n');
    let mut document: DocumentMut = match has_crlf {
        true => old.replace("\r\n", "\n").parse()?,
        false => old.parse()?,
    };
    let (mut before, mut after) = (before.parse::<DocumentMut>()?, after.parse::<DocumentMut>()?);
    if has_crlf {
        // A line end inside a new string would become CRLF with the others: another value.
        put_strings_in_one_line(before.as_item_mut());
        put_strings_in_one_line(after.as_item_mut());
    }
    merge_tables(document.as_table_mut(), before.as_table(), after.as_table(), names);
    let text = document.to_string();
    Ok(if has_crlf { text.replace('\n', "\r\n") } else { text })
}

fn merge_tables(
    old: &mut dyn TableLike,
    before: &dyn TableLike,
    after: &dyn TableLike,
    names: Names,
) {
    let renamed = match names {
        Names::Printed => HashMap::new(),
        Names::Others => other_names(old, before, after),
    };
    let name_of = |key: &str| renamed.get(key).map_or(key, String::as_str).to_owned();
    let gone = before.iter().filter(|(key, _)| !after.contains_key(key));
    for key in gone.map(|(key, _)| name_of(key)).collect::<Vec<_>>() {
        old.remove(&key);
    }
    for (key, after) in after.iter() {
        match (old.get_mut(&name_of(key)), before.get(key)) {
            (Some(old), Some(before)) => merge_items(old, before, after, names),
            (Some(old), None) => replace(old, after),
            // An entry that the old text lacks and that has not changed is a default of the type.
            (None, Some(before)) if items_equal(before, after) => {}
            (None, _) => _ = old.insert(key, without_positions(after.clone())),
        }
    }
}

/// Of the entries that were changed and that the old text lacks: their printed names, and the names by which
/// it may have them.
fn other_names(
    old: &dyn TableLike,
    before: &dyn TableLike,
    after: &dyn TableLike,
) -> HashMap<String, String> {
    let mut found = HashMap::new();
    for (printed, value) in before.iter() {
        let is_changed = after.get(printed).is_none_or(|next| !items_equal(next, value));
        if !is_changed || old.contains_key(printed) {
            continue;
        }
        let other = old.iter().find(|(key, old)| {
            let is_free = !found.values().any(|taken| taken == key);
            !before.contains_key(key) && !after.contains_key(key) && is_free && may_be(old, value)
        });
        if let Some((key, _)) = other {
            found.insert(printed.to_owned(), key.to_owned());
        }
    }
    found
}

fn merge_items(old: &mut Item, before: &Item, after: &Item, names: Names) {
    if items_equal(before, after) {
        return;
    }
    if old.is_value() && !after.is_value() {
        // What is printed as tables stays in the line in which the text has it. As tables it would have
        // the line's decor in its heads, and lose the unknown entries of its elements.
        let inline = |item: &Item| item.clone().into_value().map_or(Item::None, Item::Value);
        return merge_items(old, &inline(before), &inline(after), names);
    }
    if let (Some(old), Some(before), Some(after)) =
        (old.as_table_like_mut(), before.as_table_like(), after.as_table_like())
    {
        return merge_tables(old, before, after, names);
    }
    match (&mut *old, before, after) {
        (Item::ArrayOfTables(old), Item::ArrayOfTables(before), Item::ArrayOfTables(after))
            if old.len() == before.len() =>
        {
            merge_arrays_of_tables(old, before, after, names);
        }
        (
            Item::Value(Value::Array(old)),
            Item::Value(Value::Array(before)),
            Item::Value(Value::Array(after)),
        ) if old.len() == before.len() => {
            merge_arrays(old, before, after, names);
        }
        (old, _, after) => replace(old, after),
    }
}

fn merge_arrays(old: &mut Array, before: &Array, after: &Array, names: Names) {
    let (before, after): (Vec<_>, Vec<_>) = (before.iter().collect(), after.iter().collect());
    let likeness_of =
        |one: &&Value, other: &&Value| match (one.as_inline_table(), other.as_inline_table()) {
            (Some(one), Some(other)) => likeness(one, other),
            _ => 0,
        };
    let is_equal = |one: &&Value, other: &&Value| value_equals(one, other);
    let matched = match_elements(&before, &after, is_equal, likeness_of);
    let space = old.get(0).map_or_else(|| " ".to_owned(), space_before);
    let was_empty = old.is_empty();
    let elements = after.into_iter().zip(matched).enumerate();
    let merged = elements.map(|(place, (element, index))| {
        let found = index.and_then(|index| Some((Item::Value(old.get(index)?.clone()), index)));
        match found {
            Some((mut item, index)) => {
                let (before, after) = (before[index].clone(), element.clone());
                merge_items(&mut item, &Item::Value(before), &Item::Value(after), names);
                item.into_value().unwrap_or_else(|_| element.clone())
            }
            None if was_empty && place == 0 => element.clone().decorated("", ""),
            None => element.clone().decorated(space.as_str(), ""),
        }
    });
    let merged: Vec<_> = merged.collect();
    old.clear();
    merged.into_iter().for_each(|element| old.push_formatted(element));
}

/// The white space before an element: of a list with an element on each line, a line's end and an
/// indentation.
fn space_before(element: &Value) -> String {
    let prefix = element.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    match prefix.rfind('\n') {
        Some(line_end) => prefix[line_end..].to_owned(),
        None => " ".to_owned(),
    }
}

/// The places of the tables in the text belong to the list: an element that moves takes its subtables
/// with it.
fn merge_arrays_of_tables(
    old: &mut ArrayOfTables,
    before: &ArrayOfTables,
    after: &ArrayOfTables,
    names: Names,
) {
    let (before, after): (Vec<_>, Vec<_>) = (before.iter().collect(), after.iter().collect());
    let is_equal = |one: &&Table, other: &&Table| table_equals(*one, *other);
    let likeness_of = |one: &&Table, other: &&Table| likeness(*one, *other);
    let matched = match_elements(&before, &after, is_equal, likeness_of);
    let mut places: Vec<_> = old.iter().filter_map(Table::position).collect();
    places.sort_unstable();
    let is_in_place = matched.iter().enumerate().all(|(place, index)| *index == Some(place));
    let mut places = places.into_iter();
    let mut merged = ArrayOfTables::new();
    for (element, index) in after.into_iter().zip(matched) {
        let mut table = match index.and_then(|index| Some((old.get(index)?.clone(), index))) {
            Some((mut table, index)) => {
                merge_tables(&mut table, before[index], element, names);
                table
            }
            None => element.clone(),
        };
        if !is_in_place || index.is_none() {
            clear_positions(&mut table);
        }
        table.set_position(places.next());
        merged.push(table);
    }
    *old = merged;
}

/// Replaces an item. A value keeps the comment beside it.
fn replace(old: &mut Item, new: &Item) {
    let mut new = without_positions(new.clone());
    if let (Some(old), Some(new)) = (old.as_value_mut(), new.as_value_mut()) {
        *new.decor_mut() = mem::take(old.decor_mut());
    }
    *old = new;
}

/// An item of another text, whose tables have no place in this one: they follow the table before them.
fn without_positions(mut item: Item) -> Item {
    match &mut item {
        Item::Table(table) => clear_positions(table),
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(clear_positions),
        Item::Value(_) | Item::None => {}
    }
    item
}

fn clear_positions(table: &mut Table) {
    table.set_position(None);
    for (_, item) in table.iter_mut() {
        let taken = mem::take(item);
        *item = without_positions(taken);
    }
}
