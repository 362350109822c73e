use super::*;

fn entry(started_at: u64, port: u16, date: u64) -> MirroredEntry {
    let text = format!(
        r#"{{"id":"app","host":"h","port":{port},"pid":7,"startedAt":{started_at},"updatedAt":{date}}}"#
    );
    MirroredEntry::new(&text)
}

const BOTH: Sides =
    Sides { store_exists: true, store_is_gone: false, store_is_whole: true, file_exists: true };

fn copied(entry: &MirroredEntry, origin: Origin) -> Copied {
    Copied::of(entry, origin)
}

/// What becomes of an id: of the store's entry, of the file's, and from which side it is afterwards.
fn outcome(
    copied: Option<Copied>,
    store: Option<&MirroredEntry>,
    file: Option<&MirroredEntry>,
    sides: Sides,
    is_dead: bool,
) -> String {
    let merged = merge(copied.as_ref(), store, file, sides, &|| is_dead);
    let origin = merged.copied.map(|copied| copied.origin);
    let conflict = if merged.is_conflict { " conflict" } else { "" };
    format!("{:?} {:?} {origin:?}{conflict}", merged.in_store, merged.in_file).replace("Some", "")
}

#[test]
fn the_layout_and_the_date_of_an_entry_are_not_its_content() {
    let text = "{\n  \"id\": \"app\",\n  \"updatedAt\": 9,\n  \"x\": [\n    1.0\n  ]\n}";
    let spaced = MirroredEntry::new(text);
    let compact = MirroredEntry::new(r#"{"id":"app","updatedAt":5,"x":[1.0]}"#);
    assert_eq!((spaced.content, spaced.date), (compact.content, 9));
    assert_ne!(entry(1, 1, 5).content, entry(1, 2, 5).content);
    for odd in ["null", "[]", "7"] {
        assert_eq!(MirroredEntry::new(odd).date, 0);
    }
}

#[test]
fn a_new_entry_of_either_side_is_copied_to_the_other() {
    let new = entry(1, 1, 5);
    assert_eq!(outcome(None, Some(&new), None, BOTH, false), "Keep Copy (Store)");
    assert_eq!(outcome(None, None, Some(&new), BOTH, false), "Copy Keep (File)");
    assert_eq!(outcome(None, None, None, BOTH, false), "Keep Keep None");
}

#[test]
fn the_later_date_reaches_the_other_side_whichever_side_that_is() {
    let (old, new) = (entry(1, 1, 5), entry(1, 1, 6));
    for origin in [Origin::Store, Origin::File] {
        let base = Some(copied(&old, origin));
        let from = format!("({origin:?})");
        let of = |store, file| outcome(base, Some(store), Some(file), BOTH, false);
        assert_eq!(of(&new, &old), format!("Keep Copy {from}"));
        assert_eq!(of(&old, &new), format!("Copy Keep {from}"));
        assert_eq!(of(&new, &new), format!("Keep Keep {from}"));
    }
    assert_eq!(outcome(None, Some(&old), Some(&new), BOTH, false), "Copy Keep (File)");
    assert_eq!(outcome(None, Some(&old), Some(&old), BOTH, false), "Keep Keep (Store)");
}

#[test]
fn changed_fields_reach_the_other_side() {
    let (old, changed) = (entry(1, 1, 5), entry(1, 2, 6));
    for origin in [Origin::Store, Origin::File] {
        let base = Some(copied(&old, origin));
        let from = format!("({origin:?})");
        let of = |store, file| outcome(base, Some(store), Some(file), BOTH, false);
        assert_eq!(of(&changed, &old), format!("Keep Copy {from}"));
        assert_eq!(of(&old, &changed), format!("Copy Keep {from}"));
        // Both have changed.
        let later = entry(1, 3, 7);
        assert_eq!(of(&changed, &later), format!("Copy Keep {from}"));
        assert_eq!(of(&later, &changed), format!("Keep Copy {from}"));
    }
}

#[test]
fn an_entry_is_not_replaced_by_one_of_another_watcher_unless_its_own_is_over() {
    let (old, other, third) = (entry(1, 1, 5), entry(2, 1, 6), entry(3, 1, 7));
    let of = |origin, store, file, is_dead| {
        outcome(Some(copied(&old, origin)), Some(store), Some(file), BOTH, is_dead)
    };
    // An older program has started again under its id.
    assert_eq!(of(Origin::File, &old, &other, false), "Copy Keep (File)");
    // An older program has taken the id of a watcher of the store.
    assert_eq!(of(Origin::Store, &old, &other, false), "Keep Keep None conflict");
    assert_eq!(of(Origin::Store, &old, &other, true), "Copy Keep (File)");
    // A watcher of the store has ended, and another one has its id.
    assert_eq!(of(Origin::Store, &other, &old, false), "Keep Copy (Store)");
    // A watcher has taken the id of an older program's in the store.
    assert_eq!(of(Origin::File, &other, &old, false), "Keep Copy (Store)");
    let renewed = entry(1, 1, 6);
    assert_eq!(of(Origin::File, &other, &renewed, false), "Keep Keep None conflict");
    for origin in [Origin::Store, Origin::File] {
        assert_eq!(of(origin, &other, &third, true), "Keep Keep None conflict");
    }
    assert_eq!(outcome(None, Some(&old), Some(&other), BOTH, true), "Keep Keep None conflict");
    // The one that is left is copied.
    assert_eq!(outcome(None, None, Some(&other), BOTH, true), "Copy Keep (File)");
}

#[test]
fn what_was_removed_on_its_own_side_is_removed_on_the_other() {
    let old = entry(1, 1, 5);
    let of = |origin, store, file, is_dead| {
        outcome(Some(copied(&old, origin)), store, file, BOTH, is_dead)
    };
    for is_dead in [false, true] {
        assert_eq!(of(Origin::File, Some(&old), None, is_dead), "Remove Keep None");
        assert_eq!(of(Origin::Store, None, Some(&old), is_dead), "Keep Remove None");
    }
}

#[test]
fn what_was_removed_on_the_other_side_comes_back_if_its_watcher_has_renewed_it_or_lives() {
    let (old, renewed) = (entry(1, 1, 5), entry(1, 1, 6));
    let of = |origin, store, file, is_dead| {
        outcome(Some(copied(&old, origin)), store, file, BOTH, is_dead)
    };
    assert_eq!(of(Origin::Store, Some(&old), None, false), "Keep Copy (Store)");
    assert_eq!(of(Origin::Store, Some(&renewed), None, true), "Keep Copy (Store)");
    assert_eq!(of(Origin::Store, Some(&old), None, true), "Remove Keep None");
    assert_eq!(of(Origin::File, None, Some(&renewed), false), "Copy Keep (File)");
    assert_eq!(of(Origin::File, None, Some(&old), false), "Keep Remove None");
    // Renewed on the other side, after it was removed on its own.
    assert_eq!(of(Origin::Store, None, Some(&renewed), false), "Copy Keep (File)");
    assert_eq!(of(Origin::File, Some(&renewed), None, false), "Keep Copy (Store)");
}

#[test]
fn a_side_that_is_missing_or_damaged_has_removed_nothing() {
    let old = entry(1, 1, 5);
    let of =
        |origin, store, file, sides| outcome(Some(copied(&old, origin)), store, file, sides, true);
    let no_file = Sides { file_exists: false, ..BOTH };
    assert_eq!(of(Origin::File, Some(&old), None, no_file), "Keep Copy (File)");
    assert_eq!(of(Origin::Store, Some(&old), None, no_file), "Keep Copy (Store)");
    let no_store = Sides { store_exists: false, ..BOTH };
    let damaged = Sides { store_is_whole: false, ..BOTH };
    for sides in [no_store, damaged] {
        assert_eq!(of(Origin::Store, None, Some(&old), sides), "Keep Keep (Store)");
        assert_eq!(of(Origin::File, None, Some(&old), sides), "Copy Keep (File)");
    }
}

/// The mirror has died after it had written down that it makes a copy.
#[test]
fn a_copy_that_was_perhaps_not_made_is_made_again() {
    let old = entry(1, 1, 5);
    let of = |origin, store, file| {
        let being_made = Copied { is_made: false, ..copied(&old, origin) };
        outcome(Some(being_made), store, file, BOTH, true)
    };
    assert_eq!(of(Origin::Store, Some(&old), None), "Keep Copy (Store)");
    assert_eq!(of(Origin::File, None, Some(&old)), "Copy Keep (File)");
    // It was made, and the entry was removed since.
    assert_eq!(of(Origin::Store, None, Some(&old)), "Keep Remove None");
    assert_eq!(of(Origin::File, Some(&old), None), "Remove Keep None");
    // Another watcher has got the id instead.
    let other = entry(2, 1, 5);
    assert_eq!(of(Origin::File, Some(&other), Some(&old)), "Keep Keep None conflict");
    assert_eq!(of(Origin::Store, Some(&old), Some(&other)), "Keep Keep None conflict");
    assert_eq!(of(Origin::File, Some(&other), None), "Keep Copy (Store)");
    assert_eq!(of(Origin::Store, None, Some(&other)), "Copy Keep (File)");
}

/// The later date counted, and that of the copy was the later one until the clock had passed it.
#[test]
fn a_date_that_is_set_back_on_its_own_side_reaches_the_other() {
    let (set_back, old, renewed) = (entry(1, 1, 3), entry(1, 1, 5), entry(1, 1, 6));
    let of = |origin, store, file| {
        outcome(Some(copied(&old, origin)), Some(store), Some(file), BOTH, false)
    };
    assert_eq!(of(Origin::Store, &set_back, &old), "Keep Copy (Store)");
    assert_eq!(of(Origin::File, &old, &set_back), "Copy Keep (File)");
    // The copy is not as it was made.
    assert_eq!(of(Origin::Store, &set_back, &renewed), "Copy Keep (Store)");
    assert_eq!(of(Origin::File, &renewed, &set_back), "Keep Copy (File)");
    // Nor is it the watcher's own clock.
    assert_eq!(of(Origin::Store, &old, &set_back), "Keep Copy (Store)");
    assert_eq!(of(Origin::File, &set_back, &old), "Copy Keep (File)");
}

#[test]
fn a_store_that_is_gone_gets_no_entry_and_loses_none() {
    let old = entry(1, 1, 5);
    let gone = Sides { store_exists: false, store_is_gone: true, ..BOTH };
    for origin in [Origin::Store, Origin::File] {
        let base = Some(copied(&old, origin));
        let kept = format!("Keep Keep ({origin:?})");
        assert_eq!(outcome(base, None, Some(&old), gone, true), kept);
        // Removed from the file meanwhile, which is remembered until the store is there again.
        assert_eq!(outcome(base, None, None, gone, true), kept);
    }
    assert_eq!(outcome(None, None, Some(&old), gone, true), "Keep Keep None");
}

#[test]
fn a_side_that_was_missing_has_removed_nothing_when_it_is_there_again() {
    let (old, other) = (entry(1, 1, 5), entry(2, 1, 5));
    let of = |origin, was_missing, store, file| {
        let base = Copied { was_missing, ..copied(&old, origin) };
        outcome(Some(base), store, file, BOTH, true)
    };
    let in_store = WasMissing { store: true, file: false };
    let in_file = WasMissing { store: false, file: true };
    assert_eq!(of(Origin::Store, in_store, None, Some(&old)), "Keep Keep (Store)");
    assert_eq!(of(Origin::File, in_store, None, Some(&old)), "Copy Keep (File)");
    assert_eq!(of(Origin::Store, in_file, Some(&old), None), "Keep Copy (Store)");
    assert_eq!(of(Origin::File, in_file, Some(&old), None), "Keep Copy (File)");
    // The other side was there, and tells of removals.
    assert_eq!(of(Origin::Store, in_file, None, Some(&old)), "Keep Remove None");
    assert_eq!(of(Origin::File, in_file, None, Some(&old)), "Keep Remove None");
    assert_eq!(of(Origin::Store, in_store, Some(&old), None), "Remove Keep None");
    assert_eq!(of(Origin::File, in_store, Some(&old), None), "Remove Keep None");
    // A watcher has taken the id in the store, which had lost all.
    assert_eq!(of(Origin::Store, in_store, Some(&other), Some(&old)), "Keep Copy (Store)");
    assert_eq!(of(Origin::File, in_store, Some(&other), Some(&old)), "Keep Keep None conflict");
    // Both are there.
    assert_eq!(of(Origin::Store, in_store, Some(&old), Some(&old)), "Keep Keep (Store)");
}
