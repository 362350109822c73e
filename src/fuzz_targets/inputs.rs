//! How the fuzzer's bytes are taken apart.

/// The texts of an input. They are separated by a zero byte, which no text of a registry or document has.
/// A missing one is empty.
pub(super) fn texts<const COUNT: usize>(data: &[u8]) -> [&[u8]; COUNT] {
    let mut parts = data.splitn(COUNT, |byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}
