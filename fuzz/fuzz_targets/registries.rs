#![no_main]
//! A registry's text beside a JavaScript engine's `JSON.parse` and `JSON.stringify` of the same bytes.

use std::cell::OnceCell;

use argus_registry::fuzz_targets::registries;
use rquickjs::{Context, Function, Runtime};

/// `text` as the engine prints it; null if it can't be read. QuickJS, unlike other engines, lists keys that are
/// array indexes from 2^31 on in the order in which they came: it is not asked about those.
const PRINT: &str = r#"(text) => {
    let hasLargeIndex = false
    try {
        const value = JSON.parse(text, (key, value) => {
            hasLargeIndex ||= /^[1-9]\d{9}$/.test(key)
            return value
        })
        return hasLargeIndex ? undefined : JSON.stringify(JSON.parse(text), null, 2)
    } catch (error) {
        return null
    }
}"#;

thread_local! {
    static ENGINE: OnceCell<(Runtime, Context)> = const { OnceCell::new() };
}

/// `None` if the engine is not asked, and `Some(None)` if it can't read the text.
fn printed_by_engine(text: &str) -> Option<Option<String>> {
    ENGINE.with(|engine| {
        let (_, context) = engine.get_or_init(|| {
            let runtime = Runtime::new().unwrap();
            let context = Context::full(&runtime).unwrap();
            (runtime, context)
        });
        context.with(|ctx| {
            let print: Function = ctx.eval(PRINT).unwrap();
            let printed: rquickjs::Value = print.call((text,)).unwrap();
            match printed.as_string() {
                // A lone surrogate in a member's name or value is printed as an escape.
                Some(text) => Some(Some(text.to_string().unwrap())),
                None if printed.is_null() => Some(None),
                None => None,
            }
        })
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(printed) = registries(data) else { return };
    let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    let Ok(text) = std::str::from_utf8(data) else {
        panic!("bytes that are not UTF-8 were read as a registry")
    };
    let Some(by_engine) = printed_by_engine(text) else { return };
    let by_engine = by_engine.expect("the engine can't read what was read as a registry");
    if by_engine == text {
        assert_eq!(printed, text, "what an engine printed stays as it is");
    }
    assert_eq!(printed_by_engine(&printed), Some(Some(by_engine)), "another value was printed");
});
