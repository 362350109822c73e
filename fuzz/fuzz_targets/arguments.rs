#![no_main]
//! The program's arguments.

#[path = "../../src/cli/args.rs"]
#[allow(dead_code, reason = "the program uses what was parsed")]
mod args;

libfuzzer_sys::fuzz_target!(|data: &[u8]| args::parse_words(data));
