//! Panics of this library, which are defects of it. None ends the process: on a thread of the addon it
//! becomes the result of the call; on the thread of JavaScript each export catches it, and `lib/addon/panics.js`
//! throws a `RegistryError`.

use std::cell::RefCell;
use std::panic::{catch_unwind, set_hook, take_hook, AssertUnwindSafe};

use napi_derive::napi;

use super::convert::AddonFailure;

thread_local! {
    /// The message and the place of the last panic of this thread.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Called when the addon is loaded. The place of a panic is known to the hook alone. The hook is that of the
/// addon's own standard library, so no other code of the process is affected.
#[napi_derive::module_init]
fn note_panics() {
    let print = take_hook();
    set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let what = payload.downcast_ref::<&str>().copied();
        let what = what.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let what = what.unwrap_or("a panic");
        let at = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
        let noted = format!("{what}{}", at.unwrap_or_default());
        // Fails only while the thread ends.
        let _ = LAST_PANIC.try_with(|last| *last.borrow_mut() = Some(noted));
        print(panic);
    }));
}

/// The message and the place of the last panic of this thread; `null` if there was none since the last call.
#[napi(catch_unwind)]
pub fn take_panic() -> Option<String> {
    LAST_PANIC.take()
}

/// Does something on a thread of the addon. A panic becomes a failure. What the panic unwinds releases its
/// locks and removes its temp files, and no mutex of this crate is left unusable by a panic.
pub(super) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Box<AddonFailure>> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let panic = LAST_PANIC.take().unwrap_or_else(|| "a panic".to_owned());
        Box::new(AddonFailure::defect(&panic))
    })
}
