//! The byte order mark, with which some editors begin a text. Before JSON or TOML it is no defect.

pub(crate) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Splits a text into its byte order mark, if it has one, and the rest.
pub(crate) fn split_mark(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 })
}
