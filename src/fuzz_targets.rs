//! What the fuzzer calls with bytes of its own, and what a test calls with the corpus in `fuzz/corpus/`.
//!
//! Compiled for tests and for the fuzzer only (`--cfg fuzzing`). Each function panics when the bytes show a
//! defect; the caller need not check anything.

#[cfg(feature = "toml")]
mod documents;
mod inputs;
mod records;
mod registries;

#[cfg(feature = "toml")]
pub use documents::{json_documents, toml_documents};
pub use records::{entry_ids, owner_records};
pub use registries::{registries, rereading};

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// Calls a target with each input of its corpus.
    fn replay(name: &str, target: fn(&[u8])) {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        if !fuzz.exists() {
            // The published crate is without it.
            return;
        }
        let mut inputs = 0;
        for entry in fs::read_dir(fuzz.join("corpus").join(name)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "no corpus for {name}");
    }

    #[test]
    fn the_corpus_of_owner_records() {
        replay("owner_records", owner_records);
    }

    #[test]
    fn the_corpus_of_entry_ids() {
        replay("entry_ids", entry_ids);
    }

    #[test]
    fn the_corpus_of_registries() {
        replay("registries", |data| _ = registries(data));
    }

    #[test]
    fn the_corpus_of_rereading() {
        replay("rereading", rereading);
    }

    #[cfg(feature = "toml")]
    #[test]
    fn the_corpus_of_json_documents() {
        replay("json_documents", json_documents);
    }

    #[cfg(feature = "toml")]
    #[test]
    fn the_corpus_of_toml_documents() {
        replay("toml_documents", toml_documents);
    }
}
