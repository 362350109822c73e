//! Owner records, and the names of files that stand for entries' ids.

use serde_json::value::RawValue;

use crate::folder::id::{EntryId, NamedId};
use crate::lock::owner_record::{begins_a_record, Liveness, OwnerRecord, MAGIC, RECORD_SIZE};
use crate::sys::ProcessState;

/// The bytes of a guard or a lockfile, which any program may have written.
pub fn owner_records(data: &[u8]) {
    let start = &data[..data.len().min(MAGIC.len())];
    let is_cut = OwnerRecord::is_cut(data);
    assert!(!is_cut || begins_a_record(start));
    let Some(record) = OwnerRecord::parse(data) else { return };
    assert!(begins_a_record(start));
    let encoded = record.encode();
    assert!(encoded.len() >= RECORD_SIZE);
    assert_eq!(OwnerRecord::parse(&encoded).as_ref(), Some(&record));
    assert!(!OwnerRecord::is_cut(&encoded));
    for length in 1..encoded.len() {
        assert!(OwnerRecord::is_cut(&encoded[..length]), "{length}");
    }
    let here = record.location.clone();
    let judge = |state| record.judge(&here, |_| state);
    assert_eq!(judge(ProcessState::Gone), Liveness::Dead);
    assert_eq!(judge(ProcessState::Running { started: None }), Liveness::Alive);
    assert_eq!(judge(ProcessState::Running { started: record.started }), Liveness::Alive);
    // A time that the clock can't express is no time, and no panic.
    let _ = record.holder(Some(true));
}

/// An id as a JSON string, and the name of a file, which any program may have made.
pub fn entry_ids(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match EntryId::of_file_name(text) {
        NamedId::Id(id) => assert_eq!(id.file_name(), text, "one id has one name"),
        NamedId::Cut | NamedId::None => {}
    }
    let quoted = serde_json::to_string(text).unwrap();
    for json in [text, &quoted] {
        let Ok(json) = serde_json::from_str::<&RawValue>(json).map(RawValue::get) else { continue };
        // An entry without an id has no file.
        if !json.starts_with('"') || json == "\"\"" {
            continue;
        }
        let id = EntryId::of_json(json);
        let name = id.file_name();
        assert!(name.len() <= 255 && !name.starts_with('.') && !name.contains('/'), "{name}");
        assert_eq!(EntryId::of_json(id.to_json().get()), id);
        match EntryId::of_file_name(&name) {
            NamedId::Id(named) => assert_eq!(named, id),
            NamedId::Cut => {}
            NamedId::None => panic!("{name} is not taken for an entry's file"),
        }
    }
}
