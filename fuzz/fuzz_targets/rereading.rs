#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| argus_registry::fuzz_targets::rereading(data));
