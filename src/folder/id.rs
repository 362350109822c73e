//! The id of an entry, and the name of the file that holds it.
//!
//! An id is a JSON string, so it may be any text: with path separators, of any length, with a lone
//! surrogate. Its bytes are those of UTF-8, in which a lone surrogate is encoded like other characters
//! (WTF-8). In the file's name each byte stands for itself if it is one of `a` to `z`, `0` to `9`, `-`,
//! `_`, or a `.` that is not the first, and is written as `%` with two lower-case hexadecimal digits
//! otherwise. So names differ wherever ids do, also where a file system ignores case or normalises
//! Unicode, and none of them is hidden, a path, or ends in a dot or a space. The first letter of a name
//! that Windows reserves for a device (`con`, `nul.txt`) is written in digits, too.
//!
//! A name of more than 255 bytes is cut: `%~`, the first bytes of the encoding, `%~`, a hash of the id.
//! Such an id is read from the record's own `id`, and counts only if it has this name.

use serde_json::value::RawValue;

use crate::util::stable_hash::fnv_1a;

/// The ending of an entry's file.
pub(crate) const ENDING: &str = ".json";

/// The longest name of a file on the usual file systems, in bytes.
const MAX_NAME_BYTES: usize = 255;

/// What begins a cut name, and what follows the cut: `%` followed by no hexadecimal digit.
const CUT: &str = "%~";

/// The id of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EntryId {
    /// UTF-8, in which lone surrogates are encoded, too.
    bytes: Vec<u8>,
}

/// The id that a file's name stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NamedId {
    Id(EntryId),
    /// The name was cut, so that only the record tells the id.
    Cut,
    /// The name is not that of an entry's file.
    None,
}

impl From<&str> for EntryId {
    fn from(id: &str) -> Self {
        EntryId { bytes: id.as_bytes().to_vec() }
    }
}

impl EntryId {
    /// The id that a JSON string stands for.
    pub(crate) fn of_json(json: &str) -> Self {
        match serde_json::from_str::<String>(json) {
            Ok(id) => EntryId { bytes: id.into_bytes() },
            Err(_) => EntryId { bytes: unescape(json) },
        }
    }

    /// The id of these bytes.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        EntryId { bytes }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The id as a JSON string, spelled as `JSON.stringify` does.
    pub(crate) fn to_json(&self) -> Box<RawValue> {
        let mut json = String::from("\"");
        for chunk in self.bytes.utf8_chunks() {
            let text = serde_json::to_string(chunk.valid()).expect("a string serialises");
            json.push_str(&text[1..text.len() - 1]);
            // Of the three bytes of a surrogate each is a chunk of its own: the first one stands for
            // all.
            if chunk.invalid().first() == Some(&SURROGATE_LEAD) {
                let at = chunk.invalid().as_ptr() as usize - self.bytes.as_ptr() as usize;
                let unit = surrogate_at(&self.bytes[at..]);
                json.push_str(&unit.map(|unit| format!("\\u{unit:04x}")).unwrap_or_default());
            }
        }
        json.push('"');
        RawValue::from_string(json).expect("an escaped string is JSON")
    }

    /// The id for messages: with a replacement character for a lone surrogate.
    pub(crate) fn to_display(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The name of the entry's file.
    pub(crate) fn file_name(&self) -> String {
        let encoded = self.encode();
        if encoded.len() + ENDING.len() <= MAX_NAME_BYTES {
            return encoded + ENDING;
        }
        // Two ids with one hash, which a program may choose, take each other's name, and no entry is lost by
        // it: the record tells whose it is.
        let hash = format!("{:032x}", fnv_1a(&self.bytes));
        let mut length = MAX_NAME_BYTES - (2 * CUT.len() + hash.len() + ENDING.len());
        // An escape is not cut.
        if let Some(percent) = encoded[..length].rfind('%').filter(|at| at + 3 > length) {
            length = percent;
        }
        [CUT, &encoded[..length], CUT, &hash, ENDING].concat()
    }

    fn encode(&self) -> String {
        let mut name = String::with_capacity(self.bytes.len() + ENDING.len());
        for (index, byte) in self.bytes.iter().enumerate() {
            let is_plain = match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => true,
                b'.' => index > 0,
                _ => false,
            };
            match is_plain {
                true => name.push(char::from(*byte)),
                false => name.push_str(&format!("%{byte:02x}")),
            }
        }
        if is_device(&name) {
            name = format!("%{:02x}{}", name.as_bytes()[0], &name[1..]);
        }
        name
    }

    /// The id whose entry a file of this name holds.
    pub(crate) fn of_file_name(name: &str) -> NamedId {
        let Some(encoded) = name.strip_suffix(ENDING) else { return NamedId::None };
        if encoded.starts_with(CUT) {
            return NamedId::Cut;
        }
        let mut bytes = Vec::with_capacity(encoded.len());
        let mut rest = encoded.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            let byte = match first {
                b'%' => after.get(..2).and_then(|digits| {
                    rest = &after[2..];
                    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
                }),
                other => Some(*other),
            };
            let Some(byte) = byte else { return NamedId::None };
            bytes.push(byte);
        }
        let id = EntryId { bytes };
        // Only one name stands for an id: a file of another one, such as an editor's copy or one with
        // capital letters, is no entry.
        match id.is_text() && id.file_name() == name {
            true => NamedId::Id(id),
            false => NamedId::None,
        }
    }

    /// Whether the bytes are those of a JSON string that is not empty.
    fn is_text(&self) -> bool {
        !self.bytes.is_empty() && EntryId::of_json(self.to_json().get()).bytes == self.bytes
    }
}

/// Whether Windows takes a name for a device, whatever follows its first dot.
fn is_device(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or_default();
    let numbered = |prefix| {
        let digits = base.strip_prefix(prefix).unwrap_or_default();
        digits.len() == 1 && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    matches!(base, "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

/// The first of the three bytes that encode a lone surrogate.
const SURROGATE_LEAD: u8 = 0xed;

/// The lone surrogate that these bytes begin with.
fn surrogate_at(bytes: &[u8]) -> Option<u32> {
    match bytes {
        [SURROGATE_LEAD, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] => {
            Some(0xd000 | (u32::from(*second) & 0x3f) << 6 | (u32::from(*third) & 0x3f))
        }
        _ => None,
    }
}

/// The bytes of a JSON string with lone surrogates, which `serde_json` refuses.
fn unescape(json: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(json.len());
    let mut rest = json.get(1..json.len() - 1).unwrap_or_default();
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    while let Some(first) = rest.chars().next() {
        if first != '\\' {
            bytes.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let Some(high) = unit(rest) else {
            // Another escape, which stands for one character.
            let escape: String = serde_json::from_str(&format!("\"{}\"", &rest[..2]))
                .expect("an escape in a JSON string");
            bytes.extend_from_slice(escape.as_bytes());
            rest = &rest[2..];
            continue;
        };
        rest = &rest[6..];
        let pair = (0xd800..0xdc00).contains(&high).then(|| unit(rest)).flatten();
        let code = match pair.filter(|low| (0xdc00..0xe000).contains(low)) {
            Some(low) => {
                rest = &rest[6..];
                0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
            }
            None => high,
        };
        match char::from_u32(code) {
            Some(character) => {
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            None => bytes.extend_from_slice(&[
                SURROGATE_LEAD,
                0x80 | (code >> 6 & 0x3f) as u8,
                0x80 | (code & 0x3f) as u8,
            ]),
        }
    }
    bytes
}

#[cfg(test)]
mod tests;
